"""GekkoScience boards, driver against emulator, on the loop's virtual clock."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from board_sink import RecordingSink, plug_of, random_work
from memory_board import EmulatedBoard
from virtual_time import run_virtual

from sv2rig.boards.board import Board
from sv2rig.boards.line import BoardError
from sv2rig.boards.plug import Plug
from sv2rig.devices.device import DeviceState
from sv2rig.devices.pattern import score
from sv2rig.devices.sighting import Port, Sighting
from sv2rig.drivers.gekko.driver import DRIVER
from sv2rig.drivers.gekko.emulator import EMULATOR, STICKS
from sv2rig.emulation.emulator import EmulatorOptions

VECTORS = Path(__file__).parents[1] / "vectors" / "boards"
NAMES = {
    "compac": "Compac (1 x BM1384)",
    "2pac": "2Pac (2 x BM1384)",
    "r808": "Terminus R808 (8 x BM1384)",
    "newpac": "NewPac (2 x BM1387)",
    "r606": "R606 (12 x BM1387)",
    "compacf": "Compac F (1 x BM1397)",
    "r909": "R909 (6 x BM1397)",
    "a1": "Compac A1 (1 x BM1362)",
    "a2": "Compac A2 (1 x BM1370)",
}
TELEMETRY, RESET = 1, -1


class Bench:
    def __init__(self, board: str, **options: str) -> None:
        more = {"board": board}
        self.emulator = EMULATOR.make(EmulatorOptions(ticket_bits=12, more=more))
        self.wires = EmulatedBoard(self.emulator)
        self.written: list[tuple[int, bytes]] = []
        deliver = self.wires.deliver

        def keep(port: int, data: bytes, baud: int) -> None:
            self.written.append((port, data))
            deliver(port, data, baud)

        self.wires.deliver = keep  # type: ignore[method-assign]
        self.plug = plug_of(self.wires, **options)
        self.board: Board = DRIVER.make(self.plug)
        self.sink = RecordingSink(self.board)

    async def ready(self) -> None:
        self.board.start(self.sink)
        await self.sink.state(DeviceState.READY)

    async def end(self) -> None:
        self.board.stop()
        await self.board.stopped()
        assert self.wires.open_lines == 0


def test_every_emulated_board_is_one_that_we_name() -> None:
    assert set(NAMES) == set(STICKS)


@pytest.mark.parametrize("board", list(NAMES))
def test_it_starts_up_mines_and_is_held_in_reset_at_the_end(board: str) -> None:
    async def main() -> None:
        bench = Bench(board)
        await bench.ready()
        assert bench.board.name == NAMES[board]
        pins = bench.emulator.pins()
        assert pins["reset_released"] == pins["power_on"] == 1
        default = next(setting.default for setting in bench.board.settings)
        assert pins["mhz"] == pytest.approx(default, rel=0.02)
        bench.sink.give(random_work(1, bench.board.ticket))
        await bench.sink.count(100)
        sink = bench.sink
        assert sink.wrong == sink.comm_errors == 0
        assert len(set(sink.found)) == len(sink.found)
        assert {state for state, _ in sink.states} == {
            DeviceState.INIT, DeviceState.READY, DeviceState.MINING,
        }  # fmt: skip
        await bench.end()
        assert bench.emulator.pins()["reset_released"] == 0
        assert bench.emulator.pins()["mhz"] == 0

    run_virtual(main())


@pytest.mark.parametrize("board", list(NAMES))
def test_it_is_made_safe_before_its_first_byte_to_the_chips(board: str) -> None:
    async def main() -> None:
        bench = Bench(board)
        await bench.ready()
        ports = len(bench.emulator.ports)
        first_data = next(i for i, (port, _) in enumerate(bench.written) if port == 0)
        before = [data for port, data in bench.written[:first_data] if port == ports - 1]
        assert before == [b"reset=0\n", b"reset=1\n"]
        await bench.end()

    run_virtual(main())


@pytest.mark.parametrize(
    ("board", "millivolt", "has_power"), [("a1", 300, False), ("a2", 270, True)]
)
def test_telemetry(board: str, millivolt: int, has_power: bool) -> None:
    async def main() -> None:
        bench = Bench(board)
        await bench.ready()
        assert bench.emulator.pins()["volts"] == millivolt / 1000
        bench.sink.give(random_work(1, bench.board.ticket))
        await asyncio.sleep(120)
        read, pins = bench.board.telemetry(), bench.emulator.pins()
        assert read.temperature_c == pytest.approx(pins["temperature_c"], abs=1.0)
        assert (read.temperature_c or 0) > 26
        if has_power:
            assert read.power_w == pytest.approx(pins["watts"], abs=2.0)
            assert read.fan_rpm == pytest.approx(30 * pins["fan_percent"], abs=300)
        else:
            assert read.power_w is None
        assert not bench.sink.comm_errors
        await bench.end()
        assert bench.emulator.pins()["power_on"] == 0

    run_virtual(main())


def test_a_hot_board_is_throttled_and_its_fan_follows() -> None:
    async def main() -> None:
        bench = Bench("a2")
        await bench.ready()
        bench.sink.give(random_work(1, bench.board.ticket))
        await asyncio.sleep(600)
        # At rest the fan has found a lower speed than the full one that it starts with.
        assert 0 < bench.emulator.pins()["fan_percent"] < 100
        await bench.end()
        assert bench.emulator.pins()["fan_percent"] == 0

    run_virtual(main())


def test_without_its_reset_line_it_is_tried_and_said_to_be_powered() -> None:
    """As where the kernel gives no pins of the bridge: chips fresh from power-on do mine."""

    async def main() -> None:
        bench = Bench("newpac")
        emulator = bench.emulator

        async def start_as_hardware() -> RecordingSink:
            plug = _without_emulator(bench)
            board = DRIVER.make(plug)
            sink = RecordingSink(board)
            board.start(sink)
            await sink.state(DeviceState.READY)
            board.stop()
            await board.stopped()
            return sink

        sink = await start_as_hardware()
        assert emulator.pins()["reset_released"] == 1
        state, reason = sink.states[-1]
        assert state is DeviceState.DEAD
        assert "not known to be safe" in reason
        assert "/dev/gpiochip" in reason
        with pytest.raises(BoardError, match="reset cannot be held"):
            await DRIVER.make(_without_emulator(bench)).secure()

    run_virtual(main())


def test_dead_chips_without_a_reset_line_are_explained_by_both() -> None:
    async def main() -> None:
        bench = Bench("newpac")
        bench.wires.deliver(1, b"reset=0\n", 115200)
        board = DRIVER.make(_without_emulator(bench))
        sink = RecordingSink(board)
        board.start(sink)
        await sink.state(DeviceState.SICK)
        reason = next(reason for state, reason in sink.states if state is DeviceState.SICK)
        assert "no BM1387 chip answers, nothing came" in reason
        assert "its reset was not driven: the kernel gives no pins" in reason
        board.stop()
        await board.stopped()

    run_virtual(main())


def test_it_blinks() -> None:
    async def main() -> None:
        bench = Bench("a1")
        await bench.ready()
        bench.board.identify()
        await asyncio.sleep(20)
        leds = [data for port, data in bench.written if port == TELEMETRY and data[:1] == b"L"]
        assert leds.count(b"LO") == leds.count(b"L-") == 10
        assert leds[-1] == b"LN"
        await bench.end()

    run_virtual(main())


def test_made_safe_without_a_rig() -> None:
    async def main() -> None:
        bench = Bench("a2")
        await bench.ready()
        bench.wires.unplug()  # the rig is gone without a word: power stays on
        await bench.board.stopped()
        bench.wires.is_plugged = True
        assert bench.emulator.pins()["power_on"] == 1
        await DRIVER.make(bench.plug).secure()
        pins = bench.emulator.pins()
        assert pins["power_on"] == pins["reset_released"] == 0
        assert bench.wires.open_lines == 0

    run_virtual(main())


def test_an_unknown_telemetry_is_not_guessed_at() -> None:
    async def main() -> None:
        bench = Bench("a2")
        bench.emulator._telemetry.version = 0x30  # type: ignore[attr-defined]
        bench.board.start(bench.sink)
        await bench.sink.state(DeviceState.SICK)
        assert any("version 30" in reason for _, reason in bench.sink.states)
        await bench.end()

    run_virtual(main())


def test_the_clock_changes_while_it_mines() -> None:
    async def main() -> None:
        bench = Bench("newpac")
        await bench.ready()
        bench.sink.give(random_work(1, bench.board.ticket))
        bench.board.adjust("frequency", 200)
        await asyncio.sleep(10)
        assert bench.emulator.pins()["mhz"] == pytest.approx(200)
        with pytest.raises(ValueError, match="50 to 900 MHz"):
            bench.board.adjust("frequency", 1000)
        await bench.sink.count(50)
        assert bench.sink.wrong == bench.sink.comm_errors == 0
        await bench.end()

    run_virtual(main())


def test_detection_by_strings() -> None:
    vectors = json.loads((VECTORS / "detection.json").read_text())["vectors"]
    models = {}
    for vector in vectors:
        seen = vector["in"]
        sighting = Sighting(
            "1-1", int(seen["vid"], 16), int(seen["pid"], 16), None,
            seen["manufacturer"], seen["product"],
        )  # fmt: skip
        fits = [one.model for one in DRIVER.patterns if score(one, sighting) is not None]
        if fits:
            [models[vector["id"]]] = fits
    assert models == {
        "compac-f": "Compac F",
        "newpac": "NewPac",
        "compac-a1": "Compac A1",
        "compac-bm1384": "Compac",
    }


def test_an_unknown_product_must_be_named() -> None:
    async def main() -> None:
        sighting = Sighting("1-1", product="USB UART", ports=(Port("memory:0"),))
        with pytest.raises(ValueError, match="name it with board=, one of compac-a1"):
            DRIVER.make(Plug("gekko:1", sighting))
        board = DRIVER.make(Plug("gekko:1", sighting, {"board": "r606"}))
        assert board.name == "R606"

    run_virtual(main())


def _without_emulator(bench: Bench) -> Plug:
    """A plug of the same board as if it were hardware, with a clock that its chips can follow."""
    seen = bench.plug.sighting
    sighting = Sighting(
        "9-9.9", seen.vid, seen.pid, None, seen.manufacturer, seen.product, None, seen.ports[:1]
    )
    return Plug("gekko:9", sighting, open_line=bench.wires.open_line)


def test_a_stick_without_a_light_says_so() -> None:
    async def main() -> None:
        with pytest.raises(BoardError, match="no light of its own"):
            Bench("compacf").board.identify()

    run_virtual(main())
