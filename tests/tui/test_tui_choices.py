"""What the user chooses to see: filters, levels, panels, themes; and what a screen remembers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from textual.widgets import Input
from tui_scenes import ALIVE, NOW, Source, device, lines, polled, rig, screen

from sv2rig.rig.snapshot import ShareCounts
from sv2rig.tui.device_order import Choice
from sv2rig.tui.device_table import DeviceTable
from sv2rig.tui.event_log import EventLog
from sv2rig.tui.themes import THEMES, palette_of
from sv2rig.tui.watch import Watch


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        ("", ["gekko:A", "icarus:B", "icarus:C"]),
        ("ICARUS", ["icarus:B", "icarus:C"]),
        ("usb1", ["icarus:B"]),
        ("lost", ["icarus:C"]),
        ("icarus lost", ["icarus:C"]),
        ("gekko lost", []),
    ],
)
def test_a_filter_is_words_of_id_backend_port_or_state(words: str, ids: list[str]) -> None:
    devices = [
        device(1, id="gekko:A", backend="gekko"),
        device(2, id="icarus:B", backend="icarus", port="ttyUSB1"),
        device(3, id="icarus:C", backend="icarus", state="LOST"),
    ]
    assert sorted(row.id for row in Choice(filter=words).chosen(devices)) == ids


async def test_the_filter_follows_each_letter_and_esc_clears_it() -> None:
    app = screen(Source(rig(*(device(number) for number in range(12)))))
    async with app.run_test(size=(80, 24)) as pilot:
        await polled(app, pilot)
        await pilot.press("slash", *"ulated:1")
        assert isinstance(app.focused, Input)
        shown = [line for line in await polled(app, pilot) if "simulated:" in line]
        assert [line.split()[1] for line in shown] == [f"simulated:{n}" for n in (1, 10, 11)]
        await pilot.press("enter", "down")
        assert isinstance(app.focused, DeviceTable)
        assert app.selected == "simulated:10"
        assert any("filter 'ulated:1', esc clears" in line for line in lines(app))
        await pilot.press("escape")
        assert app.selected == "simulated:10"
        await pilot.press("slash", *"nothing")
        assert any("No device is like the filter" in line for line in await polled(app, pilot))
        await pilot.press("escape")
        assert isinstance(app.focused, DeviceTable)
        assert any("simulated:5" in line for line in await polled(app, pilot))


async def test_a_filter_is_never_read_as_markup() -> None:
    app = screen(Source(rig(device(0))))
    async with app.run_test(size=(80, 24)) as pilot:
        await polled(app, pilot)
        await pilot.press("slash", *"[/b]")
        assert any("filter '[/b]', esc clears" in line for line in await polled(app, pilot))


async def test_l_shows_warnings_and_worse_then_errors_then_all() -> None:
    source = Source(rig(device(0)))
    for level in ("info", "good", "warning", "error"):
        source.say(NOW, level, f"one {level} event")
    app = screen(source)
    seen = []
    async with app.run_test(size=(80, 24)) as pilot:
        for _ in range(4):
            text = "\n".join(await polled(app, pilot))
            levels = ("info", "good", "warning", "error")
            seen.append([level for level in levels if f"one {level} event" in text])
            await pilot.press("l")
        assert app.query_one(EventLog).level == "warning"
    assert seen == [
        ["info", "good", "warning", "error"],
        ["good", "warning", "error"],
        ["error"],
        ["info", "good", "warning", "error"],
    ]


async def test_s_swaps_shares_and_log_where_only_one_has_room() -> None:
    source = Source(rig(device(0)))
    source.say(NOW, "info", "an event")
    source.share("accepted")
    app = screen(source)
    async with app.run_test(size=(80, 24)) as pilot:
        shown = "\n".join(await polled(app, pilot))
        assert "an event" in shown
        assert "18.6k/4.1k" not in shown
        await pilot.press("s")
        shown = "\n".join(await polled(app, pilot))
        assert "an event" not in shown
        assert "18.6k/4.1k" in shown
        await pilot.resize_terminal(120, 40)
        shown = "\n".join(await polled(app, pilot))
        assert "an event" in shown
        assert "18.6k/4.1k" in shown


async def test_other_versions_are_told_until_dismissed() -> None:
    app = screen(Source(rig(device(0), version="9.9")))
    async with app.run_test(size=(80, 24)) as pilot:
        assert any("The rig is sv2rig 9.9" in line for line in await polled(app, pilot))
        await pilot.press("d")
        assert not any("9.9" in line for line in await polled(app, pilot))


async def test_a_block_is_told_over_other_screens_too() -> None:
    source = Source(rig(device(0)))
    app = screen(source)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await polled(app, pilot)
        await pilot.press("question_mark")
        source.publish(rig(device(0), blocks_found=1))
        assert any("BLOCK FOUND (1 in all)" in line for line in await polled(app, pilot))


@pytest.mark.parametrize("theme", [theme.name for theme in THEMES] + ["textual-light", "nord"])
async def test_every_theme_shows_the_same_text(theme: str) -> None:
    source = Source(rig(device(0), device(1, state="LOST")))
    source.say(NOW, "warning", "an event")
    app = screen(source)
    async with app.run_test(size=(120, 40)) as pilot:
        before = await polled(app, pilot)
        app.theme = theme
        assert await polled(app, pilot) == before
        roles = ("good", "warn", "bad")
        looks = {str(palette_of(app).style(role)) for role in roles}
        assert len(looks) == len(roles)


class Remembering(Source):
    """A source that knows what was before."""

    def rates_before(self, utc: float) -> Sequence[tuple[float, float | None]]:
        return [(utc - 3600 + second, 5e6) for second in range(0, 3600, 60)]


def test_the_graph_begins_with_what_the_source_remembers() -> None:
    source = Remembering(rig(device(0)))
    watch = Watch(source, source.clock)
    watch.poll()
    drawing = watch.rates.draw(60, 1)
    assert drawing.span_s == 3600
    assert drawing.rows[0].startswith("▁▁▂") or "█" in drawing.rows[0]
    assert " " not in drawing.rows[0][2:]


@pytest.mark.parametrize(("seconds", "rate"), [(9, None), (10, 60.0), (60, 60.0)])
def test_shares_a_minute_are_known_after_ten_seconds(seconds: int, rate: float | None) -> None:
    source = Source(rig(device(0), shares=ShareCounts()))
    watch = Watch(source, source.clock)
    watch.poll()
    for second in range(1, seconds + 1):
        source.publish(rig(device(0), shares=ShareCounts(accepted=second), pool=ALIVE))
        watch.poll()
    assert watch.shares_per_minute == rate
