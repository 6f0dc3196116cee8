"""FPGA designs, driver against emulator, on the loop's virtual clock."""

from __future__ import annotations

import asyncio
import struct

import pytest
from board_on_clock import vectors
from fpga_bench import Bench, emulated, run
from virtual_time import run_virtual

from sv2rig.boards.driver import all_drivers
from sv2rig.devices.device import DeviceState
from sv2rig.devices.work import Work
from sv2rig.drivers.fpga_uart.driver import DRIVER
from sv2rig.drivers.fpga_uart.emulator import EMULATOR
from sv2rig.emulation.emulator import EmulatorOptions
from sv2rig.emulation.search import KnownAnswer
from sv2rig.rig.board_run import run_board

DIALECTS = ("kc705", "pyfpga", "makomk")
dialects = pytest.mark.parametrize("dialect", DIALECTS)


def test_the_entry_point_names_it_and_nothing_is_recognised_by_itself() -> None:
    assert all_drivers()["fpga_uart"] is DRIVER
    assert DRIVER.patterns == ()


@dialects
@pytest.mark.parametrize("offset", [0, 131, 66, 3])
def test_it_starts_up_and_mines(dialect: str, offset: int) -> None:
    async def main(bench: Bench) -> None:
        await bench.ready()
        assert bench.board.engine.offsets == (offset,)
        assert bench.plug.found["offset"] == offset
        for work_id in range(1, 5):
            bench.give(work_id)
            await bench.sink.count(50 * work_id)
        assert bench.sink.wrong == bench.sink.comm_errors == 0
        assert len(set(bench.sink.found)) == len(bench.sink.found)
        await bench.end()
        ledger = bench.emulator.wires.ledger
        assert ledger.works_damaged == 0
        own = bench.board.engine.golden_answers
        assert ledger.replies_sent - own - len(bench.sink.found) in (0, 1)

    run(dialect, main, offset=str(offset))


@dialects
def test_the_self_test_of_the_command_line(dialect: str) -> None:
    async def main(bench: Bench) -> None:
        words = f"FPGA ({dialect}): 5 nonces right, none wrong, 0 communication errors"
        assert await run_board(DRIVER, bench.plug) == words

    run(dialect, main, offset="133")


@pytest.mark.parametrize(("dialect", "rate_hs"), [("kc705", 400e6), ("pyfpga", 120e6)])
def test_hardware_is_measured_once(dialect: str, rate_hs: float) -> None:
    """At the real ticket; the known answers come when the published rate comes to them."""

    async def main() -> None:
        bench = Bench(emulated(dialect, 32, 1e6, offset="131"), dialect)
        bench.as_hardware()
        await bench.ready()
        assert bench.board.info.rated_hs == pytest.approx(rate_hs, rel=0.01)
        assert bench.board.engine.rate_hs == bench.board.info.rated_hs
        await asyncio.sleep(0.1)  # its last bytes arrive
        bench.wires.unplug()
        await bench.board.stopped()
        bench.wires.plug_in()
        works = bench.emulator.wires.ledger.works_received
        await bench.ready()
        only_golden = {"kc705": 2, "pyfpga": 1}[dialect]  # a lone line feed is work too
        assert bench.emulator.wires.ledger.works_received == works + only_golden
        assert bench.board.info.rated_hs == pytest.approx(rate_hs, rel=0.01)
        await bench.end()

    run_virtual(main())


def test_makomk_hardware_is_waited_for_until_its_count_comes_round_but_once() -> None:
    async def main() -> None:
        bench = Bench(emulated("makomk", 32, 1000.0, offset="65"), "makomk")
        bench.as_hardware()
        assert 38 < await bench.ready() < 40
        assert bench.board.info.rated_hs == 109e6
        bench.wires.unplug()
        await bench.board.stopped()
        bench.wires.plug_in()
        assert await bench.ready() < 0.1
        assert bench.board.engine.offsets == (65,)
        await bench.end()

    run_virtual(main())


def test_a_slow_makomk_design_shows_its_offset_when_it_mines() -> None:
    """At 10 MH/s a known nonce may take seven minutes: no start-up waits for that."""
    vector = vectors("quick_solve.json")["quick-0"]
    header = bytes.fromhex(vector["in"]["header_76"] + vector["out"]["pyfpga"]["device"][2:])
    version, prev_hash, merkle_root, ntime, nbits = struct.unpack("<I32s32sII", header[:76])
    work = Work(1, 1, 1, version, prev_hash, merkle_root, ntime, nbits, 0, (1 << 224) - 1)

    async def main() -> None:
        options = {"variant": "makomk", "offset": "66"}
        known = KnownAnswer(header, after_s=200.0)
        emulator = EMULATOR.make(EmulatorOptions(32, 1000.0, known=[known], more=options))
        emulator._real_rate_hs = 10e6  # type: ignore[attr-defined]  # a slow design's
        bench = Bench(emulator, "makomk", rate="10")
        bench.as_hardware()
        await asyncio.sleep(1)  # its count has passed the known nonce
        assert await bench.ready() == pytest.approx(45)
        assert len(bench.board.engine.offsets) > 10
        bench.sink.give(work)
        await bench.sink.count(1)
        assert bench.sink.wrong == bench.sink.comm_errors == 0
        await asyncio.sleep(2)
        assert bench.plug.found["offset"] == 66
        await bench.end()

    run_virtual(main())


def test_a_stated_rate_is_not_measured() -> None:
    async def main() -> None:
        bench = Bench(emulated("kc705", 32, 1e6), "kc705", rate="250.5")
        bench.as_hardware()
        assert await bench.ready() < 0.2
        assert bench.board.info.rated_hs == 250.5e6
        await bench.end()

    run_virtual(main())


def test_another_design_at_the_same_port() -> None:
    """What was found before is doubted, then found again."""

    async def main(bench: Bench) -> None:
        bench.plug.found["offset"] = 131.0
        await bench.ready()
        states = [state for state, _ in bench.sink.states]
        assert DeviceState.SICK in states
        assert bench.plug.found["offset"] == 66
        await bench.end()

    run("pyfpga", main, offset="66")


@dialects
def test_another_speed(dialect: str) -> None:
    async def main(bench: Bench) -> None:
        why = await bench.trouble()
        assert f"is it a {dialect} design at 115200 baud" in why
        assert "baud" in why.split("(options:")[1]

    run(dialect, main, baud="9600")


@dialects
def test_the_speed_that_is_named(dialect: str) -> None:
    async def main(bench: Bench) -> None:
        bench.plug.options["baud"] = "9600"
        await bench.ready()
        bench.give()
        await bench.sink.count(20)
        assert bench.sink.wrong == bench.sink.comm_errors == 0
        await bench.end()

    run(dialect, main, baud="9600")


@pytest.mark.parametrize("named", DIALECTS)
@dialects
def test_another_dialect(dialect: str, named: str) -> None:
    async def main(bench: Bench) -> None:
        if named != dialect:
            bench.plug.options["dialect"] = named
            assert f"is it a {named} design" in await bench.trouble()

    run(dialect, main)


@dialects
@pytest.mark.parametrize("before", [1, 31, 44, 63])
def test_it_holds_a_part_of_another_programs_work(dialect: str, before: int) -> None:
    async def main(bench: Bench) -> None:
        start = {"kc705": b"f", "pyfpga": b"\x01", "makomk": b"\x5a"}[dialect]
        bench.wires.deliver(0, start + b"7" * (before - 1), 115200)
        await bench.ready()
        bench.give()
        await bench.sink.count(50)
        assert bench.sink.wrong == bench.sink.comm_errors == 0
        await bench.end()

    run(dialect, main)


def test_makomk_out_of_step_while_it_mines() -> None:
    """A byte too many: its works are made of two halves until 63 zeros make it up."""

    async def main(bench: Bench) -> None:
        await bench.ready()
        bench.give(1)
        await bench.sink.count(10)
        bench.wires.deliver(0, b"\xa5", 115200)
        bench.give(2)
        await bench.sink.count(20)
        wrong = bench.sink.wrong
        assert 0 < wrong < 10
        assert bench.sink.comm_errors == 1
        await bench.sink.count(100)
        assert (bench.sink.wrong, bench.sink.comm_errors) == (wrong, 1)
        await bench.end()

    run("makomk", main)


@dialects
@pytest.mark.parametrize("lost", [0, 1, 40])
def test_a_byte_of_work_is_lost(dialect: str, lost: int) -> None:
    """What goes on with the work before is no error; right nonces come again soon."""

    async def main(bench: Bench) -> None:
        await bench.ready()
        bench.give(1)
        await bench.sink.count(10)
        deliver = bench.wires.deliver

        def lossy(port: int, data: bytes, baud: int) -> None:
            bench.wires.deliver = deliver  # type: ignore[method-assign]
            deliver(port, data[:lost] + data[lost + 1 :], baud)

        bench.wires.deliver = lossy  # type: ignore[method-assign]
        bench.give(2)
        await bench.sink.count(100)
        wrong, damage = bench.sink.wrong, bench.sink.comm_errors
        assert wrong < 10
        assert wrong + damage > 0
        await bench.sink.count(200)
        assert (bench.sink.wrong, bench.sink.comm_errors) == (wrong, damage)
        assert {solution.work_id for solution in bench.sink.found[-50:]} == {2}
        await bench.end()

    run(dialect, main)


def test_pyfpga_gets_new_work_at_the_ranges_end() -> None:
    """It would go on from nonce 0 of the same work; what it repeats until then is no news."""

    async def main(bench: Bench) -> None:
        await bench.ready()
        bench.give()
        await bench.sink.count(500)
        found = bench.sink.found
        assert len(set(found)) == len(found)
        assert max(solution.ntime for solution in found) == 1_700_000_000
        assert len({solution.version for solution in found}) > 10
        assert bench.sink.wrong == bench.sink.comm_errors == 0
        await bench.end()

    run("pyfpga", main, nonce_bits="17")


@pytest.mark.parametrize(
    "options",
    [{"baud": "299"}, {"baud": "fast"}, {"rate": "0"}, {"rate": "nan"}, {"rate": "x"}],
)
def test_options_that_make_no_sense(options: dict[str, str]) -> None:
    (name,) = options

    async def main(bench: Bench) -> None:
        bench.plug.options.update(options)
        with pytest.raises(ValueError, match=f"{name} is a"):
            DRIVER.make(bench.plug)

    run("kc705", main)


def test_a_dialect_that_is_none() -> None:
    with pytest.raises(ValueError, match="dialect is one of kc705, pyfpga, makomk"):
        DRIVER.check({"dialect": "vhdl"})
