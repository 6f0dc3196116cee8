"""Whole screens as text, at both sizes. Read the golden files as a user would."""

from __future__ import annotations

import time
from collections.abc import Iterator

import msgspec
import pytest
from tui_scenes import (
    NO_POOL_YET,
    NOW,
    Source,
    check_golden,
    device,
    polled,
    rig,
    screen,
)

from sv2rig.rig.snapshot import RigSnapshot, ShareCounts

SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC0")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def size_name(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def farm() -> RigSnapshot:
    """64 devices, two of them in trouble."""
    devices = [device(number) for number in range(64)]
    devices[4] = msgspec.structs.replace(
        devices[4],
        state="THROTTLED",
        reason="78 °C is above 75 °C: half speed until 70 °C",
        temperature_c=78.0,
        hashrate_hs=13e6,
    )
    devices[9] = msgspec.structs.replace(
        devices[9],
        state="LOST",
        reason="unplugged from ttyUSB3",
        hashrate_hs=None,
        hashrate_1m_hs=None,
        temperature_c=None,
        fan_percent=None,
        power_w=None,
        hardware_errors=12,
    )
    return rig(*devices, hardware_errors=12)


def boards() -> RigSnapshot:
    """Boards, real and emulated, in the states that boards come to."""
    mining: dict[str, object] = {
        "temperature_c": None,
        "fan_percent": None,
        "power_w": None,
        "reason": "mining",
        "hashrate_error": 0.12,
    }
    gone = {**mining, "hashrate_hs": None, "hashrate_1m_hs": None, "hashrate_error": None}
    emulated = {**mining, "emulated": True, "hashrate_hs": 97.7e3, "hashrate_1m_hs": 98.1e3}
    named = [
        ("icarus:1-2.3", {**mining, "hashrate_hs": 336e6}),
        ("bitaxe_raw:9f02d3c1a4", {"hashrate_hs": 1.21e12, "reason": "mining", "comm_errors": 12}),
        ("bm13xx:emulated_bm13xx", emulated),
        ("ztex:04A32DBCFA", emulated),
        ("icarus:emulated_icarus-2", {**emulated, "variant": "REPLAY"}),
        (
            "fpga_uart:emulated_fpga_uart",
            {
                **gone,
                "emulated": True,
                "state": "SICK",
                "reason": "no nonce for 34 s; reset 2 of 5 in 4 s",
                "comm_errors": 70123,
            },
        ),
        (
            "bm13xx:1-2.4",
            {**gone, "state": "RESETTING", "reason": "reset 1: 11 of 12 chips answer"},
        ),
        ("gekko:GSF-10023", {**gone, "state": "LOST", "reason": "unplugged"}),
    ]
    rows = [
        device(number, id=name, backend=name.partition(":")[0], name="a board", **fields)
        for number, (name, fields) in enumerate(named, 1)
    ]
    return rig(*rows, comm_errors=70135)


@SIZES
async def test_just_started(size: tuple[int, int]) -> None:
    unknown = {"hashrate_hs": None, "hashrate_1m_hs": None, "last_share": None}
    start = rig(
        device(0, state="INIT", reason="building kernels", shares=ShareCounts(), **unknown),
        device(1, state="READY", shares=ShareCounts(), **unknown),
        state="starting",
        uptime_s=0.4,
        hashrate_hs=None,
        hashrate_1m_hs=None,
        shares=ShareCounts(),
        best_difficulty=None,
        pool=NO_POOL_YET,
    )
    source = Source(start)
    source.say(NOW, "info", "the rig starts")
    app = screen(source)
    async with app.run_test(size=size) as pilot:
        check_golden(f"started-{size_name(size)}", await polled(app, pilot))


@SIZES
async def test_mining(size: tuple[int, int]) -> None:
    source = Source(rig(device(0), device(1)))
    source.say(NOW, "info", "channel 1 is open, extended, 8 bytes of extranonce")
    source.say(NOW + 2, "info", "share accepted, difficulty 0.0021", "opencl:0")
    source.say(NOW + 3, "warning", "share rejected: stale-share", "simulated:1")
    app = screen(source)
    async with app.run_test(size=size) as pilot:
        for second in range(60):
            now = rig(device(0), device(1), hashrate_hs=53.8e6 * min(1, (second + 5) / 20))
            source.publish(now)
            app.poll()
        check_golden(f"mining-{size_name(size)}", await polled(app, pilot))


@SIZES
async def test_64_devices(size: tuple[int, int]) -> None:
    app = screen(Source(farm()))
    async with app.run_test(size=size) as pilot:
        check_golden(f"farm-top-{size_name(size)}", await polled(app, pilot))
        await pilot.press("ctrl+end")
        check_golden(f"farm-end-{size_name(size)}", await polled(app, pilot))


@SIZES
async def test_help(size: tuple[int, int]) -> None:
    app = screen(Source(rig(device(0))))
    async with app.run_test(size=size) as pilot:
        app.poll()
        await pilot.press("question_mark")
        check_golden(f"help-{size_name(size)}", await polled(app, pilot))


@SIZES
async def test_boards(size: tuple[int, int]) -> None:
    app = screen(Source(boards()))
    async with app.run_test(size=size) as pilot:
        check_golden(f"boards-{size_name(size)}", await polled(app, pilot))
