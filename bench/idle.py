"""What a rig costs beside its hashing: `sv2rig mine` with one slow simulated device, on our pool.

Two processes on loopback, as a person would start them. The rig's process tells its threads' CPU
time at the beginning and the end of the measured time. The device's own threads are taken off: the
one that hands launches out and the one that hashes; also shown is what it comes to if only the
hashing is taken off.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Final

import machine
from figures import table

DESCRIPTION = "CPU use of a rig with one slow simulated device, less the device's own threads"

GOAL: Final = 0.03  # of one core
DEVICE: Final = "simulated?rate=50k"
CONTROL_THREADS: Final = ("simulated:",)  # a PushDevice's thread has its device's id
HASHING_THREADS: Final = ("hashlib", "cpu-search")  # those of the engines that it hashes with
START_TIMEOUT_S: Final = 30.0
METERED: Final = str(Path(__file__).with_name("metered.py"))

Reading = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Idle:
    """Shares of one core over the measured time. `rest`: ended threads and none of Python's."""

    device: str
    screen: bool
    seconds: float
    start_cpu_s: float
    process: float
    threads: dict[str, float]
    rest: float
    others_cores: float

    @property
    def hashing(self) -> float:
        return self._sum(HASHING_THREADS)

    @property
    def control(self) -> float:
        return self._sum(CONTROL_THREADS)

    @property
    def idle(self) -> float:
        """The figure that the goal bounds."""
        return self.process - self.hashing - self.control

    def _sum(self, names: tuple[str, ...]) -> float:
        return sum(share for name, share in self.threads.items() if name.startswith(names))


@contextlib.contextmanager
def ending(child: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Ends the child in order when the work with it is done."""
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


@contextlib.contextmanager
def pool() -> Iterator[tuple[str, Callable[[str], None]]]:
    """A pool's URL, and what waits until its log holds some words."""
    command = [sys.executable, METERED, "2", "pool", "run", "--simulated-chain"]
    with ending(
        subprocess.Popen(
            [*command, "--listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        log = Log(child.stderr)
        url = child.stdout.readline().decode().strip()
        if not url.startswith("stratum2+tcp://"):
            raise RuntimeError(f"the pool did not start: {url} {log.text}")
        yield url, log.wait_for


class Log:
    """A child's log, read as it comes."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.text = ""
        self._stream = stream
        self._news = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._stream:
            with self._news:
                self.text += line.decode(errors="replace")
                self._news.notify()

    def wait_for(self, words: str) -> None:
        with self._news:
            if not self._news.wait_for(lambda: words in self.text, START_TIMEOUT_S):
                raise RuntimeError(f"no {words!r} within {START_TIMEOUT_S:g} s:\n{self.text}")


@contextlib.contextmanager
def rig(url: str, device: str, screen: bool) -> Iterator[Callable[[], Reading]]:
    """`sv2rig mine`, and what reads its threads' clocks."""
    from_meter, to_us = os.pipe()
    command = [sys.executable, METERED, str(to_us), "mine", url]
    command += ["--user", "bench.idle", "--device", device]
    start = start_on_screen if screen else start_headless
    with open(from_meter, "rb", buffering=0) as readings:  # noqa: PTH123 - it is no path
        child = start(command, to_us)
        os.close(to_us)

        def read() -> Reading:
            child.send_signal(signal.SIGUSR1)
            reading: Reading = json.loads(readings.readline())
            return reading

        with ending(child):
            yield read


def start_headless(command: list[str], keep_open: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*command, "--headless"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=[keep_open],
    )


def start_on_screen(command: list[str], keep_open: int) -> subprocess.Popen[bytes]:
    """On a terminal of 120 by 40 whose output is read and thrown away."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, 120))
    child = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        pass_fds=[keep_open],
        env=os.environ | {"TERM": "xterm-256color"},
        start_new_session=True,
    )
    os.close(theirs)

    def drain() -> None:
        with contextlib.suppress(OSError):  # the terminal's other end is closed
            while os.read(ours, 65536):
                pass
        os.close(ours)

    threading.Thread(target=drain, daemon=True).start()
    return child


def measure(device: str, seconds: float, settle_s: float, screen: bool) -> Idle:
    with pool() as (url, wait_for_log), rig(url, device, screen) as read:
        wait_for_log("opened a")
        time.sleep(settle_s)
        others = machine.Others()
        before = read()
        time.sleep(seconds)
        after = read()
        return result(device, screen, before, after, others.cores())


def result(device: str, screen: bool, before: Reading, after: Reading, others_cores: float) -> Idle:
    elapsed = after["at_s"] - before["at_s"]
    process = after["process_s"] - before["process_s"]
    began = dict(before["threads"])
    threads = {name: used - began.get(name, 0.0) for name, used in after["threads"]}
    return Idle(
        device=device,
        screen=screen,
        seconds=round(elapsed, 3),
        start_cpu_s=round(before["process_s"], 3),
        process=process / elapsed,
        threads={name: used / elapsed for name, used in threads.items()},
        rest=(process - sum(threads.values())) / elapsed,
        others_cores=others_cores,
    )


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench idle", description=DESCRIPTION)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to measure")
    parser.add_argument("--settle", type=float, default=3.0, help="seconds of mining before that")
    parser.add_argument("--device", default=DEVICE, help="a simulated device")
    parser.add_argument("--screen", action="store_true", help="with the screen, on a pseudo-tty")
    parser.add_argument("--json", action="store_true", help="one JSON object on one line")
    options = parser.parse_args(argv)
    if not options.device.startswith("simulated"):
        parser.error("only a simulated device's threads are all known")
    idle = measure(options.device, options.seconds, options.settle, options.screen)
    met = idle.idle < GOAL
    if options.json:
        figures = {"idle": idle.idle, "hashing": idle.hashing, "control": idle.control}
        report = {"bench": "idle", "machine": machine.describe(), "goal": GOAL, "met": met}
        print(json.dumps(report | asdict(idle) | figures))
    else:
        print_report(idle, met)
    return 0


def print_report(idle: Idle, met: bool) -> None:
    print(machine.headline())
    how = "with its screen" if idle.screen else "headless"
    print(
        f"{idle.device}, {how}, {idle.seconds:.0f} s; other processes had "
        f"{idle.others_cores} cores; {idle.start_cpu_s} s of CPU time to start and settle\n"
    )
    rows = [("of one core", "%")]
    rows += [(f"thread {name}", percent(used)) for name, used in sorted(idle.threads.items())]
    rows += [
        ("ended threads, and none of Python's", percent(idle.rest)),
        ("the process", percent(idle.process)),
        ("less hashing", percent(idle.process - idle.hashing)),
        ("less all of the device's threads", percent(idle.idle)),
    ]
    print(table(rows))
    print(f"\nunder {GOAL:.0%}: {'met' if met else 'MISSED'}\n")


def percent(share: float) -> str:
    return f"{share * 100:.2f}"
