"""A board's life: legal states only, patient resets, and a cut-off that only a person ends."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sv2rig.devices.decision import Decision
from sv2rig.devices.device import DeviceState as S
from sv2rig.devices.fault import FaultKind
from sv2rig.devices.supervisor import Supervisor
from sv2rig.devices.supervisor_limits import SupervisorLimits
from sv2rig.devices.thermal import Heat, HeatLevel

ALWAYS = {S.COOLDOWN, S.SICK, S.DEAD, S.LOST}
LEGAL = {
    S.INIT: {S.READY, S.MINING, S.THROTTLED} | ALWAYS,
    S.READY: {S.MINING, S.THROTTLED} | ALWAYS,
    S.MINING: {S.READY, S.THROTTLED} | ALWAYS,
    S.THROTTLED: {S.READY, S.MINING} | ALWAYS,
    S.COOLDOWN: {S.RESETTING, S.SICK, S.DEAD, S.LOST},
    S.SICK: {S.RESETTING, S.COOLDOWN, S.DEAD, S.LOST},
    S.RESETTING: {S.READY, S.MINING, S.THROTTLED} | ALWAYS,
    S.DEAD: {S.RESETTING, S.COOLDOWN, S.LOST},
    S.LOST: {S.INIT, S.COOLDOWN, S.SICK, S.DEAD},
}

NORMAL = Heat(HeatLevel.NORMAL, "")
THROTTLE = Heat(HeatLevel.THROTTLE, "78 °C, throttled to 90%", 0.9)
COOLDOWN = Heat(HeatLevel.COOLDOWN, "86 °C, limit 85; again at 60")
CUT_OFF = Heat(HeatLevel.CUT_OFF, "96 °C, cut-off at 95")


def mining(now: float = 0.0, limits: SupervisorLimits | None = None) -> Supervisor:
    """A board that mines at 1 GH/s, a nonce a second expected of it."""
    board = Supervisor(limits)
    board.opened(now)
    board.expect(now, 1e9, 1e9)
    board.started(now)
    board.work_sent(now)
    decision = board.on_time(now)
    assert decision is not None
    assert decision.state is S.MINING
    return board


def run(
    board: Supervisor,
    begin: float,
    end: float,
    each_second: Callable[[float], None] = lambda now: None,
) -> list[tuple[float, Decision]]:
    """Ask once a second, and where a reset is ordered, say that it worked and send work."""
    decisions = []
    now = begin
    while now <= end:
        each_second(now)
        decision = board.on_time(now)
        if decision is not None:
            decisions.append((now, decision))
            if decision.state is S.RESETTING:
                board.started(now)
                board.work_sent(now)
        now += 1.0
    return decisions


def test_from_opening_to_mining_and_back() -> None:
    board = Supervisor()
    assert board.next_timeout() is None
    steps: list[tuple[Callable[[], None], S]] = [
        (lambda: board.opened(1), S.INIT),
        (lambda: board.started(2), S.READY),
        (lambda: board.work_sent(3), S.MINING),
        (lambda: board.idle(4), S.READY),
        (lambda: board.heat(5, THROTTLE), S.THROTTLED),
        (lambda: board.work_sent(6), S.THROTTLED),
        (lambda: board.heat(7, NORMAL), S.MINING),
        (lambda: board.lost(8, "unplugged"), S.LOST),
    ]
    for now, (step, state) in enumerate(steps, 1):
        step()
        decision = board.on_time(now)
        assert board.state is state
        if state is not S.THROTTLED or now == 5:
            assert decision is not None
            assert decision.state is state
        assert board.on_time(now) is None, "a decision is handed out once"


def test_silence_is_noticed_at_twenty_nonces_due_and_not_before() -> None:
    board = mining()
    assert run(board, 1, 19) == []
    (when, decision), *_ = run(board, 20, 20)
    assert (when, decision.state) == (20, S.SICK)
    assert board.next_timeout() == 21
    assert decision.reason == (
        "no nonce for 20 s of work, in which 20 were due at 1 GH/s; reset 1 of 5 in 1 s"
    )
    assert board.faults == {FaultKind.SILENCE: 1}


def test_silence_waits_for_the_drivers_minimum() -> None:
    board = mining(limits=SupervisorLimits(silence_min_s=340, flatline_min_s=1000))
    assert run(board, 1, 339) == []
    assert run(board, 340, 340)[0][1].state is S.SICK


def test_a_board_without_work_or_without_an_expected_rate_is_never_silent() -> None:
    idle = mining()
    idle.idle(1)
    assert [d.state for _, d in run(idle, 1, 4000)] == [S.READY]
    unknown = mining()
    unknown.expect(0, None, 1e9)
    assert run(unknown, 1, 4000) == []


def test_time_in_which_nobody_listened_does_not_count_against_the_board() -> None:
    board = mining()
    for now in (3600.0, 7200.0, 10800.0):  # the host slept: 5 s each count
        assert board.on_time(now) is None
    board.solution(10801, True)
    assert run(board, 10802, 10815) == []


@pytest.mark.parametrize(("wrong_of_ten", "sick"), [(0, False), (3, False), (5, True)])
def test_bad_nonces_by_ratio(wrong_of_ten: int, sick: bool) -> None:
    board = mining(limits=SupervisorLimits(flatline_ratio=0.1))
    found = run(board, 1, 300, lambda now: board.solution(now, now % 10 >= wrong_of_ten))
    assert any("wrong" in d.reason for _, d in found) is sick


def test_bad_nonces_need_enough_samples() -> None:
    board = mining()
    assert run(board, 1, 49, lambda now: board.solution(now, False)) == []
    found = run(board, 50, 50, lambda now: board.solution(now, False))
    assert found[0][1].reason.startswith("50 of 50 nonces in 300 s were wrong")


@pytest.mark.parametrize(
    ("errors", "good", "sick"), [(19, 0, False), (20, 0, True), (20, 20, False)]
)
def test_comm_errors_by_ratio_and_samples(errors: int, good: int, sick: bool) -> None:
    board = mining()
    for _ in range(good):
        board.comm_ok(1)
    for _ in range(errors):
        board.comm_error(1)
    decision = board.on_time(2)
    assert (decision is not None) is sick
    assert board.faults[FaultKind.COMMUNICATION] == sick


def test_flatline_needs_a_low_rate_beyond_luck() -> None:
    def one_in(count: int) -> tuple[Supervisor, list[tuple[float, Decision]]]:
        board = mining()

        def each_second(now: float) -> None:
            if now % count == 0:
                board.solution(now, True)

        return board, run(board, 1, 3600, each_second)

    _, found = one_in(2)
    assert found == [], "half its rate is poor, but no flatline"
    fourth, found = one_in(4)
    assert found[0][1].reason.startswith("250 MH/s proved of 1 GH/s expected, in the last")
    assert FaultKind.FLATLINE in fourth.faults


def test_luck_alone_never_resets_a_good_board() -> None:
    rng = random.Random(3)
    board = mining()
    for second in range(1, 40_000):
        for _ in range(sum(rng.random() < 0.1 for _ in range(10))):  # about 1 a second
            board.solution(second, True)
        assert board.on_time(second) is None


def test_five_resets_with_back_off_then_dead_then_hourly() -> None:
    board = mining()
    board.fault(0, FaultKind.SELF_CHECK, "golden nonce wrong")
    now, log = 0.0, []
    for _ in range(16):
        decision = board.on_time(now)
        assert decision is not None
        log.append((now, decision.state))
        if decision.state is S.RESETTING:
            board.fault(now, FaultKind.START_UP, "no chip answered")
        else:
            now = board.next_timeout() or 0
    resets = [when for when, state in log if state is S.RESETTING]
    assert resets == [1, 3, 7, 15, 31, 3631, 7231, 10831]
    assert [when for when, state in log if state is S.DEAD] == [31, 3631, 7231]
    assert "5 resets did not help" in board.reason
    assert "next try in 60 min" in board.reason


def test_dead_for_good_where_the_user_wants_no_hourly_try() -> None:
    board = mining(limits=SupervisorLimits(max_resets=0, dead_retry_s=0))
    board.fault(0, FaultKind.START_UP, "no chip answered")
    decision = board.on_time(0)
    assert decision is not None
    assert decision.state is S.DEAD
    assert board.next_timeout() is None
    assert board.next_timeout() is None
    assert run(board, 1, 8000) == []
    board.revive(8001)
    decision = board.on_time(8001)
    assert decision is not None
    assert decision.state is S.RESETTING


def test_the_longest_wait_is_sixty_seconds() -> None:
    limits = SupervisorLimits(max_resets=100)
    assert [limits.wait_s(n) for n in (1, 2, 6, 7, 8, 1000)] == [1, 2, 32, 60, 60, 60]


def test_ten_healthy_minutes_clear_the_count_and_less_does_not() -> None:
    board = mining()
    board.fault(0, FaultKind.SELF_CHECK, "golden nonce wrong")
    run(board, 0, 599, lambda now: board.solution(now, True))
    assert board.failures == 1
    run(board, 600, 602, lambda now: board.solution(now, True))
    assert board.failures == 0
    assert board.resets == 1


def test_time_without_proof_is_not_healthy() -> None:
    board = mining(limits=SupervisorLimits(silence_min_s=5000, flatline_min_s=5000))
    board.fault(0, FaultKind.SELF_CHECK, "golden nonce wrong")
    run(board, 0, 4000)
    assert board.failures == 1


def test_a_start_that_hangs_is_a_failure() -> None:
    board = Supervisor()
    board.opened(5)
    board.on_time(5)
    assert board.next_timeout() == 65
    decision = board.on_time(65)
    assert decision is not None
    assert decision.reason == "did not start within 60 s; reset 1 of 5 in 1 s"


@pytest.mark.parametrize("kind", [k for k in FaultKind if k.latches])
def test_a_cut_off_is_never_retried_not_even_after_a_replug(kind: FaultKind) -> None:
    board = mining()
    board.fault(1, kind, "61 A, limit 50")
    decision = board.on_time(1)
    assert decision is not None
    assert decision.state is S.DEAD
    assert board.next_timeout() is None
    assert "then reset it" in decision.reason
    assert run(board, 2, 9000) == []
    board.lost(9001, "unplugged")
    board.opened(9002)
    decision = board.on_time(9002)
    assert decision is not None
    assert decision.state is S.DEAD
    board.revive(9003)
    decision = board.on_time(9003)
    assert decision is not None
    assert decision.state is S.RESETTING


def test_a_cut_off_outlives_an_earlier_death_and_a_replug() -> None:
    board = mining(limits=SupervisorLimits(max_resets=0))
    board.fault(0, FaultKind.SELF_CHECK, "golden nonce wrong")
    board.fault(1, FaultKind.OVER_CURRENT, "61 A, limit 50")
    board.lost(2, "unplugged")
    board.opened(3)
    assert [d.state for _, d in run(board, 3, 9000)] == [S.DEAD]


def test_overheating_stops_at_once_and_comes_back_by_itself() -> None:
    board = mining()
    board.heat(1, COOLDOWN)
    decision = board.on_time(1)
    assert decision == Decision(S.COOLDOWN, COOLDOWN.reason)
    board.fault(2, FaultKind.COMMUNICATION, "no answer")  # it is off: no wonder
    board.work_sent(2)
    assert board.on_time(60) is None
    board.heat(100, Heat(HeatLevel.THROTTLE, "throttled to 90%", 0.9))
    decision = board.on_time(100)
    assert decision is not None
    assert decision.state is S.RESETTING
    board.started(101)
    assert board.state is S.THROTTLED
    assert (board.failures, board.resets) == (0, 0)


def test_a_sick_board_that_is_hot_is_not_reset_before_it_is_cool() -> None:
    board = mining()
    board.fault(0, FaultKind.POWER, "regulator off")
    board.heat(0.5, COOLDOWN)
    found = run(board, 1, 50)
    assert [d.state for _, d in found] == [S.COOLDOWN]
    board.heat(51, NORMAL)
    assert run(board, 51, 51)[0][1].state is S.RESETTING


def test_thermal_cut_off_is_counted_once_and_ends_only_by_hand() -> None:
    board = mining()
    for now in range(1, 10):
        board.heat(now, CUT_OFF)
    assert board.faults == {FaultKind.OVER_TEMPERATURE: 1}
    assert board.state is S.DEAD
    board.heat(11, NORMAL)
    assert board.state is S.DEAD
    board.heat(12, CUT_OFF)
    board.revive(13)  # but still hot
    assert (board.state, board.failures) == (S.COOLDOWN, 0)


def test_replug_keeps_counters_and_back_off() -> None:
    board = mining()
    for now in (0.0, 1.0, 3.0):
        board.fault(now, FaultKind.SELF_CHECK, "golden nonce wrong")
        board.on_time(now)
        board.lost(now + 0.1, "unplugged")
        board.opened(now + 0.2)
        decision = board.on_time(now + 0.2)
        assert decision is not None
        assert decision.state is S.SICK
        assert board.next_timeout() == now + 2 ** (board.failures - 1)
        board.on_time(now + 2 ** (board.failures - 1))
        board.started(now + 2 ** (board.failures - 1))
    assert (board.failures, board.resets) == (3, 3)


def test_a_healthy_board_is_replugged_a_hundred_times_without_a_failure() -> None:
    board = mining()
    for now in range(10, 1010, 10):
        board.lost(now, "unplugged")
        board.lost(now, "unplugged")
        board.opened(now + 1)
        decision = board.on_time(now + 1)
        assert decision is not None
        assert decision.state is S.INIT
        board.started(now + 2)
        board.work_sent(now + 2)
        assert board.on_time(now + 2) is not None
    assert (board.failures, board.resets, board.state) == (0, 0, S.MINING)


def test_a_dead_board_that_is_replugged_need_not_wait_an_hour() -> None:
    board = mining(limits=SupervisorLimits(max_resets=0))
    board.fault(100, FaultKind.SELF_CHECK, "golden nonce wrong")
    board.lost(101, "unplugged")
    board.opened(102)
    assert board.state is S.INIT, "more than 60 s after its last start"
    board.fault(103, FaultKind.START_UP, "no chip answered")
    board.lost(104, "unplugged")
    board.opened(105)
    decision = board.on_time(105)
    assert decision is not None
    assert (decision.state, board.next_timeout()) == (S.SICK, 162)


def test_one_call_costs_the_same_after_many_nonces() -> None:
    board = mining()
    for n in range(20_000):
        board.solution(n / 20, True)
    assert len(board._watch._flat._hits) == 10
    assert board.on_time(1000) is None


INPUTS = st.one_of(
    st.sampled_from(["opened", "started", "work_sent", "idle", "lost", "revive", "good", "bad"]),
    st.sampled_from(["comm_error", "comm_ok"]),
    st.sampled_from([NORMAL, THROTTLE, COOLDOWN, CUT_OFF]),
    st.sampled_from(list(FaultKind)),
)


def feed(board: Supervisor, now: float, what: object) -> None:
    if isinstance(what, Heat):
        board.heat(now, what)
    elif isinstance(what, FaultKind):
        board.fault(now, what, "injected")
    elif what in ("good", "bad"):
        board.solution(now, what == "good")
    elif what == "lost":
        board.lost(now, "unplugged")
    else:
        getattr(board, str(what))(now)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(INPUTS, st.floats(0, 100)), max_size=80), st.integers(0, 5))
def test_only_legal_changes_and_no_reset_before_its_time(
    course: list[tuple[object, float]], max_resets: int
) -> None:
    board = Supervisor(SupervisorLimits(max_resets=max_resets))
    board.expect(0, 1e9, 1e9)
    now = 0.0
    cut_off = False
    earliest = 0.0  # of the next reset
    for what, pause in course:
        before = board.state
        feed(board, now, what)
        by_hand = {S.RESETTING} if what == "revive" else set()
        assert board.state is before or board.state in LEGAL[before] | by_hand
        cut_off = what != "revive" and (
            cut_off or what is CUT_OFF or (isinstance(what, FaultKind) and what.latches)
        )
        if what == "revive":
            earliest = now
        now += pause
        before = board.state
        decision = board.on_time(now)
        assert board.state is before or board.state in LEGAL[before]
        if decision is not None:
            assert decision.state is board.state
            assert decision.reason == board.reason
            assert decision.reason
            if decision.state is S.RESETTING:
                assert now >= earliest
            if decision.state in (S.SICK, S.DEAD):
                earliest = board.next_timeout() or earliest
        if cut_off:
            assert board.state in (S.DEAD, S.LOST, S.INIT)
            assert decision is None or decision.state is not S.RESETTING


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 30), min_size=1, max_size=60), st.integers(0, 8))
def test_resets_are_never_closer_than_the_back_off(answers: list[float], max_resets: int) -> None:
    """A board that always fails some time after its reset."""
    limits = SupervisorLimits(max_resets=max_resets)
    board = mining(limits=limits)
    now = 0.0
    resets: list[float] = []
    for answer in answers:
        board.fault(now, FaultKind.SELF_CHECK, "golden nonce wrong")
        failed = now
        decision = board.on_time(now)
        assert decision is not None
        retry_at = board.next_timeout()
        assert retry_at is not None
        assert board.on_time(retry_at - 1e-6) is None
        decision = board.on_time(retry_at)
        assert decision is not None
        assert decision.state is S.RESETTING
        resets.append(board.since or 0.0)
        count = len(resets)
        wait = limits.wait_s(count) if count <= max_resets else limits.dead_retry_s
        assert resets[-1] - failed == pytest.approx(wait)
        now = resets[-1] + answer


@pytest.mark.parametrize(
    "wrong",
    [
        {"bad_ratio": 1.0},
        {"silence_nonces": 0},
        {"first_wait_s": 61},
        {"dead_retry_s": -1},
        {"flatline_luck": 1},
    ],
)
def test_limits_that_make_no_sense_are_named(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SupervisorLimits(**wrong)  # type: ignore[arg-type]


def test_a_port_that_cannot_be_opened_is_tried_every_minute_and_is_no_reset() -> None:
    board = Supervisor()
    board.opened(0)
    now = 0.0
    for _ in range(100):
        board.fault(now, FaultKind.PORT, "/dev/ttyUSB0 is in use")
        decision = board.on_time(now)
        assert decision == Decision(S.SICK, "/dev/ttyUSB0 is in use; next try in 60 s")
        now += 60
        decision = board.on_time(now)
        assert decision == Decision(S.RESETTING, "once more: /dev/ttyUSB0 is in use")
    assert (board.failures, board.resets) == (0, 0)
    board.started(now)
    assert board.state is S.READY
