"""The fan's PID: bounded, at full speed where it does not know, without wind-up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sv2rig.devices.fan import Fan, FanLimits


def settle(fan: Fan, celsius: float, seconds: int, begin: int = 0) -> float:
    for now in range(begin, begin + seconds):
        fan.reading(now, celsius)
    return fan.percent


@given(
    st.lists(
        st.tuples(st.floats(0, 100), st.one_of(st.none(), st.floats(-300, 300), st.floats())),
        max_size=80,
    ),
    st.floats(0, 60),
    st.floats(61, 100),
)
def test_always_within_bounds(
    course: list[tuple[float, float | None]], lowest: float, highest: float
) -> None:
    fan = Fan(FanLimits(lowest_percent=lowest, highest_percent=highest))
    now = 0.0
    for pause, celsius in course:
        now += pause
        percent = fan.reading(now, celsius)
        known = celsius is not None and abs(celsius) < float("inf")
        if not known or (celsius is not None and celsius >= fan.limits.full_c):
            assert percent == 100
        else:
            assert lowest <= percent <= highest


def test_unknown_is_full_speed() -> None:
    fan = Fan(FanLimits(highest_percent=70))
    assert fan.percent == 100
    assert settle(fan, 30, 300) == 20
    assert fan.on_time(309) == 20
    assert fan.on_time(309.1) == 100
    assert fan.reading(320, None) == 100
    assert fan.reading(321, float("nan")) == 100


def test_no_wind_up_in_either_direction() -> None:
    fan = Fan(FanLimits(full_c=90))
    assert settle(fan, 85, 3600) == 100
    assert settle(fan, 45, 60, 3600) == 20, "an hour at its limit is forgotten at once"
    assert settle(fan, 30, 3600, 3660) == 20
    assert settle(fan, 75, 30, 7260) > 80


@pytest.mark.parametrize("ambient", [10.0, 25.0, 34.0])
def test_holds_the_target_on_a_simulated_heatsink(ambient: float) -> None:
    """25 W, a heat sink of 40 J/K and 0.25 to 1 W/K: the target lies at 33, 62 and 95 %."""
    fan = Fan(FanLimits())
    celsius = ambient
    seen = []
    for now in range(3600):
        percent = fan.reading(float(now), celsius)
        conductance = 0.25 + 0.75 * percent / 100
        celsius += (25 - conductance * (celsius - ambient)) / 40
        seen.append(celsius)
    assert max(seen) < 70
    assert all(abs(c - 60) < 1 for c in seen[-600:])


@pytest.mark.parametrize(
    "wrong",
    [
        {"lowest_percent": 80.0, "highest_percent": 60.0},
        {"highest_percent": 101.0},
        {"full_c": 60.0},
        {"gain": -1.0},
    ],
)
def test_limits_that_make_no_sense(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"fan|full_c"):
        FanLimits(**wrong)
