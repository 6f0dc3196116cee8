"""An Icarus, driver against emulator, on the loop's virtual clock."""

from __future__ import annotations

import pytest
from board_sink import RecordingSink, plug_of, random_work
from memory_board import EmulatedBoard
from virtual_time import run_virtual

from sv2rig.boards.line import BoardError
from sv2rig.devices.device import DeviceState
from sv2rig.drivers.icarus.driver import make
from sv2rig.drivers.icarus.emulator import EMULATOR
from sv2rig.emulation.emulator import EmulatorOptions


def test_it_starts_up_and_mines() -> None:
    async def main() -> None:
        board = EmulatedBoard(EMULATOR.make(EmulatorOptions(ticket_bits=12)))
        icarus = make(plug_of(board))
        sink = RecordingSink(icarus)
        icarus.start(sink)
        await sink.state(DeviceState.READY)
        sink.give(random_work(1, icarus.ticket))
        await sink.count(200)
        assert sink.wrong == 0
        assert len(set(sink.found)) == len(sink.found)
        icarus.stop()
        await icarus.stopped()
        assert board.open_lines == 0
        ledger = board.emulator.wires.ledger
        assert ledger.replies_sent - 1 - len(sink.found) in (0, 1)

    run_virtual(main())


def test_it_says_that_it_has_nothing_to_blink_with() -> None:
    async def main() -> None:
        board = EmulatedBoard(EMULATOR.make(EmulatorOptions()))
        with pytest.raises(BoardError, match="no light of its own"):
            make(plug_of(board)).identify()

    run_virtual(main())
