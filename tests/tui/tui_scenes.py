"""Pictures of a rig for the screen's tests, and the screen as lines of text."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
from textual.pilot import Pilot

from sv2rig.rig.snapshot import (
    SCHEMA,
    DeviceSnapshot,
    Event,
    PoolSnapshot,
    RigSnapshot,
    Ring,
    ShareCounts,
    ShareRecord,
)
from sv2rig.tui.app import RigScreen

NOW = 1_700_000_000.0
UPDATE = "SV2RIG_UPDATE_GOLDEN"
GOLDEN = Path(__file__).parent / "golden"
URL = "stratum2+tcp://pool.example:34254/9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72"

NO_POOL_YET = PoolSnapshot(
    url=URL,
    state="connecting",
    detail="Noise handshake",
    transport="TCP, Noise NX",
    channel_kind="",
    difficulty=None,
    job_id=None,
    job_age_s=None,
    latency_ms=None,
    connected_since=None,
    reconnects=0,
    new_block_at=None,
)
ALIVE = msgspec.structs.replace(
    NO_POOL_YET,
    state="mining",
    detail="",
    channel_kind="extended",
    difficulty=0.00047,
    job_id=2034,
    job_age_s=12.0,
    latency_ms=1.4,
    connected_since=NOW - 370,
)
DEAD = msgspec.structs.replace(
    NO_POOL_YET,
    state="waiting",
    detail="connection refused, trying again in 8 s",
    reconnects=3,
)


def device(number: int, **fields: object) -> DeviceSnapshot:
    """A device that mines: the first an OpenCL one without sensors, the others simulated."""
    opencl = number == 0
    usual = DeviceSnapshot(
        id=f"opencl:{number}" if opencl else f"simulated:{number}",
        backend="opencl" if opencl else "simulated",
        name="Portable CPU device" if opencl else "simulated board",
        variant="scan8" if opencl else None,
        state="MINING",
        reason="",
        since=NOW - 370,
        hashrate_hs=26.4e6 + number * 1e6,
        hashrate_1m_hs=26.1e6 + number * 1e6,
        temperature_c=None if opencl else 55.0,
        fan_percent=None if opencl else 42.0,
        power_w=None if opencl else 17.2,
        shares=ShareCounts(accepted=100 + number),
        hardware_errors=0,
        last_share=NOW - 3,
    )
    return msgspec.structs.replace(usual, **fields)


def rig(*devices: DeviceSnapshot, **fields: object) -> RigSnapshot:
    usual = RigSnapshot(
        schema=SCHEMA,
        sequence=1,
        time=NOW,
        name="garage-01",
        version="0.1.0",
        state="mining",
        uptime_s=380.0,
        hashrate_hs=sum(each.hashrate_hs or 0 for each in devices) if devices else None,
        hashrate_1m_hs=sum(each.hashrate_1m_hs or 0 for each in devices) if devices else None,
        shares=ShareCounts(accepted=8214, rejected=7, stale=3, pending=1),
        blocks_found=0,
        hardware_errors=0,
        best_difficulty=1.42e9,
        pool=ALIVE,
        devices=devices,
    )
    return msgspec.structs.replace(usual, **fields)


class Source:
    """A SnapshotSource that shows what the test puts in, and a clock that the test moves."""

    def __init__(self, first: RigSnapshot) -> None:
        self.picture = first
        self.ring: Ring[Event] = Ring()
        self.shares: Ring[ShareRecord] = Ring()
        self.now = 1000.0

    def snapshot(self) -> RigSnapshot:
        return self.picture

    def events_after(self, number: int) -> tuple[Event, ...]:
        return self.ring.after(number)

    def shares_after(self, number: int) -> tuple[ShareRecord, ...]:
        return self.shares.after(number)

    def say(self, time: float, level: str, text: str, device: str | None = None) -> None:
        """An event."""
        self.ring.add(Event(self.ring.next_number, time, level, text, device))

    def clock(self) -> float:
        return self.now

    def publish(self, picture: RigSnapshot, seconds: float = 1.0) -> None:
        """The next picture, a moment later."""
        self.now += seconds
        self.picture = msgspec.structs.replace(
            picture,
            sequence=self.picture.sequence + 1,
            uptime_s=self.picture.uptime_s + seconds,
            time=self.picture.time + seconds,
        )


def screen(source: Source, on_quit: Callable[[], None] | None = None) -> RigScreen:
    return RigScreen(source, on_quit=on_quit, clock=source.clock)


async def polled(app: RigScreen, pilot: Pilot[None]) -> list[str]:
    """The screen after it has read its source once more, when nothing on it moves any more: a
    layout that changes size lays out its log in a later turn of the loop."""
    app.poll()
    await pilot.pause()
    shown, still = lines(app), 0
    while still < 3:
        await pilot.pause()
        now = lines(app)
        still = still + 1 if now == shown else 0
        shown = now
    return shown


def lines(app: RigScreen) -> list[str]:
    """What the terminal shows, as plain text without trailing spaces."""
    return [strip.text.rstrip() for strip in app.screen._compositor.render_strips()]


def check_golden(name: str, shown: list[str]) -> None:
    """Compare with tests/tui/golden/NAME.txt; SV2RIG_UPDATE_GOLDEN=1 writes it anew."""
    path = GOLDEN / f"{name}.txt"
    text = "\n".join(shown) + "\n"
    if os.environ.get(UPDATE):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{UPDATE}=1 writes {path.name} anew"
