"""What small terminals show, and what troubles of the rig look like on them."""

from __future__ import annotations

import pytest
from tui_scenes import Source, device, polled, rig, screen

from sv2rig.cli.control_rig import status_lines


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_troubles_that_last_stand_across_the_screen(size: tuple[int, int]) -> None:
    note = "the disk is full: no history is kept"
    source = Source(rig(device(0), notes=(note,)))
    app = screen(source)
    async with app.run_test(size=size) as pilot:
        assert note in "\n".join(await polled(app, pilot))
        source.publish(rig(device(0)))
        assert note not in "\n".join(await polled(app, pilot))
    assert f"trouble: {note}" in status_lines(rig(notes=(note,)))
