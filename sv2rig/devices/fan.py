"""A fan's target: a PID controller on the temperature."""

from __future__ import annotations

import math
from dataclasses import dataclass

FULL = 100.0


@dataclass(frozen=True, slots=True)
class FanLimits:
    """`target_c` in °C; from `full_c` the fan runs at 100 % whatever else is set, and so does it
    while the temperature is unknown or older than `stale_s`. Gains: percent for each °C (`gain`),
    for each °C and second (`gain_integral`), for each °C a second (`gain_derivative`)."""

    target_c: float = 60.0
    full_c: float = 80.0
    lowest_percent: float = 20.0
    highest_percent: float = 100.0
    gain: float = 4.0
    gain_integral: float = 0.1
    gain_derivative: float = 2.0
    stale_s: float = 10.0

    def __post_init__(self) -> None:
        if not 0 <= self.lowest_percent < self.highest_percent <= FULL:
            raise ValueError(
                f"fan from {self.lowest_percent:g} to {self.highest_percent:g} %: must be within"
                " 0 to 100 %, the lowest below the highest"
            )
        if self.full_c <= self.target_c:
            raise ValueError(f"full_c = {self.full_c:g} must be above target_c = {self.target_c:g}")
        if min(self.gain, self.gain_integral, self.gain_derivative) < 0:
            raise ValueError("a fan's gains cannot be negative: it would stop when hot")


class Fan:
    """Gives the percentage a fan should run at. Time is monotonic seconds.

    The derivative looks at the temperature, not at the error, so that a changed target gives no
    kick. The integral stands still while the output is at its limit and would go further
    (anti-windup).
    """

    def __init__(self, limits: FanLimits) -> None:
        self.limits = limits
        self._integral = limits.highest_percent  # a start is loud rather than hot
        self._last: tuple[float, float] | None = None  # (when, °C)
        self.percent = FULL

    def reading(self, now: float, celsius: float | None) -> float:
        """The target in percent after this reading; None: the sensor did not answer."""
        if celsius is None or not math.isfinite(celsius):
            return self._unknown()
        if self._last is None:
            self._last = (now, celsius)
        last_now, last_c = self._last
        passed = now - last_now
        if passed < 0:
            return self.percent
        slope = (celsius - last_c) / passed if passed else 0.0
        self._last = (now, celsius)
        self.percent = self._output(celsius, slope, min(passed, self.limits.stale_s))
        return self.percent

    def on_time(self, now: float) -> float:
        """The target now: full speed once the last reading is stale."""
        if self._last is not None and now - self._last[0] > self.limits.stale_s:
            return self._unknown()
        return self.percent

    def _unknown(self) -> float:
        self._last = None
        self._integral = self.limits.highest_percent
        self.percent = FULL
        return self.percent

    def _output(self, celsius: float, slope: float, passed: float) -> float:
        limits = self.limits
        error = celsius - limits.target_c
        low, high = limits.lowest_percent, limits.highest_percent
        fast = limits.gain * error + limits.gain_derivative * slope
        wanted = fast + self._integral
        pushes_on = (wanted >= high and error > 0) or (wanted <= low and error < 0)
        if not pushes_on:
            grown = self._integral + limits.gain_integral * error * passed
            self._integral = min(max(grown, 0.0), high)
        if celsius >= limits.full_c:
            return FULL
        return min(max(fast + self._integral, low), high)
