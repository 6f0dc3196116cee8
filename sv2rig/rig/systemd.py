"""What a service tells systemd: sd_notify(3), and the watchdog of sd_watchdog_enabled(3).

Started by anything else, nothing is told and no watchdog runs.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress


class Notifier:
    """Sends states to NOTIFY_SOCKET; a systemd that does not listen never stops the rig.

    `address`: a path, or a name in the abstract namespace behind an "@"; None says nothing.
    """

    def __init__(self, address: str | None) -> None:
        self._address = address.replace("@", "\0", 1) if address else None
        self._line: socket.socket | None = None

    def ready(self, status: str) -> None:
        """The start, or a reload, is done."""
        self._send(f"READY=1\nSTATUS={_line(status)}")

    def reloading(self) -> None:
        """The configuration is read again; ready() says that it is done."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, status: str) -> None:
        """The end has begun."""
        self._send(f"STOPPING=1\nSTATUS={_line(status)}")

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._send(f"STATUS={_line(text)}")

    def watchdog(self) -> None:
        """Still alive."""
        self._send("WATCHDOG=1")

    def extend_timeout(self, seconds: float) -> None:
        """Start, stop or run may take so much longer from now."""
        self._send(f"EXTEND_TIMEOUT_USEC={round(seconds * 1e6)}")

    def close(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    def _send(self, message: str) -> None:
        if self._address is None:
            return
        with suppress(OSError):
            if self._line is None:
                self._line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                self._line.setblocking(False)
            self._line.sendto(message.encode(), self._address)


def watchdog_interval_s(environment: Mapping[str, str], pid: int) -> float | None:
    """Seconds within which systemd wants a ping of the process `pid`; None where it wants none."""
    wanted = environment.get("WATCHDOG_USEC", "")
    meant = environment.get("WATCHDOG_PID", str(pid))
    if not wanted.isdigit() or not int(wanted) or meant != str(pid):
        return None
    return int(wanted) / 1e6


@asynccontextmanager
async def pinging(notifier: Notifier, interval_s: float | None) -> AsyncIterator[None]:
    """Pings twice an interval from this event loop, and from nowhere else: a loop that is blocked
    stops the pings, and systemd restarts the rig."""
    if interval_s is None:
        yield
        return
    task = asyncio.create_task(_ping(notifier, interval_s / 2))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _ping(notifier: Notifier, every_s: float) -> None:
    while True:
        notifier.watchdog()
        await asyncio.sleep(every_s)


def _line(text: str) -> str:
    return " ".join(text.split())
