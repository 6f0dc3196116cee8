"""Ctrl-C and SIGTERM as a request to end in order."""

from __future__ import annotations

import asyncio
import signal

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def stop_requested() -> asyncio.Event:
    """Set at the first SIGINT or SIGTERM. Once it is set, by whomever, the next one ends the
    process as it always does."""
    return _Request()


class _Request(asyncio.Event):
    def __init__(self) -> None:
        super().__init__()
        self._loop_of_signals = asyncio.get_running_loop()
        for number in _SIGNALS:
            self._loop_of_signals.add_signal_handler(number, self.set)

    def set(self) -> None:
        super().set()
        for number in _SIGNALS:
            self._loop_of_signals.remove_signal_handler(number)
