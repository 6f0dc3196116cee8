"""How long to wait before the next attempt at a pool that is away."""

from __future__ import annotations

import random

FIRST_S = 1.0
LONGEST_S = 30.0


class Backoff:
    """Doubling waits with jitter, so that a pool's miners do not all come back in one instant.

    A wait is drawn between half and the whole of 1, 2, 4 ... 30 s.
    """

    def __init__(
        self, rng: random.Random, first_s: float = FIRST_S, longest_s: float = LONGEST_S
    ) -> None:
        self._rng = rng
        self._first = first_s
        self._longest = longest_s
        self._attempts = 0

    def next_wait(self) -> float:
        """Seconds to wait now; the following wait is longer."""
        whole = min(self._longest, self._first * 2.0**self._attempts)
        self._attempts = min(self._attempts + 1, 60)
        return whole * self._rng.uniform(0.5, 1.0)

    def reset(self) -> None:
        """A connection worked: start again from the shortest wait."""
        self._attempts = 0
