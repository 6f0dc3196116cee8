"""The tuner on simulated boards: inside its limits, always at an end, and right."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sv2rig.devices.tuning import Tuner
from sv2rig.devices.tuning_points import (
    Goal,
    NoPowerReadingError,
    Point,
    TuningError,
    TuningLimits,
)

LIMITS = TuningLimits(
    lowest_mhz=400, highest_mhz=600, start_mhz=500, step_mhz=25, samples=400, error_ratio=0.05
)


@dataclass
class Board:
    """Hashes in step with its clock up to the edge, then mostly errors; power grows with the cube
    of the clock above a constant share. 1 GH/s a MHz, about ten nonces a second at 500 MHz."""

    edge_mhz: float = 1000.0
    constant_w: float = 8.0
    hot_from_mhz: float = 1000.0
    has_power: bool = True

    def power_w(self, mhz: float) -> float:
        return self.constant_w + 10 * (mhz / 500) ** 3

    def measure(self, tuner: Tuner, now: float, rng: random.Random) -> float:
        """Run the point at hand; the time at its end."""
        mhz = tuner.mhz
        tuner.begin(now, 50e9)
        for second in range(2000):
            now += 1
            for _ in range(int((second + 1) * mhz / 50) - int(second * mhz / 50)):
                tuner.nonce(now, mhz <= self.edge_mhz or rng.random() < 0.3)
            hot = 80.0 if mhz >= self.hot_from_mhz else 60.0
            tuner.reading(now, self.power_w(mhz) if self.has_power else None, hot)
            if tuner.on_time(now):
                return now
        raise AssertionError(f"the point at {mhz} MHz never ended")


def finish(tuner: Tuner, board: Board, seed: int = 1) -> list[float]:
    """Tune to the end; the frequencies in their order."""
    rng = random.Random(seed)
    now = 0.0
    while not tuner.done:
        now = board.measure(tuner, now, rng)
    return [point.mhz for point in tuner.points]


def test_hash_rate_climbs_until_the_errors_and_takes_the_last_good_one() -> None:
    tuner = Tuner(Goal.HASHRATE, LIMITS, has_power_reading=False)
    assert finish(tuner, Board(edge_mhz=560, has_power=False)) == [500, 525, 550, 575]
    assert tuner.mhz == 550
    best = tuner.best
    assert best is not None
    assert best.rate_hs == pytest.approx(550e9, rel=0.03)
    assert best.power_w is None
    assert "nonces wrong" in (tuner.points[-1].unstable or "")


def test_hash_rate_goes_down_where_the_start_is_too_high() -> None:
    tuner = Tuner(Goal.HASHRATE, LIMITS, has_power_reading=False)
    assert finish(tuner, Board(edge_mhz=460)) == [500, 475, 450]
    assert tuner.mhz == 450


def test_nothing_stable_leaves_the_start() -> None:
    tuner = Tuner(Goal.HASHRATE, LIMITS, has_power_reading=False)
    assert finish(tuner, Board(edge_mhz=1)) == [500, 475, 450, 425, 400]
    assert tuner.best is None
    assert tuner.mhz == 500


@pytest.mark.parametrize(
    ("constant_w", "best_mhz"),
    # watts a hash = constant / f + 10 f**2 / 500**3, lowest at f = 500 (constant / 20)**(1/3):
    # 397 for 10 W, 455 for 15 W, 531 for 24 W
    [(10.0, 400), (15.0, 450), (24.0, 525)],
)
def test_efficiency_finds_the_lowest_joules_a_hash(constant_w: float, best_mhz: float) -> None:
    limits = replace(LIMITS, margin=0.0)
    tuner = Tuner(Goal.EFFICIENCY, limits, has_power_reading=True)
    finish(tuner, Board(constant_w=constant_w))
    assert tuner.mhz == best_mhz
    best = tuner.best
    assert best is not None
    expected = (constant_w + 10 * (best_mhz / 500) ** 3) / (best_mhz / 1000)
    assert best.joules_per_terahash == pytest.approx(expected, rel=0.03)


def test_efficiency_is_refused_without_a_power_reading() -> None:
    with pytest.raises(NoPowerReadingError, match="tune it for hash rate instead"):
        Tuner(Goal.EFFICIENCY, LIMITS, has_power_reading=False)
    promised = Tuner(Goal.EFFICIENCY, LIMITS, has_power_reading=True)
    with pytest.raises(NoPowerReadingError):
        finish(promised, Board(has_power=False))


def test_heat_and_power_limits_end_the_climb() -> None:
    hot = Tuner(Goal.HASHRATE, LIMITS, has_power_reading=False)
    finish(hot, Board(hot_from_mhz=540))
    assert hot.mhz == 525
    assert hot.points[-1].unstable == "80 °C, limit 75"
    hungry = Tuner(Goal.HASHRATE, replace(LIMITS, highest_power_w=20), True)
    finish(hungry, Board())
    assert hungry.mhz == 525
    assert hungry.points[-1].unstable == "21.3 W, limit 20"


def test_a_board_that_falls_over_makes_its_frequency_unstable() -> None:
    tuner = Tuner(Goal.HASHRATE, LIMITS, has_power_reading=False)
    tuner.unstable(0, "not begun: nothing to record")
    assert tuner.points == []
    tuner.begin(0, 1e9)
    tuner.unstable(5, "reset: no nonce for 20 s of work")
    assert tuner.points[0].unstable == "reset: no nonce for 20 s of work"
    assert tuner.mhz == 475


def test_a_silent_board_ends_its_point() -> None:
    tuner = Tuner(Goal.HASHRATE, LIMITS, has_power_reading=False)
    tuner.begin(0, 1e9)
    assert tuner.next_timeout() == 70
    assert not tuner.on_time(609.9)
    assert tuner.on_time(610)
    assert tuner.points[0].unstable == "no valid nonce in 600 s"


def test_resumes_where_it_was_and_ends_as_if_never_stopped() -> None:
    board = Board(edge_mhz=560)
    whole = Tuner(Goal.HASHRATE, LIMITS, has_power_reading=True)
    finish(whole, board)
    part = Tuner(Goal.HASHRATE, LIMITS, has_power_reading=True)
    board.measure(part, 0.0, random.Random(1))
    part.begin(100, 1e9)  # interrupted in the midst of a point
    kept = json.loads(json.dumps(part.state()))
    again = Tuner.resume(kept, LIMITS, has_power_reading=True)
    assert again.points == part.points
    assert finish(again, board) == [500, 525, 550, 575]
    assert again.mhz == whole.mhz


def test_points_outside_changed_limits_stay_on_record_and_are_not_used() -> None:
    tuner = Tuner(Goal.HASHRATE, LIMITS, has_power_reading=True)
    finish(tuner, Board())
    assert tuner.mhz == 600
    again = Tuner.resume(tuner.state(), replace(LIMITS, highest_mhz=550), True)
    assert again.done
    assert again.mhz == 550
    assert again.state() == tuner.state()


@pytest.mark.parametrize(
    "state",
    [
        None,
        {},
        {"version": 2, "goal": "hashrate", "points": []},
        {"version": 1, "goal": "fame", "points": []},
        {"version": 1, "goal": "hashrate", "points": 3},
        {"version": 1, "goal": "hashrate", "points": [1]},
        {"version": 1, "goal": "hashrate", "points": [{"mhz": "500"}]},
        {
            "version": 1,
            "goal": "hashrate",
            "points": [{"mhz": 5.0, "rate_hs": 1.0, "error_ratio": 0, "seconds": 1, "odd": 1}],
        },
    ],
)
def test_a_damaged_record_is_refused_in_words(state: object) -> None:
    with pytest.raises(TuningError, match=r"record|point"):
        Tuner.resume(state, LIMITS, True)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(list(Goal)),
    st.floats(50, 500),
    st.floats(0, 500),
    st.floats(0, 500),
    st.floats(5, 60),
    st.integers(0, 2**32),
)
def test_never_leaves_the_limits_and_ends_whatever_the_board_does(
    goal: Goal, lowest: float, below: float, above: float, step: float, seed: int
) -> None:
    rng = random.Random(seed)
    limits = TuningLimits(
        lowest, lowest + below + above, lowest + below, step, measure_s=1, samples=1, settle_s=0
    )
    tuner = Tuner(goal, limits, has_power_reading=True)
    most = (below + above) / step + 2
    now = 0.0
    while not tuner.done:
        assert limits.allows(tuner.mhz)
        tuner.begin(now, 1e9)
        now += 1
        for _ in range(rng.randrange(1, 5)):
            tuner.nonce(now, rng.random() < 0.95)
        tuner.reading(now, rng.uniform(1, 100), rng.uniform(20, 78))
        if not tuner.on_time(now):
            tuner.unstable(now, "fell over")
        assert len(tuner.points) <= most
    assert len({p.mhz for p in tuner.points}) == len(tuner.points)
    assert limits.allows(tuner.mhz)


def test_an_efficiency_needs_both_figures() -> None:
    assert Point(500, 1e12, 0, 9, 9, power_w=17.0).joules_per_terahash == 17.0
    assert Point(500, 1e12, 0, 9, 9).joules_per_terahash is None
    assert Point(500, 0.0, 0, 9, 9, power_w=17.0).joules_per_terahash is None


@pytest.mark.parametrize(
    "wrong", [{"start_mhz": 399.0}, {"step_mhz": 0.0}, {"measure_s": 601.0}, {"samples": 0}]
)
def test_limits_that_make_no_sense(wrong: dict[str, float]) -> None:
    with pytest.raises(TuningError, match=r"tuning starts|step_mhz|measure_s"):
        replace(LIMITS, **wrong)  # type: ignore[arg-type]
