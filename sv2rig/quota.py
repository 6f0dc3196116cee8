"""A bound on log lines that a peer or a broken device could cause without end."""

from __future__ import annotations

WINDOW_S = 60.0
MOST_LINES = 20


class LineQuota:
    """At most `most` lines of WINDOW_S; the last one says that more are held back."""

    def __init__(self, most: int = MOST_LINES) -> None:
        self._most = most
        self._since = float("-inf")
        self._used = 0

    def line(self, text: str, now: float) -> str | None:
        """The line to print, or None; `now` is monotonic seconds."""
        if now - self._since >= WINDOW_S:
            self._since, self._used = now, 0
        self._used += 1
        if self._used > self._most:
            return None
        if self._used == self._most:
            return f"{text} (more such lines are held back for a minute)"
        return text
