"""What the store answers, in one query each. Times are UTC seconds since 1970."""

from __future__ import annotations

import math
import sqlite3
from typing import Any, Final

import msgspec

from sv2rig.rig.snapshot import ShareRecord
from sv2rig.rig.store_schema import QUARTER_MINUTES, RIG, VERDICTS

MOST_POINTS: Final = 1000
MOST_SHARES: Final = 1000


class HistoryPoint(msgspec.Struct, frozen=True):
    """A span that begins at `time`: mean rate, power and frequency, highest temperature and fan,
    errors in all. None is unknown."""

    time: int
    hashrate_hs: float | None
    temperature_c: float | None
    power_w: float | None
    fan_percent: float | None
    frequency_mhz: float | None
    hardware_errors: int
    comm_errors: int


class History(msgspec.Struct, frozen=True):
    """Spans of `step_s`, oldest first; one without samples is left out. `device` None: the rig."""

    device: str | None
    step_s: int
    points: tuple[HistoryPoint, ...]


class Lifetime(msgspec.Struct, frozen=True):
    """What came about since the store was begun. `hashes` follow from rates and time; of pools
    neither is known."""

    accepted: int = 0
    rejected: int = 0
    stale: int = 0
    unacknowledged: int = 0
    blocks: int = 0
    best_difficulty: float | None = None
    mined_s: float | None = None
    hashes: float | None = None
    hardware_errors: int = 0
    comm_errors: int = 0


class Totals(msgspec.Struct, frozen=True):
    """Of the rig, by device id and by pool name (of pools, what shares tell)."""

    rig: Lifetime
    devices: dict[str, Lifetime]
    pools: dict[str, Lifetime]


class FoundBlock(msgspec.Struct, frozen=True):
    time: float
    device: str
    pool: str
    verdict: str
    difficulty: float


class AuditLine(msgspec.Struct, frozen=True):
    time: float
    text: str


# One seek a step: rows are clustered by time, so a device's are far apart. `weight`: minutes a row.
_HISTORY = """
    WITH RECURSIVE steps(step) AS (
        SELECT :first UNION ALL SELECT step + 1 FROM steps WHERE step < :last)
    SELECT (steps.step - :first) / :width AS bucket,
        sum(1.0 * hashrate_hs * {weight}) / sum(iif(hashrate_hs IS NULL, 0, {weight})),
        max(temperature) / 10.0,
        sum(power * {weight}) / sum(iif(power IS NULL, 0, 10.0 * {weight})),
        max(fan_percent) * 1.0,
        sum(frequency * {weight}) / sum(iif(frequency IS NULL, 0, 10.0 * {weight})),
        sum(hardware_errors), sum(comm_errors)
    FROM steps CROSS JOIN {table} AS sample
        ON sample.{column} = steps.step AND sample.device = :device
    GROUP BY bucket ORDER BY bucket"""


def history(
    db: sqlite3.Connection, device: str | None, since: float, until: float, points: int
) -> History:
    """At most `points` spans (1 to MOST_POINTS) from the one with `since` in it to before `until`;
    they begin at multiples of their length, so that they stay put as time goes on. Spans of a
    quarter of an hour or more are made of quarters, of which the latest may lack 5 minutes."""
    points = max(1, min(MOST_POINTS, points))
    since, until = (min(max(moment, 0.0), 1e11) for moment in (since, until))
    coarse = (until - since) / points >= QUARTER_MINUTES * 60
    table, column, weight = (
        ("quarters", "quarter", "minutes") if coarse else ("samples", "minute", 1)
    )
    unit_s = QUARTER_MINUTES * 60 if coarse else 60
    [oldest, newest] = db.execute(  # one of them a query: only then is it a seek
        f"SELECT (SELECT min({column}) FROM {table}), (SELECT max({column}) FROM {table})"
    ).fetchone()
    first, last = math.floor(since / unit_s), math.ceil(until / unit_s) - 1
    width = _width(first, last, points)
    empty = History(device, width * unit_s, ())
    number = _device(db, device)
    if number is None or oldest is None or last < max(first, oldest):
        return empty
    first = max(first, oldest) // width * width
    last = min(last, newest)
    rows = db.execute(
        _HISTORY.format(table=table, column=column, weight=weight),
        {"first": first, "last": last, "width": width, "device": number},
    )
    return History(
        device,
        width * unit_s,
        tuple(HistoryPoint((first + row[0] * width) * unit_s, *row[1:]) for row in rows),
    )


def shares(
    db: sqlite3.Connection, device: str | None, since: float, until: float, limit: int
) -> tuple[ShareRecord, ...]:
    """The latest first, from `since` to before `until`; numbered by their place in the answer."""
    rows = db.execute(
        """SELECT time_ms / 1000.0, devices.name, pools.name, verdict, difficulty, wanted,
            is_block, 1.0 * latency_ms, ifnull(reasons.name, '')
        FROM (SELECT * FROM shares
            WHERE time_ms >= ?1 AND time_ms < ?2 AND (?3 IS NULL OR device = ?3)
            ORDER BY time_ms DESC, tie DESC LIMIT ?4) AS latest
        CROSS JOIN devices ON devices.id = latest.device
        CROSS JOIN pools ON pools.id = latest.pool
        LEFT JOIN reasons ON reasons.id = latest.reason
        ORDER BY time_ms DESC, tie DESC""",
        (
            *(round(min(max(moment, -1e11), 1e11) * 1000) for moment in (since, until)),
            None if device is None else _device(db, device) or -1,
            max(0, min(MOST_SHARES, limit)),
        ),
    )
    return tuple(_share(number, *row) for number, row in enumerate(rows, 1))


def totals(db: sqlite3.Connection) -> Totals:
    """The lifetime counters."""
    rig = _counts(db, "''", "share_counts")[""]
    devices = _counts(db, "devices.name", "share_counts JOIN devices ON devices.id = device")
    pools = _counts(db, "pools.name", "share_counts JOIN pools ON pools.id = pool")
    for name, number, *work in db.execute(
        """SELECT name, device, mined_s, hashes, hardware_errors, comm_errors, best_difficulty
            FROM work JOIN devices ON devices.id = device"""
    ):
        if number == RIG:
            rig = _with_work(rig, *work)
        else:
            devices[name] = _with_work(devices.get(name, Lifetime()), *work)
    return Totals(rig, devices, pools)


def blocks(db: sqlite3.Connection) -> tuple[FoundBlock, ...]:
    """The latest 1000, the latest first."""
    rows = db.execute(
        """SELECT time_ms, devices.name, pools.name, verdict, difficulty FROM blocks
            JOIN devices ON devices.id = device JOIN pools ON pools.id = pool
            ORDER BY blocks.id DESC LIMIT 1000"""
    )
    return tuple(FoundBlock(t / 1000, d, p, VERDICTS[v], best) for t, d, p, v, best in rows)


def audit(db: sqlite3.Connection, limit: int) -> tuple[AuditLine, ...]:
    """The latest first."""
    rows = db.execute("SELECT time_ms, text FROM audit ORDER BY id DESC LIMIT ?", (max(0, limit),))
    return tuple(AuditLine(time_ms / 1000, text) for time_ms, text in rows)


def _share(
    number: int, time: float, device: str, pool: str, verdict: int, *rest: Any
) -> ShareRecord:
    difficulty, wanted, is_block, latency_ms, reason = rest
    return ShareRecord(
        number=number,
        time=time,
        device=device,
        pool=pool,
        verdict=VERDICTS[verdict],
        difficulty=difficulty,
        wanted=wanted,
        is_block=bool(is_block),
        latency_ms=latency_ms,
        reason=reason,
    )


def _counts(db: sqlite3.Connection, name: str, tables: str) -> dict[str, Lifetime]:
    rows = db.execute(
        f"""SELECT {name} AS name, total(accepted), total(rejected), total(stale),
            total(unacknowledged), total(blocks), max(best_difficulty)
            FROM {tables} {"GROUP BY name" if name != "''" else ""}"""
    )
    return {
        name: Lifetime(
            int(accepted), int(rejected), int(stale), int(silent), int(blocks), best or None
        )
        for name, accepted, rejected, stale, silent, blocks, best in rows
    }


def _with_work(
    counts: Lifetime, mined_s: float, hashes: float, hardware: int, comm: int, best: float
) -> Lifetime:
    return msgspec.structs.replace(
        counts,
        mined_s=mined_s,
        hashes=hashes,
        hardware_errors=hardware,
        comm_errors=comm,
        best_difficulty=max(counts.best_difficulty or 0.0, best) or None,
    )


def _width(first: int, last: int, points: int) -> int:
    """How many steps a span has."""
    width = max(1, math.ceil((last - first + 1) / points))
    while last // width - first // width + 1 > points:
        width += 1
    return width


def _device(db: sqlite3.Connection, name: str | None) -> int | None:
    if name is None:
        return RIG
    row = db.execute("SELECT id FROM devices WHERE name = ? AND id <> 0", (name,)).fetchone()
    return None if row is None else int(row[0])
