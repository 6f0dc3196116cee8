"""The screen over time: what it updates, what it survives, what it says when nothing comes."""

from __future__ import annotations

import msgspec
import pytest
from textual.geometry import Region
from tui_scenes import ALIVE, DEAD, NO_POOL_YET, NOW, Source, device, lines, polled, rig, screen

from sv2rig.rig.snapshot import DeviceSnapshot
from sv2rig.tui.device_table import DeviceTable
from sv2rig.tui.event_log import EventLog

HOSTILE = (
    "[bold red]oops[/] [link=http://x]x[/link] \x1b[31m\x07\u202e\u200b\r\n\t💥 $x [@click=quit]"
)


@pytest.fixture
def updates(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, int]]:
    """Every piece of the table that is drawn again: line, first column and width; it is drawn."""
    seen: list[tuple[int, int, int]] = []
    real = DeviceTable.refresh

    def spy(self: DeviceTable, *regions: Region, **options: bool) -> DeviceTable:
        seen.extend((region.y, region.x, region.width) for region in regions)
        return real(self, *regions, **options)

    monkeypatch.setattr(DeviceTable, "refresh", spy)
    return seen


async def test_only_changed_cells_are_updated(updates: list[tuple[int, int, int]]) -> None:
    devices = [device(number) for number in range(64)]
    source = Source(rig(*devices))
    app = screen(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await polled(app, pilot)
        updates.clear()  # of the first layouts
        source.publish(rig(*devices))
        await polled(app, pilot)
        assert updates == []
        devices[7] = msgspec.structs.replace(devices[7], temperature_c=61.0)
        devices[9] = msgspec.structs.replace(devices[9], hashrate_hs=35_400_000.4)  # reads the same
        source.publish(rig(*devices))
        shown = await polled(app, pilot)
        assert updates == [(8, 55, 5)]
        assert any("simulated:7" in line and "61°" in line for line in shown)


async def test_a_new_state_changes_word_mark_and_colour(
    updates: list[tuple[int, int, int]],
) -> None:
    source = Source(rig(device(0), device(1)))
    app = screen(source)
    async with app.run_test(size=(80, 24)) as pilot:
        await polled(app, pilot)
        await pilot.press("o")  # by id: the row stays where it is
        updates.clear()
        source.publish(rig(device(0), device(1, state="DEAD", reason="no answer")))
        shown = await polled(app, pilot)
        assert sorted(updates) == [(2, 0, 16), (2, 62, 17)]
        assert any("✖ simulated:1" in line and "DEAD 6m11s no a" in line for line in shown)


async def test_a_silent_rig_is_called_silent_after_5_s_and_not_before() -> None:
    source = Source(rig(device(0)))
    app = screen(source)
    async with app.run_test(size=(80, 24)) as pilot:
        await polled(app, pilot)
        source.now += 4.9
        assert "LOST" not in "\n".join(await polled(app, pilot))
        source.now += 0.1
        shown = await polled(app, pilot)
        assert "✖ LOST" in shown[0]
        assert "DAEMON LOST for 5s, last news " in shown[2]
        source.now += 60
        assert "DAEMON LOST for 1m05s" in (await polled(app, pilot))[2]
        source.publish(rig(device(0)))
        assert "LOST" not in "\n".join(await polled(app, pilot))


async def test_a_rig_started_anew_begins_anew_on_the_screen() -> None:
    source = Source(rig(device(0), sequence=500, blocks_found=3))
    app = screen(source)
    async with app.run_test(size=(80, 24)) as pilot:
        source.say(NOW, "info", "before")
        await polled(app, pilot)
        await pilot.press("d")
        fresh = Source(rig(device(0), sequence=1, uptime_s=1.0, blocks_found=1))
        fresh.say(NOW, "info", "after")
        source.picture, source.ring = fresh.picture, fresh.ring
        shown = "\n".join(await polled(app, pilot))
        assert "BLOCK FOUND" in shown
        assert "before" in shown
        assert "after" in shown


async def test_events_that_were_missed_are_counted() -> None:
    source = Source(rig(device(0)))
    app = screen(source)
    async with app.run_test(size=(80, 24)) as pilot:
        for number in range(3000):
            source.say(NOW, "info", f"event {number}")
        await polled(app, pilot)
        app.query_one(EventLog).scroll_home(animate=False)
        await pilot.pause()
        assert any("… 2000 earlier events are not kept" in line for line in lines(app))


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_hostile_text_is_shown_as_text(size: tuple[int, int]) -> None:
    bad: DeviceSnapshot = device(
        1, reason=HOSTILE, name=HOSTILE, state="SICK", id=HOSTILE, variant=HOSTILE
    )
    pool = msgspec.structs.replace(
        DEAD, detail=HOSTILE, url=HOSTILE, transport=HOSTILE, channel_kind=HOSTILE, state=HOSTILE
    )
    source = Source(rig(bad, name=HOSTILE, state=HOSTILE, pool=pool))
    source.say(NOW, HOSTILE, HOSTILE, HOSTILE)
    app = screen(source)
    async with app.run_test(size=size) as pilot:
        shown = await polled(app, pilot)
        text = "\n".join(shown)
        assert "[bold red]oops[/]" in text
        assert "[link=http://x]" in text
        for char in "\x1b\x07\u202e\u200b\r\t💥":
            assert char not in text
        assert all(len(line) <= size[0] for line in shown)
        assert len(shown) == size[1]


async def test_a_long_reason_of_a_dead_pool_is_readable() -> None:
    detail = "the pool's certificate expired 2026-01-02 03:04 UTC; is this machine's clock right? "
    pool = msgspec.structs.replace(DEAD, detail=detail + "trying again in 60 s")
    app = screen(Source(rig(device(0), pool=pool)))
    async with app.run_test(size=(80, 24)) as pilot:
        shown = " ".join(" ".join(await polled(app, pilot)).split())
        assert f"POOL DOWN: {detail}trying again in 60 s" in shown


@pytest.mark.parametrize(
    ("difficulty", "said"),
    [(None, "–"), (2.0**-32, "2.3e-10"), (1.0, "1"), (2.0**224, "2.7e+67"), (0.0, "0")],
)
async def test_difficulties_of_any_size(difficulty: float | None, said: str) -> None:
    pool = msgspec.structs.replace(ALIVE, difficulty=difficulty)
    app = screen(Source(rig(device(0), pool=pool, best_difficulty=difficulty)))
    async with app.run_test(size=(80, 24)) as pilot:
        shown = await polled(app, pilot)
        assert any(f"diff {said}  job 2034" in line for line in shown)
        assert shown[1].endswith(f"best {said}  blk 0")


async def test_a_long_reason_of_a_device_is_readable() -> None:
    reason = (
        "no answer to 3 works in 12 s at 525 MHz; reset 2 of 3, then it is left alone until asked"
    )
    app = screen(Source(rig(device(0, state="RESETTING", reason=reason))))
    async with app.run_test(size=(120, 40)) as pilot:
        shown = " ".join(" ".join(await polled(app, pilot)).split())
        assert f"opencl:0 RESETTING for 6m10s: {reason}" in shown


async def test_a_flatline_is_trouble() -> None:
    app = screen(Source(rig(device(0), device(1, hashrate_hs=0.0))))
    async with app.run_test(size=(80, 24)) as pilot:
        shown = "\n".join(await polled(app, pilot))
        assert "devices 2 · 1 troubled" in shown
        assert "▲ simulated:1        0 H/s" in shown
        assert "no hashes" in shown


async def test_unknown_is_never_zero() -> None:
    nothing = {
        "hashrate_hs": None,
        "hashrate_1m_hs": None,
        "temperature_c": None,
        "fan_percent": None,
        "power_w": None,
        "last_share": None,
    }
    start = rig(device(1, **nothing), hashrate_hs=None, hashrate_1m_hs=None, best_difficulty=None)
    app = screen(Source(msgspec.structs.replace(start, pool=NO_POOL_YET)))
    async with app.run_test(size=(80, 24)) as pilot:
        shown = await polled(app, pilot)
        said = ["5s", "–", "1m", "–", "15m", "–", "up", "6m20s"]
        assert shown[0].split("MINING")[1].split() == said
        row = next(line for line in shown if line.startswith("● simulated:1"))
        assert row.split()[2:7] == ["–"] * 5
        assert any("diff –  job –  age –" in line for line in shown)


async def test_the_largest_counters_are_not_cut() -> None:
    big = 4_294_967_295
    shares = msgspec.structs.replace(
        rig().shares, accepted=big, rejected=big, stale=big, unacknowledged=big
    )
    counts = msgspec.structs.replace(shares, accepted=1_820_000, rejected=1234)
    worst = rig(
        device(1, shares=counts, hardware_errors=56, hashrate_hs=999.9e15, power_w=1234.0),
        shares=shares,
        name="a-rig-with-quite-a-long-name",
        blocks_found=99999,
        uptime_s=4e8,
        hashrate_hs=999.9e15,
        hashrate_1m_hs=999.9e15,
        best_difficulty=999.9e12,
    )
    app = screen(Source(worst))
    async with app.run_test(size=(80, 24)) as pilot:
        shown = await polled(app, pilot)
        assert "…" in shown[0].split("●")[0]  # the name gives way, the rates do not
        assert shown[0].endswith("up 4629d15h")
        assert shown[1].endswith("best 1000T  blk 99999")
        facts = next(line for line in shown if " R 4.29G" in line)
        for word in ("A 4.29G", "R 4.29G (33%)", "stale 4.29G"):
            assert word in facts
        assert any(" 1.82M " in line and " MINING" in line for line in shown)
        assert any(" 1000 PH/s" in line and " 1234 W" in line for line in shown)


async def test_the_terminal_changes_its_size() -> None:
    source = Source(rig(device(0), device(1)))
    source.say(NOW, "info", "word " * 25)
    app = screen(source)
    async with app.run_test(size=(120, 40)) as pilot:
        wide = await polled(app, pilot)
        assert any(" backend " in line for line in wide)
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        narrow = await polled(app, pilot)
        assert not any(" backend " in line for line in narrow)
        assert sum("word word" in line for line in narrow) == 2
        await pilot.resize_terminal(120, 40)
        await pilot.pause()
        assert await polled(app, pilot) == wide


async def test_devices_come_and_go() -> None:
    source = Source(rig(device(0), device(1)))
    app = screen(source)
    async with app.run_test(size=(80, 24)) as pilot:
        await polled(app, pilot)
        source.publish(rig(device(1), device(2)))
        shown = "\n".join(await polled(app, pilot))
        assert "opencl:0" not in shown
        assert "simulated:1" in shown
        assert "simulated:2" in shown
        source.publish(rig())
        shown = "\n".join(await polled(app, pilot))
        assert "simulated" not in shown
        assert "The rig has no devices yet." in shown
