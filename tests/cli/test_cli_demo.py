"""`sv2rig demo` with its emulated boards, as a process."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from sv2rig.api.client import RigClient, find_rigs
from sv2rig.rig.runtime_folder import runtime_folder

PATIENCE_S = 90.0
LOOK_EVERY_S = 0.2
MEASURED_S = 5.0
FAMILIES = ["bitaxe_raw", "bm13xx", "fpga_uart", "gekko", "icarus", "ztex"]
DEVICE = ("--device", "simulated?rate=90k")  # no kernel to compile

T = TypeVar("T")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}


@contextmanager
def demo(environment: dict[str, str], *args: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [str(Path(sys.executable).parent / "sv2rig"), "demo", *DEVICE, "--json", *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def until(look: Callable[[], T | None], what: str) -> T:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if (seen := look()) is not None:
            return seen
        time.sleep(LOOK_EVERY_S)
    raise AssertionError(f"{what}: not within {PATIENCE_S:g} s")


def devices(environment: dict[str, str]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for socket in find_rigs([runtime_folder(environment, os.getuid())]).values():
        rows += RigClient(socket).get("/v1/snapshot")["devices"]
    return rows


def emulators(parent: int) -> int | None:
    """The process of its emulators, once it is there."""
    for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        if b"--until-eof" in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0"):
            return int(child)
    return None


def their_folder(process: int) -> Path:
    words = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
    (folder,) = [word for word in words if word.startswith(b"XDG_RUNTIME_DIR=")]
    return Path(os.fsdecode(folder.partition(b"=")[2]))


def cpu_s(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def has_ended(process: int) -> bool:
    """A zombie has; its parent may be slow to look after it."""
    try:
        return re.search(r"\) [ZX] ", Path(f"/proc/{process}/stat").read_text()) is not None
    except (FileNotFoundError, ProcessLookupError):
        return True


def all_accepted(environment: dict[str, str], count: int) -> bool | None:
    rows = devices(environment)
    return (len(rows) == count and all(row["shares"]["accepted"] for row in rows)) or None


def test_every_family_gets_shares_accepted_beside_the_rest(environment: dict[str, str]) -> None:
    with demo(environment) as process:
        until(lambda: all_accepted(environment, len(FAMILIES) + 1), "shares of every device")
        child = emulators(process.pid)
        assert child is not None
        folder, began, spent = their_folder(child), time.monotonic(), cpu_s(child)
        assert folder.is_dir()
        time.sleep(MEASURED_S)
        share = (cpu_s(child) - spent) / (time.monotonic() - began)
        process.send_signal(signal.SIGINT)
        out, log = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, log
    assert share < 0.1, "a tenth of a core for all of them"
    summary = json.loads(out.splitlines()[-1])
    assert sorted(row["backend"] for row in summary["devices"]) == sorted([*FAMILIES, "simulated"])
    assert summary["hardware_errors"] == 0
    assert "LOST" not in log, "they end after the rig"
    assert has_ended(child)
    assert not folder.exists()


def test_the_emulators_do_not_outlive_a_demo_that_is_killed(environment: dict[str, str]) -> None:
    with demo(environment) as process:
        child = until(lambda: emulators(process.pid), "the emulators' process")
        folder = their_folder(child)
        until(lambda: devices(environment) or None, "the rig")
        process.kill()
        until(lambda: has_ended(child) or None, "their end")
    assert not list(folder.glob("sv2rig/emulated/*"))


@pytest.mark.parametrize(
    "args", [("--no-boards",), ("--device", "serial:/dev/ttyNONE?driver=icarus")]
)
def test_without_emulated_boards(environment: dict[str, str], args: tuple[str, ...]) -> None:
    with demo(environment, *args) as process:
        (row,) = until(lambda: devices(environment) or None, "the rig")
        assert emulators(process.pid) is None
    assert row["id"] == "simulated:0"
