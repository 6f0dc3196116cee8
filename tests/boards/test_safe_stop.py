"""After a clean stop the fan runs on until below 50 °C, or for 60 s."""

from __future__ import annotations

import pytest

from sv2rig.devices.safe_stop import SafeStop


@pytest.mark.parametrize(
    ("celsius", "now", "done"),
    [
        (None, 159.9, False),
        (None, 160.0, True),
        (50.0, 101.0, False),
        (49.9, 101.0, True),
        (-64.0, 101.0, False),  # an open diode is no cold board
        (float("nan"), 101.0, False),
        (90.0, 160.0, True),
    ],
)
def test_when_the_fan_may_stop(celsius: float | None, now: float, done: bool) -> None:
    stop = SafeStop(100.0)
    stop.reading(celsius)
    assert stop.done(now) is done
    assert stop.next_timeout() == 160
