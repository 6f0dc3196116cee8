"""The screen on a real terminal, attached to a rig that runs in another process."""

from __future__ import annotations

import os
import shutil
import signal
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from rig_processes import (
    BOARD,
    EMULATE,
    PATIENCE_S,
    SV2RIG,
    accepted,
    daemon_on,
    pool_command,
    private_environment,
    rig_client,
    running,
    said,
)
from terminal import Terminal

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return private_environment(tmp_path)


def row(name: str, *words: str) -> str:
    """A line of the device table, as a regular expression."""
    return rf"{name}.*" + ".*".join(words)


def test_a_day_with_the_screen(environment: dict[str, str], tmp_path: Path) -> None:
    pool = pool_command(tmp_path)
    with ExitStack() as stack:
        first_pool = stack.enter_context(running(environment, *pool))
        url = said(first_pool)["url"]
        first_board = stack.enter_context(running(environment, *EMULATE))
        said(first_board)
        rig = stack.enter_context(running(environment, *daemon_on(url, tmp_path)))
        client = rig_client(environment)
        screen = stack.enter_context(Terminal([SV2RIG, "top"], tmp_path, environment))
        screen.shows(row("bm13xx:emu", "MINING"), row("simulated:0", "MINING"), r"q Detach")

        screen.press("o")
        screen.shows("by id")
        screen.press("Home", "p")
        screen.shows(row("bm13xx:emu", "PAUSED"), row("simulated:0", "MINING"))
        screen.press("p")
        screen.shows(row("bm13xx:emu", "MINING"))

        screen.press("+")
        screen.shows(row("bm13xx:emu", " 410 ", "MINING"))  # its log line may be wrapped anywhere
        [setting] = client.get(f"/v1/devices/{BOARD}")["settings"]
        assert (setting["name"], setting["value"]) == ("frequency", 410)

        first_board.send_signal(signal.SIGINT)
        screen.shows(row("bm13xx:emu", r"LOST \d+s"), row("simulated:0", "MINING"))
        again = stack.enter_context(running(environment, *EMULATE))
        said(again)
        screen.shows(row("bm13xx:emu", "MINING"))

        first_pool.kill()
        screen.shows(
            "POOL DOWN", row("bm13xx:emu", "(IDLE|READY)"), row("simulated:0", "(IDLE|READY)")
        )
        stack.enter_context(running(environment, *pool))
        screen.shows(row("bm13xx:emu", "MINING"), row("simulated:0", "MINING"), never="ENDED")
        before = accepted(client)
        screen.press("q")
        screen.shows("^ENDED 0")
        deadline = time.monotonic() + PATIENCE_S
        while accepted(client) <= before:
            assert time.monotonic() < deadline, "mining went not on"
            time.sleep(0.1)
        assert rig.poll() is None


def test_a_lost_daemon_is_said_and_found_again(environment: dict[str, str], tmp_path: Path) -> None:
    mine = ("mine", "stratum2+tcp://127.0.0.1:1", "--insecure-no-verify", "--user", "u",
            "--headless", "--device", "simulated?rate=90k")  # fmt: skip
    with ExitStack() as stack:
        rig = stack.enter_context(running(environment, *mine))
        rig_client(environment)
        screen = stack.enter_context(Terminal([SV2RIG, "top"], tmp_path, environment, (80, 24)))
        screen.shows("simulated:0", never="DAEMON LOST")
        rig.kill()
        screen.shows("DAEMON LOST")
        stack.enter_context(running(environment, *mine))
        deadline = time.monotonic() + PATIENCE_S
        while "DAEMON LOST" in screen.text():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        screen.shows("simulated:0")


def mine_with_screen(environment: dict[str, str], tmp_path: Path, *more: str) -> Terminal:
    url = ("stratum2+tcp://127.0.0.1:1", "--insecure-no-verify", "--user", "u")
    command = [SV2RIG, "mine", *url, "--device", "simulated?rate=90k", *more]
    return Terminal(command, tmp_path, environment)


def children(name: str) -> list[int]:
    """Processes that run `top` on this rig's socket."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"--ends-rig" in words and any(name.encode() in word for word in words):
            found.append(int(folder.name))
    return found


@pytest.mark.parametrize("keys", ["q", "C-c"])
def test_leaving_the_screen_of_mine_stops_the_rig(
    environment: dict[str, str], tmp_path: Path, keys: str
) -> None:
    with mine_with_screen(environment, tmp_path) as screen:
        screen.shows("simulated:0", "q Stop")
        screen.press(keys)
        text = screen.shows("^mined .* shares accepted", "^ENDED 0")
    assert "Traceback" not in text


def test_a_screen_that_crashes_ends_no_mining(environment: dict[str, str], tmp_path: Path) -> None:
    with mine_with_screen(environment, tmp_path) as screen:
        screen.shows("simulated:0", "q Stop")
        [child] = children(str(tmp_path))
        os.kill(child, signal.SIGKILL)
        screen.shows(r"the screen has failed \(signal 9\); the rig mines on, with log lines")
        screen.shows(r"0 accepted, 0 pending")
        screen.press("C-c")  # the terminal is a plain one again: this is a signal
        screen.shows(r"mined \d+s", "^ENDED 0")


def test_the_duration_ends_a_rig_with_a_screen(environment: dict[str, str], tmp_path: Path) -> None:
    with mine_with_screen(environment, tmp_path, "--duration", "6") as screen:
        screen.shows("simulated:0", "q Stop")
        screen.shows("^mined", "^ENDED 0")
        screen.press("ls", "Enter")  # an echo: the terminal's modes are as before
        screen.shows("^ls")
