"""A rig's screen over a made-up rig: a process that bench/screen.py starts on a terminal.

Usage: screen_child.py DEVICES. Every second each device reads differently; the pictures are decoded
from JSON, as those from a daemon are.
"""

from __future__ import annotations

import random
import sys
import time

import msgspec

from sv2rig import __version__
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

_PICTURES = 16
_URL = "stratum2+tcp://pool.example:34254/9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72"


def device(number: int, rng: random.Random, now: float) -> DeviceSnapshot:
    """All of them mine, but for each sixteenth, which is hot."""
    hot = number % 16 == 5
    rate = 1e12 + rng.uniform(-1e11, 1e11)
    return DeviceSnapshot(
        id=f"board:{number}",
        backend="bm13xx",
        name="a board",
        variant=None,
        state="THROTTLED" if hot else "MINING",
        reason="78 °C is above 75 °C: half speed until 70 °C" if hot else "",
        since=now - 100 * number,
        hashrate_hs=rate,
        hashrate_1m_hs=rate + 1e9,
        temperature_c=(78 if hot else 55) + rng.uniform(-2, 2),
        fan_percent=rng.uniform(40, 60),
        power_w=rng.uniform(15, 18),
        shares=ShareCounts(accepted=rng.randrange(100, 999)),
        hardware_errors=rng.randrange(5),
        last_share=now - rng.uniform(0, 20),
        port=f"ttyUSB{number}",
        frequency_mhz=500.0,
        rated_hs=1.1e12,
        hot_c=75.0,
    )


def picture(devices: int, rng: random.Random, now: float) -> RigSnapshot:
    known = tuple(device(number, rng, now) for number in range(devices))
    rate = sum(each.hashrate_hs or 0 for each in known)
    return RigSnapshot(
        schema=SCHEMA,
        sequence=1,
        time=now,
        name="bench",
        version=__version__,
        state="mining",
        uptime_s=1000.0,
        hashrate_hs=rate,
        hashrate_1m_hs=rate,
        shares=ShareCounts(accepted=rng.randrange(1000, 9999)),
        blocks_found=0,
        hardware_errors=0,
        best_difficulty=1.42e9,
        pool=PoolSnapshot(
            url=_URL,
            state="mining",
            detail="",
            transport="",
            channel_kind="extended",
            difficulty=4096.0,
            job_id=rng.randrange(9999),
            job_age_s=rng.uniform(0, 30),
            latency_ms=21.0,
            connected_since=now - 1000,
            reconnects=0,
            new_block_at=None,
        ),
        devices=known,
    )


class MadeUp:
    """A source with another picture each second, a share too, and an event every five seconds."""

    def __init__(self, devices: int) -> None:
        rng, now = random.Random(4), time.time()
        self._json = [msgspec.json.encode(picture(devices, rng, now)) for _ in range(_PICTURES)]
        self._began = time.monotonic()
        self._events: Ring[Event] = Ring()
        self._shares: Ring[ShareRecord] = Ring()
        self._decode = msgspec.json.Decoder(RigSnapshot).decode

    def snapshot(self) -> RigSnapshot:
        seconds = round(time.monotonic() - self._began)
        drawn = self._decode(self._json[seconds % _PICTURES])
        number, now = self._shares.next_number, time.time()
        self._shares.add(
            ShareRecord(number, now, "board:1", "main", "accepted", 18587.0, 4096.0, False, 22.0)
        )
        if not seconds % 5:
            self._events.add(Event(self._events.next_number, now, "info", "one more job"))
        return msgspec.structs.replace(
            drawn, sequence=seconds + 1, time=now, uptime_s=1000.0 + seconds
        )

    def events_after(self, number: int) -> tuple[Event, ...]:
        return self._events.after(number)

    def shares_after(self, number: int) -> tuple[ShareRecord, ...]:
        return self._shares.after(number)


if __name__ == "__main__":
    RigScreen(MadeUp(int(sys.argv[1])), on_quit=None).run()
