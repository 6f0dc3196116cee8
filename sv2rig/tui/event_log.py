"""The log of events: the latest lines, wrapped to the screen, following unless told otherwise."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from rich.text import Text
from textual.widgets import RichLog

from sv2rig.rig.snapshot import Event
from sv2rig.tui.panels import event_words
from sv2rig.tui.states import DIM, WARN
from sv2rig.tui.text import clock, plain

_KEPT = 1000


class EventLog(RichLog):
    """Follows the newest event while it stands at the end; scrolling up holds it, too."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, wrap=True, min_width=0, max_lines=_KEPT, auto_scroll=False)
        self.can_focus = True
        self.follow = True
        self._kept: deque[Text] = deque(maxlen=_KEPT)
        self._last_number = 0

    @property
    def last_number(self) -> int:
        """The number of the newest event seen."""
        return self._last_number

    def restart(self) -> None:
        """The rig began anew, and so did its numbers."""
        self._last_number = 0

    def toggle_follow(self) -> None:
        self.follow = not self.is_following
        if self.follow:
            self.scroll_end(animate=False)

    @property
    def is_following(self) -> bool:
        return self.follow and self.is_vertical_scroll_end

    def add(self, events: Iterable[Event]) -> None:
        lines = []
        for event in events:
            missed = event.number - self._last_number - 1
            if missed > 0:
                lines.append(Text(f"         … {missed} earlier events are not kept", DIM))
            lines.append(event_line(event))
            self._last_number = event.number
        self._kept.extend(lines)
        self._write(lines)

    def rewrap(self) -> None:
        """Write all lines again, for another width."""
        self.clear()
        self._write(self._kept)

    def _write(self, lines: Iterable[Text]) -> None:
        following = self.is_following
        for line in lines:
            self.write(line)
        if following:
            self.scroll_end(animate=False)


def event_line(event: Event) -> Text:
    """One event; what it says is shown as it is, never read as markup."""
    word, colour = event_words(event.level)
    device = f"{plain(event.device)}: " if event.device else ""
    return Text.assemble(
        (f"{clock(event.time)} ", DIM),
        (f"{word} ", colour),
        (device, "bold"),
        (plain(event.text), WARN if event.level == "warning" else colour if colour != DIM else ""),
    )
