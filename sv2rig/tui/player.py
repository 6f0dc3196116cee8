"""The screen that plays a recording."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.css.query import NoMatches
from textual.widgets import Static

from sv2rig.tui.app import RigScreen
from sv2rig.tui.event_log import EventLog
from sv2rig.tui.recording import SEEK_S, Replay
from sv2rig.units import duration


class ReplayScreen(RigScreen):
    """RigScreen with a player's keys, and a line that says where in the recording it is."""

    DEFAULT_CSS = "#player { height: 1; padding: 0 1; background: #005f87; color: #ffffff; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "pause", "Pause", priority=True),
        Binding("left", "seek(-1)", "10 s back", priority=True, key_display="←"),
        Binding("right", "seek(1)", "10 s on", priority=True, key_display="→"),
    ]

    def __init__(self, replay: Replay) -> None:
        super().__init__(replay, on_quit=None)
        self._replay = replay

    def compose(self) -> ComposeResult:
        yield Static(id="player", markup=False)
        yield from super().compose()

    def poll(self) -> None:
        super().poll()
        replay = self._replay
        mark = "■ at its end" if replay.at_end else "‖ paused" if replay.paused else "▶"
        speed = "" if replay.speed == 1 else f", {replay.speed:g} times as fast"
        position, length = duration(replay.position_s), duration(replay.length_s)
        line = f"REPLAY {mark}  {position} of {length}{speed}   space pauses, ← → 10 s"
        try:
            self.screen_stack[0].query_one("#player", Static).update(line, layout=False)
        except NoMatches:  # a last tick while the screen is being taken down
            return

    def action_pause(self) -> None:
        self._replay.pause(not self._replay.paused)
        self.poll()

    def action_seek(self, direction: int) -> None:
        self._replay.seek(direction * SEEK_S)
        before = self.seen.rig
        if before is not None and self._replay.snapshot().time < before.time:
            self.seen.rates.clear()
            self.seen.shares.clear()
            self.screen_stack[0].query_one(EventLog).empty()  # told again up to there
        self.poll()
