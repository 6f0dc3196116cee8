"""The screen over time: what it updates, what it survives, what it says when nothing comes."""

from __future__ import annotations

import msgspec
import pytest
from rich.text import Text
from textual.widgets import DataTable
from tui_scenes import ALIVE, DEAD, NO_POOL_YET, NOW, Source, device, lines, polled, rig, screen

from sv2rig.rig.snapshot import DeviceSnapshot
from sv2rig.tui.event_log import EventLog

HOSTILE = (
    "[bold red]oops[/] [link=http://x]x[/link] \x1b[31m\x07\u202e\u200b\r\n\t💥 $x [@click=quit]"
)


@pytest.fixture
def updates(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str]]:
    """Every cell update that happens, as device, column and text; the update itself goes on."""
    seen: list[tuple[str, str, str]] = []
    real = DataTable.update_cell

    def spy(self: DataTable[Text], row: str, column: str, value: Text, **options: bool) -> None:
        seen.append((row, column, value.plain.strip()))
        real(self, row, column, value, **options)

    monkeypatch.setattr(DataTable, "update_cell", spy)
    return seen


async def test_only_changed_cells_are_updated(updates: list[tuple[str, str, str]]) -> None:
    devices = [device(number) for number in range(64)]
    source = Source(rig(*devices))
    app = screen(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await polled(app, pilot)
        assert updates == []  # new rows are added whole
        source.publish(rig(*devices))
        await polled(app, pilot)
        assert updates == []
        devices[7] = msgspec.structs.replace(devices[7], temperature_c=61.0)
        devices[9] = msgspec.structs.replace(devices[9], hashrate_hs=35_400_000.4)  # reads the same
        source.publish(rig(*devices))
        shown = await polled(app, pilot)
        assert updates == [("simulated:7", "temperature", "61°C")]
        assert any("simulated:7" in line and "61°C" in line for line in shown)


async def test_a_new_state_changes_word_mark_and_colour(
    updates: list[tuple[str, str, str]],
) -> None:
    source = Source(rig(device(0), device(1)))
    app = screen(source)
    async with app.run_test(size=(80, 24)) as pilot:
        await polled(app, pilot)
        source.publish(rig(device(0), device(1, state="DEAD", reason="no answer")))
        await polled(app, pilot)
        assert sorted(updates) == [
            ("simulated:1", "id", "✗ simulated:1"),
            ("simulated:1", "reason", "no answer"),
            ("simulated:1", "state", "DEAD"),
        ]


async def test_a_silent_rig_is_called_silent_after_5_s_and_not_before() -> None:
    source = Source(rig(device(0)))
    app = screen(source)
    async with app.run_test(size=(80, 24)) as pilot:
        await polled(app, pilot)
        source.now += 4.9
        assert "NOT ANSWERING" not in "\n".join(await polled(app, pilot))
        source.now += 0.1
        shown = await polled(app, pilot)
        assert "✗ NOT ANSWERING" in shown[0]
        assert "THE RIG IS NOT ANSWERING: no news for 5s" in shown[2]
        source.now += 60
        assert "no news for 1m05s" in (await polled(app, pilot))[2]
        source.publish(rig(device(0)))
        assert "NOT ANSWERING" not in "\n".join(await polled(app, pilot))


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
        assert f"NO POOL, waiting: {detail}trying again in 60 s" in shown


@pytest.mark.parametrize(
    ("difficulty", "said"),
    [(None, "–"), (2.0**-32, "2.3e-10"), (1.0, "1"), (2.0**224, "2.7e+67"), (0.0, "0")],
)
async def test_difficulties_of_any_size(difficulty: float | None, said: str) -> None:
    pool = msgspec.structs.replace(ALIVE, difficulty=difficulty)
    app = screen(Source(rig(device(0), pool=pool, best_difficulty=difficulty)))
    async with app.run_test(size=(80, 24)) as pilot:
        shown = await polled(app, pilot)
        assert any(f"difficulty {said}  job 2034" in line for line in shown)
        assert shown[1].endswith(f"best {said}")


async def test_a_long_reason_of_a_device_is_readable() -> None:
    reason = (
        "no answer to 3 works in 12 s at 525 MHz; reset 2 of 3, then it is left alone until asked"
    )
    app = screen(Source(rig(device(0, state="RESETTING", reason=reason))))
    async with app.run_test(size=(80, 24)) as pilot:
        shown = " ".join(" ".join(await polled(app, pilot)).split())
        assert f"opencl:0 RESETTING for 6m10s: {reason}" in shown


async def test_a_flatline_is_trouble() -> None:
    app = screen(Source(rig(device(0), device(1, hashrate_hs=0.0))))
    async with app.run_test(size=(80, 24)) as pilot:
        shown = "\n".join(await polled(app, pilot))
        assert "devices 2, 1 troubled" in shown
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
        assert shown[0].split("MINING")[1].split() == ["–", "1m", "–", "blocks", "0", "up", "6m20s"]
        row = next(line for line in shown if line.startswith("● simulated:1"))
        assert row.split()[2:6] == ["–"] * 4
        assert any("difficulty –  job –  age –" in line for line in shown)
        assert any("latency –  connected –" in line for line in shown)
        assert any("1m –" in line and "last share –" in line for line in shown)


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
        assert shown[0].endswith("blocks 99999  up 4629d15h")
        for word in ("accepted 4.29G", "rejected 4.29G", "stale 4.29G", "unacknowledged 4.29G"):
            assert word in shown[1]
        assert any(" 1.8M/1.2k/56 MINING" in line for line in shown)
        assert any(" 1000 PH/s" in line and " 1234 W" in line for line in shown)


async def test_the_terminal_changes_its_size() -> None:
    source = Source(rig(device(0), device(1)))
    source.say(NOW, "info", "word " * 25)
    app = screen(source)
    async with app.run_test(size=(120, 40)) as pilot:
        wide = await polled(app, pilot)
        assert any("backend/variant" in line for line in wide)
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        narrow = await polled(app, pilot)
        assert not any("backend/variant" in line for line in narrow)
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
