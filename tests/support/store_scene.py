"""Shares and snapshots as a store is given them."""

from __future__ import annotations

from collections.abc import Sequence

from sv2rig.rig.snapshot import (
    SCHEMA,
    DeviceSnapshot,
    PoolSnapshot,
    RigSnapshot,
    ShareCounts,
    ShareRecord,
)

# Of the counters with the share log: no rows where they agree.
DISAGREEMENTS = """
    WITH log AS (SELECT device, pool, sum(verdict = 0), sum(verdict = 1), sum(verdict = 2),
        sum(verdict = 3), sum(is_block), max(difficulty) FROM shares GROUP BY device, pool)
    SELECT * FROM (SELECT * FROM log EXCEPT SELECT * FROM share_counts)
    UNION SELECT * FROM (SELECT * FROM share_counts EXCEPT SELECT * FROM log)"""

UTC = 1_790_000_040.0  # the beginning of a minute

_NO_POOL = PoolSnapshot("", "mining", "", "", "", None, None, None, None, None, 0, None)


def share(number: int, **changes: object) -> ShareRecord:
    """The n-th share, n seconds after UTC, accepted."""
    values: dict[str, object] = {
        "number": number,
        "time": UTC + number,
        "device": "icarus:A1",
        "pool": "main",
        "verdict": "accepted",
        "difficulty": 1000.0 + number,
        "wanted": 1000.0,
        "latency_ms": 21.0,
    }
    return ShareRecord(**(values | changes))  # type: ignore[arg-type]


def device(device_id: str = "icarus:A1", **changes: object) -> DeviceSnapshot:
    values: dict[str, object] = {
        "id": device_id,
        "backend": "icarus",
        "name": device_id,
        "variant": None,
        "state": "MINING",
        "reason": "",
        "since": UTC,
        "hashrate_hs": 380e6,
        "hashrate_1m_hs": 380e6,
        "temperature_c": 50.0,
        "fan_percent": 40.0,
        "power_w": 19.2,
        "shares": ShareCounts(),
        "hardware_errors": 0,
        "last_share": None,
        "frequency_mhz": 200.0,
    }
    return DeviceSnapshot(**(values | changes))  # type: ignore[arg-type]


def rig(devices: Sequence[DeviceSnapshot], uptime_s: float = 60.0) -> RigSnapshot:
    return RigSnapshot(
        schema=SCHEMA,
        sequence=1,
        time=UTC,
        name="rig",
        version="0",
        state="mining",
        uptime_s=uptime_s,
        hashrate_hs=sum(d.hashrate_hs or 0.0 for d in devices),
        hashrate_1m_hs=sum(d.hashrate_1m_hs or 0.0 for d in devices),
        shares=ShareCounts(),
        blocks_found=0,
        hardware_errors=sum(d.hardware_errors for d in devices),
        best_difficulty=None,
        pool=_NO_POOL,
        devices=tuple(devices),
        comm_errors=sum(d.comm_errors for d in devices),
        power_w=sum(d.power_w or 0.0 for d in devices),
    )
