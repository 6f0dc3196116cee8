"""Where a bench ran, and how its process is kept on one core."""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path

import psutil


def cpu_model() -> str:
    """The processor's name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


@contextlib.contextmanager
def pinned_to_one_core() -> Iterator[bool]:
    """Keep this process on the last core it may use meanwhile; False where no system call can."""
    if not hasattr(os, "sched_setaffinity"):
        yield False
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield True
    finally:
        os.sched_setaffinity(0, before)


def describe() -> dict[str, str | int]:
    """The machine as it stands in every bench's JSON."""
    return {
        "cpu_model": cpu_model(),
        "cores": os.cpu_count() or 1,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def headline() -> str:
    """The same in one line."""
    facts = describe()
    return (
        f"{facts['cpu_model']}, {facts['cores']} cores, {facts['system']}, Python {facts['python']}"
    )


class Others:
    """How many cores' worth of time went to processes that are not this one or its children."""

    def __init__(self) -> None:
        self._wall = time.monotonic()
        self._all, self._ours = _busy_s(), _ours_s()

    def cores(self) -> float:
        """The mean since this was made. Call it before the children end."""
        elapsed = time.monotonic() - self._wall
        others = _busy_s() - self._all - (_ours_s() - self._ours)
        return round(max(0.0, others / elapsed), 2)


def _busy_s() -> float:
    """CPU time of the whole machine. What a hypervisor took (steal) is others' time too."""
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # in user already
    return float(sum(times) - idle - guests)


def _ours_s() -> float:
    process = psutil.Process()
    used = [p.cpu_times() for p in (process, *process.children(recursive=True))]
    return float(sum(times.user + times.system for times in used))
