"""How many of how many, over the last seconds: the sliding window behind every watchdog."""

from __future__ import annotations


class Window:
    """Two sums, `hits` out of `trials`, over about the last `length_s` seconds.

    Kept in a fixed number of slots, so a call costs the same however much was counted; the oldest
    slot leaves whole, so the window is between (slots - 1) / slots of its length and all of it.
    Time is monotonic seconds and may stand still.
    """

    __slots__ = ("_hits", "_slot", "_slot_s", "_trials", "hits", "trials")

    def __init__(self, length_s: float, slots: int = 10) -> None:
        if length_s <= 0 or slots < 2:
            raise ValueError(
                f"a window of {length_s} s in {slots} slots: needs a length and 2 slots"
            )
        self._slot_s = length_s / slots
        self._hits = [0.0] * slots
        self._trials = [0.0] * slots
        self._slot: int | None = None
        self.hits = 0.0
        self.trials = 0.0

    def add(self, now: float, hits: float, trials: float) -> None:
        """Count; what is older than the window leaves."""
        self.expire(now)
        index = (self._slot or 0) % len(self._hits)
        self._hits[index] += hits
        self._trials[index] += trials
        self.hits += hits
        self.trials += trials

    def expire(self, now: float) -> None:
        """Forget what is older than the window."""
        slot = int(now // self._slot_s)
        if self._slot is None:
            self._slot = slot
        passed = slot - self._slot
        if passed <= 0:
            return
        count = len(self._hits)
        for step in range(1, min(passed, count) + 1):
            index = (self._slot + step) % count
            self._hits[index] = self._trials[index] = 0.0
        self._slot = slot
        self.hits = sum(self._hits)  # summed anew, so that no rounding error builds up
        self.trials = sum(self._trials)

    def clear(self) -> None:
        """Forget everything."""
        count = len(self._hits)
        self._hits, self._trials = [0.0] * count, [0.0] * count
        self.hits = self.trials = 0.0

    @property
    def ratio(self) -> float:
        """hits / trials; 0 where nothing was tried."""
        return self.hits / self.trials if self.trials else 0.0
