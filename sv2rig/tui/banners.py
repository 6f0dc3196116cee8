"""What must not be missed: a block, a pool that is gone, a rig that no longer answers."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from sv2rig import __version__
from sv2rig.rig.snapshot import PoolSnapshot
from sv2rig.tui.text import clock, plain
from sv2rig.tui.watch import Watch
from sv2rig.units import duration


class Banner(Static):
    """A bar across the screen, there only while it has something to say."""

    _said = ""

    def say(self, text: str) -> bool:
        """Show the text; an empty one takes the bar away. True if the bar has just come up."""
        if text == self._said:
            return False
        came_up = not self._said
        self._said = text
        self.update(Content(text))
        self.display = bool(text)
        return came_up


class Banners(Vertical):
    """The bars, the most urgent one on top."""

    def compose(self) -> ComposeResult:
        for name in ("silent", "block", "pool", "version"):
            banner = Banner(id=name)
            banner.display = False
            yield banner

    def show(self, watch: Watch) -> bool:
        """Say what the watch has seen. True if a block's bar has just come up."""
        rig = watch.rig
        if rig is None:
            return False
        self.silent(watch.silent_s, rig.time, watch.lost)
        self.pool(rig.pool)
        self.version(watch.other_version)
        return self.blocks(watch.new_blocks, rig.blocks_found)

    def silent(self, seconds: float | None, last_heard: float, lost: str = "") -> None:
        """`seconds` without news; None while there are."""
        why = f" ({plain(lost)})" if lost else ""
        text = (
            ""
            if seconds is None
            else f"THE RIG IS NOT ANSWERING: no news for {duration(seconds)}{why}; "
            f"what you see is of {clock(last_heard)}"
        )
        self.query_one("#silent", Banner).say(text)

    def blocks(self, new: int, total: int) -> bool:
        """`new` blocks since the user last looked. True if the bar has just come up."""
        counted = "BLOCK FOUND" if new == 1 else f"{new} BLOCKS FOUND"
        more = f" ({total} in all)" if total != new else ""
        text = f"★ ★ ★  {counted}{more}  ★ ★ ★   d dismisses" if new else ""
        return self.query_one("#block", Banner).say(text)

    def pool(self, about: PoolSnapshot) -> None:
        """Up while the pool is not there; a first connection attempt is no trouble yet."""
        words = ""
        if about.state not in ("mining", "connecting"):
            detail = plain(about.detail) or "no reason is known"
            words = f"NO POOL, {plain(about.state)}: {detail}"
        self.query_one("#pool", Banner).say(words)

    def version(self, other: str | None) -> None:
        """The rig is of another version than this screen."""
        text = other and (
            f"The rig is sv2rig {plain(other)} and this screen is {__version__}: restart the older "
            "one.   d dismisses"
        )
        self.query_one("#version", Banner).say(text or "")
