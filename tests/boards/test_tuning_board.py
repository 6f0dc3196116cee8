"""A board looks for its best frequency while it mines: a Bitaxe against its emulator, whose power
grows with its clock, on the loop's virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from board_sink import RecordingSink, plug_of, random_work
from memory_board import EmulatedBoard
from virtual_time import run_virtual

from sv2rig.boards.plug import Plug
from sv2rig.devices.device import DeviceState, Tunable
from sv2rig.drivers.bitaxe_raw.driver import make
from sv2rig.drivers.bitaxe_raw.emulator import BOARDS, EmulatedControlBoard
from sv2rig.drivers.bm13xx.driver import DRIVER as CHAINS
from sv2rig.drivers.bm13xx.emulator import EMULATOR as CHAIN
from sv2rig.emulation.emulator import EmulatorOptions
from sv2rig.rig.knobs import recall
from sv2rig.rig.tuning_records import TuningRecords

# Twenty nonces a second at 525 MHz.
EMULATED = EmulatorOptions(ticket_bits=8, rate_hs=5000.0)
QUICK = {"step_mhz": 50.0, "measure_s": 60.0, "samples": 1000.0, "settle_s": 20.0}


class Bench:
    """A Bitaxe Gamma, or another, that mines at 500 MHz."""

    def __init__(self, model: str = "gamma") -> None:
        self.emulator = EmulatedControlBoard(BOARDS[model], EMULATED)
        self.wires = EmulatedBoard(self.emulator)
        self.plug: Plug = plug_of(self.wires)
        self.plug.settings["frequency"] = 500.0
        self.plug_in()

    def plug_in(self) -> None:
        self.board = make(self.plug)
        self.sink = RecordingSink(self.board)
        self.board.start(self.sink)

    async def mine(self) -> None:
        await self.sink.state(DeviceState.READY)
        self.sink.give(random_work(1, self.board.ticket))
        await asyncio.sleep(5)

    @property
    def record(self) -> dict[str, Any]:
        assert self.plug.tuning is not None
        return self.plug.tuning

    @property
    def points(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.record["state"]["points"]
        return found

    def clocks(self) -> list[float]:
        return [point["mhz"] for point in self.points]

    async def until(self, holds: Callable[[], object], within_s: float = 3600) -> None:
        async with asyncio.timeout(within_s):
            while not holds():
                await asyncio.sleep(1)

    async def tuned(self) -> None:
        await self.until(lambda: self.record["done"])
        await asyncio.sleep(10)

    async def end(self) -> None:
        self.board.stop()
        await self.board.stopped()


def test_the_most_hashes_within_a_limit_of_power() -> None:
    async def main() -> None:
        bench = Bench()
        assert isinstance(bench.board, Tunable)
        await bench.mine()
        bench.board.tune("hashrate", {**QUICK, "maximum_power_w": 16.5})
        await bench.tuned()
        assert bench.clocks() == [500, 450]
        assert "limit 16.5" in bench.points[0]["unstable"]
        assert bench.board.setting("frequency") == 450
        assert bench.emulator.pins()["mhz"] == pytest.approx(450, abs=1)
        assert bench.points[1]["rate_hs"] == pytest.approx(5000 * 450 / 525, rel=0.15)
        assert any("tuned for hashrate: 450 MHz" in reason for _, reason in bench.sink.states)
        await bench.end()

    run_virtual(main())


def test_the_best_efficiency_where_power_is_known() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.mine()
        bench.board.tune("efficiency", {**QUICK, "minimum_mhz": 400, "maximum_mhz": 600})
        await bench.tuned()
        assert {500, 550, 600} <= set(bench.clocks()) <= {400, 450, 500, 550, 600}
        for point in bench.points:
            watts = 1.5 + 17 * (1.148 / 1.15) ** 2 * point["mhz"] / 525
            assert point["power_w"] == pytest.approx(watts, rel=0.02)
        best = bench.board.setting("frequency")
        assert best in bench.clocks()
        assert any("J/TH" in reason for _, reason in bench.sink.states)
        await bench.end()

    run_virtual(main())


def test_efficiency_is_refused_where_power_is_not_known() -> None:
    async def main() -> None:
        bench = Bench("emberone")
        await bench.mine()
        with pytest.raises(ValueError, match="no power reading"):
            bench.board.tune("efficiency", QUICK)
        bench.board.tune("hashrate", QUICK)
        await bench.end()
        chain = CHAINS.make(plug_of(EmulatedBoard(CHAIN.make(EMULATED))))
        assert isinstance(chain, Tunable)
        with pytest.raises(ValueError, match="no power reading"):
            chain.tune("efficiency", {})

    run_virtual(main())


def test_limits_that_make_no_sense() -> None:
    async def main() -> None:
        bench = Bench()
        with pytest.raises(ValueError, match="has not run yet"):
            bench.board.tune("hashrate", {})
        await bench.mine()
        for limits, words in (
            ({"megahertz": 500}, "minimum_mhz, maximum_mhz"),
            ({"minimum_mhz": 700, "maximum_mhz": 600}, "must be within"),
            ({"step_mhz": 0}, "step_mhz"),
        ):
            with pytest.raises(ValueError, match=words):
                bench.board.tune("hashrate", limits)
        with pytest.raises(ValueError, match="beauty"):
            bench.board.tune("beauty", {})
        assert bench.plug.tuning is None
        await bench.end()

    run_virtual(main())


def test_a_frequency_that_is_too_hot_is_not_chosen() -> None:
    async def main() -> None:
        bench = Bench()
        bench.emulator.ambient = 45.5
        await bench.mine()
        bench.board.tune("hashrate", {**QUICK, "measure_s": 120.0})
        await bench.tuned()
        assert bench.clocks()[:2] == [500, 550]
        assert "too hot" in bench.points[-1]["unstable"]
        assert bench.board.setting("frequency") == bench.clocks()[-2]
        assert bench.plug.supervisor.failures == 0
        await bench.end()

    run_virtual(main())


def test_it_goes_on_after_an_unplug_and_measures_nothing_twice() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.mine()
        limits = {**QUICK, "minimum_mhz": 400.0, "maximum_mhz": 650.0}
        bench.board.tune("hashrate", limits)
        await bench.until(lambda: len(bench.points) == 2)
        await asyncio.sleep(30)
        before = list(bench.points)
        bench.wires.unplug()
        await bench.board.stopped()
        await asyncio.sleep(600)
        bench.wires.plug_in()
        bench.plug_in()
        await bench.mine()
        assert bench.points == before
        await bench.tuned()
        assert bench.points[:2] == before
        assert bench.clocks() == [500, 550, 600, 650]
        assert bench.board.setting("frequency") == 650
        await bench.end()

    run_virtual(main())


def test_without_work_nothing_is_measured() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.mine()
        bench.board.tune("hashrate", {**QUICK, "maximum_mhz": 500})
        await asyncio.sleep(40)
        bench.board.assign(None)  # the pool is away
        await asyncio.sleep(700)
        assert bench.points == []
        bench.sink.give(random_work(2, bench.board.ticket, work_id=2))
        await bench.tuned()
        assert bench.clocks() == [500]
        assert bench.points[0]["unstable"] is None
        await bench.end()

    run_virtual(main())


def test_a_person_who_sets_the_frequency_ends_it_and_it_can_go_on() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.mine()
        limits = {**QUICK, "maximum_mhz": 600.0}
        bench.board.tune("hashrate", limits)
        await bench.until(lambda: len(bench.points) == 1)
        bench.board.adjust("frequency", 425.0)
        await asyncio.sleep(300)
        assert bench.emulator.pins()["mhz"] == pytest.approx(425, abs=1)
        assert len(bench.points) == 1
        bench.wires.unplug()
        await bench.board.stopped()
        bench.wires.plug_in()
        bench.plug_in()
        await bench.mine()
        await asyncio.sleep(300)
        assert len(bench.points) == 1
        bench.board.tune("hashrate", limits)
        await bench.tuned()
        assert bench.clocks() == [500, 550, 600]
        await bench.end()

    run_virtual(main())


def test_a_rig_that_is_restarted_goes_on_and_keeps_what_was_found(tmp_path: Path) -> None:
    troubles: list[str] = []

    def restarted(bench: Bench) -> None:
        """All but the board itself is new."""
        records = TuningRecords(tmp_path / "state", lambda _id, text: troubles.append(text))
        bench.plug = plug_of(bench.wires)
        bench.plug.tuning = records.load(bench.plug.device_id)
        bench.plug.keep_tuning = partial(records.keep, bench.plug.device_id)
        bench.plug_in()

    async def main() -> None:
        bench = Bench()
        await bench.end()
        restarted(bench)
        assert bench.plug.tuning is None
        await bench.mine()
        bench.board.tune("hashrate", {**QUICK, "start_mhz": 500.0, "maximum_mhz": 600.0})
        await bench.until(lambda: len(bench.points) == 2)
        before = list(bench.points)
        await bench.end()
        restarted(bench)
        await bench.mine()
        await bench.tuned()
        assert bench.points[:2] == before
        assert bench.clocks() == [500, 550, 600]
        await bench.end()
        restarted(bench)
        await bench.mine()
        assert bench.emulator.pins()["mhz"] == pytest.approx(600, abs=1)
        bench.board.adjust("frequency", 475.0)
        await bench.end()
        restarted(bench)
        await bench.mine()
        assert bench.emulator.pins()["mhz"] == pytest.approx(525, abs=1)
        await bench.end()
        assert troubles == []

    run_virtual(main())


def test_what_is_set_holds_until_a_search_has_chosen_and_then_from_the_next_set_on() -> None:
    def restarted(bench: Bench, kept_mhz: float) -> None:
        """A rig's next life, with what the user set before and the board's record."""
        record = bench.record
        bench.plug = plug_of(bench.wires)
        bench.plug.tuning = record
        bench.board = make(bench.plug)
        assert recall(bench.board, {"frequency": kept_mhz}) == []
        bench.sink = RecordingSink(bench.board)
        bench.board.start(bench.sink)

    async def main() -> None:
        bench = Bench()
        await bench.mine()
        bench.board.tune("hashrate", {**QUICK, "maximum_mhz": 600.0})
        await bench.until(lambda: len(bench.points) == 1)
        await bench.end()
        restarted(bench, 500.0)
        await bench.mine()
        assert bench.record["active"], "the kept setting does not end it"
        await bench.tuned()
        await bench.end()
        restarted(bench, 500.0)
        await bench.mine()
        assert bench.emulator.pins()["mhz"] == pytest.approx(600, abs=1)
        bench.board.adjust("frequency", 500.0)
        await bench.end()
        restarted(bench, 500.0)
        await bench.mine()
        assert bench.emulator.pins()["mhz"] == pytest.approx(500, abs=1)
        await bench.end()

    run_virtual(main())


def test_a_damaged_record_is_told_and_left_alone(tmp_path: Path) -> None:
    troubles: list[str] = []
    records = TuningRecords(tmp_path, lambda _id, text: troubles.append(text))
    for content in (b"", b"{", b"[]", b'{"goal": 1}'):
        (tmp_path / "test%3A1.json").write_bytes(content)
        assert records.load("test:1") is None
    assert len(troubles) == 4
    (tmp_path / "test%3A1.json").write_bytes(
        b'{"goal":"hashrate","limits":{},"state":{"version":9},"done":false,"active":true}'
    )

    async def main() -> None:
        bench = Bench()
        await bench.end()
        bench.plug.tuning = records.load("test:1")
        bench.plug_in()
        assert bench.plug.tuning is None
        await bench.mine()
        await bench.end()
        blocked = TuningRecords(tmp_path / "test%3A1.json", lambda _id, text: troubles.append(text))
        blocked.keep("test:1", {})
        assert "cannot be kept" in troubles[-1]

    run_virtual(main())
