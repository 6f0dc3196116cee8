"""The kernel's news of USB and tty devices, through udev: a call each time something happened."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def udev_runs(root: Path = Path("/")) -> bool:
    """Whether udev's daemon is there to pass events on, after it has applied its rules."""
    return sys.platform == "linux" and (root / "run/udev/control").exists()


@contextmanager
def usb_events(happened: Callable[[], None]) -> Iterator[None]:
    """Calls `happened` on the running loop at each event of a USB device or a tty."""
    import pyudev

    monitor = pyudev.Monitor.from_netlink(pyudev.Context())
    monitor.filter_by("usb")
    monitor.filter_by("tty")
    monitor.start()

    def drain() -> None:
        try:
            while monitor.poll(timeout=0) is not None:
                pass
        except OSError:  # more events than the socket holds: whoever looks now sees them all
            pass
        happened()

    loop = asyncio.get_running_loop()
    loop.add_reader(monitor.fileno(), drain)
    try:
        yield
    finally:
        loop.remove_reader(monitor.fileno())
