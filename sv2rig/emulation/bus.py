"""Emulated boards plugged into this machine, on an asyncio loop: on ptys, or behind a socket."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol, Self

from sv2rig.emulation.announce import Name, sweep
from sv2rig.emulation.emulator import Emulator
from sv2rig.emulation.faults import FaultPlan
from sv2rig.emulation.pty import PtyOutlet
from sv2rig.emulation.pty_port import Presence
from sv2rig.emulation.usb_device import UsbFunction
from sv2rig.emulation.usb_outlet import UsbOutlet

_SHORTEST_WAIT_S = 0.001  # dues closer together are served together


class Bus:
    """The boards of this process; use it as a context. `on_served` is called whenever a board may
    have changed: after bytes came, or what was due is done."""

    def __init__(self, folder: Path) -> None:
        sweep(folder)
        self.folder = folder
        self.boards: list[ServedBoard] = []
        self.on_served: Callable[[ServedBoard], None] | None = None
        self._loop = asyncio.get_running_loop()
        self._presence = Presence()

    def __enter__(self) -> Self:
        self._loop.add_reader(self._presence.descriptor, self._presence.update)
        return self

    def __exit__(self, *_exception: object) -> None:
        for board in self.boards:
            board.close()
        self._loop.remove_reader(self._presence.descriptor)
        self._presence.close()

    def add(
        self, board: Emulator, name: str | None = None, plans: Sequence[FaultPlan] = ()
    ) -> ServedBoard:
        """A board plugged in, named as it likes or after its driver; the plans say what happens
        to its plug (what happens to its bytes is a FaultyBoard's part)."""
        named = Name(self.folder, name or board.identity.driver)
        served = ServedBoard(board, named, self._presence, plans, self._served)
        self.boards.append(served)
        served.plug_in()
        return served

    def _served(self, board: ServedBoard) -> None:
        if self.on_served is not None:
            self.on_served(board)


class Outlet(Protocol):
    """What a board is plugged into. `targets` are what its ports' links lead to."""

    @property
    def targets(self) -> Sequence[str]: ...

    def flush(self) -> None:
        """Send what the board has to say."""

    def hang_up(self) -> None: ...


class ServedBoard:
    """One board. `paths` are its ports' links, empty while it is not plugged in; `files` are what
    its driver has to be given, by option, such as a bitstream."""

    def __init__(
        self,
        board: Emulator,
        name: Name,
        presence: Presence,
        plans: Sequence[FaultPlan],
        on_served: Callable[[ServedBoard], None],
    ) -> None:
        self.board = board
        self.name = name
        self.paths: tuple[Path, ...] = ()
        self.files = _written(board, name)
        self.outlet: Outlet | None = None
        self._presence = presence
        self._plans = plans
        self._on_served = on_served
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._plug: list[asyncio.TimerHandle] = []  # what the plans will do to the plug

    @property
    def on_usb(self) -> bool:
        """Whether it is a USB device of its own rather than one or more serial ports."""
        return isinstance(self.board, UsbFunction)

    def plug_in(self) -> None:
        """Power comes, the ports appear, and then the announcement."""
        if self.outlet is not None:
            return
        self.board.power_up(self._loop.time())
        self.outlet = self._outlet()
        self.paths = self.name.announce(self.board, self.outlet.targets, self.files)
        for plan in self._plans:
            self._later(plan.unplug, partial(self._pull, plan.replug))
        self._serve()

    def unplug(self) -> None:
        """As pulled out: hosts read EIO (ENODEV on USB), ports and announcement are gone."""
        self.name.retract()
        self.paths = ()
        if self.outlet is not None:
            self.outlet.hang_up()
            self.outlet = None
        for handle in [*self._plug, *([self._timer] if self._timer else [])]:
            handle.cancel()
        self._plug.clear()
        self._timer = None

    def close(self) -> None:
        """For good."""
        self.unplug()
        for path in self.files.values():
            path.unlink(missing_ok=True)
        self.name.give_back()

    def _outlet(self) -> Outlet:
        if isinstance(self.board, UsbFunction):
            return UsbOutlet(self.board, self.name.socket)
        return PtyOutlet(self.board, self._presence, self._serve)

    def _pull(self, away_for: float) -> None:
        self.unplug()
        self._later(away_for, self.plug_in)

    def _later(self, delay: float, change: Callable[[], None]) -> None:
        if delay < math.inf:
            self._plug.append(self._loop.call_later(delay, change))

    def _due(self) -> None:
        self._timer = None
        self.board.on_time(self._loop.time())
        self._serve()

    def _serve(self) -> None:
        """Sends what the board has to say and waits for what it will do next."""
        if self.outlet is not None:
            self.outlet.flush()
        due = self.board.next_timeout()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if due is not None:
            soonest = self._loop.time() + _SHORTEST_WAIT_S
            self._timer = self._loop.call_at(max(due, soonest), self._due)
        self._on_served(self)


def _written(board: Emulator, name: Name) -> dict[str, Path]:
    contents: Mapping[str, bytes] = getattr(board, "files", {})
    paths = {option: name.folder / f"{name.text}.{option}" for option in contents}
    for option, path in paths.items():
        path.write_bytes(contents[option])
    return paths
