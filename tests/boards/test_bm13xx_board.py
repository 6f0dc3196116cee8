"""BM13xx chains, driver against emulator, on the loop's virtual clock."""

from __future__ import annotations

import pytest
from board_sink import RecordingSink, plug_of, random_work
from memory_board import EmulatedBoard
from virtual_time import run_virtual

from sv2rig.devices.device import DeviceState
from sv2rig.drivers.bm13xx.driver import DRIVER
from sv2rig.drivers.bm13xx.emulator import EMULATOR
from sv2rig.emulation.emulator import EmulatorOptions

CHIPS = ["BM1397", "BM1362", "BM1366", "BM1368", "BM1370"]


@pytest.mark.parametrize("count", [1, 12])
@pytest.mark.parametrize("chip", CHIPS)
def test_it_starts_up_and_mines(chip: str, count: int) -> None:
    async def main() -> None:
        more = {"chip": chip, "chips": str(count)}
        wires = EmulatedBoard(EMULATOR.make(EmulatorOptions(ticket_bits=12, more=more)))
        board = DRIVER.make(plug_of(wires, chips=str(count)))
        sink = RecordingSink(board)
        board.start(sink)
        await sink.state(DeviceState.READY)
        assert board.name == f"{count} x {chip}"
        sink.give(random_work(1, board.ticket))
        await sink.count(100)
        assert sink.wrong == sink.comm_errors == 0
        assert len(set(sink.found)) == len(sink.found)
        board.stop()
        await board.stopped()
        assert wires.open_lines == 0

    run_virtual(main())
