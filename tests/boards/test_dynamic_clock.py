"""Dynamic clocking on chips whose errors begin at a known frequency."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sv2rig.devices.dynamic_clock import ClockLimits, ClockStep, DynamicClock

LIMITS = ClockLimits(lowest_mhz=100, highest_mhz=250, start_mhz=200, step_mhz=5, samples=100)


def drive(
    clock: DynamicClock, edge_mhz: float, nonces: int, rng: random.Random
) -> list[tuple[float, ClockStep]]:
    """A chip without errors up to its edge, with more and more above: 10 nonces a second."""
    steps = []
    for n in range(nonces):
        error = min(max(0.0, (clock.mhz - edge_mhz) * 0.04), 1.0)
        step = clock.nonce(n / 10, rng.random() >= error)
        if step is not None:
            steps.append((n / 10, step))
            if step.give_up:
                break
    return steps


@pytest.mark.parametrize("edge", [150.0, 200.0, 222.0, 240.0])
def test_finds_the_edge_and_stays_there(edge: float) -> None:
    clock = DynamicClock(LIMITS, 0.0)
    steps = drive(clock, edge, 20_000, random.Random(1))
    assert edge - 5 <= clock.mhz <= edge + 5
    late = [step for when, step in steps if when > 600]
    assert len(late) <= 2, "a frequency that failed is left alone for half an hour"


def test_the_top_is_the_users_limit() -> None:
    clock = DynamicClock(LIMITS, 0.0)
    drive(clock, 1000, 5000, random.Random(1))
    assert clock.mhz == 250


def test_gives_up_where_the_clock_would_have_to_fall_too_far() -> None:
    clock = DynamicClock(LIMITS, 0.0)
    steps = drive(clock, 0, 5000, random.Random(1))
    assert steps[-1][1].give_up
    assert clock.mhz == 120, "40 % below the start"
    assert "check cooling and power" in steps[-1][1].reason


def test_errors_in_a_row_decide_before_the_sample_is_full() -> None:
    clock = DynamicClock(LIMITS, 0.0)
    answers = [clock.nonce(10, False) for _ in range(6)]
    assert answers[:5] == [None] * 5
    assert answers[5] == ClockStep(195, "6 of 6 nonces wrong at 200 MHz")


def test_answers_of_the_old_clock_are_not_counted() -> None:
    clock = DynamicClock(LIMITS, 0.0)
    assert not any(clock.nonce(1.9, False) for _ in range(50))


def test_between_the_two_ratios_nothing_moves() -> None:
    clock = DynamicClock(LIMITS, 0.0)
    assert not any(clock.nonce(10, n % 50 != 0) for n in range(5000))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 60), st.booleans()), max_size=300),
    st.integers(1, 10),
)
def test_never_leaves_the_limits(course: list[tuple[float, bool]], samples: int) -> None:
    limits = ClockLimits(170, 215, 200, 10, samples=samples)
    clock = DynamicClock(limits, 0.0)
    now = 0.0
    for pause, valid in course:
        now += pause
        before = clock.mhz
        step = clock.nonce(now, valid)
        assert 170 <= clock.mhz <= 215
        assert (clock.mhz != before) == (step is not None and not step.give_up)


@pytest.mark.parametrize(
    "wrong",
    [
        {"start_mhz": 99.0},
        {"start_mhz": 251.0},
        {"step_mhz": 0.0},
        {"up_ratio": 0.05},
    ],
)
def test_limits_that_make_no_sense(wrong: dict[str, float]) -> None:
    values = {"lowest_mhz": 100.0, "highest_mhz": 250.0, "start_mhz": 200.0, "step_mhz": 5.0}
    with pytest.raises(ValueError, match=r"clock starts|step_mhz|up_ratio"):
        ClockLimits(**(values | wrong))  # type: ignore[arg-type]
