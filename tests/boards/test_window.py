"""The sliding window against a list that keeps everything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sv2rig.devices.watchdogs import luck_exponent
from sv2rig.devices.window import Window


@given(st.lists(st.tuples(st.floats(0, 50), st.booleans()), max_size=60))
def test_counts_all_of_the_last_nine_tenths_and_nothing_older_than_the_whole(
    course: list[tuple[float, bool]],
) -> None:
    window = Window(100.0)
    now = 0.0
    log: list[tuple[float, bool]] = []
    for pause, hit in course:
        now += pause
        window.add(now, hit, 1)
        log.append((now, hit))
        surely = [h for t, h in log if t > now - 90]
        perhaps = [h for t, h in log if t > now - 100]
        assert len(surely) <= window.trials <= len(perhaps)
        assert sum(surely) <= window.hits <= sum(perhaps)
    window.clear()
    assert (window.hits, window.trials, window.ratio) == (0, 0, 0)


def test_time_that_goes_back_is_counted_in_the_present_slot() -> None:
    window = Window(10.0)
    window.add(100, 1, 1)
    window.add(50, 1, 1)
    assert window.trials == 2
    window.expire(111)
    assert window.trials == 0


# (seen, expected, -ln of the bound), worked by hand from exp(-(m - s + s ln(s/m)))
@pytest.mark.parametrize(
    ("seen", "expected", "exponent"),
    [(0, 20, 20.0), (20, 20, 0.0), (25, 20, 0.0), (5, 20, 8.068528), (50, 100, 15.342641)],
)
def test_luck_known_values(seen: float, expected: float, exponent: float) -> None:
    assert luck_exponent(seen, expected) == pytest.approx(exponent, abs=1e-6)
