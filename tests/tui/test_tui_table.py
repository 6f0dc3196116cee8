"""The device table under keys and clicks: what is in sight, what is selected, what is chosen."""

from __future__ import annotations

import pytest
from textual import on
from tui_scenes import Source, device, lines, polled, rig

from sv2rig.tui.app import RigScreen
from sv2rig.tui.device_table import DeviceTable


class Choosing(RigScreen):
    """A screen that notes which devices were chosen."""

    chosen: list[str]

    @on(DeviceTable.Chosen)
    def note(self, message: DeviceTable.Chosen) -> None:
        self.chosen.append(message.device_id)


def choosing(count: int) -> Choosing:
    source = Source(rig(*(device(number) for number in range(1, count + 1))))
    app = Choosing(source, on_quit=None, clock=source.clock)
    app.chosen = []
    return app


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50)])
async def test_every_device_can_be_reached_and_is_then_in_sight(size: tuple[int, int]) -> None:
    app = choosing(64)
    async with app.run_test(size=size) as pilot:
        await polled(app, pilot)
        for key, number in (
            ("down", 2),
            ("end", 64),
            ("up", 63),
            ("home", 1),
            ("up", 1),
            ("k", 1),
            ("j", 2),
            ("ctrl+end", 64),
            ("down", 64),
            ("ctrl+home", 1),
        ):
            await pilot.press(key)
            await pilot.pause()
            assert app.selected == f"simulated:{number}", key
            assert any(line.strip("│").startswith(f"● {app.selected} ") for line in lines(app)), key


async def test_pages_reach_the_end_and_come_back() -> None:
    app = choosing(64)
    async with app.run_test(size=(80, 24)) as pilot:
        await polled(app, pilot)
        for _ in range(8):
            await pilot.press("pagedown")
        assert app.selected == "simulated:64"
        for _ in range(8):
            await pilot.press("pageup")
        assert app.selected == "simulated:1"


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_click_selects_and_another_one_chooses(size: tuple[int, int]) -> None:
    app = choosing(4)
    async with app.run_test(size=size) as pilot:
        shown = await polled(app, pilot)
        row = next(y for y, line in enumerate(shown) if "simulated:3" in line)
        await pilot.click(offset=(5, row))
        assert app.selected == "simulated:3"
        assert app.chosen == []
        await pilot.click(offset=(5, row))
        await pilot.press("down", "enter")
        assert app.chosen == ["simulated:3", "simulated:4"]
        await pilot.click(offset=(5, row - 3))  # the headings
        await pilot.click(offset=(5, row + 4))  # what is below
        assert app.selected == "simulated:4"
        assert app.chosen == ["simulated:3", "simulated:4"]


async def test_nothing_can_be_chosen_where_there_is_nothing() -> None:
    app = choosing(0)
    async with app.run_test(size=(80, 24)) as pilot:
        await polled(app, pilot)
        await pilot.press("down", "up", "end", "pagedown", "enter")
        assert app.selected is None
        assert app.chosen == []


async def test_a_filtered_device_leaves_the_cursor_in_its_place() -> None:
    app = choosing(9)
    async with app.run_test(size=(80, 24)) as pilot:
        await polled(app, pilot)
        await pilot.press("end", "slash", "4", "enter")
        assert app.selected == "simulated:4"
