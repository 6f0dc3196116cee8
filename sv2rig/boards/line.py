"""A line to a board: what drivers read from and write to, and what goes wrong with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sv2rig.devices.fault import FaultKind

_MOST_WAITING = 1 << 16  # of what nobody asks for, the newest bytes


class LineError(Exception):
    """The port cannot be opened: says why and what to do."""


class LineLostError(LineError):
    """The board was unplugged, or its port is gone."""


class BoardError(Exception):
    """The board does not do what it should: says what was expected and what came. `kind`: as what
    it counts, where that is more than a start-up or a communication that failed."""

    def __init__(self, text: str, kind: FaultKind | None = None) -> None:
        super().__init__(text)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class LineProfile:
    """How a port is opened. `dtr` and `rts` are set right after, because Linux raises both and on
    some boards that is the reset. `mark_parity`: a ninth bit, always 1, as a second stop bit."""

    baud: int = 115200
    dtr: bool = True
    rts: bool = True
    mark_parity: bool = False


class Line(Protocol):
    """An open port. Writes are queued and leave in order; LineLostError once it is gone."""

    on_data: Callable[[bytes], None]
    on_lost: Callable[[str], None]

    def write(self, data: bytes) -> None: ...

    async def drain(self) -> None:
        """Returns when the last byte has left the machine."""

    def set_baud(self, baud: int) -> None:
        """Takes effect at once: drain() first."""

    def set_lines(self, dtr: bool | None = None, rts: bool | None = None) -> None:
        """Raise or lower the modem lines; None: as it is. Ports without them do nothing."""

    def discard_input(self) -> None:
        """Forget what has arrived and was not read."""

    def close(self) -> None:
        """Safe to call twice."""


class Talk:
    """A line's receiving side for questions and answers: start-ups and control ports.

    Bytes wait here until somebody asks; `hand_over` gives them to a function instead, from then
    on, as they arrive.
    """

    def __init__(self, line: Line) -> None:
        self.line = line
        self._waiting = bytearray()
        self._arrived = asyncio.Event()
        self._lost: str | None = None
        self._sink: Callable[[bytes], None] | None = None
        self._on_lost: Callable[[str], None] = lambda _reason: None
        line.on_data = self._data
        line.on_lost = self._gone

    def hand_over(self, sink: Callable[[bytes], None] | None) -> None:
        """Pass bytes on as they arrive (None: keep them again); what waits is passed on first."""
        self._sink = sink
        if sink is not None and self._waiting:
            data, self._waiting = bytes(self._waiting), bytearray()
            sink(data)

    def when_lost(self, tell: Callable[[str], None]) -> None:
        """Whom to tell that the line is gone."""
        self._on_lost = tell

    def write(self, data: bytes) -> None:
        """Queue bytes; LineLostError if the line is gone."""
        if self._lost is not None:
            raise LineLostError(self._lost)
        self.line.write(data)

    async def read(self, timeout_s: float, at_least: int = 1) -> bytes:
        """All that has arrived once it is `at_least` bytes, or what there is after `timeout_s`
        (perhaps b""). LineLostError if the line is gone."""
        try:
            async with asyncio.timeout(timeout_s):
                while len(self._waiting) < at_least:
                    self._check()
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            pass
        self._check()
        data, self._waiting = bytes(self._waiting), bytearray()
        return data

    async def listen(self, seconds: float) -> bytes:
        """All that arrives within this time."""
        return await self.read(seconds, at_least=1 << 30)

    def forget(self) -> None:
        """Drop what has arrived."""
        self.line.discard_input()
        self._waiting.clear()

    def _check(self) -> None:
        if self._lost is not None:
            raise LineLostError(self._lost)

    def _data(self, data: bytes) -> None:
        if self._sink is not None:
            self._sink(data)
            return
        self._waiting += data
        del self._waiting[:-_MOST_WAITING]
        self._arrived.set()

    def _gone(self, reason: str) -> None:
        if self._lost is None:
            self._lost = reason
            self._arrived.set()
            self._on_lost(reason)
