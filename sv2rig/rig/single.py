"""One rig at a time on a state directory: a lock on a file that names the process."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK_NAME = "sv2rig.pid"


class AlreadyRunningError(Exception):
    """Another process holds the lock; `pid` is its id where it could be read."""

    def __init__(self, path: Path, pid: int | None) -> None:
        who = "another process" if pid is None else f"process {pid}"
        super().__init__(
            f"a rig runs here already: {who} holds {path}; stop it first, or give this one a "
            "state_dir of its own"
        )
        self.pid = pid


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """While this lasts, nobody else may; AlreadyRunningError where somebody does, OSError where
    the file cannot be had. The system lets go of the lock when the process ends, however it ends:
    a file that is left behind means nothing."""
    path = folder / LOCK_NAME
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRunningError(path, _pid(descriptor)) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _pid(descriptor: int) -> int | None:
    text = os.pread(descriptor, 20, 0).strip()
    return int(text) if text.isdigit() else None
