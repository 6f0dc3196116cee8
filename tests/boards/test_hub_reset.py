"""A hub with ten boards resets: all are back at work soon, each with its own settings."""

from __future__ import annotations

import asyncio
import random

import pytest
from boards_in_rig import all_mine, plan, states
from memory_net import MemoryNet
from rig_on_pool import Clock, PoolProcess, Run
from usb_hub import Hub
from virtual_time import run_virtual

from sv2rig.devices.sighting import Sighting
from sv2rig.drivers.bitaxe_raw.emulator import EMULATOR as BITAXE
from sv2rig.drivers.bm13xx.emulator import EMULATOR as BM13XX
from sv2rig.drivers.fpga_uart.emulator import EMULATOR as FPGA
from sv2rig.drivers.gekko.emulator import EMULATOR as GEKKO
from sv2rig.drivers.icarus.emulator import EMULATOR as ICARUS
from sv2rig.rig.hotplug import Hotplug

NO_BLOCKS = (1 << 200) - 1
MINING_WITHIN_S = 30.0
MOST_LINES = 25
TWINS = ("1-1.3", "1-1.4")
BOARDS = 10
NAMED = [
    "serial:A1?driver=icarus",
    "serial:1-1.2?driver=icarus&model=erupter",
    "serial:1-1.3?driver=bm13xx&chips=2",
    "serial:1-1.4?driver=bm13xx&chips=2",
    "serial:F1?driver=fpga_uart&dialect=pyfpga",
    "serial:1-1.6?driver=fpga_uart&dialect=kc705",
    "serial:B1?driver=bitaxe_raw",
    "serial:G1?driver=gekko",
    "serial:C1?driver=bm13xx",
    "serial:/dev/ttyUSB9?driver=icarus&model=lancelot",
]
CLOCKS = {
    "bm13xx:1-1.3": 250.0,
    "bm13xx:1-1.4": 350.0,
    "bm13xx:C1": 300.0,
    "bitaxe_raw:B1": 425.0,
    "gekko:G1": 325.0,
}
PLACES = {"bm13xx:C1": "1-1.9", "bitaxe_raw:B1": "1-1.7", "gekko:G1": "1-1.8"}


def ten_boards() -> Hub:
    hub = Hub()
    hub.place("1-1.1", ICARUS, serial="A1")
    hub.place("1-1.2", ICARUS, serial="0001", variant="erupter")
    for twin in TWINS:
        hub.place(twin, BM13XX, described=False, chips="2")
    hub.place("1-1.5", FPGA, serial="F1", variant="pyfpga")
    hub.place("1-1.6", FPGA, variant="kc705")
    hub.place("1-1.7", BITAXE, serial="B1")
    hub.place("1-1.8", GEKKO, serial="G1")
    hub.place("1-1.9", BM13XX, serial="C1", described=False, chip="BM1366")
    hub.place("1-1.10", ICARUS, variant="lancelot")
    return hub


def clocks(hub: Hub) -> dict[str, float]:
    pins = hub.pins()
    return {name: pins[PLACES.get(name, name.partition(":")[2])]["mhz"] for name in CLOCKS}


def accepted(run: Run) -> dict[str, int]:
    return {device.id: device.shares.accepted for device in run.rig._picture().devices}


def names(hub: Hub, source: random.Random, named: str) -> dict[str, list[str]]:
    """tty names for all ports, at random; /dev/ttyUSB9, which the user named, is this board's."""
    free = [f"/dev/ttyUSB{number}" for number in range(12) if number != 9]
    source.shuffle(free)
    given = {}
    for usb_path, socket in hub.sockets.items():
        own = ["/dev/ttyUSB9"] if usb_path == named else [free.pop()]
        given[usb_path] = own + [free.pop() for _ in socket.wires.emulator.ports[1:]]
    return given


async def plug_all_in(hub: Hub, source: random.Random, over_s: float, named: str) -> list[Sighting]:
    """In any order, within this time; seen when the last one is there."""
    given = names(hub, source, named)
    order = source.sample(list(hub.sockets), BOARDS)
    seen, passed = [], 0.0
    for usb_path, moment in zip(
        order, sorted(source.uniform(0.0, over_s) for _ in order), strict=True
    ):
        await asyncio.sleep(moment - passed)
        passed = moment
        seen.append(hub.plug_in(usb_path, given[usb_path]))
    return seen


@pytest.mark.parametrize(("seen", "seed"), [("each", 1), ("at once", 2)])
def test_ten_boards_come_back_from_a_hub_reset(seen: str, seed: int) -> None:
    """`seen`: as two batches of news, or as one when all is over."""

    async def main() -> None:
        source = random.Random(seed)
        net, clock, hub = MemoryNet(), Clock(), ten_boards()
        pool = PoolProcess(net, clock, first_target=NO_BLOCKS)
        run = Run([], net.connect, clock, waits_for_devices=True)
        hotplug = Hotplug(run.rig, plan(NAMED), hub, hub.open_line)
        watching = asyncio.create_task(hotplug.run())
        first = await plug_all_in(hub, source, 0.0, named="1-1.10")
        hub.tell(added=first)
        await run.sees(lambda: all_mine(run, BOARDS), 60)
        for name, mhz in CLOCKS.items():
            run.rig.device(name).adjust("frequency", mhz)  # type: ignore[attr-defined]
        await asyncio.sleep(10)  # until the clocks have walked
        assert clocks(hub) == pytest.approx(CLOCKS, rel=0.02)
        await run.sees(lambda: min(accepted(run).values()) > 0, 300)
        before = accepted(run)
        lines, opened = len(run.lines.all), len(hub.opened)
        gone = []
        for usb_path in source.sample(list(hub.sockets), BOARDS):
            gone.append(hub.unplug(usb_path))
            await asyncio.sleep(0.005)
        if seen == "each":
            await asyncio.sleep(0.25)
            hub.tell(removed=gone)
        back = await plug_all_in(hub, source, 1.7, named=source.choice(TWINS))
        hub.tell(added=back, removed=gone if seen == "at once" else ())
        await run.sees(lambda: all_mine(run, BOARDS), MINING_WITHIN_S)
        assert clocks(hub) == pytest.approx(CLOCKS, rel=0.02)
        told = [text for _, text in run.lines.all[lines:]]
        assert len(told) <= MOST_LINES, told
        assert accepted(run).keys() == before.keys()
        await run.sees(
            lambda: all(count > before[name] for name, count in accepted(run).items()), 300
        )
        assert states(run) == {"MINING"}
        for device in run.rig._picture().devices:
            assert device.shares.rejected == device.hardware_errors == 0, device.id
        place = {port.path: sighting.usb_path for sighting in back for port in sighting.ports}
        assert all(place[tty] == usb_path for usb_path, tty in hub.opened[opened:])
        assert {one.usb_path: one.ports for one in back} != {
            one.usb_path: one.ports for one in first
        }
        assert await run.stop() < 90
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        assert sum(socket.wires.open_lines for socket in hub.sockets.values()) == 0
        await pool.stop()

    run_virtual(main())
