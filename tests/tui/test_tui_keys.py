"""What the keys do, and that none is offered that does nothing."""

from __future__ import annotations

from tui_scenes import Source, device, lines, polled, rig, screen

from sv2rig.tui.device_order import ORDERS
from sv2rig.tui.device_table import DeviceTable
from sv2rig.tui.event_log import EventLog
from sv2rig.tui.help import HelpScreen


def rows(shown: list[str]) -> list[str]:
    """The ids in the device table, from the top down."""
    head = next(index for index, line in enumerate(shown) if "hash rate rated" in line)
    ids = []
    for line in shown[head + 1 :]:
        words = line.split()
        if line.startswith(" ") or words[1:2] == [] or line.startswith("─"):
            break
        ids.append(words[1])
    return ids


async def test_q_stops_the_rig_once_and_leaves() -> None:
    calls: list[str] = []
    app = screen(Source(rig(device(0))), lambda: calls.append("stop"))
    async with app.run_test() as pilot:
        await pilot.press("q", "q")
    assert calls == ["stop"]
    assert app.return_code == 0


async def test_ctrl_c_is_q_even_over_the_help_page() -> None:
    calls: list[str] = []
    app = screen(Source(rig(device(0))), lambda: calls.append("stop"))
    async with app.run_test() as pilot:
        await pilot.press("question_mark")
        await pilot.press("ctrl+c")
    assert calls == ["stop"]


async def test_quit_without_a_callback() -> None:
    app = screen(Source(rig(device(0))))
    async with app.run_test() as pilot:
        await pilot.press("q")
    assert app.return_code == 0


async def test_help_closes_with_any_key_and_that_key_does_nothing_else() -> None:
    calls: list[str] = []
    app = screen(Source(rig(device(0))), lambda: calls.append("stop"))
    async with app.run_test() as pilot:
        for key in ("q", "escape", "t"):
            await pilot.press("question_mark")
            assert isinstance(app.screen, HelpScreen)
            app.poll()  # the screen beneath goes on
            await pilot.press(key)
            assert not isinstance(app.screen, HelpScreen)
        assert not app.query_one(DeviceTable).choice.troubled_only
        assert calls == []


async def test_t_shows_only_the_troubled_and_back() -> None:
    source = Source(rig(device(0), device(1, state="SICK", reason="no answer"), device(2)))
    app = screen(source)
    async with app.run_test(size=(80, 24)) as pilot:
        assert rows(await polled(app, pilot)) == ["simulated:1", "opencl:0", "simulated:2"]
        await pilot.press("t")
        assert rows(lines(app)) == ["simulated:1"]
        source.publish(rig(device(0), device(1), device(2)))
        shown = await polled(app, pilot)
        assert rows(shown) == []
        assert any("No device is in trouble" in line for line in shown)
        await pilot.press("t")
        assert rows(lines(app)) == ["opencl:0", "simulated:1", "simulated:2"]


async def test_o_goes_through_the_orders() -> None:
    devices = (
        device(0, hashrate_1m_hs=3e6),
        device(10, hashrate_1m_hs=1e6, temperature_c=50.0),
        device(2, hashrate_1m_hs=2e6, temperature_c=70.0),
        device(3, hashrate_1m_hs=4e6, state="SICK"),
    )
    app = screen(Source(rig(*devices)))
    seen = {}
    async with app.run_test(size=(80, 24)) as pilot:
        await polled(app, pilot)
        for _ in ORDERS:
            title = (
                str(app.query_one(DeviceTable).border_title).partition(" ─")[0].rpartition(" · ")[2]
            )
            seen[title.rpartition(" · ")[2]] = [
                name.removeprefix("simulated:") for name in rows(lines(app))
            ]
            await pilot.press("o")
        assert seen == {
            "trouble first": ["3", "opencl:0", "2", "10"],
            "by id": ["opencl:0", "2", "3", "10"],
            "slowest first": ["10", "2", "opencl:0", "3"],
            "hottest first": ["2", "3", "10", "opencl:0"],
        }
        assert app.query_one(DeviceTable).choice.order is ORDERS[0]


async def test_the_cursor_stays_on_its_device_when_rows_move() -> None:
    source = Source(rig(device(0), device(1), device(2)))
    app = screen(source)
    async with app.run_test(size=(80, 24)) as pilot:
        await polled(app, pilot)
        await pilot.press("down")
        assert app.query_one(DeviceTable).selected() == "simulated:1"
        source.publish(rig(device(0), device(1), device(2, state="DEAD"), device(3)))
        await polled(app, pilot)
        assert app.query_one(DeviceTable).selected() == "simulated:1"
        assert app.selected == "simulated:1"


async def test_f_holds_the_log_and_catches_up() -> None:
    source = Source(rig(device(0)))
    app = screen(source)
    async with app.run_test(size=(80, 24)) as pilot:
        for number in range(50):
            source.say(0, "info", f"event {number}.")
        assert any("event 49." in line for line in await polled(app, pilot))
        await pilot.press("f")
        source.say(0, "info", "event 50.")
        shown = await polled(app, pilot)
        assert not any("event 50." in line for line in shown)
        assert any("held ──" in line for line in shown)
        await pilot.press("f")
        await pilot.pause()
        assert any("event 50." in line for line in lines(app))


async def test_scrolling_up_holds_the_log_too() -> None:
    source = Source(rig(device(0)))
    app = screen(source)
    async with app.run_test(size=(80, 24)) as pilot:
        for number in range(50):
            source.say(0, "info", f"event {number}.")
        await polled(app, pilot)
        log = app.query_one(EventLog)
        log.scroll_home(animate=False)
        await pilot.pause()
        source.say(0, "info", "event 50.")
        shown = await polled(app, pilot)
        assert any("event 0." in line for line in shown)
        assert any("held ──" in line for line in shown)
        log.scroll_end(animate=False)
        await pilot.pause()
        assert any("following ──" in line for line in await polled(app, pilot))


async def test_the_log_follows_through_banners_and_new_sizes() -> None:
    source = Source(rig(device(0)))
    app = screen(source)
    async with app.run_test(size=(120, 40)) as pilot:
        for number in range(50):
            source.say(0, "info", f"event {number}. " + "word " * 20)
        await polled(app, pilot)
        for size in ((80, 24), (120, 40)):
            await pilot.resize_terminal(*size)
            for blocks in (1, 0):
                source.publish(rig(device(0), blocks_found=blocks))
                shown = await polled(app, pilot)
                assert any("event 49." in line for line in shown)
                assert any("following ──" in line for line in shown)


async def test_only_keys_that_do_something_are_offered() -> None:
    source = Source(rig(device(0)))
    app = screen(source)
    async with app.run_test(size=(80, 24)) as pilot:
        shown = await polled(app, pilot)
        assert "Dismiss" not in shown[-1]
        source.publish(rig(device(0), blocks_found=1))
        await polled(app, pilot)
        await pilot.pause()
        assert "d Dismiss" in lines(app)[-1]
        assert "^p" not in lines(app)[-1]


async def test_the_block_banner_stays_until_dismissed_and_counts() -> None:
    source = Source(rig(device(0)))
    app = screen(source)
    async with app.run_test(size=(80, 24)) as pilot:

        async def says(blocks: int) -> str:
            source.publish(rig(device(0), blocks_found=blocks))
            return next((line for line in await polled(app, pilot) if "★" in line), "")

        assert await says(0) == ""
        assert " BLOCK FOUND " in await says(1)
        assert " BLOCK FOUND " in await says(1)
        assert " 2 BLOCKS FOUND " in await says(2)
        await pilot.press("d")
        assert not any("★" in line for line in lines(app))
        assert await says(2) == ""
        assert " BLOCK FOUND (3 in all) " in await says(3)
