"""Bitaxe and EmberOne, driver against emulator, on the loop's virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from board_sink import RecordingSink, plug_of, random_work
from memory_board import EmulatedBoard
from virtual_time import run_virtual

from sv2rig.devices.device import DeviceState
from sv2rig.drivers.bitaxe_raw.driver import make
from sv2rig.drivers.bitaxe_raw.emulated_parts import EMC2101, TPS546
from sv2rig.drivers.bitaxe_raw.emulator import BOARDS, EmulatedControlBoard
from sv2rig.emulation.emulator import EmulatorOptions
from sv2rig.emulation.faults import FaultPlan, FaultyBoard


class Probed(EmulatedControlBoard):
    """Keeps what a probe on reset, power and fan sees at each change, in order."""

    seen: list[dict[str, float]]

    def receive(self, port: int, data: bytes, baud: int, now: float) -> None:
        super().receive(port, data, baud, now)
        pins = self.pins()
        pins = {name: pins[name] for name in PROBED if name in pins}
        if not self.seen or self.seen[-1] != pins:
            self.seen.append(pins)


PROBED = ("reset_released", "power_on", "fan_percent", "volts")


class Bench:
    """One emulated board and its driver."""

    def __init__(
        self, board: str = "gamma", options: dict[str, str] | None = None, **more: str
    ) -> None:
        given = EmulatorOptions(ticket_bits=12, rate_hs=5000.0, more=more)
        self.emulator = Probed(BOARDS[board], given)
        self.emulator.seen = []
        self.wires = EmulatedBoard(self.emulator)
        self.plug = plug_of(self.wires, **(options or {}))
        self.board = make(self.plug)
        self.sink = RecordingSink(self.board)

    @property
    def pins(self) -> dict[str, float]:
        return self.emulator.pins()

    async def mine(self) -> None:
        self.board.start(self.sink)
        await self.sink.state(DeviceState.READY)
        self.sink.give(random_work(1, self.board.ticket))

    async def until(self, holds: Callable[[], bool], within_s: float = 600.0) -> None:
        """Returns when it holds, looked at ten times a second."""
        async with asyncio.timeout(within_s):
            while not holds():
                await asyncio.sleep(0.1)

    async def reaches(self, state: DeviceState, within_s: float = 600.0) -> None:
        await self.until(lambda: self.is_in(state), within_s)

    def is_in(self, state: DeviceState) -> bool:
        return self.plug.supervisor.state is state

    @property
    def states(self) -> list[DeviceState]:
        """Those it went through, each change once."""
        told = [state for state, _ in self.sink.states]
        return [state for at, state in enumerate(told) if not at or state is not told[at - 1]]

    async def end(self) -> None:
        self.board.stop()
        await self.board.stopped()


@pytest.mark.parametrize(
    ("board", "name", "mhz"),
    [
        ("gamma", "Bitaxe Gamma", 525),
        ("supra", "Bitaxe Supra", 490),
        ("ultra", "Bitaxe Ultra", 485),
        ("max", "Bitaxe Max", 425),
        ("emberone", "EmberOne", 525),
    ],
)
def test_it_starts_up_and_mines(board: str, name: str, mhz: float) -> None:
    async def main() -> None:
        bench = Bench(board)
        await bench.mine()
        assert bench.board.name == name
        assert bench.pins["mhz"] == pytest.approx(mhz, abs=1)
        await bench.sink.count(100)
        assert bench.sink.wrong == bench.sink.comm_errors == 0
        telemetry = bench.board.telemetry()
        assert telemetry.temperature_c == pytest.approx(bench.pins["temperature_c"], abs=1)
        assert (telemetry.power_w is None) == (board == "emberone")
        await bench.end()
        assert bench.pins["reset_released"] == bench.pins["power_on"] == 0
        assert bench.wires.open_lines == 0

    run_virtual(main())


def trace(bench: Bench) -> list[tuple[float, float, float]]:
    """(reset released, power, fan on) at each change."""
    seen = [
        (pins["reset_released"], pins["power_on"], float(pins["fan_percent"] > 0))
        for pins in bench.emulator.seen
    ]
    return [one for at, one in enumerate(seen) if not at or one != seen[at - 1]]


def test_a_board_that_runs_is_made_safe_and_then_powered_in_order() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.mine()
        bench.wires.unplug()  # as by a rig that was killed: nobody tells the board
        await bench.board.stopped()
        assert bench.pins["reset_released"] == 1
        bench.emulator.seen.clear()
        bench.wires.is_plugged = True
        again = make(plug_of(bench.wires))
        sink = RecordingSink(again)
        again.start(sink)
        await sink.state(DeviceState.READY)
        again.stop()
        await again.stopped()
        assert trace(bench) == [
            (0, 1, 1),  # reset held
            (0, 0, 1),  # power off
            (0, 1, 1),  # power on
            (1, 1, 1),  # reset released
            (0, 1, 1),  # the end: reset held
            (0, 0, 1),  # power off
            (0, 0, 0),  # it is cool: fan off
        ]
        assert max(pins["volts"] for pins in bench.emulator.seen) <= 1.15

    run_virtual(main())


def test_heat_throttles_then_stops_then_lets_it_run_again() -> None:
    async def main() -> None:
        bench = Bench()
        bench.board.adjust("frequency", 500.0)
        await bench.mine()
        bench.emulator.ambient = 55.0  # more than the fan can do
        await bench.reaches(DeviceState.THROTTLED)
        await bench.until(lambda: bench.pins["mhz"] < 460)
        assert bench.pins["fan_percent"] == 100
        bench.emulator.ambient = 75.0
        await bench.reaches(DeviceState.COOLDOWN)
        assert bench.pins["reset_released"] == bench.pins["power_on"] == 0
        assert bench.pins["fan_percent"] == 100
        found = len(bench.sink.found)
        await asyncio.sleep(120)  # still hot
        assert bench.is_in(DeviceState.COOLDOWN)
        bench.emulator.ambient = 25.0
        await bench.reaches(DeviceState.THROTTLED)
        await bench.sink.count(found + 5)
        await bench.reaches(DeviceState.MINING, 1200)
        await bench.until(lambda: bench.pins["mhz"] == pytest.approx(500, abs=1))
        assert bench.board.setting("frequency") == 500.0
        assert bench.plug.supervisor.failures == 0
        await bench.end()

    run_virtual(main())


def test_a_cut_off_stays_through_hours_and_a_replug() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.mine()
        bench.emulator.ambient = 110.0
        await bench.reaches(DeviceState.DEAD)
        assert "cut off" in bench.plug.supervisor.reason
        assert bench.pins["reset_released"] == bench.pins["power_on"] == 0
        bench.emulator.ambient = 25.0
        bench.emulator.seen.clear()
        await asyncio.sleep(3 * 3600)
        bench.wires.unplug()
        bench.board.unplugged()
        await bench.board.stopped()
        bench.wires.plug_in()
        again = make(bench.plug)
        again.start(RecordingSink(again))
        await asyncio.sleep(3 * 3600)
        assert bench.is_in(DeviceState.DEAD)
        assert all(not pins["reset_released"] for pins in bench.emulator.seen)
        bench.plug.supervisor.revive(asyncio.get_running_loop().time())
        again.stop()
        await again.stopped()

    run_virtual(main())


def test_a_fan_that_does_not_turn_is_named() -> None:
    async def main() -> None:
        bench = Bench(fan="stuck")
        await bench.mine()
        await bench.sink.state(DeviceState.COOLDOWN)
        assert "fan does not turn" in next(
            reason for state, reason in bench.sink.states if state is DeviceState.COOLDOWN
        )
        for _ in range(1200):
            await asyncio.sleep(1)
            assert bench.pins["temperature_c"] < 95
        assert bench.plug.supervisor.failures == 0
        await bench.end()

    run_virtual(main())


class AllOnes:
    """A part whose bus is stuck high."""

    def write(self, data: bytes) -> None: ...

    def read(self, count: int) -> bytes:
        return b"\xff" * count


class Absent:
    """A part that a firmware without a status cannot reach."""

    def write(self, data: bytes) -> None: ...

    def read(self, count: int) -> bytes:
        return b"\x10"  # its code for a time-out, where data would be; 16 °C if believed


@pytest.mark.parametrize("part", [AllOnes(), Absent()])
def test_three_bad_readings_count_as_hot(part: AllOnes | Absent) -> None:
    async def main() -> None:
        bench = Bench()
        await bench.mine()
        await asyncio.sleep(10)
        good = bench.emulator.parts[EMC2101]
        bench.emulator.parts[EMC2101] = part
        await asyncio.sleep(1.5)
        bench.emulator.parts[EMC2101] = good  # one bad reading is none
        await asyncio.sleep(5)
        assert bench.is_in(DeviceState.MINING)
        bench.emulator.parts[EMC2101] = part
        await bench.reaches(DeviceState.COOLDOWN, 10)
        assert "3 bad temperature readings" in bench.plug.supervisor.reason
        await bench.until(lambda: bench.pins["power_on"] == 0, 1)
        assert bench.pins["reset_released"] == 0
        await asyncio.sleep(300)
        assert bench.is_in(DeviceState.COOLDOWN)
        bench.emulator.parts[EMC2101] = good
        await bench.reaches(DeviceState.MINING, 1200)
        await bench.end()

    run_virtual(main())


def test_over_current_is_latched() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.mine()
        await asyncio.sleep(5)
        regulator = bench.emulator.parts[TPS546]
        regulator.write(bytes.fromhex("460000"))  # its limit, as if the load had gone over it
        regulator.write(bytes.fromhex("4601f0"))
        await bench.reaches(DeviceState.DEAD, 10)
        assert "IOUT_OVER" in bench.plug.supervisor.reason
        assert bench.pins["reset_released"] == 0
        await asyncio.sleep(2 * 3600)
        assert bench.is_in(DeviceState.DEAD)
        await bench.end()

    run_virtual(main())


def test_a_regulator_that_falls_silent_is_not_taken_for_none() -> None:
    """Older boards have none, and count as safe without; this one's power may still be on."""

    async def main() -> None:
        bench = Bench()
        await bench.mine()
        bench.emulator.parts[TPS546] = Absent()
        await bench.end()
        assert any("regulator does not answer" in reason for _, reason in bench.sink.states)

    run_virtual(main())


def test_a_board_without_its_fan_controller_never_mines() -> None:
    async def main() -> None:
        bench = Bench(sensor="absent")
        bench.board.start(bench.sink)
        await bench.reaches(DeviceState.DEAD)
        assert any("NOT KNOWN TO BE SAFE" in reason for _, reason in bench.sink.states)
        assert all(not pins["reset_released"] for pins in bench.emulator.seen)
        assert bench.emulator.wires.ledger.works_received == 0
        await asyncio.sleep(30)
        told = len(bench.sink.states)
        await asyncio.sleep(1800)
        assert len(bench.sink.states) == told
        await bench.end()

    run_virtual(main())


def test_unplugged_in_a_job_and_back_with_its_settings() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.mine()
        bench.board.adjust("frequency", 400.0)
        bench.board.adjust("fan_target_c", 55.0)
        bench.board.adjust("core_voltage", 1.1)
        await bench.until(lambda: bench.pins["mhz"] == pytest.approx(400, abs=1))
        assert bench.pins["volts"] == pytest.approx(1.1, abs=0.01)
        bench.wires.unplug()
        await bench.board.stopped()
        assert bench.states[-1] is DeviceState.LOST
        await asyncio.sleep(60)
        bench.wires.plug_in()
        assert bench.pins["reset_released"] == 0
        again = make(bench.plug)
        sink = RecordingSink(again)
        again.start(sink)
        await sink.state(DeviceState.READY)
        sink.give(random_work(2, again.ticket))
        await sink.count(5)
        assert sink.wrong == 0
        assert bench.pins["mhz"] == pytest.approx(400, abs=1)
        assert bench.pins["volts"] == pytest.approx(1.1, abs=0.01)
        again.stop()
        await again.stopped()

    run_virtual(main())


@pytest.mark.parametrize(("ambient", "most_s"), [(25.0, 30.0), (60.0, 62.0)])
def test_a_clean_stop_leaves_the_fan_on_until_it_is_cool(ambient: float, most_s: float) -> None:
    async def main() -> None:
        bench = Bench()
        await bench.mine()
        await asyncio.sleep(60)
        bench.emulator.ambient = ambient
        await asyncio.sleep(2)
        now = asyncio.get_running_loop().time
        began = now()
        bench.board.stop()
        await bench.until(lambda: bench.pins["reset_released"] == 0, 2)
        while bench.wires.open_lines:
            assert bench.pins["reset_released"] == 0
            warm = bench.pins["temperature_c"] > 51 and now() - began < 60
            assert not warm or bench.pins["fan_percent"] == 100
            await asyncio.sleep(0.2)
        assert bench.pins["fan_percent"] == bench.pins["power_on"] == 0
        assert now() - began < most_s
        await bench.board.stopped()

    run_virtual(main())


def test_torn_down_it_is_off_with_its_fan_on() -> None:
    """A second Ctrl-C cancels every task."""

    async def main() -> None:
        bench = Bench()
        await bench.mine()
        await asyncio.sleep(60)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await bench.board.stopped()
        assert bench.pins["reset_released"] == bench.pins["power_on"] == 0
        assert bench.pins["fan_percent"] == 100
        assert bench.wires.open_lines == 0

    run_virtual(main())


def test_made_safe_without_a_rig() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.mine()
        await asyncio.sleep(60)
        bench.wires.unplug()
        await bench.board.stopped()
        bench.wires.is_plugged = True
        await make(plug_of(bench.wires)).secure()
        assert bench.pins["reset_released"] == bench.pins["power_on"] == 0
        assert bench.pins["temperature_c"] < 51
        assert bench.wires.open_lines == 0

    run_virtual(main())


def test_its_voltage_never_passes_its_limit() -> None:
    async def main() -> None:
        bench = Bench()
        with pytest.raises(ValueError, match="core_voltage_max_v"):
            bench.board.adjust("core_voltage", 1.16)
        bench.plug.settings["core_voltage"] = 1.16  # from an older configuration
        with pytest.raises(ValueError, match="core_voltage_max_v"):
            make(bench.plug)
        allowed = Bench(options={"core_voltage_max_v": "1.2"})
        for volts in (1.21, 1.3):
            with pytest.raises(ValueError, match="core_voltage_max_v"):
                allowed.board.adjust("core_voltage", volts)
        allowed.board.adjust("core_voltage", 1.2)
        await allowed.mine()
        assert 1.19 < allowed.pins["volts"] <= 1.2
        assert max(pins["volts"] for pins in allowed.emulator.seen) <= 1.2
        await allowed.end()
        for wrong in ("2", "0.5", "much"):
            with pytest.raises(ValueError, match="core_voltage_max_v"):
                Bench(options={"core_voltage_max_v": wrong})

    run_virtual(main())


def test_the_fan_keeps_its_target() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.mine()
        for target in (60.0, 50.0):
            bench.board.adjust("fan_target_c", target)
            await asyncio.sleep(300)
            assert bench.pins["temperature_c"] == pytest.approx(target, abs=2)
        await bench.end()

    run_virtual(main())


def test_it_blinks() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.mine()
        bench.board.identify()
        await bench.until(lambda: bench.emulator.led == b"\xff\xff\xff", 5)
        await bench.until(lambda: bench.emulator.led == bytes(3), 5)
        await bench.end()

    run_virtual(main())


@pytest.mark.parametrize("board", ["gamma", "emberone"])
def test_damage_on_the_control_port_does_not_stop_it(board: str) -> None:
    async def main() -> None:
        bench = Bench(board)
        plan = FaultPlan(seed=7, port=0, flip=0.0005, drop=0.0005, duplicate=0.0005)
        bench.wires.emulator = FaultyBoard(bench.emulator, [plan])
        bench.board.start(bench.sink)
        await bench.reaches(DeviceState.READY)
        bench.sink.give(random_work(1, bench.board.ticket))
        await asyncio.sleep(600)
        assert bench.sink.comm_errors > 20
        assert len(bench.sink.found) > 400
        assert bench.sink.wrong == 0
        assert DeviceState.DEAD not in bench.states
        bench.wires.emulator = bench.emulator
        await bench.end()
        assert bench.pins["reset_released"] == 0

    run_virtual(main())
