"""A KC705 says how hot it is, and cannot be stopped but by giving it no work."""

from __future__ import annotations

import asyncio

import pytest
from fpga_bench import Bench, run

from sv2rig.devices.device import DeviceState
from sv2rig.drivers.fpga_uart.emulator import Kc705


def kc705_of(bench: Bench) -> Kc705:
    assert isinstance(bench.emulator, Kc705)
    return bench.emulator


def test_kc705_temperature() -> None:
    async def main(bench: Bench) -> None:
        await bench.ready()
        bench.give()
        assert bench.board.telemetry().temperature_c is None
        await asyncio.sleep(6)
        assert bench.board.telemetry().temperature_c == pytest.approx(51, abs=0.01)
        kc705_of(bench).celsius = 60
        await asyncio.sleep(6)
        assert bench.board.telemetry().temperature_c == pytest.approx(60, abs=0.01)
        await bench.end()

    run("kc705", main, celsius="51")


def test_kc705_that_is_too_hot_gets_no_work_until_it_is_cool() -> None:
    async def main(bench: Bench) -> None:
        await bench.ready()
        bench.give()
        await asyncio.sleep(6)
        kc705_of(bench).celsius = 88  # far from the last: believed when it comes again
        await asyncio.sleep(4)
        assert bench.sink.states[-1][0] is DeviceState.MINING
        await bench.sink.state(DeviceState.COOLDOWN, 10)
        works = bench.emulator.wires.ledger.works_received
        await asyncio.sleep(100)
        assert bench.emulator.wires.ledger.works_received == works
        kc705_of(bench).celsius = 55
        await asyncio.sleep(15)
        assert bench.sink.states[-1][0] is DeviceState.MINING
        assert bench.emulator.wires.ledger.works_received > works
        await bench.end()

    run("kc705", main)


def test_kc705_that_was_hot_when_it_was_unplugged_cools_first() -> None:
    async def main(bench: Bench) -> None:
        await bench.ready()
        bench.give()
        kc705_of(bench).celsius = 88
        await bench.sink.state(DeviceState.COOLDOWN, 20)
        bench.wires.unplug()
        await bench.board.stopped()
        bench.wires.plug_in()
        bench.wires.pump()
        await bench.start()
        await asyncio.sleep(60)
        assert bench.sink.states[-1][0] is DeviceState.COOLDOWN
        kc705_of(bench).celsius = 50
        await bench.sink.state(DeviceState.READY, 15)
        await bench.end()

    run("kc705", main)


def test_kc705_whose_reports_end_counts_as_hot() -> None:
    async def main(bench: Bench) -> None:
        await bench.ready()
        bench.give()
        await asyncio.sleep(6)
        kc705_of(bench).celsius = 150  # a sensor that is torn off
        await bench.sink.state(DeviceState.COOLDOWN, 30)
        await bench.end()

    run("kc705", main)
