"""Chains change their line's speed: what is on its way when the host switches is noise to them.

The line here is as a pty or a USB bridge is at its worst: it says that all has left at once, and
hands over late, at whatever speed is set then.
"""

from __future__ import annotations

import asyncio

import pytest
from board_sink import RecordingSink, plug_of, random_work
from memory_board import EmulatedBoard, MemoryLine
from virtual_time import run_virtual

from sv2rig.boards.driver import Driver
from sv2rig.boards.line import LineProfile
from sv2rig.devices.device import DeviceState
from sv2rig.drivers.bm13xx.driver import DRIVER as BM13XX
from sv2rig.drivers.bm13xx.emulator import EMULATOR as EMULATED_BM13XX
from sv2rig.drivers.gekko.driver import DRIVER as GEKKO
from sv2rig.drivers.gekko.emulator import EMULATOR as EMULATED_GEKKO
from sv2rig.emulation.emulator import EmulatorKind, EmulatorOptions
from sv2rig.emulation.faults import Direction, FaultPlan, FaultyBoard

KINDS = [
    (BM13XX, EMULATED_BM13XX, {"chip": "BM1397", "chips": "3"}),
    (BM13XX, EMULATED_BM13XX, {"chip": "BM1370", "chips": "3"}),
    (GEKKO, EMULATED_GEKKO, {"board": "newpac"}),
    (GEKKO, EMULATED_GEKKO, {"board": "compacf"}),
]


class LateLine(MemoryLine):
    """See the module."""

    late_s = 0.0

    def write(self, data: bytes) -> None:
        self._loop.call_later(self.late_s, self._hand_over, data)

    def _hand_over(self, data: bytes) -> None:
        self._board.deliver(self._port, data, self.baud)

    async def drain(self) -> None:
        await asyncio.sleep(0)


class LateBoard(EmulatedBoard):
    late_s = 0.0

    def open_line(self, path: str, profile: LineProfile) -> MemoryLine:
        super().open_line(path, profile).close()
        port = int(path.removeprefix("memory:"))
        line = self._lines[port] = LateLine(self, port, profile.baud)
        line.late_s = self.late_s
        return line


@pytest.mark.parametrize("late_ms", [0.0, 1.0, 10.0, 40.0])
@pytest.mark.parametrize(
    ("driver", "emulator", "more"), KINDS, ids=["BM1397", "BM1370", "newpac", "compacf"]
)
def test_bytes_that_are_handed_over_late(
    driver: Driver, emulator: EmulatorKind, more: dict[str, str], late_ms: float
) -> None:
    async def main() -> None:
        wires = LateBoard(emulator.make(EmulatorOptions(12, more=more)))
        wires.late_s = late_ms / 1000
        board = driver.make(plug_of(wires))
        sink = RecordingSink(board)
        board.start(sink)
        await sink.state(DeviceState.READY)
        sink.give(random_work(1, board.ticket))
        await sink.count(20)
        assert [state for state, _ in sink.states] == [
            DeviceState.INIT,
            DeviceState.READY,
            DeviceState.MINING,
        ]
        assert sink.wrong == sink.comm_errors == 0
        board.stop()
        await board.stopped()

    run_virtual(main())


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    ("driver", "emulator", "more"), KINDS, ids=["BM1397", "BM1370", "newpac", "compacf"]
)
def test_damage_while_the_speed_changes_never_ends_in_a_dead_board(
    driver: Driver, emulator: EmulatorKind, more: dict[str, str], seed: int
) -> None:
    """Two bytes in a hundred to the board are changed: some start-up frames do not arrive."""

    async def main() -> None:
        inner = emulator.make(EmulatorOptions(12, more=more))
        plan = FaultPlan(seed, Direction.TO_BOARD, 0, flip=0.02)
        wires = EmulatedBoard(FaultyBoard(inner, [plan]))
        board = driver.make(plug_of(wires))
        sink = RecordingSink(board)
        board.start(sink)
        await sink.state(DeviceState.READY)
        assert DeviceState.DEAD not in [state for state, _ in sink.states]
        board.stop()
        await board.stopped()

    run_virtual(main())
