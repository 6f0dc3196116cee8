"""A ZTEX board, driver against emulator over the fake USB backend, on the loop's virtual clock."""

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
from sv2rig.drivers.ztex.driver import DRIVER, ZtexBoard
from sv2rig.drivers.ztex.emulated_bitstream import blank_bitstream
from sv2rig.drivers.ztex.emulator import EMULATOR
from sv2rig.drivers.ztex.emulator import ZtexBoard as EmulatedZtex
from sv2rig.emulation.emulator import EmulatorOptions
from sv2rig.emulation.usb_device import Setup


@pytest.fixture
def bitstream(tmp_path: Path) -> str:
    file = tmp_path / "ztex.bit"
    file.write_bytes(blank_bitstream("ztex", 150_000))
    return str(file)


def emulated(ticket_bits: int = 12, rate_hs: float = 40_000.0, **more: str) -> EmulatedZtex:
    options = EmulatorOptions(ticket_bits=ticket_bits, rate_hs=rate_hs, more=more)
    return cast(EmulatedZtex, EMULATOR.make(options))


class Running:
    """A board that has started to mine."""

    def __init__(self, bench: UsbBench, **options: str) -> None:
        self.bench = bench
        self.board = cast(ZtexBoard, DRIVER.make(bench.plug(**options)))
        self.sink = RecordingSink(self.board)

    async def until_ready(self) -> None:
        self.board.start(self.sink)
        await self.sink.state(DeviceState.READY, within_s=30)

    async def end(self) -> None:
        self.board.stop()
        await self.board.stopped()
        backend = self.bench.backend
        assert (backend.open_handles, backend.claims, backend.detached_drivers) == (0, 0, 0)


@pytest.mark.parametrize("model", ["1.15x", "1.15y"])
@pytest.mark.parametrize("slots", ["1", "2"])
def test_it_starts_up_and_mines(bitstream: str, model: str, slots: str) -> None:
    async def main() -> None:
        board = emulated(model=model, slots=slots, offset="-7")
        run = Running(UsbBench(board), bitstream=bitstream)
        await run.until_ready()
        run.sink.give(random_work(1, run.board.ticket))
        await run.sink.count(150)
        assert run.sink.wrong == 0
        assert len(set(run.sink.found)) == len(run.sink.found)
        fpgas = int(run.bench.board.pins()["configured"])
        replies = run.bench.board.wires.ledger.replies
        sent = sum(reply.work.serial >= fpgas for reply in replies)  # after the self-tests
        assert sent - len(run.sink.found) <= 16  # of the last reading
        versions = {solution.version for solution in run.sink.found}
        assert len(versions) == (4 if model == "1.15y" else 1)
        assert run.sink.comm_errors == 0
        await run.end()
        assert run.bench.board.pins()["configured"] == 0

    run_virtual(main())


def test_every_golden_nonce_arrives(bitstream: str) -> None:
    """What was found before new work is read before the work goes out."""

    async def main() -> None:
        run = Running(UsbBench(emulated(ticket_bits=14)), bitstream=bitstream)
        await run.until_ready()
        for number in range(40):
            run.sink.give(random_work(number, run.board.ticket, work_id=number))
            await asyncio.sleep(3.1)
        run.board.assign(None)
        await asyncio.sleep(1)
        works = [reply.work.serial for reply in run.bench.board.wires.ledger.replies]
        assert len(run.sink.found) == len(works) - works.count(0) > 50  # 0: its self-test
        assert run.bench.board.pins()["hashing"] == 0
        await run.end()

    run_virtual(main())


def test_a_range_that_ends_brings_the_next_job(bitstream: str) -> None:
    async def main() -> None:
        run = Running(UsbBench(emulated(nonce_bits="16")), bitstream=bitstream)
        await run.until_ready()
        run.sink.give(random_work(1, run.board.ticket))
        await run.sink.count(60)
        assert len({solution.version for solution in run.sink.found}) >= 3
        assert run.sink.wrong == 0
        assert len(set(run.sink.found)) == len(run.sink.found)
        await run.end()

    run_virtual(main())


def test_without_a_bitstream_it_says_which_file_is_wanted() -> None:
    async def main() -> None:
        run = Running(UsbBench(emulated(model="1.15y")))
        run.board.start(run.sink)
        await run.sink.state(DeviceState.SICK, within_s=30)
        reason = run.sink.states[-1][1]
        assert "ztex_ufm1_15y1.bit" in reason
        assert "bitstream=" in reason
        await run.end()

    run_virtual(main())


@pytest.mark.parametrize("content", [b"", b"a text", blank_bitstream("cut", 9000)[:-1]])
def test_a_wrong_bitstream_is_refused(tmp_path: Path, content: bytes) -> None:
    async def main() -> None:
        file = tmp_path / "wrong.bit"
        file.write_bytes(content)
        run = Running(UsbBench(emulated()), bitstream=str(file))
        run.board.start(run.sink)
        await run.sink.state(DeviceState.SICK, within_s=30)
        reason = run.sink.states[-1][1]
        assert "bitstream" in reason
        assert run.bench.board.pins()["configured"] == 0
        await run.end()

    run_virtual(main())


def test_the_slow_way_for_boards_without_the_fast_one(bitstream: str) -> None:
    async def main() -> None:
        run = Running(UsbBench(emulated(high_speed="no", model="1.15y")), bitstream=bitstream)
        await run.until_ready()
        assert run.bench.board.pins()["configured"] == 4
        await run.end()

    run_virtual(main())


def test_the_clock_falls_until_the_errors_end(bitstream: str) -> None:
    async def main() -> None:
        run = Running(UsbBench(emulated(stable_mhz="180")), bitstream=bitstream)
        await run.until_ready()
        assert run.bench.board.pins()["mhz"] == 200
        run.sink.give(random_work(1, run.board.ticket))
        await asyncio.sleep(1200)
        # its errors are one in a hundred for each MHz above 180
        assert 176 <= run.bench.board.pins()["mhz"] <= 188
        assert run.board.rate_hs == pytest.approx(40_000 * run.bench.board.pins()["mhz"] / 200)
        assert run.sink.wrong == 0
        await run.end()

    run_virtual(main())


def test_the_clock_rises_to_what_the_user_allows(bitstream: str) -> None:
    async def main() -> None:
        run = Running(UsbBench(emulated()), bitstream=bitstream)
        run.board.plug.settings["max_mhz"] = 213
        await run.until_ready()
        run.sink.give(random_work(1, run.board.ticket))
        await asyncio.sleep(1200)
        assert run.bench.board.pins()["mhz"] == 212
        run.board.adjust("max_mhz", 150)
        await asyncio.sleep(3)
        assert run.bench.board.pins()["mhz"] == 148
        await run.end()

    run_virtual(main())


@pytest.mark.parametrize(("stable_mhz", "reason"), [(110, "it may go no lower"), (1, "jobs")])
def test_an_fpga_whose_errors_do_not_end_is_stopped(
    bitstream: str, stable_mhz: int, reason: str
) -> None:
    """With its last FPGA the board is cut off, until a person starts it."""

    async def main() -> None:
        run = Running(UsbBench(emulated()), bitstream=bitstream)
        await run.until_ready()
        [fpga] = cast(EmulatedZtex, run.bench.board).fpgas
        fpga._design = replace(fpga._design, stable_mhz=stable_mhz)  # its fan has stopped
        run.sink.give(random_work(1, run.board.ticket))
        await run.sink.state(DeviceState.DEAD, within_s=3600)
        assert "cut off" in run.sink.states[-1][1]
        assert reason in run.sink.states[-1][1]
        await asyncio.sleep(5)
        assert run.bench.board.pins()["configured"] == 0
        await run.end()

    run_virtual(main())


def test_a_broken_fpga_is_left_out_by_the_self_test(bitstream: str) -> None:
    async def main() -> None:
        board = emulated(model="1.15y", broken="2")
        run = Running(UsbBench(board), bitstream=bitstream)
        await run.until_ready()
        assert run.board.rate_hs == 30_000
        run.sink.give(random_work(1, run.board.ticket))
        await run.sink.count(100)
        assert len({solution.version for solution in run.sink.found}) == 3
        assert run.bench.board.pins()["hashing"] == 3
        assert run.sink.wrong == 0
        await run.end()

    run_virtual(main())


def test_a_board_that_fails_its_self_test_does_not_mine(bitstream: str) -> None:
    async def main() -> None:
        run = Running(UsbBench(emulated(broken="0")), bitstream=bitstream)
        run.board.start(run.sink)
        await run.sink.state(DeviceState.SICK, within_s=30)
        assert "self-test" in run.sink.states[-1][1]
        assert run.bench.board.pins()["configured"] == 0
        await run.end()

    run_virtual(main())


def test_what_a_start_up_sends(bitstream: str) -> None:
    """The requests in order, by REFERENCE.md."""

    async def main() -> None:
        board = emulated(model="1.15y")
        bench = UsbBench(board)
        sent: list[str] = []
        control_in, control_out, write = board.control_in, board.control_out, board.write

        def told_in(setup: Setup, now: float) -> bytes:
            sent.append(f"C0/{setup.request:02x}:{setup.length}")
            return control_in(setup, now)

        def told_out(setup: Setup, data: bytes, now: float, intact: bool = True) -> None:
            sent.append(f"40/{setup.request:02x}={setup.value}:{len(data)}")
            control_out(setup, data, now, intact)

        def told_write(endpoint: int, data: bytes, _now: float) -> int:
            sent.append(f"bulk {endpoint}:{len(data)}")
            return write(endpoint, data, _now)

        board.control_in, board.control_out, board.write = (  # type: ignore[method-assign]
            told_in,
            told_out,
            told_write,
        )
        run = Running(bench, bitstream=bitstream)
        await run.until_ready()
        fpgas = range(4)
        identify = ["C0/22:40", "C0/82:64", "C0/50:3"]
        resets = [request for n in fpgas for request in (f"40/51={n}:0", "40/31=0:0")]
        size = Path(bitstream).stat().st_size - 2 * 65_536  # noqa: ASYNC240
        load = ["C0/33:2", "40/31=0:0", "40/34=0:0", "bulk 2:65536", "bulk 2:65536"]
        load += [f"bulk 2:{size}", "40/35=0:0", "C0/30:9"]
        loads = [request for n in fpgas for request in (f"40/51={n}:0", *load)]
        test = [r for n in fpgas for r in (f"40/51={n}:0", "40/83=49:0", "40/80=0:44")]
        reads = [r for n in fpgas for r in (f"40/51={n}:0", "C0/81:40")]
        assert sent == [*identify, *resets, *loads, *test, *reads]
        await run.end()

    run_virtual(main())


def test_unplug_and_replug_a_hundred_times(bitstream: str) -> None:
    async def main() -> None:
        bench = UsbBench(emulated())
        plug = bench.plug(bitstream=bitstream)
        found = 0
        for number in range(100):
            board = cast(ZtexBoard, DRIVER.make(plug))
            sink = RecordingSink(board)
            board.start(sink)
            await sink.state(DeviceState.READY, within_s=120)
            sink.give(random_work(number, board.ticket))
            await sink.count(2)
            bench.unplug()
            await sink.state(DeviceState.LOST, within_s=10)
            await board.stopped()
            assert sink.wrong == 0
            found += len(sink.found)
            assert (bench.backend.open_handles, bench.backend.claims) == (0, 0)
            bench.plug_in()
        assert found >= 200
        assert len(asyncio.all_tasks()) == 1

    run_virtual(main())


def test_a_device_with_other_firmware_is_named(bitstream: str) -> None:
    async def main() -> None:
        emulator = emulated()
        emulator.model = type(emulator.model)(1, 12, "x")
        run = Running(UsbBench(emulator), bitstream=bitstream)
        run.board.start(run.sink)
        await run.sink.state(DeviceState.SICK, within_s=30)
        assert "10.12" in run.sink.states[-1][1]
        await run.end()

    run_virtual(main())
