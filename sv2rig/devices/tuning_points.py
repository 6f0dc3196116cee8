"""What was measured at each frequency, and which frequency follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum


class TuningError(ValueError):
    """A tuning that cannot be done, or a record of one that cannot be read."""


class NoPowerReadingError(TuningError):
    """Efficiency was asked for where the power is not known."""

    def __init__(self) -> None:
        super().__init__(
            "this board gives no power reading, so its efficiency cannot be measured:"
            " tune it for hash rate instead"
        )


class Goal(StrEnum):
    HASHRATE = "hashrate"
    EFFICIENCY = "efficiency"


@dataclass(frozen=True, slots=True)
class TuningLimits:
    """The user's limits: frequencies in MHz, a grid of `step_mhz` around `start_mhz`.

    A point is measured for `measure_s` and until `samples` valid nonces came, but no longer than
    `longest_s`, after `settle_s`. It is stable with at most `error_ratio` wrong nonces and below
    `highest_c`. Of points within `margin` of the best the lowest frequency wins. The search
    towards lower frequencies ends after `worse_in_row` points that are each worse than the best.
    """

    lowest_mhz: float
    highest_mhz: float
    start_mhz: float
    step_mhz: float
    measure_s: float = 60.0
    samples: int = 1000
    longest_s: float = 600.0
    settle_s: float = 10.0
    error_ratio: float = 0.02
    highest_c: float = 75.0
    highest_power_w: float | None = None
    margin: float = 0.01
    worse_in_row: int = 2

    def __post_init__(self) -> None:
        if not 0 < self.lowest_mhz <= self.start_mhz <= self.highest_mhz:
            raise TuningError(
                f"tuning starts at {self.start_mhz:g} MHz:"
                f" must be within {self.lowest_mhz:g} to {self.highest_mhz:g} MHz"
            )
        if self.step_mhz <= 0 or self.samples < 1 or self.worse_in_row < 1:
            raise TuningError("step_mhz, samples and worse_in_row must be more than 0")
        if not 0 < self.measure_s <= self.longest_s:
            raise TuningError(
                f"measure_s = {self.measure_s:g} must be within 0 to longest_s = {self.longest_s:g}"
            )

    def allows(self, mhz: float) -> bool:
        return self.lowest_mhz <= mhz <= self.highest_mhz

    def mhz(self, step: int) -> float:
        """The frequency so many steps from the start."""
        return round(self.start_mhz + step * self.step_mhz, 6)


@dataclass(frozen=True, slots=True)
class Point:
    """One frequency, measured. `unstable`: why it is no use, or None."""

    mhz: float
    rate_hs: float
    error_ratio: float
    nonces: int
    seconds: float
    power_w: float | None = None
    temperature_c: float | None = None
    unstable: str | None = None

    @property
    def joules_per_terahash(self) -> float | None:
        """J/TH, where the power is known and something was hashed."""
        if self.power_w is None or not self.rate_hs:
            return None
        return self.power_w / self.rate_hs * 1e12

    def as_dict(self) -> dict[str, object]:
        return asdict(self)

    @classmethod
    def from_dict(cls, record: object) -> Point:
        """What `as_dict` gave; TuningError where it is something else."""
        if not isinstance(record, dict):
            raise TuningError(f"a measured point must be a table, not {type(record).__name__}")
        for name in ("mhz", "rate_hs", "error_ratio", "seconds"):
            if not _is_amount(record.get(name)):
                raise TuningError(f"a measured point's {name} is {record.get(name)!r}, no number")
        for name in ("power_w", "temperature_c"):
            if record.get(name) is not None and not isinstance(record[name], int | float):
                raise TuningError(f"a measured point's {name} is {record[name]!r}, no number")
        try:
            return cls(**record)
        except TypeError as error:
            raise TuningError(f"a measured point has other fields than expected: {error}") from None


def _is_amount(value: object) -> bool:
    return isinstance(value, int | float) and 0 <= value < float("inf")


def score(point: Point, goal: Goal) -> float:
    """The higher the better: hashes a second, or hashes a joule; 0 where it is no use."""
    if point.unstable is not None:
        return 0.0
    if goal is Goal.HASHRATE:
        return point.rate_hs
    return point.rate_hs / point.power_w if point.power_w else 0.0


def best_point(points: Sequence[Point], goal: Goal, limits: TuningLimits) -> Point | None:
    """The lowest frequency within the margin of the best score; None where no point is stable."""
    usable = [p for p in points if limits.allows(p.mhz) and score(p, goal) > 0]
    if not usable:
        return None
    highest = max(score(p, goal) for p in usable)
    good = [p for p in usable if score(p, goal) >= highest * (1 - limits.margin)]
    return min(good, key=lambda p: p.mhz)


def next_mhz(points: Sequence[Point], goal: Goal, limits: TuningLimits) -> float | None:
    """The frequency to measure next; None: all is known.

    From the start upwards until a point is unstable. Then downwards: for hash rate only until
    one is stable; for efficiency until it has grown worse several times in a row. Every grid
    frequency is measured once at most, so this ends.
    """
    known = {p.mhz: p for p in points}
    step = 0
    while limits.allows(limits.mhz(step)):
        point = known.get(limits.mhz(step))
        if point is None:
            return limits.mhz(step)
        if point.unstable is not None:
            break
        step += 1
    return _next_below(known, goal, limits)


def _next_below(known: dict[float, Point], goal: Goal, limits: TuningLimits) -> float | None:
    best = 0.0
    worse = 0
    step = 0
    while limits.allows(limits.mhz(step)):
        point = known.get(limits.mhz(step))
        if point is None:
            return limits.mhz(step)
        value = score(point, goal)
        if goal is Goal.HASHRATE and value > 0:
            return None
        worse = worse + 1 if 0 < value < best else 0
        if worse >= limits.worse_in_row:
            return None
        best = max(best, value)
        step -= 1
    return None
