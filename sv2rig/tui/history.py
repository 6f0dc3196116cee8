"""The hash rate over time, as a drawing of block characters. No clock: samples bring their time."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

_EIGHTHS = " ▁▂▃▄▅▆▇█"
# Seconds a column; with two samples a column a late one leaves no hole.
_STEPS = (2, 5, 10, 15, 30, 60, 120, 180, 300)
HOUR_S = 3600


class Drawing(NamedTuple):
    """`rows` from the top down, the time they span, and the rate that a full column stands for."""

    rows: list[str]
    span_s: int
    highest_hs: float | None


class RateHistory:
    """Samples of one rate, of the last hour. A moment that was known before changes nothing."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float | None]] = deque()

    def clear(self) -> None:
        self._samples.clear()

    def add(self, at_s: float, rate_hs: float | None) -> None:
        """Samples come in order; after a step back of the clock all is forgotten."""
        if self._samples and at_s < self._samples[-1][0]:
            self._samples.clear()
        self._samples.append((at_s, rate_hs))
        while self._samples[0][0] < at_s - HOUR_S:
            self._samples.popleft()

    def draw(self, width: int, height: int) -> Drawing:
        """The newest samples at the right, from zero at the bottom. Unknown is blank."""
        elapsed = self._samples[-1][0] - self._samples[0][0] if self._samples else 0.0
        step = next((step for step in _STEPS if step * width >= elapsed), _STEPS[-1])
        means = self._means(width, step)
        known = [mean for mean in means if mean is not None]
        highest = max(known) if known else None
        levels = [_level(mean, highest, height) for mean in means]
        rows = [
            "".join(_EIGHTHS[min(max(level - 8 * row, 0), 8)] for level in levels)
            for row in reversed(range(height))
        ]
        return Drawing(rows, step * width, highest)

    def _means(self, width: int, step: int) -> list[float | None]:
        """The mean rate of each column. Columns begin at multiples of `step`, so they stand still
        while the newest one fills."""
        sums: dict[int, list[float]] = {}
        for at, rate in self._samples:
            if rate is not None:
                sums.setdefault(int(at // step), []).append(rate)
        newest = int(self._samples[-1][0] // step) if self._samples else 0
        columns = (sums.get(index) for index in range(newest - width + 1, newest + 1))
        return [sum(rates) / len(rates) if rates else None for rates in columns]


def _level(mean: float | None, highest: float | None, height: int) -> int:
    """How many eighths of a cell are filled; a known zero still shows that it is known."""
    if mean is None:
        return 0
    return max(1, round(8 * height * mean / highest)) if highest else 1
