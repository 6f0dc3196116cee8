"""The log of events: the latest lines, wrapped to the screen, following unless told otherwise."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from rich.text import Text
from textual.events import Resize
from textual.widgets import RichLog

from sv2rig.rig.snapshot import Event
from sv2rig.tui.panels import event_words
from sv2rig.tui.states import DIM
from sv2rig.tui.text import clock, plain
from sv2rig.tui.themes import palette_of

_KEPT = 2000  # lines
LEVELS = ("info", "warning", "error")
_RANKS = {"good": 1, "warning": 1, "error": 2}  # good news is rare, and worth a warning's place


class EventLog(RichLog):
    """Follows the newest event until the user scrolls up or says so, and again from the end on."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, wrap=True, min_width=0, max_lines=_KEPT, auto_scroll=False)
        self.follow = True
        self.level = LEVELS[0]
        self._kept: deque[tuple[int, Text]] = deque(maxlen=_KEPT)  # with the level's rank
        self._laid_out = (0, 0)  # when last at the end: how far one can scroll, and the height

    def toggle_follow(self) -> None:
        self.follow = not self.follow
        self.keep_up()

    def keep_up(self) -> None:
        """Show the end, if following: banners and new lines push it out of sight."""
        if self.follow and not self.is_vertical_scroll_end:
            self.scroll_end(animate=False)
        self._laid_out = (self.max_scroll_y, self.size.height)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if new_value == old_value:
            return
        if new_value >= self.max_scroll_y:
            self.follow = True
        elif self._laid_out == (self.max_scroll_y, self.size.height):
            self.follow = False  # nothing else moved: it was the user
        elif self.follow:
            self.call_after_refresh(self.keep_up)

    def on_resize(self, event: Resize) -> None:
        super().on_resize(event)
        self.call_after_refresh(self.keep_up)

    def next_level(self) -> None:
        """Show only what is at least as grave as the next level; after the last one, all again."""
        self.level = LEVELS[(LEVELS.index(self.level) + 1) % len(LEVELS)]
        self.rewrap()

    def add(self, events: Iterable[Event], missed: int = 0) -> None:
        """New events, oldest first, before which so many were not kept."""
        lines = [(_RANKS.get(event.level, 0), event_line(event)) for event in events]
        if missed > 0:
            words = Text(f"         … {missed} earlier events are not kept", DIM)
            lines.insert(0, (len(LEVELS), words))
        self._kept.extend(lines)
        self._write(lines)

    def empty(self) -> None:
        """Forget all lines."""
        self._kept.clear()
        self.rewrap()

    def rewrap(self) -> None:
        """Write all lines again, for another width, level or theme."""
        follow = self.follow
        self.clear()
        self.follow = follow
        self._write(self._kept)

    def _write(self, lines: Iterable[tuple[int, Text]]) -> None:
        lowest, palette = LEVELS.index(self.level), palette_of(self.app)
        for rank, line in lines:
            if rank >= lowest:
                self.write(palette.paint(line))
        self.keep_up()


def event_line(event: Event) -> Text:
    """One event; what it says is shown as it is, never read as markup."""
    word, role = event_words(event.level)
    device = f"{plain(event.device)}: " if event.device else ""
    return Text.assemble(
        (f"{clock(event.time)} ", DIM),
        (f"{word} ", role),
        (device, "bold"),
        (plain(event.text), role if role != DIM else ""),
    )
