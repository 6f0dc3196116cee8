"""The open ports of a board, and how its life hears that one is gone or that the end is wanted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from sv2rig.boards.line import BoardError, LineError, LineLostError, LineProfile, Talk
from sv2rig.boards.plug import Plug

T = TypeVar("T")


class StoppedError(Exception):
    """The end was asked for: what was under way is left as it is."""


class BoardPorts:
    """`talks` are the ports' lines while they are open, one each, by interface number."""

    def __init__(self, plug: Plug, name: str, profiles: Sequence[LineProfile]) -> None:
        self.plug = plug
        self.name = name
        self.talks: list[Talk] = []
        self._profiles = tuple(profiles)
        self._wake = asyncio.Event()
        self._lost: str | None = None
        self._is_stopping = self._waits_its_turn = False
        self._step: asyncio.Timeout | None = None  # of what `_within` waits for

    @property
    def _is_open(self) -> bool:
        return bool(self.talks)

    def _open(self) -> None:
        """All ports or none. LineLostError also where a port's name is another device's by now:
        looked at before, so that nothing is touched, and once more when the name is held."""
        self._close_lines()
        self._check_place()
        try:
            for port, profile in zip(self.plug.sighting.ports, self._profiles, strict=False):
                talk = Talk(self.plug.open_line(port.path, profile))
                talk.when_lost(self._line_lost)
                self.talks.append(talk)
            if len(self.talks) < len(self._profiles):
                raise LineError(
                    f"{self.name} needs {len(self._profiles)} ports, {len(self.talks)} were "
                    "found: is its kernel driver loaded?"
                )
            self._check_place()
        except LineError:
            self._close_lines()
            raise

    def _check_place(self) -> None:
        self._check_line()
        if not self.plug.still_there(self.plug.sighting):
            raise LineLostError(f"it is not at {self.plug.sighting.usb_path} any more")

    def _close_lines(self) -> None:
        for talk in self.talks:
            talk.line.close()
        self.talks.clear()

    def _close(self) -> None:
        self._close_lines()
        self.plug.turns.give_back(self.plug.device_id)

    async def _take_turn(
        self, watts: float, waits: Callable[[str], None], waited: Callable[[], None]
    ) -> None:
        """Returns when the board may start. Where it has to wait, `waits` hears why, and `waited`
        is called when it has."""
        self._check_end()
        self._waits_its_turn = True
        whys: list[str] = []

        def told(why: str) -> None:
            whys.append(why)
            waits(why)

        try:
            plug = self.plug
            await plug.turns.take(plug.device_id, plug.sighting.usb_path, watts, told)
        finally:
            self._waits_its_turn = False
        self._check_end()
        if whys:
            waited()

    async def _within(self, seconds: float, what: str, step: Callable[[], Awaitable[T]]) -> T:
        """What the driver does, cut short when the line is lost or the end is asked for.
        BoardError if it takes longer than it may."""
        self._check_end()
        limit = self._step = asyncio.timeout(seconds)
        try:
            async with limit:
                return await step()
        except TimeoutError as error:
            self._check_end()
            words = f"no end within {seconds:g} s" if limit.expired() else repr(error)
            raise BoardError(f"{what}: {words}") from error
        finally:
            self._step = None

    @property
    def is_lost(self) -> bool:
        """Whether its line was lost, and nobody asked for its end."""
        return self._lost is not None and not self._is_stopping

    def _line_lost(self, reason: str) -> None:
        if self._lost is None:
            self._lost = reason
            self._interrupt()

    def _stop_soon(self) -> None:
        self._is_stopping = True
        self._interrupt()

    def _interrupt(self) -> None:
        if self._waits_its_turn:
            self.plug.turns.give_up(self.plug.device_id)
        if self._step is not None and not self._step.expired():
            self._step.reschedule(asyncio.get_running_loop().time())
        self._wake.set()

    def _check_line(self) -> None:
        if self._lost is not None:
            raise LineLostError(self._lost)

    def _check_end(self) -> None:
        self._check_line()
        if self._is_stopping:
            raise StoppedError
