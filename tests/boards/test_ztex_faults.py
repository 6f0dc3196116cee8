"""A ZTEX board under damage: wrong nonces, bytes changed on the bus, transfers that fail."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from board_sink import RecordingSink, random_work
from usb_bench import UsbBench
from virtual_time import run_virtual

from sv2rig.devices.device import DeviceState
from sv2rig.devices.supervisor_limits import SupervisorLimits
from sv2rig.drivers.ztex.driver import DRIVER, ZtexBoard
from sv2rig.drivers.ztex.emulated_bitstream import blank_bitstream
from sv2rig.drivers.ztex.emulator import EMULATOR
from sv2rig.emulation.emulator import EmulatorOptions
from sv2rig.emulation.faults import Direction, FaultPlan, WrongNonces
from sv2rig.emulation.usb_device import UsbBoard
from sv2rig.emulation.usb_faults import FaultyUsb

REPLIES = 10_000
# Nothing but the damage under test may end a run.
PATIENT = SupervisorLimits(
    bad_ratio=0.999999,
    comm_ratio=0.999999,
    bad_samples=10**9,
    comm_samples=10**9,
    flatline_ratio=1e-9,
    silence_nonces=1e9,
)


@pytest.fixture
def bitstream(tmp_path: Path) -> str:
    file = tmp_path / "ztex.bit"
    file.write_bytes(blank_bitstream("ztex"))
    return str(file)


class Bench:
    """One board; the faults begin when it mines."""

    def __init__(
        self,
        plan: FaultPlan,
        bitstream: str,
        limits: SupervisorLimits = PATIENT,
        stall: float = 0.0,
        nonce_bits: int = 32,
    ) -> None:
        # Damage on the bus is what real USB does not have: it would be taken for a clock too high.
        options = {"bitstream": bitstream, "clock": "fixed"}
        more = {"nonce_bits": str(nonce_bits)}
        made = EMULATOR.make(
            EmulatorOptions(ticket_bits=10, faults=WrongNonces([plan]), rate_hs=8_000, more=more)
        )
        self.plan, self.stall = plan, stall
        self.emulator = FaultyUsb(cast(UsbBoard, made), [])
        self.usb = UsbBench(self.emulator)
        plug = self.usb.plug(**options)
        plug.limits = limits
        plug.__post_init__()
        self.board = cast(ZtexBoard, DRIVER.make(plug))
        self.sink = RecordingSink(self.board)
        self.ledger = self.emulator.wires.ledger

    async def start(self) -> None:
        self.board.start(self.sink)
        await self.sink.state(DeviceState.READY, within_s=30)
        self.emulator.plans = (self.plan,)
        self.emulator.stall = self.stall

    async def mine(self, replies: int) -> None:
        await self.start()
        number = 0
        while self.ledger.replies_sent < replies:
            if number % 20 == 0:  # work changes, as from a pool
                self.sink.give(random_work(number, self.board.ticket, work_id=number))
            number += 1
            await asyncio.sleep(1)

    async def end(self) -> None:
        self.emulator.plans, self.emulator.stall = (), 0.0
        await asyncio.sleep(1)
        self.board.stop()
        await self.board.stopped()
        backend = self.usb.backend
        assert (backend.open_handles, backend.claims) == (0, 0)


def test_wrong_nonces_are_counted_one_by_one(bitstream: str) -> None:
    async def main() -> None:
        bench = Bench(FaultPlan(seed=3, nonces=0.02), bitstream)
        await bench.mine(REPLIES // 4)
        await bench.end()
        assert bench.ledger.replies_wrong > 30
        by_chance = bench.ledger.replies_wrong - bench.sink.wrong
        assert 0 <= by_chance <= 3

    run_virtual(main())


@pytest.mark.parametrize("direction", list(Direction)[1:])
def test_damaged_bytes(bitstream: str, direction: Direction) -> None:
    """One byte in a hundred, in one direction. A nonce is read until newer ones have pushed it
    out, so that one which was damaged once may well arrive."""

    async def main() -> None:
        each = 0.01 / 3
        bench = Bench(FaultPlan(5, direction, flip=each, drop=each, duplicate=each), bitstream)
        await bench.mine(REPLIES)
        await bench.end()
        ledger, sink = bench.ledger, bench.sink
        intact = ledger.replies_sent - ledger.replies_damaged
        sent = {reply.nonce for reply in ledger.replies}
        accepted = [solution.nonce.to_bytes(4, "little") for solution in sink.found]
        assert len(set(sink.found)) == len(sink.found)
        rightly = sum(nonce in sent for nonce in accepted)
        assert intact - ledger.replies_damaged - 1 <= rightly <= ledger.replies_sent
        assert ledger.replies_damaged > 100
        assert sink.wrong + sink.comm_errors > 100
        good = {DeviceState.INIT, DeviceState.READY, DeviceState.MINING, DeviceState.COOLDOWN}
        assert {state for state, _ in sink.states} <= good

    run_virtual(main())


def test_a_job_that_was_damaged_is_replaced(bitstream: str) -> None:
    """All FPGAs hash something else: the self-check shows it within seconds, without any nonce."""

    async def main() -> None:
        bench = Bench(FaultPlan(seed=1, direction=Direction.TO_BOARD, flip=1.0), bitstream)
        await bench.start()
        bench.sink.give(random_work(1, bench.board.ticket))
        await asyncio.sleep(1)
        bench.emulator.plans = ()
        await asyncio.sleep(3)
        assert bench.ledger.works_received >= 2
        before = len(bench.sink.found)
        await asyncio.sleep(30)
        assert len(bench.sink.found) > before + 50
        await bench.end()

    run_virtual(main())


def test_refused_and_unanswered_transfers_lose_little(bitstream: str) -> None:
    async def main() -> None:
        bench = Bench(FaultPlan(), bitstream, stall=0.05)
        await bench.mine(2000)
        found = len(bench.sink.found)
        assert found > 0.97 * bench.ledger.replies_sent
        assert bench.sink.comm_errors > 20
        assert bench.sink.wrong == 0
        await bench.end()

    run_virtual(main())


def test_a_board_that_falls_silent_is_reset_and_mines_again(bitstream: str) -> None:
    async def main() -> None:
        plan = replace(FaultPlan(), silence=100.0, lasting=15.0)
        bench = Bench(plan, bitstream, limits=SupervisorLimits())
        await bench.mine(500)
        await asyncio.sleep(60)
        await bench.sink.state(DeviceState.SICK, within_s=300)
        await asyncio.sleep(300)
        assert bench.sink.states[-1][0] is DeviceState.MINING
        assert bench.sink.wrong == 0
        before = len(bench.sink.found)
        await asyncio.sleep(30)
        assert len(bench.sink.found) > before
        await bench.end()

    run_virtual(main())
