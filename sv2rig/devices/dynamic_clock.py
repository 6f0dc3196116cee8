"""Dynamic clocking: up a step while a board makes no errors, down when it does."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClockLimits:
    """Frequencies in MHz within which the clock may move, `start_mhz` to begin at.

    A step is judged over `samples` nonces: down where more than `down_ratio` of them were wrong,
    up where no more than `up_ratio` were. A frequency that failed is tried again after
    `retry_s`. A board whose clock would have to fall by `give_up_ratio` of its start is faulty.
    """

    lowest_mhz: float
    highest_mhz: float
    start_mhz: float
    step_mhz: float
    down_ratio: float = 0.05
    up_ratio: float = 0.005
    samples: int = 200
    settle_s: float = 2.0
    retry_s: float = 1800.0
    give_up_ratio: float = 0.4

    def __post_init__(self) -> None:
        if not 0 < self.lowest_mhz <= self.start_mhz <= self.highest_mhz:
            raise ValueError(
                f"clock starts at {self.start_mhz:g} MHz:"
                f" must be within {self.lowest_mhz:g} to {self.highest_mhz:g} MHz"
            )
        if self.step_mhz <= 0 or self.samples < 1:
            raise ValueError(f"step_mhz = {self.step_mhz:g}, samples = {self.samples}: too low")
        if not 0 <= self.up_ratio < self.down_ratio < 1:
            raise ValueError(
                f"up_ratio = {self.up_ratio:g} must be below down_ratio = {self.down_ratio:g}"
            )


@dataclass(frozen=True, slots=True)
class ClockStep:
    """A frequency to set now. `give_up`: it is no use, stop the board; the reason says why."""

    mhz: float
    reason: str
    give_up: bool = False


class DynamicClock:
    """One chip's or board's clock. Time is monotonic seconds."""

    def __init__(self, limits: ClockLimits, now: float) -> None:
        self._limits = limits
        self._wrong = 0
        self._count = 0
        self._counts_from = now + limits.settle_s  # before, answers belong to the old clock
        self._failed: dict[int, float] = {}  # steps above the start that failed: tried again when
        self._step = 0
        self.mhz = limits.start_mhz

    def nonce(self, now: float, valid: bool) -> ClockStep | None:
        """A nonce, or a self-check of the board's, was right or wrong; a step where that decides.

        Errors decide as soon as they are too many for the whole sample, whatever else may come.
        """
        limits = self._limits
        if now < self._counts_from:
            return None
        self._count += 1
        self._wrong += not valid
        if self._wrong > limits.down_ratio * limits.samples:
            return self._down(now)
        if self._count < limits.samples:
            return None
        clean = self._wrong <= limits.up_ratio * limits.samples
        self._begin(now)
        return self._up(now) if clean else None

    def _down(self, now: float) -> ClockStep:
        limits = self._limits
        words = f"{self._wrong} of {self._count} nonces wrong at {self.mhz:g} MHz"
        self._failed[self._step] = now + limits.retry_s
        wanted = limits.start_mhz + (self._step - 1) * limits.step_mhz
        self._begin(now + limits.settle_s)
        if wanted < max(limits.lowest_mhz, limits.start_mhz * (1 - limits.give_up_ratio)):
            return ClockStep(
                self.mhz, f"{words}, and it may go no lower: check cooling and power", True
            )
        return self._set(self._step - 1, words)

    def _up(self, now: float) -> ClockStep | None:
        limits = self._limits
        wanted = self._step + 1
        if limits.start_mhz + wanted * limits.step_mhz > limits.highest_mhz:
            return None
        if self._failed.get(wanted, now) > now:
            return None
        self._begin(now + limits.settle_s)
        return self._set(wanted, f"no errors to speak of at {self.mhz:g} MHz")

    def _set(self, step: int, reason: str) -> ClockStep:
        self._step = step
        self.mhz = self._limits.start_mhz + step * self._limits.step_mhz
        return ClockStep(self.mhz, reason)

    def _begin(self, counts_from: float) -> None:
        self._wrong = self._count = 0
        self._counts_from = counts_from
