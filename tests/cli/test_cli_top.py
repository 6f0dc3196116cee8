"""`sv2rig top` as a command: text, JSON, recordings, another machine over ssh."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rig_processes import SV2RIG, private_environment, rig_client
from ssh_server import SSHD, ssh_server
from terminal import PATIENCE_S, Terminal

NOWHERE = ("stratum2+tcp://127.0.0.1:1", "--insecure-no-verify", "--user", "u")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return private_environment(tmp_path)


@pytest.fixture
def rig(environment: dict[str, str]) -> Iterator[Path]:
    """The socket of a simulated device's rig on a pool that is away."""
    command = [SV2RIG, "mine", *NOWHERE, "--headless", "--device", "simulated?rate=90k"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment)
    try:
        yield rig_client(environment).path
    finally:
        process.kill()
        process.wait()


def run(environment: dict[str, str], *args: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [SV2RIG, "top", *args], capture_output=True, text=True, env=environment, timeout=PATIENCE_S,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_without_a_rig_it_says_where_it_looked(environment: dict[str, str], tmp_path: Path) -> None:
    status, out, error = run(environment, "--once")
    assert (status, out) == (1, "")
    [line] = error.splitlines()
    assert str(tmp_path) in line
    assert "/run/sv2rig" in line
    status, _, error = run(environment, "--once", "--socket", str(tmp_path / "none.sock"))
    assert status == 1
    assert error == f"sv2rig: no rig answers at {tmp_path}/none.sock: No such file or directory\n"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), "no terminal"),
        (("--once", "--socket", "a", "--replay", "b"), "exclude each other"),
        (("--once", "--ssh", "-oProxyCommand=touch x"), "is not USER@HOST"),
        (("--once", "--ssh", ""), "is not USER@HOST"),
        (("--once", "--ssh", "a b"), "is not USER@HOST"),
        (("--once", "--replay", "a", "--record", "b"), "--record"),
    ],
)
def test_mistakes_end_with_status_2(
    environment: dict[str, str], args: tuple[str, ...], words: str
) -> None:
    status, out, error = run(environment, *args)
    assert (status, out) == (2, "")
    assert words in error


def test_a_recording_that_is_not_there_is_what_is_wrong(environment: dict[str, str]) -> None:
    words = "sv2rig: not/there: No such file or directory\n"
    assert run(environment, "--replay", "not/there") == (1, "", words)


def test_text_and_json(environment: dict[str, str], rig: Path) -> None:
    status, out, _ = run(environment, "--once")
    assert status == 0
    assert len(out.splitlines()) == 24
    assert "simulated:0" in out
    status, out, _ = run(environment, "--once", "--json", "--socket", str(rig))
    [line] = out.splitlines()
    assert json.loads(line)["devices"][0]["id"] == "simulated:0"
    command = [SV2RIG, "top", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        numbers = [json.loads(process.stdout.readline())["sequence"] for _ in range(3)]
        process.send_signal(signal.SIGTERM)
    assert numbers == sorted(set(numbers))


def test_what_was_recorded_is_played(
    environment: dict[str, str], rig: Path, tmp_path: Path
) -> None:
    record, short = tmp_path / "day.jsonl", tmp_path / "short.jsonl"
    status, out, _ = run(environment, "--once", "--json", "--record", str(record))
    assert status == 0
    assert run(environment, "--replay", str(record), "--json") == (0, out, "")
    status, out, _ = run(environment, "--replay", str(record), "--once")
    assert status == 0
    assert "simulated:0" in out
    status, _, error = run(environment, "--once", "--record", str(record))
    assert (status, error) == (1, f"sv2rig: {record} is there already\n")
    short.write_bytes(record.read_bytes() * 2)
    status, _, error = run(environment, "--once", "--replay", str(short))
    assert status == 1
    assert f"{short}, line 3:" in error


needs_ssh = pytest.mark.skipif(
    SSHD is None or shutil.which("ssh") is None, reason="openssh-server is not installed"
)
needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


def relays(folder: Path) -> list[int]:
    """The ssh processes that carry a screen, of this folder's keys."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0] == b"ssh" and str(folder).encode() in b" ".join(words):
            found.append(int(process.name))
    return found


@needs_ssh
def test_ssh_notices_a_way_that_has_died(environment: dict[str, str]) -> None:
    status, _, error = run(environment, "--once", "--ssh", "a@rig", "--ssh-command", "ssh -G")
    assert status == 1
    assert "serveraliveinterval 5\n" in error
    assert "serveralivecountmax 3\n" in error


@needs_ssh
@needs_tmux
def test_a_rig_on_another_machine(environment: dict[str, str], rig: Path, tmp_path: Path) -> None:
    remote = {"PATH": f"{Path(SV2RIG).parent}:{os.environ['PATH']}"}
    remote["XDG_RUNTIME_DIR"] = environment["XDG_RUNTIME_DIR"]
    here = {**environment, "XDG_RUNTIME_DIR": str(tmp_path / "elsewhere")}
    keys = tmp_path / "ssh"
    keys.mkdir()
    with ssh_server(keys, remote) as server:
        command = ["--ssh", f"{server.user}@127.0.0.1", "--ssh-command", server.command]
        status, _, error = run(here, "--once", *command)
        assert status == 1
        assert "Host key verification failed" in error  # nobody could be asked
        with Terminal([SV2RIG, "top", *command], tmp_path, here) as screen:
            screen.shows("Are you sure you want to continue connecting")
            screen.press("yes", "Enter")
            screen.shows("simulated:0", "q Detach")
            screen.press("p")
            screen.shows("simulated:0.*PAUSED")
            [carrier] = relays(keys)
            os.kill(carrier, signal.SIGTERM)
            deadline = time.monotonic() + PATIENCE_S
            while relays(keys) in ([], [carrier]):  # it connects again by itself
                assert time.monotonic() < deadline
                time.sleep(0.1)
            screen.press("p")
            screen.shows("simulated:0.*(IDLE|READY)")
            screen.press("q")
            screen.shows("^ENDED 0")
        status, out, error = run(here, "--once", "--json", *command)
        assert status == 0, error
        assert json.loads(out)["devices"][0]["id"] == "simulated:0"
        status, _, error = run(here, "--once", *command, "--rig", "attic")
        assert status == 1
        assert "no rig attic runs here" in error
