"""One screenful as text, without a terminal."""

from __future__ import annotations

from sv2rig.rig.snapshot import SnapshotSource
from sv2rig.tui.app import RigScreen


async def screenful(source: SnapshotSource, size: tuple[int, int]) -> list[str]:
    """The screen's lines at this size, columns by rows."""
    app = RigScreen(source, on_quit=None)
    async with app.run_test(size=size) as pilot:
        shown: list[str] = []
        still = 0
        while still < 3:  # the log is laid out in a later turn of the loop than its panel
            app.poll()
            await pilot.pause()
            now = [strip.text.rstrip() for strip in app.screen._compositor.render_strips()]
            still = still + 1 if now == shown else 0
            shown = now
    return shown
