"""A board's serial ports as ptys on an asyncio loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sv2rig.emulation.emulator import Emulator
from sv2rig.emulation.pty_port import Presence, PtyPort


class PtyOutlet:
    """One pty for each port; `heard` is called after the board was given bytes."""

    def __init__(self, board: Emulator, presence: Presence, heard: Callable[[], None]) -> None:
        self.ports = [PtyPort(presence) for _ in board.ports]
        self.targets = [port.path for port in self.ports]
        self._board = board
        self._heard = heard
        self._loop = asyncio.get_running_loop()
        for index, port in enumerate(self.ports):
            self._loop.add_reader(port.master, self._arrived, index)

    def flush(self) -> None:
        for index, port in enumerate(self.ports):
            if data := self._board.take_output(index):
                port.write(data)

    def hang_up(self) -> None:
        for port in self.ports:
            self._loop.remove_reader(port.master)
            port.hang_up()

    def _arrived(self, index: int) -> None:
        port = self.ports[index]
        if data := port.read():
            self._board.receive(index, data, port.baud(), self._loop.time())
            self._heard()
