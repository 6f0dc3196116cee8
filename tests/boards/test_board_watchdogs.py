"""What the watchdogs make of boards that are silent, lie, babble or are slow; and that nobody else
notices. Real drivers and emulators on the virtual clock."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from board_sink import RecordingSink, plug_of, random_work
from boards_in_rig import plan, plugged
from memory_board import EmulatedBoard
from memory_net import MemoryNet
from rig_on_pool import Clock, PoolProcess, Run
from usb_hub import Hub
from virtual_time import run_virtual

from sv2rig.boards.driver import Driver
from sv2rig.devices.device import DeviceState
from sv2rig.drivers.bm13xx.driver import DRIVER as BM13XX
from sv2rig.drivers.bm13xx.emulator import EMULATOR as EMULATED_BM13XX
from sv2rig.drivers.icarus.driver import DRIVER as ICARUS
from sv2rig.drivers.icarus.emulator import EMULATOR as EMULATED_ICARUS
from sv2rig.emulation.emulator import EmulatorKind, EmulatorOptions
from sv2rig.emulation.faults import FaultyBoard, WrongNonces, parse_fault
from sv2rig.rig.hotplug import Hotplug

S = DeviceState
NO_BLOCKS = (1 << 200) - 1
KINDS = pytest.mark.parametrize(
    ("driver", "emulator"),
    [(ICARUS, EMULATED_ICARUS), (BM13XX, EMULATED_BM13XX)],
    ids=["icarus", "bm13xx"],
)


class Bench:
    """A board that has mined for a while when its faults begin."""

    def __init__(
        self, driver: Driver, emulator: EmulatorKind, fault: str, overstated: float = 1.0
    ) -> None:
        plans = [parse_fault(fault)] if fault else []
        options = EmulatorOptions(10, 20_000.0, faults=WrongNonces(plans))
        wires = EmulatedBoard(FaultyBoard(emulator.make(options), plans))
        wires.plug_in()
        plug = plug_of(wires)
        claims = plug.sighting.emulator
        assert claims is not None
        claims = replace(claims, rate_hs=overstated * claims.rate_hs)
        plug.sighting = replace(plug.sighting, emulator=claims)
        self.board = driver.make(plug)
        self.sink = RecordingSink(self.board)

    async def sick(self, within_s: float) -> str:
        """Why."""
        self.board.start(self.sink)
        await self.sink.state(S.READY)
        self.sink.give(random_work(1, self.board.ticket))
        await self.sink.state(S.SICK, within_s)
        return next(reason for state, reason in self.sink.states if state is S.SICK)

    async def end(self) -> None:
        self.board.stop()
        await self.board.stopped()


@KINDS
def test_a_board_that_falls_silent_is_reset_and_mines_again(
    driver: Driver, emulator: EmulatorKind
) -> None:
    async def main() -> None:
        bench = Bench(driver, emulator, "silence=60,lasting=30,direction=to-host")
        reason = await bench.sick(120)
        assert reason.startswith("no nonce for 1") or "answer" in reason
        found = len(bench.sink.found)
        await bench.sink.count(found + 50, within_s=180)
        assert S.DEAD not in [state for state, _ in bench.sink.states]
        await asyncio.sleep(700)
        assert bench.board.plug.supervisor.failures == 0, "ten healthy minutes clear the count"
        await bench.end()

    run_virtual(main())


@KINDS
def test_a_board_that_never_speaks_again_is_dead_after_five_resets(
    driver: Driver, emulator: EmulatorKind
) -> None:
    async def main() -> None:
        bench = Bench(driver, emulator, "silence=60,direction=to-host")
        await bench.sick(120)
        await bench.sink.state(S.DEAD, 600)
        told = [state for state, _ in bench.sink.states]
        assert told.count(S.RESETTING) == 5
        assert "5 resets did not help" in bench.sink.states[-1][1]
        await bench.end()

    run_virtual(main())


def test_wrong_nonces_make_it_sick() -> None:
    async def main() -> None:
        bench = Bench(BM13XX, EMULATED_BM13XX, "nonces=0.7")
        assert "were wrong: clock too high" in await bench.sick(300)
        await bench.end()

    run_virtual(main())


def test_a_bad_cable_makes_it_sick() -> None:
    async def main() -> None:
        bench = Bench(BM13XX, EMULATED_BM13XX, "")
        bench.board.start(bench.sink)
        await bench.sink.state(S.READY)
        bench.sink.give(random_work(1, bench.board.ticket))
        await bench.sink.count(10)
        line = bench.board.talks[0].line
        for _ in range(100):
            line.on_data(bytes(11))
            await asyncio.sleep(0.05)
        await bench.sink.state(S.SICK, 60)
        reason = next(reason for state, reason in bench.sink.states if state is S.SICK)
        assert "were damaged or missing: check the cable" in reason
        await bench.end()

    run_virtual(main())


@KINDS
def test_a_rate_far_below_what_it_should_be_makes_it_sick(
    driver: Driver, emulator: EmulatorKind
) -> None:
    async def main() -> None:
        bench = Bench(driver, emulator, "", overstated=4.0)
        reason = await bench.sick(700)
        assert "H/s proved of " in reason
        await bench.end()

    run_virtual(main())


def test_sick_boards_slow_nobody() -> None:
    """Four of eight hang, lie, babble or fall silent: the others get each job at once and none of
    their replies is lost."""

    async def main() -> None:
        net, clock, hub = MemoryNet(), Clock(), Hub(ticket_bits=10)
        pool = PoolProcess(net, clock, first_target=NO_BLOCKS)
        faults = {
            "1-1": "silence=30,direction=to-host",
            "1-2": "silence=0,direction=to-board",  # its start-up gets no answer
            "1-3": "nonces=0.9",
            "1-4": "flip=0.2",
        }
        paths = [f"1-{number}" for number in range(1, 9)]
        for path in paths:
            hub.place(path, EMULATED_BM13XX, described=False, fault=faults.get(path))
        run = Run([], net.connect, clock, waits_for_devices=True)
        named = [f"serial:{path}?driver=bm13xx&frequency=60" for path in paths]
        async with plugged(Hotplug(run.rig, plan(named), hub, hub.open_line)):
            await asyncio.sleep(1)
            hub.tell(added=[hub.plug_in(path, [f"/dev/tty{path}"]) for path in paths])
            await asyncio.sleep(30)
            began = asyncio.get_running_loop().time()
            await asyncio.sleep(200)
            shown = {device.id: device for device in run.rig._picture().devices}
            for path in faults:
                assert shown[f"bm13xx:{path}"].state != "MINING" or path in ("1-3", "1-4")
            jobs = []
            for path in paths[4:]:
                device = shown[f"bm13xx:{path}"]
                assert device.state == "MINING"
                assert device.hardware_errors == device.comm_errors == 0
                ledger = hub.sockets[path].wires.emulator.wires.ledger
                proved = run.rig.device(device.id).hashes_done() / 2**10
                assert ledger.replies_sent - 2 <= proved <= ledger.replies_sent
                assert ledger.replies_sent > 300
                jobs.append([work.at for work in ledger.works if work.at > began])
            assert len(jobs[0]) > 3
            for times in zip(*jobs, strict=True):
                assert max(times) - min(times) < 0.02
            await run.stop()
        await pool.stop()

    run_virtual(main())
