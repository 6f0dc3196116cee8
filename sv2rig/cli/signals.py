"""Ctrl-C, SIGTERM and a closed terminal as a request to end in order."""

from __future__ import annotations

import asyncio
import signal

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def stop_requested() -> asyncio.Event:
    """Set at the first SIGINT, SIGTERM or SIGHUP (boards are not left on when the terminal is
    closed; an ignored one, as nohup has it, stays so). Once it is set, by whomever, the next SIGINT
    or SIGTERM ends the process as it always does; of SIGHUP the kernel and the shell send one each.
    """
    return _Request()


class _Request(asyncio.Event):
    def __init__(self) -> None:
        super().__init__()
        self._loop_of_signals = asyncio.get_running_loop()
        for number in _SIGNALS:
            self._loop_of_signals.add_signal_handler(number, self.set)
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            self._loop_of_signals.add_signal_handler(signal.SIGHUP, self.set)

    def set(self) -> None:
        super().set()
        for number in _SIGNALS:
            self._loop_of_signals.remove_signal_handler(number)
