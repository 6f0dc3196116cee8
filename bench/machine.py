"""Where a bench ran, and how its process is kept on one core."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Iterator
from pathlib import Path


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
