"""What must not be missed: a block, a pool that is gone, a rig that no longer answers."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from sv2rig import __version__
from sv2rig.tui.pool_lines import trouble
from sv2rig.tui.text import clock, offset, plain
from sv2rig.tui.watch import Watch, blocks_of
from sv2rig.units import duration


class Banner(Static):
    """A bar across the screen, there only while it has something to say."""

    _said = ""

    def say(self, text: str) -> bool:
        """Show the text; an empty one takes the bar away. True if the bar has just come up."""
        # As wide as the screen, so that it is a bar where there are no backgrounds but reversal.
        bar = text.center(self.app.size.width - 2, "\u00a0") if text else ""
        if bar == self._said:
            return False
        came_up = not self._said
        self._said = bar
        self.update(Content(bar))
        self.display = bool(text)
        return came_up


class Banners(Vertical):
    """The bars, the most urgent one on top."""

    def compose(self) -> ComposeResult:
        for name in ("silent", "block", "pool", "notes", "version"):
            banner = Banner(id=name)
            banner.display = False
            yield banner

    def show(self, watch: Watch) -> bool:
        """Say what the watch has seen. True if a block's bar has just come up."""
        rig = watch.rig
        if rig is None:
            return False
        self.silent(watch.silent_s, rig.time, watch.lost)
        self.query_one("#pool", Banner).say(trouble(rig))
        self.query_one("#notes", Banner).say("; ".join(plain(note) for note in rig.notes))
        self.version(watch.other_version)
        return self.blocks(watch.new_blocks, blocks_of(rig))

    def silent(self, seconds: float | None, last_heard: float, lost: str = "") -> None:
        """`seconds` without news; None while there are. `lost`: why, where that is known."""
        why = f": {plain(lost)}" if lost else ""
        text = (
            ""
            if seconds is None
            else f"DAEMON LOST for {duration(seconds)}, last news {clock(last_heard)} "
            f"({offset(last_heard)}), attaches again by itself{why}"
        )
        self.query_one("#silent", Banner).say(text)

    def blocks(self, new: int, total: int) -> bool:
        """`new` blocks since the user last looked. True if the bar has just come up."""
        counted = "BLOCK FOUND" if new == 1 else f"{new} BLOCKS FOUND"
        more = f" ({total} in all)" if total != new else ""
        text = f"★ ★ ★  {counted}{more}  ★ ★ ★   d dismisses" if new else ""
        return self.query_one("#block", Banner).say(text)

    def version(self, other: str | None) -> None:
        """The rig is of another version than this screen."""
        text = other and (
            f"The rig is sv2rig {plain(other)} and this screen is {__version__}: restart the older "
            "one.   d dismisses"
        )
        self.query_one("#version", Banner).say(text or "")
