"""Thermal control of one board: throttle, cool down, cut off, and come back by itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise


class HeatLevel(IntEnum):
    """What a board may do. COOLDOWN: stop until cool. CUT_OFF: stop until a person starts it."""

    NORMAL = 0
    THROTTLE = 1
    COOLDOWN = 2
    CUT_OFF = 3


@dataclass(frozen=True, slots=True)
class Heat:
    """A verdict. `factor`: what to multiply the set frequency with (0: stop); the setting
    itself stays."""

    level: HeatLevel
    reason: str
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class ThermalLimits:
    """Temperatures in °C, times in seconds, factors of the set frequency.

    A step down from `throttle_c`, a step up at `resume_c` or less, one step of `step` at a time
    and never below `lowest_factor`; stop from `cooldown_c` until `cooled_c`; cut off at two
    readings in a row from `cut_off_c`. A reading outside `readable_c` is a bad one. A reading
    older than `stale_s` is never cool; with none for `missing_s` the board counts as hot (None:
    not). `sleeps_s`: for a sensor that is silent while its board is stopped, after how long
    without a reading it may run again, at `lowest_factor` (None: never without a cool reading).
    `lowest_factor` 1: it cannot be throttled.
    """

    throttle_c: float = 75.0
    resume_c: float = 70.0
    cooldown_c: float = 85.0
    cooled_c: float = 60.0
    cut_off_c: float = 95.0
    readable_c: tuple[float, float] = (0.0, 120.0)
    step: float = 0.1
    lowest_factor: float = 0.5
    step_down_every_s: float = 10.0
    step_up_every_s: float = 60.0
    shortest_cooldown_s: float = 30.0
    stale_s: float = 10.0
    missing_s: float | None = 30.0
    sleeps_s: float | None = None
    bad_readings: int = 3

    def __post_init__(self) -> None:
        order = ("cooled_c", "resume_c", "throttle_c", "cooldown_c", "cut_off_c")
        for low, high in pairwise(order):
            if not getattr(self, low) < getattr(self, high):
                raise ValueError(
                    f"{low} = {getattr(self, low):g} °C must be below"
                    f" {high} = {getattr(self, high):g} °C"
                )
        if not self.readable_c[0] < self.cooled_c < self.cut_off_c < self.readable_c[1]:
            raise ValueError(
                f"readable_c = {self.readable_c} must reach below cooled_c and above cut_off_c"
            )
        if not (0 < self.step < 1 and 0 < self.lowest_factor <= 1):
            raise ValueError(
                f"step = {self.step:g} and lowest_factor = {self.lowest_factor:g}: 0 to 1"
            )
        if self.missing_s is not None and self.missing_s < self.stale_s:
            raise ValueError(f"missing_s = {self.missing_s:g} is below stale_s = {self.stale_s:g}")


class Thermal:
    """Turns readings of one board's hottest sensor into verdicts. Time is monotonic seconds.

    Feed it no readings while a sensor is known to speak nonsense (500 ms after a reset).
    """

    def __init__(self, limits: ThermalLimits, now: float) -> None:
        self.limits = limits
        self._read_at = now  # of the last good reading; at first, of none
        self._bad_in_row = 0
        self._cut_off_in_row = 0
        self._factor = 1.0
        self._level_since = now
        self._stepped_at = now
        self.temperature_c: float | None = None
        self.heat = Heat(HeatLevel.NORMAL, "")

    def reading(self, now: float, celsius: float | None) -> Heat:
        """A reading was due: its value, or None where the sensor did not answer."""
        if celsius is None or not self._readable(celsius):
            self._bad(now, celsius)
        else:
            self._bad_in_row = 0
            self._read_at = now
            self.temperature_c = celsius
            self._good(now, celsius)
        return self.heat

    def on_time(self, now: float) -> Heat:
        """The verdict now: a sensor that fell silent is noticed here."""
        limits = self.limits
        silent_s = now - self._read_at
        if silent_s > limits.stale_s:
            self.temperature_c = None
        if limits.missing_s is not None and silent_s > limits.missing_s:
            self._cool_down(now, f"no temperature for {limits.missing_s:.0f} s: check the sensor")
        stopped_s = min(silent_s, now - self._level_since)
        asleep = limits.sleeps_s is not None and stopped_s >= limits.sleeps_s
        if asleep and self.heat.level is HeatLevel.COOLDOWN:
            self._read_at = now  # until it is missed again
            self._factor = limits.lowest_factor
            self._stepped_at = now
            level = HeatLevel.THROTTLE if self._factor < 1 else HeatLevel.NORMAL
            self._enter(now, level, f"stopped for {stopped_s:.0f} s; its sensor sleeps meanwhile")
        return self.heat

    def clear_cut_off(self, now: float) -> None:
        """A person has looked: let it cool down and then run again."""
        if self.heat.level is HeatLevel.CUT_OFF:
            self._cut_off_in_row = 0
            self._enter(now, HeatLevel.COOLDOWN, "cleared by hand; not yet known to be cool")

    def _readable(self, celsius: float) -> bool:
        low, high = self.limits.readable_c
        return low <= celsius <= high  # false for NaN too

    def _bad(self, now: float, celsius: float | None) -> None:
        self._bad_in_row += 1
        if self._bad_in_row >= self.limits.bad_readings:
            last = "none" if celsius is None else f"{celsius:g} °C"
            self._cool_down(
                now,
                f"{self.limits.bad_readings} bad temperature readings in a row (the last: {last})",
            )
        self.on_time(now)

    def _good(self, now: float, celsius: float) -> None:
        limits = self.limits
        self._cut_off_in_row = self._cut_off_in_row + 1 if celsius >= limits.cut_off_c else 0
        if self.heat.level is HeatLevel.CUT_OFF:
            return
        if self._cut_off_in_row >= 2:
            self._enter(now, HeatLevel.CUT_OFF, f"{celsius:g} °C, cut-off at {limits.cut_off_c:g}")
        elif celsius >= limits.cooldown_c:
            self._cool_down(
                now, f"{celsius:g} °C, limit {limits.cooldown_c:g}; again at {limits.cooled_c:g}"
            )
        elif self.heat.level is HeatLevel.COOLDOWN:
            self._leave_cooldown(now, celsius)
        elif celsius >= limits.throttle_c:
            self._step_down(now, celsius)
        elif celsius <= limits.resume_c:
            self._step_up(now, celsius)

    def _cool_down(self, now: float, reason: str) -> None:
        if self.heat.level < HeatLevel.COOLDOWN:
            self._enter(now, HeatLevel.COOLDOWN, reason)

    def _leave_cooldown(self, now: float, celsius: float) -> None:
        limits = self.limits
        long_enough = now - self._level_since >= limits.shortest_cooldown_s
        if celsius <= limits.cooled_c and long_enough:
            # It was too hot at what it did, so it begins a step below that.
            factor = max(self._factor - limits.step, limits.lowest_factor)
            self._set_factor(now, factor, celsius)

    def _step_down(self, now: float, celsius: float) -> None:
        limits = self.limits
        first = self.heat.level is HeatLevel.NORMAL
        if not first and now - self._stepped_at < limits.step_down_every_s:
            return
        factor = max(self._factor - limits.step, limits.lowest_factor)
        if factor < self._factor:
            self._set_factor(now, factor, celsius)

    def _step_up(self, now: float, celsius: float) -> None:
        throttled = self.heat.level is HeatLevel.THROTTLE
        if throttled and now - self._stepped_at >= self.limits.step_up_every_s:
            self._set_factor(now, min(self._factor + self.limits.step, 1.0), celsius)

    def _set_factor(self, now: float, factor: float, celsius: float) -> None:
        limits = self.limits
        self._factor = 1.0 if factor > 1 - limits.step / 1000 else factor
        self._stepped_at = now
        if self._factor < 1:
            words = (
                f"{celsius:g} °C, throttled to {self._factor:.0%}: down from"
                f" {limits.throttle_c:g}, up from {limits.resume_c:g}"
            )
            self._enter(now, HeatLevel.THROTTLE, words)
        else:
            self._enter(now, HeatLevel.NORMAL, f"cool again at {celsius:g} °C")

    def _enter(self, now: float, level: HeatLevel, reason: str) -> None:
        self._level_since = now
        factor = 0.0 if level >= HeatLevel.COOLDOWN else self._factor
        self.heat = Heat(level, reason, factor)
