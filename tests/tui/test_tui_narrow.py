"""What small terminals show, and what troubles of the rig look like on them."""

from __future__ import annotations

import pytest
from tui_scenes import DEAD, URL, Source, device, polled, rig, screen

from sv2rig.cli.control_rig import status_lines
from sv2rig.rig.snapshot import PoolStanding


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


def down(name: str, host: str) -> PoolStanding:
    url = URL.replace("pool.example", host)
    return PoolStanding(name, url, "me", "down", "connection refused", is_active=name == "main")


async def test_pools_that_are_all_down_show_their_names_first() -> None:
    pools = (down("main", "pool.example"), down("backup", "a-very-long-name.example"))
    app = screen(Source(rig(device(0), pool=DEAD, pools=pools)))
    async with app.run_test(size=(80, 24)) as pilot:
        shown = "\n".join(await polled(app, pilot))
    assert "✖ 1 main" in shown
    assert "✖ 2 backup DOWN" in shown


async def test_the_tiniest_screens_show_the_devices() -> None:
    app = screen(Source(rig(device(0), device(1))))
    async with app.run_test(size=(30, 8)) as pilot:
        shown = "\n".join(await polled(app, pilot))
        assert "opencl:0" in shown
        assert "simulated:1" in shown
        assert "hash rate 1m" not in shown
        await pilot.resize_terminal(80, 24)
        assert "hash rate 1m" in "\n".join(await polled(app, pilot))
