"""A board's ports in memory: an emulator at the other end of the wires, on the loop's own clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sv2rig.boards.line import LineLostError, LineProfile
from sv2rig.emulation.emulator import Emulator

BITS_A_BYTE = 10  # 8N1


class EmulatedBoard:
    """Plays an emulator's part on the loop's clock; `open_line` is what a Plug opens."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self._lines: dict[int, MemoryLine] = {}
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self.is_plugged = True
        self.opened = 0

    def open_line(self, path: str, profile: LineProfile) -> MemoryLine:
        """`path` is memory:NUMBER, the number of the emulator's port."""
        if not self.is_plugged:
            raise LineLostError(f"{path} is not there")
        port = int(path.removeprefix("memory:"))
        line = self._lines[port] = MemoryLine(self, port, profile.baud)
        self.opened += 1
        return line

    def unplug(self) -> None:
        """Every line is lost at once."""
        self.is_plugged = False
        for line in list(self._lines.values()):
            line.lose("unplugged")
        if self._timer is not None:
            self._timer.cancel()

    def plug_in(self) -> None:
        """Power comes again."""
        self.is_plugged = True
        self.emulator.power_up(self._loop.time())

    def closed(self, port: int, line: MemoryLine) -> None:
        if self._lines.get(port) is line:
            del self._lines[port]

    @property
    def open_lines(self) -> int:
        return len(self._lines)

    def deliver(self, port: int, data: bytes, baud: int) -> None:
        """Bytes reach the board."""
        if self.is_plugged:
            self.emulator.receive(port, data, baud, self._loop.time())
            self.pump()

    def pump(self) -> None:
        """Carry what the board has sent, and wake it when it wants."""
        for port in range(len(self.emulator.ports)):
            data = self.emulator.take_output(port)
            line = self._lines.get(port)
            if data and line is not None:
                delay = len(data) * BITS_A_BYTE / line.baud
                self._loop.call_later(delay, line.arrive, data)
        due = self.emulator.next_timeout()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due is not None:
            self._timer = self._loop.call_at(due, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        if self.is_plugged:
            self.emulator.on_time(self._loop.time())
            self.pump()


class MemoryLine:
    """sv2rig.boards.line.Line without a machine: bytes take as long as the speed says."""

    def __init__(self, board: EmulatedBoard, port: int, baud: int) -> None:
        self.on_data: Callable[[bytes], None] = lambda _data: None
        self.on_lost: Callable[[str], None] = lambda _reason: None
        self.baud = baud
        self._board = board
        self._port = port
        self._loop = asyncio.get_running_loop()
        self._free_at = 0.0
        self._is_open = True

    def write(self, data: bytes) -> None:
        if not self._is_open:
            raise LineLostError("memory: the line is closed")
        now = self._loop.time()
        self._free_at = max(now, self._free_at) + len(data) * BITS_A_BYTE / self.baud
        self._loop.call_at(self._free_at, self._board.deliver, self._port, data, self.baud)

    async def drain(self) -> None:
        await asyncio.sleep(max(0.0, self._free_at - self._loop.time()))
        if not self._is_open:
            raise LineLostError("memory: the line is closed")

    def set_baud(self, baud: int) -> None:
        self.baud = baud

    def set_lines(self, dtr: bool | None = None, rts: bool | None = None) -> None:
        pass

    def discard_input(self) -> None:
        pass

    def arrive(self, data: bytes) -> None:
        if self._is_open:
            self.on_data(data)

    def lose(self, reason: str) -> None:
        if self._is_open:
            self.close()
            self._loop.call_soon(self.on_lost, reason)

    def close(self) -> None:
        self._is_open = False
        self._board.closed(self._port, self)
