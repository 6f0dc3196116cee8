"""Ctrl-C and SIGTERM as a request to end in order."""

from __future__ import annotations

import asyncio
import signal


def stop_requested() -> asyncio.Event:
    """Set at the first SIGINT or SIGTERM. A second one ends the process as it always does."""
    loop = asyncio.get_running_loop()
    requested = asyncio.Event()

    def request() -> None:
        requested.set()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, request)
    return requested
