"""Boards that come and go in a running rig, with a toy driver whose steps a test decides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise

import pytest
from boards_in_rig import plugged
from memory_net import MemoryNet
from rig_on_pool import Clock, Run
from toy_driver import FREQUENCY, Lines, ToyDriver, toy_plug
from virtual_time import run_virtual

from sv2rig.boards.board import Plug
from sv2rig.boards.driver import Driver
from sv2rig.boards.line import BoardError, LineError, LineLostError
from sv2rig.boards.ports import Change
from sv2rig.devices.detection import OptIn
from sv2rig.devices.sighting import Port, Sighting
from sv2rig.rig.board_choice import BoardChoice
from sv2rig.rig.hotplug import BoardPlan, Hotplug

PROMPTLY_S = 0.02


class Scene:
    """A rig without a pool, toy boards, and what is seen of them. `made` are all Boards made, by
    USB path; `prepare` is called with each."""

    def __init__(self) -> None:
        self.lines = Lines()
        self.made: dict[str, list[ToyDriver]] = {}
        self.there: dict[str, Sighting] = {}
        self.faults: dict[str, Exception] = {}  # of making the board
        self.steps: dict[str, tuple[str, Exception]] = {}  # which step raises what
        self._news: asyncio.Queue[Change] = asyncio.Queue()
        self.run = Run([], MemoryNet().connect, Clock(), waits_for_devices=True)

    def make(self, plug: Plug) -> ToyDriver:
        where = plug.sighting.usb_path
        if where in self.faults:
            raise self.faults[where]
        board = ToyDriver(plug)
        if where in self.steps:
            step, fault = self.steps[where]
            getattr(board, step).fault = fault
        self.made.setdefault(where, []).append(board)
        return board

    def plug_in(self, *usb_paths: str, serial: str | None = None) -> None:
        emulator = toy_plug(self.lines).sighting.emulator
        added = [
            Sighting(path, serial=serial, ports=(Port(f"toy:{path}"),), emulator=emulator)
            for path in usb_paths
        ]
        self.there |= {one.usb_path: one for one in added}
        self._news.put_nowait(Change(tuple(added), ()))

    def unplug(self, *usb_paths: str) -> None:
        self._news.put_nowait(Change((), tuple(self.there.pop(path) for path in usb_paths)))

    def tell(self, added: Sighting, removed: Sighting) -> None:
        self._news.put_nowait(Change((added,), (removed,)))

    async def changes(self) -> AsyncGenerator[Change, None]:
        while True:
            yield await self._news.get()

    def is_still_there(self, sighting: Sighting) -> bool:
        return self.there.get(sighting.usb_path) == sighting

    @property
    def pool_lines(self) -> int:
        """Of the pool that is not there."""
        return len(self.run.lines.with_words("connection refused"))

    def state(self, usb_path: str) -> str:
        return next(
            (one.state for one in self.run.rig._picture().devices if one.id == f"toy:{usb_path}"),
            "",
        )

    async def sees(self, usb_path: str, state: str, within_s: float = 10.0) -> None:
        await self.run.sees(lambda: self.state(usb_path) == state, within_s)


@asynccontextmanager
async def scene(*names: str, start_interval_s: float = 0.0) -> AsyncIterator[Scene]:
    """The boards of these USB paths or serial numbers are the user's."""
    made = Scene()
    driver = Driver("toy", "a toy", made.make, settings=(FREQUENCY,))
    named = [BoardChoice(OptIn(name, "toy")) for name in names]
    plan = BoardPlan({"toy": driver}, named, True, start_interval_s)
    hotplug = Hotplug(made.run.rig, plan, made, made.lines.open)
    async with plugged(hotplug):
        await asyncio.sleep(1)
        yield made
        if not made.run.task.done():
            await made.run.stop()
        assert not made.lines.still_open
    left = [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("toy:")]
    assert not left


@pytest.mark.parametrize("fault", [ValueError("no such model"), KeyError("a bug")])
def test_a_board_that_cannot_be_made_is_one_line_and_no_end_of_the_watch(fault: Exception) -> None:
    async def main() -> None:
        async with scene("1-1", "1-2") as at:
            at.faults["1-1"] = fault
            at.plug_in("1-1", "1-2")
            await at.sees("1-2", "READY")
            [line] = at.run.lines.with_words("not used")
            assert str(fault) in line
            assert ("please report it" in line) == isinstance(fault, KeyError)
            del at.faults["1-1"]
            at.unplug("1-1")
            at.plug_in("1-1")
            await at.sees("1-1", "READY")

    run_virtual(main())


def test_a_line_that_fails_while_its_port_stays_is_tried_ever_more_rarely() -> None:
    async def main() -> None:
        async with scene("1-1") as at:
            at.lines.refuse["toy:1-1"] = LineLostError("toy:1-1 is not there (any more)")
            at.plug_in("1-1")
            await asyncio.sleep(600)
            tries = len(at.made["1-1"])
            assert tries == 13, "after 5, 10, 20, 40, 60, 60 ... s"
            assert len(at.run.lines.of("error", "warning")) - at.pool_lines <= 30
            at.lines.refuse.clear()
            await at.sees("1-1", "READY", 61)
            await asyncio.sleep(61)
            began = asyncio.get_running_loop().time()
            at.lines.still_open[-1].on_lost("hung up")
            await at.sees("1-1", "LOST")
            await at.sees("1-1", "READY")
            assert asyncio.get_running_loop().time() - began < 5 + 3

    run_virtual(main())


def test_a_drivers_fault_is_not_tried_every_few_seconds() -> None:
    async def main() -> None:
        async with scene("1-1", "1-2") as at:
            at.steps["1-1"] = ("up", ZeroDivisionError("a bug"))
            at.plug_in("1-1", "1-2")
            await asyncio.sleep(1800)
            assert at.state("1-1") == "DEAD"
            assert at.state("1-2") == "READY"
            assert len(at.made["1-1"]) == 1
            assert len(at.made["1-1"][0].up.began) == 6
            assert len(at.run.lines.of("error", "warning")) - at.pool_lines < 15
            at.unplug("1-1")
            await at.sees("1-1", "LOST", PROMPTLY_S)
            at.steps.clear()
            at.plug_in("1-1")
            await at.sees("1-1", "READY", 65)

    run_virtual(main())


@pytest.mark.parametrize("state", ["SICK", "DEAD", "INIT"])
def test_an_unplug_is_seen_at_once_in_any_state(state: str) -> None:
    """INIT: while it waits for its turn."""

    async def main() -> None:
        async with scene("1-1", "1-2", start_interval_s=10.0) as at:
            at.plug_in("1-1")
            await at.sees("1-1", "READY")
            if state != "INIT":
                at.unplug("1-1")
                await at.sees("1-1", "LOST", PROMPTLY_S)
            at.steps["1-2"] = ("up", BoardError("it does not answer"))
            at.plug_in("1-2")
            await at.sees("1-2", state, 400)
            await asyncio.sleep(0.3)
            at.unplug("1-2")
            await at.sees("1-2", "LOST", PROMPTLY_S)

    run_virtual(main())


def test_the_rig_stops_while_boards_start_and_wait() -> None:
    async def main() -> None:
        paths = [f"1-{number}" for number in range(1, 9)]
        async with scene(*paths, start_interval_s=5.0) as at:
            at.plug_in(*paths)
            await asyncio.sleep(6.5)  # one runs, one starts, six wait
            assert at.state("1-1") == "READY"
            assert await at.run.stop() < 2
            starts = [len(boards[0].up.began) for boards in at.made.values()]
            assert starts == [1, 1, 0, 0, 0, 0, 0, 0]
            ended = [len(boards[0].safe.ended) for boards in at.made.values()]
            assert ended == [2, 2, 0, 0, 0, 0, 0, 0], "at their start and at the end"
            assert not at.run.lines.of("error", "warning") or not at.run.lines.with_words("LOST")

    run_virtual(main())


def test_a_board_that_comes_while_the_rig_stops_is_left_alone() -> None:
    async def main() -> None:
        async with scene("1-1", "1-2") as at:
            at.plug_in("1-1")
            await at.sees("1-1", "READY")
            at.made["1-1"][0].safe.seconds = 30.0  # it cools
            stopping = asyncio.create_task(at.run.stop())
            await asyncio.sleep(5)
            errors = at.run.lines.of("error")
            at.plug_in("1-2")
            await asyncio.sleep(1)
            assert not at.lines.all[1:], "it is not opened"
            assert at.run.lines.of("error") == errors
            assert await stopping > 30

    run_virtual(main())


def test_a_serial_number_is_the_same_board_in_any_port_with_its_settings() -> None:
    async def main() -> None:
        async with scene("S1", "1-2") as at:
            at.plug_in("1-1", serial="S1")
            at.plug_in("1-2")
            await at.sees("S1", "READY")
            await at.sees("1-2", "READY")
            at.made["1-1"][0].adjust("frequency", 111)
            at.made["1-2"][0].adjust("frequency", 222)
            at.unplug("1-1", "1-2")
            await at.sees("S1", "LOST")
            at.plug_in("1-3", serial="S1")  # in another port
            at.plug_in("1-1")  # a stranger where it was: it was never named
            at.plug_in("1-2")
            await at.sees("S1", "READY")
            await at.sees("1-2", "READY")
            assert at.made["1-3"][-1].setting("frequency") == 111
            assert at.made["1-2"][-1].setting("frequency") == 222
            assert len(at.made["1-1"]) == 1
            assert len(at.run.rig._picture().devices) == 2

    run_virtual(main())


def test_one_that_went_and_came_between_two_looks_lives_once() -> None:
    """The news says both at once; the old Board ends slowly, the new one waits for it."""

    async def main() -> None:
        async with scene("1-1") as at:
            at.plug_in("1-1")
            await at.sees("1-1", "READY")
            first = at.made["1-1"][0]
            first.read.seconds = 8.0
            await asyncio.sleep(1.5)
            before = at.there["1-1"]
            after = at.there["1-1"] = replace(before, ports=(Port("toy:new"),))
            at.tell(after, before)
            await at.run.sees(lambda: at.lines.all[-1].path == "toy:new", 10)
            await at.sees("1-1", "READY")
            assert at.lines.still_open == [at.lines.all[-1]]

    run_virtual(main())


def test_a_start_up_that_hangs_slows_no_other() -> None:
    """Seven others are ready as soon as without it, and their work comes as quickly."""

    async def main() -> None:
        paths = [f"1-{number}" for number in range(1, 9)]
        async with scene(*paths, start_interval_s=1.0) as at:
            at.steps["1-1"] = ("up", BoardError("late"))
            at.plug_in("1-1")
            await asyncio.sleep(0.5)
            at.made["1-1"][0].up.seconds = 1e6
            at.plug_in(*paths[1:])
            began = asyncio.get_running_loop().time()
            for path in paths[1:]:
                await at.sees(path, "READY", 15)
            assert asyncio.get_running_loop().time() - began < 7 * 1 + 2 + 1
            await asyncio.sleep(1200)
            assert {at.state(path) for path in paths[1:]} == {"READY"}
            ticks = at.made["1-2"][0].read.began
            assert max(two - one for one, two in pairwise(ticks)) < 1.01

    run_virtual(main())


def test_a_port_in_use_is_said_and_taken_when_it_is_free() -> None:
    async def main() -> None:
        async with scene("1-1") as at:
            at.lines.refuse["toy:1-1"] = LineError("toy:1-1 is in use by another program")
            at.plug_in("1-1")
            await at.sees("1-1", "SICK")
            assert at.run.lines.with_words("in use by another program")
            at.lines.refuse.clear()
            await at.sees("1-1", "READY", 65)

    run_virtual(main())
