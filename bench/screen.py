"""What the screen costs, and how soon it answers a key: its process on a pseudo-terminal.

The process (bench/screen_child.py) draws with Textual's real terminal driver a rig of which every
device reads differently each second, and decodes each picture from JSON. A key is answered when the
terminal has been sent what the newly selected device is: from the write of the key to the read of
that text.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import pty
import random
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import machine
import psutil
from figures import table

DESCRIPTION = "CPU use of the screen with many devices, and how soon it answers a key"

# Devices, columns, lines: 80 lines show 43 of 64.
SCREENS: Final = ((64, 120, 40), (64, 200, 80), (256, 120, 40))
CPU_GOALS: Final = {64: 0.12, 256: 0.45}  # of one core
KEY_GOAL_MS: Final = 200.0  # p95, with 256 devices
FIRST_SCREEN_S: Final = 20.0
CHILD: Final = str(Path(__file__).with_name("screen_child.py"))
DOWN, UP = b"\x1b[B", b"\x1b[A"


@dataclass(frozen=True, slots=True)
class Cost:
    """`cpu`: of one core; `written`: bytes a second to the terminal. Both without keys."""

    devices: int
    columns: int
    lines: int
    seconds: float
    cpu: float
    written: float
    first_screen_s: float
    key_median_ms: float
    key_p95_ms: float
    others_cores: float

    @property
    def met(self) -> bool:
        return self.cpu < CPU_GOALS.get(self.devices, 1.0) and self.key_p95_ms < KEY_GOAL_MS


class Terminal:
    """The other end of the terminal that the screen draws on."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def read(self, seconds: float, until: bytes | None = None) -> bytes:
        """All that comes within so many seconds, or until some text has come."""
        end, got = time.monotonic() + seconds, b""
        while (left := end - time.monotonic()) > 0 and not (until and until in got):
            if select.select([self._fd], [], [], left)[0]:
                got += os.read(self._fd, 1 << 16)
        return got

    def press(self, key: bytes, until: bytes) -> float:
        """Seconds from a key until the text has come."""
        began = time.monotonic()
        os.write(self._fd, key)
        if until not in self.read(5.0, until):
            raise RuntimeError(f"the screen did not answer with {until!r}")
        return time.monotonic() - began


@contextlib.contextmanager
def screen(devices: int, columns: int, lines: int) -> Iterator[tuple[psutil.Process, Terminal]]:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (lines, columns))
    child = subprocess.Popen(
        [sys.executable, CHILD, str(devices)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor"},
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield psutil.Process(child.pid), Terminal(ours)
    finally:
        child.terminate()
        child.wait(10)
        os.close(ours)


def used(process: psutil.Process) -> float:
    """CPU seconds of all its threads (clock_getcpuclockid(3) on Linux): psutil's come in ticks of
    10 ms, more than a quiet daemon uses in seconds."""
    return time.clock_gettime((~process.pid << 3) | 2)


def measure(size: tuple[int, int, int], seconds: float, keys: int) -> Cost:
    rng = random.Random(1)
    began = time.monotonic()
    with screen(*size) as (process, terminal):
        if b"no answer" not in terminal.read(FIRST_SCREEN_S, b"no answer"):
            raise RuntimeError("no screen came")
        first = time.monotonic() - began
        terminal.read(4.0)
        others, before, start = machine.Others(), used(process), time.monotonic()
        written = len(terminal.read(seconds))
        elapsed, spent = time.monotonic() - start, used(process) - before
        waits = sorted(press_keys(terminal, rng, keys))
        return Cost(
            devices=size[0],
            columns=size[1],
            lines=size[2],
            seconds=round(elapsed, 3),
            cpu=spent / elapsed,
            written=written / elapsed,
            first_screen_s=round(first, 3),
            key_median_ms=1000 * waits[len(waits) // 2],
            key_p95_ms=1000 * waits[math.ceil(0.95 * len(waits)) - 1],
            others_cores=others.cores(),
        )


def press_keys(terminal: Terminal, rng: random.Random, keys: int) -> Iterator[float]:
    """Down to the end of what is in sight and on, at moments that keep no time with the ticks."""
    # Trouble comes first, by number: the cursor begins at board 5, then 21, 37 ...
    terminal.press(b"o", b"by id")
    terminal.press(b"\x1b[H", b"board:0 ")
    for number in range(1, keys + 1):
        terminal.read(rng.uniform(0.05, 0.35))
        yield terminal.press(DOWN, f"board:{number} ".encode())


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench screen", description=DESCRIPTION)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long to measure")
    parser.add_argument("--keys", type=int, default=60, help="how many keys to press (at most 63)")
    parser.add_argument("--json", action="store_true", help="one JSON object on one line")
    options = parser.parse_args(argv)
    costs = [measure(size, options.seconds, options.keys) for size in SCREENS]
    if options.json:
        rows = [asdict(cost) | {"met": cost.met} for cost in costs]
        report = {"bench": "screen", "machine": machine.describe(), "rows": rows}
        print(json.dumps(report))
    else:
        print_report(costs)
    return 0


def print_report(costs: list[Cost]) -> None:
    print(machine.headline())
    print(f"a pseudo-terminal, {costs[0].seconds:.0f} s each\n")
    rows = [("devices", *(str(cost.devices) for cost in costs))]
    rows += [("terminal", *(f"{cost.columns}x{cost.lines}" for cost in costs))]
    rows += [("CPU, % of one core", *(f"{100 * cost.cpu:.1f}" for cost in costs))]
    rows += [("written, kB/s", *(f"{cost.written / 1000:.1f}" for cost in costs))]
    rows += [("process start to first screen, s", *(f"{c.first_screen_s:.2f}" for c in costs))]
    rows += [("key to redraw, median, ms", *(f"{cost.key_median_ms:.0f}" for cost in costs))]
    rows += [("key to redraw, p95, ms", *(f"{cost.key_p95_ms:.0f}" for cost in costs))]
    rows += [("cores of other processes", *(f"{cost.others_cores}" for cost in costs))]
    rows += [("goals", *("met" if cost.met else "MISSED" for cost in costs))]
    print(table(rows))
    print()
