"""The open ports of a board, and how it hears that one is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sv2rig.boards.line import LineError, LineLostError, LineProfile, Talk
from sv2rig.boards.plug import Plug


class BoardPorts:
    """`talks` are the ports' lines while they are open, one each, by interface number."""

    def __init__(self, plug: Plug, name: str, profiles: Sequence[LineProfile]) -> None:
        self.plug = plug
        self.name = name
        self.talks: list[Talk] = []
        self._profiles = tuple(profiles)
        self._wake = asyncio.Event()
        self._lost: str | None = None

    @property
    def _is_open(self) -> bool:
        return bool(self.talks)

    def _open(self) -> None:
        self._close_lines()
        for port, profile in zip(self.plug.sighting.ports, self._profiles, strict=False):
            talk = Talk(self.plug.open_line(port.path, profile))
            talk.when_lost(self._line_lost)
            self.talks.append(talk)
        if len(self.talks) < len(self._profiles):
            raise LineError(
                f"{self.name} needs {len(self._profiles)} ports, {len(self.talks)} were found: "
                "is its kernel driver loaded?"
            )

    def _close_lines(self) -> None:
        for talk in self.talks:
            talk.line.close()
        self.talks.clear()

    def _close(self) -> None:
        self._close_lines()
        self.plug.turns.give_back(self.plug.device_id)

    def _line_lost(self, reason: str) -> None:
        if self._lost is None:
            self._lost = reason
            self._interrupt()

    def _interrupt(self) -> None:
        self.plug.turns.give_up(self.plug.device_id)
        self._wake.set()

    def _check_line(self) -> None:
        if self._lost is not None:
            raise LineLostError(self._lost)
