"""Thermal control: down at once, up with patience, never cool without knowing."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sv2rig.devices.thermal import Heat, HeatLevel, Thermal, ThermalLimits

L = HeatLevel
LIMITS = ThermalLimits()


def course(temperatures: list[float | None], every_s: float = 1.0) -> list[Heat]:
    thermal = Thermal(LIMITS, 0.0)
    return [thermal.reading(i * every_s, c) for i, c in enumerate(temperatures)]


# temperatures a second apart -> the level after the last, and its factor
@pytest.mark.parametrize(
    ("temperatures", "level", "factor"),
    [
        ([74.9], L.NORMAL, 1.0),
        ([75.0], L.THROTTLE, 0.9),
        ([75.0] + [80.0] * 9, L.THROTTLE, 0.9),  # a step every 10 s, no sooner
        ([75.0] + [80.0] * 10, L.THROTTLE, 0.8),
        ([75.0] + [84.9] * 300, L.THROTTLE, 0.5),  # and no lower than the lowest
        ([75.0] + [70.1] * 300, L.THROTTLE, 0.9),  # between the two thresholds nothing moves
        ([75.0] + [70.0] * 59, L.THROTTLE, 0.9),
        ([75.0] + [70.0] * 60, L.NORMAL, 1.0),
        ([85.0], L.COOLDOWN, 0.0),
        ([85.0] + [60.1] * 300, L.COOLDOWN, 0.0),
        ([85.0] + [40.0] * 29, L.COOLDOWN, 0.0),  # at least 30 s
        ([85.0] + [40.0] * 30, L.THROTTLE, 0.9),  # begins below what was too hot
        ([85.0] + [40.0] * 90, L.NORMAL, 1.0),
        ([95.0], L.COOLDOWN, 0.0),  # stopped at once; cut off if it is no misreading
        ([95.0, 95.0], L.CUT_OFF, 0.0),
        ([95.0, None, 95.0], L.CUT_OFF, 0.0),
        ([95.0, 94.0, 95.0], L.COOLDOWN, 0.0),
        ([95.0, 95.0] + [20.0] * 900, L.CUT_OFF, 0.0),  # latched
        ([50.0, None, None], L.NORMAL, 1.0),
        ([50.0, None, None, None], L.COOLDOWN, 0.0),
        ([50.0, None, 121.0, -64.0], L.COOLDOWN, 0.0),
        ([50.0, None, math.nan, 50.0, None, None], L.NORMAL, 1.0),
        ([50.0, None, None, None] + [None] * 300, L.COOLDOWN, 0.0),
        ([50.0, None, None, None] + [50.0] * 40, L.THROTTLE, 0.9),
    ],
)
def test_known_courses(temperatures: list[float | None], level: HeatLevel, factor: float) -> None:
    last = course(temperatures)[-1]
    assert last.level is level
    assert last.factor == pytest.approx(factor)
    assert last.reason or last.level is L.NORMAL


def test_a_silent_sensor_is_hot_and_never_cool() -> None:
    thermal = Thermal(LIMITS, 0.0)
    thermal.reading(0, 85.0)
    thermal.reading(1, 59.0)  # too soon to start again, and the last that is heard
    for now in range(2, 1000):
        assert thermal.on_time(now).level is L.COOLDOWN
    assert thermal.temperature_c is None
    fresh = Thermal(LIMITS, 0.0)
    assert fresh.on_time(30).level is L.NORMAL
    assert fresh.on_time(30.1).level is L.COOLDOWN
    assert "check the sensor" in fresh.heat.reason


def test_a_sensor_that_sleeps_with_its_board_may_be_silent_where_the_profile_says_so() -> None:
    silent = Thermal(ThermalLimits(missing_s=None), 0.0)
    assert silent.on_time(10_000).level is L.NORMAL
    thermal = Thermal(ThermalLimits(sleeps_s=120), 0.0)
    thermal.reading(10, 86.0)
    assert thermal.on_time(129.9).level is L.COOLDOWN
    heat = thermal.on_time(130)
    assert (heat.level, heat.factor) == (L.THROTTLE, 0.5)
    assert thermal.reading(131, 86.0).level is L.COOLDOWN
    assert thermal.reading(190, 65.0).level is L.COOLDOWN, "it speaks: wait until it is cool"
    assert thermal.on_time(309.9).level is L.COOLDOWN
    cut_off = Thermal(ThermalLimits(sleeps_s=120), 0.0)
    cut_off.reading(1, 96.0)
    cut_off.reading(2, 96.0)
    assert cut_off.on_time(10_000).level is L.CUT_OFF


def test_a_board_that_cannot_be_throttled_goes_on_until_it_must_stop() -> None:
    thermal = Thermal(ThermalLimits(lowest_factor=1.0), 0.0)
    assert thermal.reading(1, 84.0) == Heat(L.NORMAL, "")
    assert thermal.reading(2, 85.0).level is L.COOLDOWN
    assert thermal.reading(40, 50.0).level is L.NORMAL


def test_only_a_person_ends_a_cut_off_and_then_it_cools_first() -> None:
    thermal = Thermal(LIMITS, 0.0)
    thermal.reading(1, 99.0)
    thermal.reading(2, 99.0)
    thermal.clear_cut_off(3)
    assert thermal.heat.level is L.COOLDOWN
    assert thermal.reading(40, 61.0).level is L.COOLDOWN
    assert thermal.reading(41, 60.0).level is L.THROTTLE


@given(st.sampled_from([75.0, 70.0, 85.0, 60.0]), st.integers(0, 2**32), st.floats(0, 2))
def test_noise_around_a_threshold_does_not_flap(edge: float, seed: int, noise: float) -> None:
    rng = random.Random(seed)
    levels = [
        heat.level for heat in course([edge + rng.uniform(-noise, noise) for _ in range(600)])
    ]
    changes = sum(a is not b for a, b in pairwise(levels))
    assert changes <= 1


@given(st.lists(st.one_of(st.none(), st.floats(allow_nan=True), st.floats(0, 120)), max_size=200))
def test_any_course_keeps_the_rules(temperatures: list[float | None]) -> None:
    before = Heat(L.NORMAL, "")
    for celsius, heat in zip(temperatures, course(temperatures, 5.0), strict=True):
        if heat.level >= L.COOLDOWN:
            assert heat.factor == 0
        else:
            assert LIMITS.lowest_factor - 1e-9 <= heat.factor <= 1.0
            assert (heat.factor < 1) == (heat.level is L.THROTTLE)
        if before.level is L.CUT_OFF:
            assert heat == before
        if heat.level < before.level or heat.factor > before.factor + 1e-9:
            assert celsius is not None
            assert celsius <= LIMITS.resume_c, "better only after a cool reading"
        if celsius is not None and 85 <= celsius <= 120:
            assert heat.level >= L.COOLDOWN
        before = heat


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"resume_c": 75.0}, "resume_c = 75 °C must be below throttle_c = 75 °C"),
        ({"cut_off_c": 130.0}, "readable_c"),
        ({"lowest_factor": 0.0}, "lowest_factor = 0"),
        ({"missing_s": 5.0}, "missing_s = 5"),
    ],
)
def test_limits_that_make_no_sense(wrong: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ThermalLimits(**wrong)  # type: ignore[arg-type]
