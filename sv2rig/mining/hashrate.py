"""Hash rates: from a device's own counter, from the solutions it reports, and what a pool is told.

Pure: time is passed in, as monotonic seconds. Rates are hashes a second.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

WINDOWS_S = (5.0, 60.0, 900.0)
_SAMPLES = 64  # a window is kept as this many samples, so it is at most 1/64 too long
_FEWEST_SOLUTIONS = 16  # n solutions have a standard deviation of 1 / sqrt(n): here 25 %


class _Window:
    def __init__(self, length_s: float) -> None:
        self.length_s = length_s
        self._samples: deque[tuple[float, int]] = deque()
        self._latest: tuple[float, int] | None = None

    def update(self, now: float, hashes: int) -> None:
        samples = self._samples
        if not samples or now - samples[-1][0] >= self.length_s / _SAMPLES:
            samples.append((now, hashes))
        self._latest = (now, hashes)
        while len(samples) > 1 and samples[1][0] <= now - self.length_s:
            samples.popleft()

    def rate(self) -> float | None:
        if self._latest is None:
            return None
        span = self._latest[0] - self._samples[0][0]
        if span < self.length_s:
            return None
        return (self._latest[1] - self._samples[0][1]) / span


class HashMeter:
    """A device's hash rate over several windows, from its counter of hashes done."""

    def __init__(self, windows_s: Sequence[float] = WINDOWS_S) -> None:
        self._windows_s = tuple(windows_s)
        self.reset()

    def reset(self) -> None:
        """Forget everything measured."""
        self._windows = {length: _Window(length) for length in self._windows_s}
        self._last: tuple[float, int] | None = None

    def update(self, now: float, hashes: int) -> None:
        """The counter's reading at `now`. A counter that went back starts the meter anew; a
        reading older than the last one is ignored."""
        if self._last is not None:
            if now <= self._last[0]:
                return
            if hashes < self._last[1]:
                self.reset()
        self._last = (now, hashes)
        for window in self._windows.values():
            window.update(now, hashes)

    def rate(self, window_s: float) -> float | None:
        """The mean over the last `window_s` seconds before the latest reading; None until readings
        span that long. KeyError for a window that is not kept."""
        return self._windows[window_s].rate()


@dataclass(slots=True)
class _Step:
    began: float
    solutions: int = 0
    hashes: int = 0


class SolutionMeter:
    """The hash rate that a device's re-hashed solutions prove: each stands for 2^256 / (ticket + 1)
    hashes, whatever its own counter says.

    Solutions are kept in steps of 1/64 of the window, so that a meter stays small at any rate.
    """

    def __init__(self, window_s: float = 900.0) -> None:
        self._window_s = window_s
        self._since: float | None = None
        self._steps: deque[_Step] = deque()
        self._solutions = 0
        self._hashes = 0

    def start(self, now: float) -> None:
        """The device began to hash; what was proved before is forgotten."""
        self._since = now
        self._steps.clear()
        self._solutions = self._hashes = 0

    def add(self, now: float, ticket: int) -> None:
        """A valid solution of Work with this ticket."""
        if self._since is None:
            self._since = now
        hashes = ((1 << 256) + (ticket + 1) // 2) // (ticket + 1)  # expected_hashes(), rounded
        step = self._steps[-1] if self._steps else None
        if step is None or now - step.began >= self._window_s / _SAMPLES:
            step = _Step(now)
            self._steps.append(step)
        step.solutions += 1
        step.hashes += hashes
        self._solutions += 1
        self._hashes += hashes
        self._forget(now)

    def rate(self, now: float) -> float | None:
        """Hashes a second over the window, or since the start if that is shorter; None below 16
        solutions."""
        self._forget(now)
        if self._since is None or self._solutions < _FEWEST_SOLUTIONS:
            return None
        span = min(self._window_s, now - self._since)
        return self._hashes / span if span > 0 else None

    def error(self, now: float) -> float | None:
        """The relative standard deviation of rate(): 1 / sqrt(n) of n solutions; None with it."""
        return None if self.rate(now) is None else 1 / math.sqrt(self._solutions)

    def _forget(self, now: float) -> None:
        while self._steps and self._steps[0].began <= now - self._window_s:
            step = self._steps.popleft()
            self._solutions -= step.solutions
            self._hashes -= step.hashes


class NominalRate:
    """When to send UpdateChannel: the rate is a fifth or more off what the pool was told, and has
    been for `settle_s` seconds."""

    def __init__(self, told_hs: float, settle_s: float = 10.0, threshold: float = 0.2) -> None:
        self._told_hs = told_hs
        self._settle_s = settle_s
        self._threshold = threshold
        self._off_since: float | None = None

    @property
    def told_hs(self) -> float:
        """What the pool knows."""
        return self._told_hs

    def tell(self, hashrate_hs: float) -> None:
        """The pool was told this rate."""
        self._told_hs = hashrate_hs
        self._off_since = None

    def is_due(self, hashrate_hs: float | None, now: float) -> bool:
        """Whether to tell the pool `hashrate_hs` now; None (unknown) never is."""
        if hashrate_hs is None:
            return False
        if abs(hashrate_hs - self._told_hs) < self._threshold * self._told_hs or (
            hashrate_hs == self._told_hs
        ):
            self._off_since = None
            return False
        if self._off_since is None:
            self._off_since = now
        return now - self._off_since >= self._settle_s
