"""The states that matter, at both sizes, with colours and without: text and styles of every line.

NAME-SIZE.txt is the text, which is the same without colours; NAME-SIZE-colour.txt and
NAME-SIZE-plain.txt name the style of each run of columns, so that a lost colour is seen.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import msgspec
import pytest
from tui_scenes import DEAD, NOW, Source, check_golden, device, polled, rig, screen, styles

from sv2rig.rig.snapshot import PoolStanding, RigSnapshot, ShareCounts

URL = "stratum2+tcp://pool.example:34254/9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72"
FIRST = PoolStanding("main", URL, "alice", "mining", since=NOW - 370, is_active=True)
SECOND = PoolStanding(
    "backup", URL.replace("pool.", "backup."), "alice", "standby", probed=NOW - 12
)
THIRD = PoolStanding("solo", URL.replace("pool.", "solo."), "alice", "disabled")


@pytest.fixture(autouse=True)
def local_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "XST-2")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def board(number: int, **fields: object) -> object:
    usual = {
        "id": f"icarus:A{number}",
        "backend": "icarus",
        "port": f"ttyUSB{number}",
        "hashrate_hs": 336e6,
        "hashrate_1m_hs": 335e6,
        "rated_hs": 380e6,
        "frequency_mhz": 200.0,
        "hot_c": 75.0,
        "best_difficulty": 1.42e6,
    }
    return device(number, **{**usual, **fields})


def farm(*changed: dict[str, object], **fields: object) -> RigSnapshot:
    """Four boards that mine on the first of three pools, but for what is changed of each."""
    changes = [*changed, {}, {}, {}, {}]
    boards = [board(number, **changes[number - 1]) for number in range(1, 5)]
    usual = {"pools": (FIRST, SECOND, THIRD), "hashrate_15m_hs": 1.3e9, "power_w": 68.8}
    return rig(*boards, **{**usual, **fields})  # type: ignore[arg-type]


def good() -> Source:
    return Source(farm({}, {"paused": True, "hashrate_hs": 0.0}, {"enabled": False}))


def hot() -> Source:
    heat = {
        "state": "THROTTLED",
        "reason": "78 °C is above 75 °C: half speed until 70 °C",
        "temperature_c": 78.4,
        "hashrate_hs": 168e6,
        "fan_percent": 100.0,
    }
    source = Source(farm({}, heat))
    source.say(NOW, "warning", "78 °C is above 75 °C: 200 to 100 MHz", "icarus:A2")
    return source


def lost() -> Source:
    nothing = dict.fromkeys(
        ("hashrate_hs", "hashrate_1m_hs", "temperature_c", "fan_percent", "power_w")
    )
    gone = {**nothing, "state": "LOST", "reason": "unplugged", "since": NOW - 41}
    dead = {**nothing, "state": "DEAD", "reason": "no answer after 5 resets", "hardware_errors": 12}
    source = Source(farm({}, gone, dead))
    source.say(NOW, "error", "LOST: unplugged from ttyUSB2", "icarus:A2")
    return source


def empty() -> Source:
    return Source(rig(pools=(FIRST,), shares=ShareCounts(), best_difficulty=None))


def pool_down() -> Source:
    idle = {"state": "READY", "reason": "no pool", "hashrate_hs": 0.0}
    down = msgspec.structs.replace(
        FIRST, state="down", since=NOW - 9, detail="connection refused, trying again in 8 s"
    )
    second = msgspec.structs.replace(down, name="backup", url=SECOND.url, is_active=False)
    source = Source(
        farm(idle, idle, idle, idle, pool=DEAD, pools=(down, second, THIRD), state="waiting")
    )
    source.say(NOW, "error", "pool.example:34254: connection refused, trying again in 8 s")
    return source


def daemon_lost() -> Source:
    return Source(farm())


def block_found() -> Source:
    source = Source(farm(blocks_found=1))
    source.say(NOW, "good", "BLOCK 903412 found", "icarus:A1")
    source.share("accepted", is_block=True, difficulty=9.1e13)
    return source


STATES: dict[str, Callable[[], Source]] = {
    "good": good,
    "hot": hot,
    "lost": lost,
    "empty": empty,
    "pool-down": pool_down,
    "daemon-lost": daemon_lost,
    "block-found": block_found,
}


async def compare(name: str, size: tuple[int, int], kind: str) -> None:
    source = STATES[name]()
    source.share("rejected", reason="stale-share", latency_ms=None)
    source.share("accepted")
    source.share("stale", device="icarus:A2")
    app = screen(source)
    async with app.run_test(size=size) as pilot:
        app.poll()
        for _ in range(29):
            source.publish(source.picture)
            app.poll()
        source.now += 75.0 if name == "daemon-lost" else 0.0
        shown = await polled(app, pilot)
        check_golden(f"{name}-{size[0]}x{size[1]}", shown)
        check_golden(f"{name}-{size[0]}x{size[1]}-{kind}", styles(app))


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
@pytest.mark.parametrize("name", STATES)
async def test_with_colours(name: str, size: tuple[int, int]) -> None:
    await compare(name, size, "colour")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
@pytest.mark.parametrize("name", STATES)
async def test_without_colours(
    name: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    await compare(name, size, "plain")
