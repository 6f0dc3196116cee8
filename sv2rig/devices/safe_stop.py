"""After a clean stop: reset held low, and the fan on until the board is cool."""

from __future__ import annotations

COOL_C = 50.0
LONGEST_S = 60.0


class SafeStop:
    """Says how long the fan of a stopped board runs on: until a reading taken after the stop is
    below `cool_c`, or for `longest_s`. Its reset is low from the start. Time is monotonic seconds.
    """

    def __init__(self, now: float, cool_c: float = COOL_C, longest_s: float = LONGEST_S) -> None:
        self._cool_c = cool_c
        self._until = now + longest_s
        self._cool = False

    def reading(self, celsius: float | None) -> None:
        """A reading taken after the stop; None, and one that no board can have, says nothing."""
        if celsius is not None and -20 <= celsius < self._cool_c:
            self._cool = True

    def done(self, now: float) -> bool:
        """Whether the fan may stop."""
        return self._cool or now >= self._until

    def next_timeout(self) -> float:
        """When it is done at the latest."""
        return self._until
