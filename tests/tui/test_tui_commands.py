"""What the keys ask of the rig, and what the screens over the main one show."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from tui_scenes import NOW, URL, Source, device, lines, polled, rig

from sv2rig.rig.snapshot import PoolStanding
from sv2rig.tui.dismissed import Dismissed
from sv2rig.tui.links import LinkError, Lost, RefusedError
from sv2rig.tui.operated import OperatedRig, next_frequency

FREQUENCY = {
    "name": "frequency",
    "unit": "MHz",
    "minimum": 50.0,
    "maximum": 800.0,
    "default": 525.0,
    "help": "The chips' clock.",
    "value": 500.0,
}


class Answers:
    """A link that notes what is asked, and answers as the test wants."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.refuse: str | None = None
        self.gone = False
        self.settings: list[dict[str, Any]] = [dict(FREQUENCY)]
        self.points: list[dict[str, Any]] = []

    async def messages(self) -> AsyncIterator[bytes | Lost]:
        yield Lost("nothing comes of it")

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        if self.gone:
            raise LinkError("no rig answers")
        if method == "GET":
            if path.startswith("/v1/history"):
                return {"device": "x", "step_s": 60, "points": self.points}
            return {"settings": [dict(setting) for setting in self.settings]}
        self.asked.append((method, path, body))
        if self.refuse is not None:
            raise RefusedError(self.refuse)
        for name, value in (body or {}).items():
            for setting in self.settings:
                if setting["name"] == name:
                    setting["value"] = value
        return {"ok": True}

    async def close(self) -> None: ...


POOLS = (
    PoolStanding("home", URL, "alice", "down", "connection refused", since=NOW - 60),
    PoolStanding("backup", URL, "alice", "mining", is_active=True, since=NOW - 50),
    PoolStanding("third pool", URL, "alice", "disabled"),
)


def screen(*devices: Any, **fields: Any) -> tuple[OperatedRig, Answers, Source]:
    answers = Answers()
    source = Source(rig(*devices, pools=POOLS, **fields))
    return OperatedRig(source, link=answers, clock=source.clock), answers, source


async def settled(app: OperatedRig, pilot: Pilot[None]) -> list[str]:
    """When what was asked has been answered and drawn."""
    await app.workers.wait_for_complete()
    await pilot.pause()
    return await polled(app, pilot)


async def test_keys_command_the_device_under_the_cursor() -> None:
    app, answers, source = screen(device(1, id="icarus:1-2/3"), device(2))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await polled(app, pilot)
        await pilot.press("p", "e", "i")
        await settled(app, pilot)
        one = "/v1/devices/icarus%3A1-2%2F3/"
        assert answers.asked == [("POST", one + v, None) for v in ("pause", "disable", "identify")]
        answers.asked.clear()
        source.publish(rig(device(1, id="icarus:1-2/3"), device(2, paused=True, enabled=False)))
        await polled(app, pilot)
        await pilot.press("down", "p", "e")
        await settled(app, pilot)
        two = "/v1/devices/simulated%3A2/"
        assert answers.asked == [("POST", two + verb, None) for verb in ("resume", "enable")]


async def test_a_reset_is_asked_for_twice() -> None:
    app, answers, _ = screen(device(1))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await polled(app, pilot)
        await pilot.press("r")
        await pilot.pause()
        assert any("Reset simulated:1?" in line for line in lines(app))
        await pilot.press("n")
        await settled(app, pilot)
        assert answers.asked == []
        await pilot.press("r")
        await pilot.press("y")
        await settled(app, pilot)
        assert answers.asked == [("POST", "/v1/devices/simulated%3A1/reset", None)]


async def test_frequency_goes_by_steps_each_from_the_one_before() -> None:
    app, answers, _ = screen(device(1))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await polled(app, pilot)
        await pilot.press("plus", "plus", "minus")
        await settled(app, pilot)
        assert [body for _, _, body in answers.asked] == [
            {"frequency": 510.0},
            {"frequency": 520.0},
            {"frequency": 510.0},
        ]
        answers.settings = []
        await pilot.press("plus")
        shown = await settled(app, pilot)
        assert any("has no frequency" in line for line in shown)


@pytest.mark.parametrize(
    ("now", "direction", "wanted"),
    [(500, 1, 510), (795, 1, 800), (800, 1, 810), (55, -1, 50), (50, -1, 40), (60, -1, 50)],
)
def test_steps_stop_at_the_limit_and_then_are_the_rigs_to_refuse(
    now: float, direction: int, wanted: float
) -> None:
    setting = {**FREQUENCY, "value": float(now)}
    assert next_frequency([setting], direction) == ("frequency", wanted)


async def test_a_refusal_is_shown_in_the_rigs_words() -> None:
    app, answers, _ = screen(device(1))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await polled(app, pilot)
        answers.refuse = "simulated:1 [bold]is away"
        await pilot.press("p")
        assert any("[bold]is away" in line for line in await settled(app, pilot))
        answers.gone = True
        await pilot.press("p")
        assert any("no rig answers" in line for line in await settled(app, pilot))


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_one_device_and_its_settings(size: tuple[int, int]) -> None:
    app, answers, source = screen(device(1, frequency_mhz=500.0, hot_c=75.0, port="ttyUSB0"))
    answers.points = [
        {"time": NOW - 60 * minute, "hashrate_hs": 1e6 * minute, "temperature_c": 40.0 + minute}
        for minute in range(50, 1, -1)
    ]
    async with app.run_test(size=size) as pilot:
        await polled(app, pilot)
        await pilot.press("enter")
        shown = await settled(app, pilot)
        for words in (
            "simulated:1 MINING for 6m10s",
            "at ttyUSB0",
            "55 °C (hot at 75)",
            "42 °C – 90 °C",
            "frequency",
            "500 MHz",
            "50 to 800",
            "enter changes one: The chips' clock.",
        ):
            assert any(words in line for line in shown), words
        assert any("temperature" in line and "▁" in line and "█" in line for line in shown)
        await pilot.press("enter")
        answers.refuse = "frequency 9000 is out of range: 50 to 800 MHz"
        await pilot.press(*"9000", "enter")
        assert any("out of range: 50 to 800" in line for line in await settled(app, pilot))
        answers.refuse = None
        answers.asked.clear()
        await pilot.press("home", "shift+end", *"650", "enter")
        shown = await settled(app, pilot)
        assert answers.asked == [
            ("PATCH", "/v1/devices/simulated%3A1/settings", {"frequency": 650.0})
        ]
        assert any("650 MHz" in line for line in shown)
        await pilot.press("p")
        await settled(app, pilot)
        assert answers.asked[-1][1].endswith("/pause")
        source.publish(rig())
        assert any("not part of the rig" in line for line in await polled(app, pilot))
        await pilot.press("escape")
        assert len(app.screen_stack) == 1


async def test_pools_are_switched_ordered_added_and_removed() -> None:
    app, answers, _ = screen(device(1))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await polled(app, pilot)
        await pilot.press("P")
        shown = await settled(app, pilot)
        assert any("home" in line and "✖ down" in line for line in shown)
        assert any("connection refused" in line for line in shown)
        await pilot.press("enter", "e", "down", "down", "s", "e", "K", "x", "y", "p")
        await settled(app, pilot)
        assert answers.asked == [
            ("POST", "/v1/pools/home/switch", None),
            ("POST", "/v1/pools/home/disable", None),
            ("POST", "/v1/pools/third%20pool/switch", None),
            ("POST", "/v1/pools/third%20pool/enable", None),
            ("PUT", "/v1/pools/order", {"names": ["home", "third pool", "backup"]}),
            ("DELETE", "/v1/pools/backup", None),
        ]
        answers.asked.clear()
        answers.refuse = "url: no port"
        await pilot.press("a", "enter", *"stratum", "enter", *"bob", "enter")
        assert any("url: no port" in line for line in await settled(app, pilot))
        answers.refuse = None
        await pilot.press("enter")
        await settled(app, pilot)
        wish = {"name": "pool-4", "url": "stratum", "user": "bob"}
        assert answers.asked == [("POST", "/v1/pools", wish)] * 2
        await pilot.press("escape")
        assert len(app.screen_stack) == 1


async def test_the_palette_has_every_command() -> None:
    app, answers, _ = screen(device(1), device(2))
    async with app.run_test(size=(120, 40)) as pilot:
        await polled(app, pilot)
        await pilot.press("ctrl+p")
        await pilot.press(*"pause simulated:2")
        await pilot.pause(0.3)
        await pilot.press("down", "enter")
        await settled(app, pilot)
        assert answers.asked == [("POST", "/v1/devices/simulated%3A2/pause", None)]


async def test_q_detaches_or_stops() -> None:
    for ends_rig, word in ((False, "q Detach"), (True, "q Stop")):
        source = Source(rig(device(1)))
        app = OperatedRig(source, link=Answers(), ends_rig=ends_rig, clock=source.clock)
        async with app.run_test(size=(120, 40)) as pilot:
            shown = await polled(app, pilot)
            assert word in shown[-1]
            await pilot.press("q")
        assert app.return_code == 0


async def test_a_dismissed_block_stays_so_when_the_screen_comes_again(tmp_path: Path) -> None:
    async def banner(path: Path, blocks: int, *keys: str, **fields: Any) -> str:
        """What the bar says after these keys."""
        source = Source(rig(device(1), blocks_found=blocks, **fields))
        app = OperatedRig(source, link=Answers(), clock=source.clock, dismissed=Dismissed(path))
        async with app.run_test(size=(120, 40)) as pilot:
            await polled(app, pilot)
            await pilot.press(*keys)
            return next((line for line in await polled(app, pilot) if "★" in line), "")

    path = tmp_path / "sv2rig" / "dismissed.json"
    assert " BLOCK FOUND " in await banner(path, 1)
    assert " BLOCK FOUND " in await banner(path, 1)  # only looked at
    assert await banner(path, 1, "d") == ""
    assert await banner(path, 1) == ""
    assert " BLOCK FOUND (2 in all)" in await banner(path, 2)
    assert " BLOCK FOUND " in await banner(path, 1, name="attic")
    assert " BLOCK FOUND " in await banner(path, 1, uptime_s=5.0)  # it was started anew
    path.write_bytes(b"damaged")
    assert " BLOCK FOUND " in await banner(path, 1)
    (tmp_path / "file").touch()
    assert await banner(tmp_path / "file" / "d.json", 1, "d") == ""  # no folder: the screen goes on


@pytest.mark.parametrize(("size", "has_url"), [((80, 24), False), ((120, 40), True)])
async def test_the_pools_columns_fit(size: tuple[int, int], has_url: bool) -> None:
    app, _, _ = screen(device(1))
    async with app.run_test(size=size) as pilot:
        await polled(app, pilot)
        await pilot.press("P")
        shown = await settled(app, pilot)
        head = next(line for line in shown if " name " in line)
        assert head.split()[-1] == ("URL" if has_url else "user")
        assert any("pool.example:34254" in line for line in shown[-5:])
