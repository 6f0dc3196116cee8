"""Finding one board's best frequency, for hash rate or for efficiency."""

from __future__ import annotations

import math

from sv2rig.devices.tuning_points import (
    Goal,
    NoPowerReadingError,
    Point,
    TuningError,
    TuningLimits,
    best_point,
    next_mhz,
)

STATE_VERSION = 1


class Tuner:
    """Measures one frequency after another and keeps a record of each.

    The driver sets `mhz`, says `begin`, then reports nonces and readings and asks `on_time`; when
    that says True, `mhz` is the next frequency, or the one to stay at once `done`. What is known
    is the list of points and nothing else: `state()` can be kept as JSON and given to `resume`,
    where an unfinished point is measured again. Time is monotonic seconds.
    """

    def __init__(
        self,
        goal: Goal,
        limits: TuningLimits,
        has_power_reading: bool,
        points: tuple[Point, ...] = (),
    ) -> None:
        if goal is Goal.EFFICIENCY and not has_power_reading:
            raise NoPowerReadingError
        self.goal = goal
        self.limits = limits
        self.points: list[Point] = list(points)
        self._begun: float | None = None
        self._hashes_per_nonce = 0.0
        self._power: list[float] = [0.0, 0.0]  # sum and count
        self._hottest_c: float | None = None
        self._valid = self._wrong = 0

    @classmethod
    def resume(cls, state: object, limits: TuningLimits, has_power_reading: bool) -> Tuner:
        """Go on from a kept state. Points outside the limits stay on record and are not used;
        the limits may have changed since."""
        if not isinstance(state, dict) or state.get("version") != STATE_VERSION:
            raise TuningError(
                "this record of a tuning is of another version, or none: start tuning anew"
            )
        goal, records = state.get("goal"), state.get("points")
        if goal not in tuple(Goal) or not isinstance(records, list):
            raise TuningError("this record of a tuning is damaged: start tuning anew")
        points = tuple(Point.from_dict(record) for record in records)
        return cls(Goal(goal), limits, has_power_reading, points)

    def state(self) -> dict[str, object]:
        """All that is known, as plain values."""
        points = [point.as_dict() for point in self.points]
        return {"version": STATE_VERSION, "goal": str(self.goal), "points": points}

    @property
    def done(self) -> bool:
        return next_mhz(self.points, self.goal, self.limits) is None

    @property
    def best(self) -> Point | None:
        """The best point so far; None while no frequency has proved stable."""
        return best_point(self.points, self.goal, self.limits)

    @property
    def mhz(self) -> float:
        """The frequency to run at now: the one to be measured, at the end the best; the start
        where nothing was stable."""
        wanted = next_mhz(self.points, self.goal, self.limits)
        if wanted is not None:
            return wanted
        best = self.best
        return self.limits.start_mhz if best is None else best.mhz

    def begin(self, now: float, hashes_per_nonce: float) -> None:
        """`mhz` is set: measure it from `settle_s` on. A valid nonce proves so many hashes."""
        if hashes_per_nonce <= 0:
            raise ValueError(f"hashes_per_nonce = {hashes_per_nonce:g} must be more than 0")
        self._begun = now + self.limits.settle_s
        self._hashes_per_nonce = hashes_per_nonce
        self._power = [0.0, 0.0]
        self._hottest_c = None
        self._valid = self._wrong = 0

    def nonce(self, now: float, valid: bool) -> None:
        """A nonce came and was re-hashed."""
        if self._begun is not None and now >= self._begun:
            self._valid += valid
            self._wrong += not valid

    def reading(self, now: float, power_w: float | None, temperature_c: float | None) -> None:
        """Telemetry; None where unknown."""
        if self._begun is None or now < self._begun:
            return
        if power_w is not None and math.isfinite(power_w) and power_w > 0:
            self._power[0] += power_w
            self._power[1] += 1
        if temperature_c is not None:
            self._hottest_c = max(temperature_c, self._hottest_c or temperature_c)

    def unstable(self, now: float, reason: str) -> None:
        """The board did not bear this frequency: it was throttled, reset, or fell silent."""
        if self._begun is not None:
            self._record(now, reason)

    def on_time(self, now: float) -> bool:
        """Whether the point is measured. Raises NoPowerReadingError where efficiency is the goal
        and no reading of the power came."""
        if self._begun is None or self.done:
            return False
        reason = self._breaks_a_limit()
        seconds = now - self._begun
        enough = seconds >= self.limits.measure_s and self._valid >= self.limits.samples
        if reason is None and not enough and seconds < self.limits.longest_s:
            return False
        if reason is None and not self._valid:
            reason = f"no valid nonce in {self.limits.longest_s:g} s"
        if self.goal is Goal.EFFICIENCY and reason is None and not self._power[1]:
            raise NoPowerReadingError
        self._record(now, reason)
        return True

    def next_timeout(self) -> float | None:
        """When the present point may be complete; None: not begun."""
        if self._begun is None or self.done:
            return None
        return self._begun + self.limits.measure_s

    def _breaks_a_limit(self) -> str | None:
        limits = self.limits
        if self._hottest_c is not None and self._hottest_c > limits.highest_c:
            return f"{self._hottest_c:g} °C, limit {limits.highest_c:g}"
        power = self._mean_power()
        highest = limits.highest_power_w
        if power is not None and highest is not None and power > highest:
            return f"{power:.1f} W, limit {highest:g}"
        count = self._valid + self._wrong
        if self._wrong > limits.error_ratio * max(count, limits.samples):
            return f"{self._wrong} of {count} nonces wrong"
        return None

    def _mean_power(self) -> float | None:
        return self._power[0] / self._power[1] if self._power[1] else None

    def _record(self, now: float, unstable: str | None) -> None:
        seconds = max(now - (self._begun or now), 0.0)
        count = self._valid + self._wrong
        self.points.append(
            Point(
                mhz=self.mhz,
                rate_hs=self._valid * self._hashes_per_nonce / seconds if seconds else 0.0,
                error_ratio=self._wrong / count if count else 0.0,
                nonces=count,
                seconds=seconds,
                power_w=self._mean_power(),
                temperature_c=self._hottest_c,
                unstable=unstable,
            )
        )
        self._begun = None
