"""A hub reset as in test_hub_reset, on ptys in real time: with the watch, the lines and the start
interval of one second that a user's rig has."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest
from boards_in_rig import all_mine, plan, plugged, states
from memory_net import MemoryNet
from rig_on_pool import Clock, PoolProcess, Run

from sv2rig.drivers.bitaxe_raw.emulator import EMULATOR as BITAXE
from sv2rig.drivers.bm13xx.emulator import EMULATOR as BM13XX
from sv2rig.drivers.fpga_uart.emulator import EMULATOR as FPGA
from sv2rig.drivers.gekko.emulator import EMULATOR as GEKKO
from sv2rig.drivers.icarus.emulator import EMULATOR as ICARUS
from sv2rig.emulation.bus import Bus
from sv2rig.emulation.emulator import EmulatorKind, EmulatorOptions
from sv2rig.rig.hotplug import Hotplug

NO_BLOCKS = (1 << 200) - 1
MINING_WITHIN_S = 30.0
MOST_LINES = 25
BOARDS: dict[str, tuple[EmulatorKind, dict[str, str], str]] = {
    "a": (ICARUS, {"serial": "A1"}, "serial:A1?driver=icarus"),
    "b": (ICARUS, {"variant": "erupter"}, "serial:emulated:b?driver=icarus&model=erupter"),
    "c": (BM13XX, {"chips": "2"}, "serial:emulated:c?driver=bm13xx&chips=2&frequency=250"),
    "d": (BM13XX, {"chips": "2"}, "serial:emulated:d?driver=bm13xx&chips=2&frequency=350"),
    "e": (FPGA, {"variant": "pyfpga"}, "serial:emulated:e?driver=fpga_uart&dialect=pyfpga"),
    "f": (FPGA, {"variant": "kc705"}, "serial:emulated:f?driver=fpga_uart&dialect=kc705"),
    "g": (BITAXE, {"serial": "B1"}, "serial:B1?driver=bitaxe_raw&frequency=425"),
    "h": (GEKKO, {"serial": "G1"}, "serial:G1?driver=gekko&frequency=325"),
    "i": (BM13XX, {"chip": "BM1366"}, "serial:emulated:i?driver=bm13xx&frequency=300"),
    "j": (ICARUS, {"variant": "lancelot"}, "serial:emulated:j?driver=icarus&model=lancelot"),
}
CLOCKS = {"c": 250.0, "d": 350.0, "g": 425.0, "h": 325.0, "i": 300.0}


def ptys(bus: Bus) -> dict[str, list[str]]:
    return {
        board.name.text: [os.path.realpath(path) for path in board.paths] for board in bus.boards
    }


async def test_ten_boards_come_back_from_a_hub_reset(tmp_path: Path) -> None:
    source = random.Random(3)
    net, clock = MemoryNet(), Clock()
    pool = PoolProcess(net, clock, first_target=NO_BLOCKS)
    run = Run([], net.connect, clock, waits_for_devices=True)
    folder = tmp_path / "run/emulated"
    hotplug = Hotplug(run.rig, plan([what for _, _, what in BOARDS.values()], folder=folder))
    with Bus(folder) as bus:
        for name, (kind, more, _) in BOARDS.items():
            bus.add(kind.make(EmulatorOptions(12, 20_000.0, more=more)), name)
        first = ptys(bus)
        async with plugged(hotplug):
            await run.sees(lambda: all_mine(run, len(BOARDS)), 40)
            lines = len(run.lines.all)
            for board in source.sample(bus.boards, len(BOARDS)):
                board.unplug()  # all before the rig hears of the first
            for board in source.sample(bus.boards, len(BOARDS)):
                await asyncio.sleep(source.uniform(0.0, 0.15))
                board.plug_in()
            assert ptys(bus) != first, "the names are others'"
            await run.sees(lambda: "LOST" in states(run), 5)
            await run.sees(lambda: all_mine(run, len(BOARDS)), MINING_WITHIN_S)
            pins = {board.name.text: board.board.pins() for board in bus.boards}
            found = {name: pins[name]["mhz"] for name in CLOCKS}
            assert found == pytest.approx(CLOCKS, rel=0.02)
            told = [text for _, text in run.lines.all[lines:]]
            assert len(told) <= MOST_LINES, told
            assert sum(one.hardware_errors for one in run.rig._picture().devices) == 0
            await run.stop()
    await pool.stop()
