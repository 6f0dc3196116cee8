"""A board's life when things happen at the wrong moment, on the loop's virtual clock."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import pytest
from board_sink import RecordingSink, random_work
from toy_driver import START_UP_S, Lines, ToyDriver, started, told, toy_plug
from virtual_time import run_virtual

from sv2rig.boards.life import SECURE_S
from sv2rig.boards.line import BoardError, LineError, LineLostError
from sv2rig.boards.turns import Turns
from sv2rig.devices.device import DeviceState
from sv2rig.devices.start_order import StartOrder
from sv2rig.devices.supervisor_limits import SupervisorLimits
from sv2rig.devices.thermal import ThermalLimits

S = DeviceState
AT_ONCE_S = 0.001


class Bench:
    """A toy board, its lines and what it said."""

    def __init__(self, ports: tuple[str, ...] = ("toy:0",)) -> None:
        self.lines = Lines()
        self.plug = toy_plug(self.lines, ports)
        self.board = ToyDriver(self.plug, len(ports))
        self.sink: RecordingSink

    async def until(self, state: DeviceState) -> None:
        self.sink = started(self.board)
        await self.sink.state(state)

    async def ends(self, within_s: float) -> float:
        """The board's end comes; after how long."""
        began = self.board.now()
        async with asyncio.timeout(within_s):
            await self.board.stopped()
        assert not self.lines.still_open
        return self.board.now() - began

    def again(self) -> ToyDriver:
        """The next Board of the same plug, as after a replug."""
        self.board = ToyDriver(self.plug)
        return self.board


def on_clock(main: Coroutine[Any, Any, None]) -> None:
    run_virtual(main)


def test_a_stop_during_start_up_is_prompt_and_leaves_it_safe() -> None:
    async def main() -> None:
        bench = Bench()
        bench.board.up.seconds = 50.0
        await bench.until(S.INIT)
        await asyncio.sleep(START_UP_S / 2)
        bench.board.stop()
        assert await bench.ends(within_s=1) < AT_ONCE_S
        assert not bench.board.up.ended
        assert len(bench.board.safe.ended) == 2, "before the start-up, and at the end"
        assert set(told(bench.sink)) == {S.INIT}

    on_clock(main())


def test_a_stop_while_it_waits_for_its_turn() -> None:
    async def main() -> None:
        bench = Bench()
        turns = bench.plug.turns = Turns(StartOrder(1000.0))
        assert await turns.take("other", "1-9", 1.0)
        await bench.until(S.INIT)
        assert bench.sink.states[-1][1] == "waits its turn: boards start one after another"
        await asyncio.sleep(200)  # longer than a start-up may take
        bench.board.stop()
        assert await bench.ends(within_s=1) < AT_ONCE_S
        assert not bench.board.up.began
        assert not bench.lines.all, "nothing was done to it"
        assert set(told(bench.sink)) == {S.INIT}

    on_clock(main())


def test_a_board_that_its_hub_cannot_supply_says_so() -> None:
    async def main() -> None:
        bench = Bench()
        bench.plug.turns = Turns(StartOrder(0.0, hub_watts=4.0))
        await bench.until(S.INIT)
        await asyncio.sleep(1)
        assert "needs 5 W, all of hub 1 may draw 4 W" in bench.sink.states[-1][1]
        bench.board.stop()
        await bench.ends(within_s=1)

    on_clock(main())


@pytest.mark.parametrize("waits_in", ["turn", "make_safe", "start_up", "poll", "apply"])
def test_an_unplug_ends_it_at_once_whatever_it_waits_for(waits_in: str) -> None:
    """Its line says nothing: only the hotplug has seen it go."""

    async def main() -> None:
        bench = Bench()
        board = bench.board
        if waits_in == "turn":
            bench.plug.turns = Turns(StartOrder(1000.0))
            assert await bench.plug.turns.take("other", "1-9", 1.0)
        steps = {"make_safe": board.safe, "start_up": board.up}
        late = {"poll": board.read, "apply": board.set}
        if waits_in in steps:
            steps[waits_in].seconds = 9.0
        await bench.until(S.READY if waits_in in late else S.INIT)
        if waits_in in late:
            late[waits_in].seconds = 9.0
            board.adjust("frequency", 300)
        await asyncio.sleep(2.0)
        board.unplugged()
        assert await bench.ends(within_s=1) < AT_ONCE_S
        assert told(bench.sink)[-1] is S.LOST
        assert board.is_lost

    on_clock(main())


def test_an_unplug_of_a_sick_or_dead_board_is_seen_at_once() -> None:
    async def main() -> None:
        for state in (S.SICK, S.DEAD):
            bench = Bench()
            bench.board.up.fault = BoardError("it does not answer")
            await bench.until(state)
            await asyncio.sleep(0.5)
            bench.board.unplugged()
            assert await bench.ends(within_s=1) < AT_ONCE_S
            assert told(bench.sink)[-1] is S.LOST

    on_clock(main())


def test_an_unplug_while_it_is_made_safe_after_a_fault() -> None:
    async def main() -> None:
        bench = Bench()
        bench.board.up.fault = BoardError("it does not answer")
        await bench.until(S.INIT)
        bench.board.safe.seconds = 9.0
        await bench.sink.state(S.SICK)
        await asyncio.sleep(1.0)
        bench.board.unplugged()
        assert await bench.ends(within_s=1) < AT_ONCE_S
        assert told(bench.sink)[-1] is S.LOST

    on_clock(main())


def test_a_board_that_is_back_waits_until_the_one_before_it_has_let_go() -> None:
    """Its end takes a while; the next Board of the same plug must not be told of it."""

    async def main() -> None:
        bench = Bench()
        first = bench.board
        await bench.until(S.READY)
        first.safe.seconds = 5.0
        first.stop()
        await asyncio.sleep(1.0)
        second = bench.again()
        await bench.until(S.READY)
        assert second.up.began[0] >= first.safe.ended[-1]
        assert bench.plug.supervisor.state is S.READY
        second.stop()
        await bench.ends(within_s=1)

    on_clock(main())


def test_a_stop_of_the_old_board_does_not_cost_the_new_one_its_turn() -> None:
    async def main() -> None:
        bench = Bench()
        bench.plug.turns = Turns(StartOrder(10.0))
        old = bench.board
        await bench.until(S.READY)
        old.unplugged()
        new = bench.again()
        began = new.now()
        sink = started(new)
        await asyncio.sleep(1.0)
        old.stop()  # as the fleet does for whoever was superseded
        await sink.state(S.READY)
        assert new.now() - began <= 10 + START_UP_S
        new.stop()
        await bench.ends(within_s=1)

    on_clock(main())


@pytest.mark.parametrize(
    "fault",
    [
        BoardError("sensor"),
        LineError("port"),
        TimeoutError("a driver's own"),
        ZeroDivisionError("a bug"),
    ],
    ids=lambda fault: type(fault).__name__,
)
@pytest.mark.parametrize("where", ["read", "set", "up", "safe"])
def test_what_a_step_raises_is_a_fault_of_the_board(where: str, fault: Exception) -> None:
    """It is reset with longer and longer waits, then DEAD, then tried hourly; well again once it
    does not fail any more."""

    async def main() -> None:
        bench = Bench()
        board = bench.board
        step = {"read": board.read, "set": board.set, "up": board.up, "safe": board.safe}[where]
        if where in ("read", "set"):
            await bench.until(S.READY)
        if where == "set":
            board.adjust("frequency", 300)
        step.fault = fault
        if where in ("up", "safe"):
            await bench.until(S.SICK)
        await bench.sink.state(S.SICK)
        reason = next(reason for state, reason in bench.sink.states if state is S.SICK)
        assert str(fault) in reason
        assert ("please report it" in reason) == isinstance(fault, ZeroDivisionError)
        if where == "set":  # tried once; the setting stays
            await asyncio.sleep(5)
        else:
            await bench.sink.state(S.DEAD)
            tries = board.up.began if where != "safe" else board.safe.began
            waits = [round(b - a) for a, b in itertools.pairwise(tries)]
            if where == "up":
                assert waits == [3, 4, 6, 10, 18], "1, 2, 4, 8 and 16 s, and the start-up's 2"
            step.fault = None
            dead = board.now()
            bench.sink.states.clear()
            await bench.sink.state(S.READY)
            assert 3500 <= board.now() - dead <= 3700
        assert bench.plug.supervisor.state is S.READY
        board.stop()
        await bench.ends(within_s=1)

    on_clock(main())


@pytest.mark.parametrize("call", ["assign", "received", "on_time"])
def test_a_fault_in_an_engine_is_its_boards_and_not_its_callers(call: str) -> None:
    async def main() -> None:
        bench = Bench()
        board = bench.board
        await bench.until(S.READY)
        board.toy.fault = ZeroDivisionError("in the engine")
        if call == "assign":
            bench.sink.give(random_work(1, board.ticket))
        elif call == "received":
            bench.lines.all[-1].on_data(b"x")
        else:
            board._on_timer()
        await bench.sink.state(S.SICK)
        assert "ZeroDivisionError('in the engine')" in bench.sink.states[-1][1]
        bench.sink.states.clear()
        await bench.sink.state(S.READY)
        if call == "assign":
            assert board.toy.given == [bench.sink.works[1]], "what it was given is not lost"
        board.stop()
        await bench.ends(within_s=1)

    on_clock(main())


def test_a_hanging_step_is_a_fault() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.until(S.READY)
        bench.board.read.seconds = 1e6
        await bench.sink.state(S.SICK, within_s=15)
        assert "no end within 10 s" in bench.sink.states[-1][1]
        bench.board.read.seconds = 0.0
        bench.board.up.seconds = 1e6
        await bench.sink.state(S.RESETTING)
        bench.sink.states.clear()
        await bench.sink.state(S.SICK, within_s=90)
        assert "start-up: no end within 60 s" in bench.sink.states[-1][1]
        bench.board.stop()
        await bench.ends(within_s=1)

    on_clock(main())


def test_hanging_while_it_is_made_safe_at_the_end_does_not_last_for_ever() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.until(S.READY)
        bench.board.safe.seconds = 1e6
        bench.board.stop()
        assert await bench.ends(within_s=80) > 60
        state, reason = bench.sink.states[-1]
        assert state is S.DEAD
        assert "not known to be safe" in reason

    on_clock(main())


def test_a_board_that_cannot_be_made_safe_is_tried_again_and_said_once() -> None:
    async def main() -> None:
        bench = Bench()
        bench.plug.limits = replace(bench.plug.limits, max_resets=0)
        bench.plug.__post_init__()
        bench.board.safe.fault = BoardError("no answer")
        await bench.until(S.DEAD)
        await asyncio.sleep(120)
        assert len(bench.board.safe.began) > 8
        alarms = [reason for _, reason in bench.sink.states if "NOT KNOWN TO BE SAFE" in reason]
        assert len(alarms) == 1
        bench.board.stop()
        await bench.ends(within_s=SECURE_S)

    on_clock(main())


def test_ports_are_opened_all_or_none() -> None:
    async def main() -> None:
        bench = Bench(("toy:0", "toy:1"))
        bench.lines.refuse["toy:1"] = LineError("toy:1 is in use by another program")
        await bench.until(S.SICK)
        await asyncio.sleep(0.5)
        assert not bench.lines.still_open
        assert "in use" in bench.sink.states[-1][1]
        bench.lines.refuse.clear()
        bench.sink.states.clear()
        await bench.sink.state(S.READY)
        assert len(bench.lines.still_open) == 2
        bench.board.stop()
        await bench.ends(within_s=1)

    on_clock(main())


def test_a_port_that_vanishes_before_it_is_opened_is_a_lost_board() -> None:
    async def main() -> None:
        bench = Bench()
        bench.lines.refuse["toy:0"] = LineLostError("toy:0 is not there (any more)")
        await bench.until(S.LOST)
        assert await bench.ends(within_s=1) < AT_ONCE_S
        assert bench.board.is_lost

    on_clock(main())


@pytest.mark.parametrize("looks_until_moved", [0, 1])
def test_a_tty_name_that_is_anothers_by_now_gets_no_byte(looks_until_moved: int) -> None:
    async def main() -> None:
        bench = Bench()
        looks = iter([True] * looks_until_moved)
        bench.plug.still_there = lambda _sighting: next(looks, False)
        await bench.until(S.LOST)
        await bench.ends(within_s=1)
        assert len(bench.lines.all) == looks_until_moved
        assert not bench.board.safe.began
        assert "not at 1-1 any more" in bench.sink.states[-1][1]

    on_clock(main())


def test_work_given_on_ready_goes_to_the_engine_once() -> None:
    async def main() -> None:
        bench = Bench()
        board = bench.board
        before, on_ready = random_work(1, board.ticket), random_work(2, board.ticket, 2)

        class Gives(RecordingSink):
            def state_changed(self, device_id: str, state: DeviceState, reason: str) -> None:
                super().state_changed(device_id, state, reason)
                if state is S.READY:
                    self.give(on_ready)

        bench.sink = Gives(board)
        bench.sink.give(before)
        board.start(bench.sink)
        await bench.sink.state(S.READY)
        await asyncio.sleep(1)
        assert board.toy.given == [on_ready]
        board.stop()
        await bench.ends(within_s=1)

    on_clock(main())


def test_a_safe_off_says_that_a_board_does_not_answer() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.board.secure()
        assert len(bench.board.safe.ended) == 1
        assert not bench.lines.still_open
        bench.board.safe.seconds = 1e6
        with pytest.raises(BoardError, match="does not answer within 10 s"):
            await bench.board.secure()
        assert not bench.lines.still_open
        bench.lines.refuse["toy:0"] = LineError("no permission")
        with pytest.raises(LineError, match="no permission"):
            await bench.board.secure()

    on_clock(main())


def test_a_board_is_told_what_to_do_in_make_safe_by_its_own_answers() -> None:
    """After a fault what the line says is the driver's again, not the engine's."""

    async def main() -> None:
        bench = Bench()
        board = bench.board
        await bench.until(S.READY)
        bench.lines.all[-1].on_data(b"nonce")
        board.read.fault = BoardError("sensor")
        board.safe.seconds = 1.0
        await bench.sink.state(S.SICK)
        talk = board.talks[0]
        bench.lines.all[-1].on_data(b"answer")
        assert await talk.read(0.1) == b"answer"
        assert board.toy.data == b"nonce"
        board.stop()
        await bench.ends(within_s=5)

    on_clock(main())


def test_while_it_cools_a_missing_reading_is_never_cool_and_no_new_fault() -> None:
    async def main() -> None:
        bench = Bench()
        board = bench.board
        board.watch_heat(ThermalLimits(throttle_c=30, cooldown_c=39, cooled_c=20, resume_c=25))
        await bench.until(S.COOLDOWN)  # it says 40 °C
        board.read.fault = BoardError("sensor")
        await asyncio.sleep(300)
        assert bench.plug.supervisor.state is S.COOLDOWN
        assert len(board.safe.began) == 2, "it is safe: once is enough"
        board.stop()
        await bench.ends(within_s=1)

    on_clock(main())


def test_silence_is_a_reset_and_after_five_the_board_is_dead_for_an_hour() -> None:
    async def main() -> None:
        bench = Bench()
        bench.plug.limits = SupervisorLimits()
        await bench.until(S.READY)
        bench.sink.give(random_work(1, bench.board.ticket))
        await bench.sink.state(S.DEAD)
        resets = told(bench.sink).count(S.RESETTING)
        assert resets == 5
        first = next(reason for state, reason in bench.sink.states if state is S.SICK)
        assert first.startswith("no nonce for 10 s of work")
        starts = bench.board.up.began
        gaps = [b - a for a, b in itertools.pairwise(starts)]
        assert gaps == pytest.approx([10 + 2 + wait for wait in (1, 2, 4, 8, 16)], abs=1.5)
        dead = bench.board.now()
        while len(bench.board.up.began) == 6:
            await asyncio.sleep(10)
        assert bench.board.up.began[-1] - dead == pytest.approx(3600, abs=2)
        bench.board.stop()
        await bench.ends(within_s=1)

    on_clock(main())
