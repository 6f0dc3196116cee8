"""Numbers as people read them, from the tiniest to the largest."""

from __future__ import annotations

from fractions import Fraction

import pytest

from sv2rig.units import difficulty, duration, hashrate, si


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "H/s", "0 H/s"),
        (999, "H/s", "999 H/s"),
        (1000, "H/s", "1 kH/s"),
        (26_400_000, "H/s", "26.4 MH/s"),
        (6_310_000_000_000, "H/s", "6.31 TH/s"),
        (999_999, "H/s", "1000 kH/s"),
        (0.00047, "W", "470 µW"),
        (-1500, "", "-1.5k"),
    ],
)
def test_si_prefixes(value: float, unit: str, text: str) -> None:
    assert si(value, unit) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0"),
        (Fraction(1, 2**32), "2.3e-10"),
        (0.000999, "1.0e-03"),
        (0.001, "0.0010"),
        (0.0121, "0.0121"),
        (1, "1"),
        (4096, "4.1k"),
        (1_420_000_000, "1.42G"),
        (Fraction(2**224), "2.7e+67"),
    ],
)
def test_difficulties(value: float | Fraction | None, text: str) -> None:
    assert difficulty(value) == text


def test_unknown_rates_are_a_dash_and_never_zero() -> None:
    assert hashrate(None) == "–"
    assert hashrate(0) == "0 H/s"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.9, "0s"), (59, "59s"), (370, "6m10s"), (3600, "1h00m"), (273_600, "3d04h")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
