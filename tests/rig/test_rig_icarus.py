"""A real driver in a real rig: an Icarus on an emulated line mines, is unplugged and comes back."""

from __future__ import annotations

import asyncio

from board_sink import plug_of
from memory_board import EmulatedBoard
from memory_net import MemoryNet
from rig_on_pool import Clock, PoolProcess, Run
from virtual_time import run_virtual

from sv2rig.drivers.icarus.driver import make
from sv2rig.drivers.icarus.emulator import EMULATOR
from sv2rig.emulation.emulator import EmulatorOptions


def test_an_icarus_mines_in_a_rig_and_goes_on_when_it_is_plugged_in_again() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock, first_target=(1 << 200) - 1)
        wires = EmulatedBoard(EMULATOR.make(EmulatorOptions(ticket_bits=12)))
        plug = plug_of(wires, "icarus:1")
        run = Run([], net.connect, clock, waits_for_devices=True)
        await asyncio.sleep(1)
        run.rig.attach(make(plug))
        await run.until("mining", 60)
        await asyncio.sleep(60)
        before = run.rig.snapshot().devices[0]
        assert before.shares.accepted > 20
        assert before.hashrate_hs is not None
        assert before.hashrate_error is not None
        wires.unplug()
        await asyncio.sleep(1)
        assert run.rig.snapshot().devices[0].state == "LOST"
        wires = EmulatedBoard(
            EMULATOR.make(EmulatorOptions(ticket_bits=12))
        )  # it was without power
        plug.sighting, plug.open_line = plug_of(wires).sighting, wires.open_line
        run.rig.attach(make(plug))
        await asyncio.sleep(60)
        [after] = run.rig.snapshot().devices
        assert after.state == "MINING"
        assert after.shares.accepted > before.shares.accepted + 20
        assert after.hardware_errors == after.comm_errors == 0
        assert len(run.session.channels) == 1
        assert len(net.dialled) == 1
        assert len([line for _, line in run.lines.all if "LOST" in line]) == 1
        assert await run.stop() < 5
        assert wires.open_lines == 0
        assert pool.server.counts.shares_rejected == 0
        await pool.stop()

    run_virtual(main())
