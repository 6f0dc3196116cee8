"""Emulated boards on ptys, on an asyncio loop: what a board plugged into this machine would be."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import Self

from sv2rig.emulation.announce import Name, sweep
from sv2rig.emulation.emulator import Emulator
from sv2rig.emulation.faults import FaultyBoard
from sv2rig.emulation.pty_port import Presence, PtyPort
from sv2rig.emulation.usb_device import is_usb_board
from sv2rig.emulation.usb_socket import SocketBoard

_SHORTEST_WAIT_S = 0.001  # dues closer together are served together


class Bus:
    """The boards of this process; use it as a context."""

    def __init__(self, folder: Path) -> None:
        sweep(folder)
        self.folder = folder
        self.boards: list[PtyBoard | SocketBoard] = []
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

    def add(self, board: Emulator, name: str | None = None) -> PtyBoard | SocketBoard:
        """A board plugged in, named as it likes or after its driver: on ptys, or on a socket if it
        is one for libusb."""
        own_name = Name(self.folder, name or board.identity.driver)
        served = (
            SocketBoard(board, own_name)
            if is_usb_board(board)
            else PtyBoard(board, own_name, self._presence)
        )
        self.boards.append(served)
        served.plug_in()
        return served


class PtyBoard:
    """One board. `paths` are its ports' symlinks, empty while it is not plugged in."""

    def __init__(self, board: Emulator, name: Name, presence: Presence) -> None:
        self.board = board
        self.name = name
        self.paths: tuple[Path, ...] = ()
        self._presence = presence
        self._loop = asyncio.get_running_loop()
        self._ports: list[PtyPort] = []
        self._timer: asyncio.TimerHandle | None = None
        self._plug: list[asyncio.TimerHandle] = []  # what the faults will do to the plug

    def plug_in(self) -> None:
        """Power comes, the ports appear, and then the announcement."""
        if self._ports:
            return
        self._ports = [PtyPort(self._presence) for _ in self.board.ports]
        self.board.power_up(self._loop.time())
        for index, port in enumerate(self._ports):
            self._loop.add_reader(port.master, self._arrived, index)
        self.paths = self.name.announce(self.board, [port.path for port in self._ports])
        self._plan_unplug()
        self._serve()

    def unplug(self) -> None:
        """As pulled out: hosts read EIO, ports and announcement are gone."""
        for handle in self._plug:
            handle.cancel()
        self._plug.clear()
        self.name.retract()
        self.paths = ()
        for port in self._ports:
            self._loop.remove_reader(port.master)
            port.hang_up()
        self._ports = []
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def close(self) -> None:
        """For good."""
        self.unplug()
        self.name.give_back()

    def _plan_unplug(self) -> None:
        for plan in self.board.plans if isinstance(self.board, FaultyBoard) else ():
            if plan.unplug < math.inf:
                self._plug.append(self._loop.call_later(plan.unplug, self._pull, plan.replug))

    def _pull(self, away_for: float) -> None:
        self.unplug()
        if away_for < math.inf:
            self._plug.append(self._loop.call_later(away_for, self.plug_in))

    def _arrived(self, index: int) -> None:
        port = self._ports[index]
        if data := port.read():
            self.board.receive(index, data, port.baud(), self._loop.time())
            self._serve()

    def _due(self) -> None:
        self._timer = None
        self.board.on_time(self._loop.time())
        self._serve()

    def _serve(self) -> None:
        """Sends what the board has to say and waits for what it will do next."""
        for index, port in enumerate(self._ports):
            if data := self.board.take_output(index):
                port.write(data)
        due = self.board.next_timeout()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if due is not None:
            soonest = self._loop.time() + _SHORTEST_WAIT_S
            self._timer = self._loop.call_at(max(due, soonest), self._due)
