"""Voltage never above the profile's default without a maximum set for that device."""

from __future__ import annotations

import pytest

from sv2rig.devices.voltage import VoltageError, check_voltage, voltage_limit


@pytest.mark.parametrize(
    ("default", "maximum", "limit"), [(1.15, None, 1.15), (1.15, 1.25, 1.25), (1.15, 1.0, 1.0)]
)
def test_the_limit(default: float, maximum: float | None, limit: float) -> None:
    assert voltage_limit(default, maximum) == limit
    assert check_voltage(limit, default, maximum) == limit
    with pytest.raises(VoltageError, match="core_voltage_max_v"):
        check_voltage(limit + 0.001, default, maximum)


@pytest.mark.parametrize("maximum", [0.0, -1.0, float("nan"), float("inf"), 1150.0])
def test_a_maximum_that_is_no_voltage(maximum: float) -> None:
    with pytest.raises(VoltageError, match="core_voltage_max_v"):
        voltage_limit(1.15, maximum)


@pytest.mark.parametrize("wanted", [0.0, -1.0, float("nan")])
def test_a_wish_that_is_no_voltage(wanted: float) -> None:
    with pytest.raises(VoltageError, match="core voltage"):
        check_voltage(wanted, 1.15, None)
