"""What is put down: snapshots and shares as compact rows, and the one transaction they go in."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sv2rig.rig.snapshot import DeviceSnapshot, RigSnapshot, ShareRecord
from sv2rig.rig.store_schema import QUARTER_MINUTES, ROLL_UP, VERDICTS

RIG_NAME: Final = ""
ROLL_UP_MINUTES: Final = 5  # how far the quarters lag behind
MINUTES_KEPT: Final = 31 * 24 * 60  # then only quarters of an hour are kept
MOST_SHARES: Final = 2_000_000  # some 80 MB
PRUNE_STEP_MINUTES: Final = 6 * 60  # in an hour: a clock that is wrong for a while costs little
MOST_AUDIT: Final = 100_000
MOST_REASONS: Final = 1000  # a pool makes them up
LONGEST_TEXT: Final = 500
_LARGEST: Final = 1 << 53
_MINING: Final = ("MINING", "THROTTLED")

Number = int | None


@dataclass(frozen=True, slots=True)
class Sample:
    """What one minute showed of one device, or of the rig (device ""). Temperature, power and
    frequency in tenths; errors, time and hashes since the last sample."""

    device: str
    hashrate_hs: Number
    temperature: Number
    power: Number
    fan_percent: Number
    frequency: Number
    hardware_errors: int
    comm_errors: int
    mined_s: float
    hashes: float
    best_difficulty: float


@dataclass(frozen=True, slots=True)
class Minute:
    minute: int
    samples: tuple[Sample, ...]


@dataclass(slots=True)
class Wished:
    """What the user wants of one device."""

    settings: dict[str, float] = field(default_factory=dict)
    disabled: bool = False


@dataclass(slots=True)
class Batch:
    """What goes into one transaction. `audit`: (milliseconds, text)."""

    shares: list[ShareRecord] = field(default_factory=list)
    minutes: list[Minute] = field(default_factory=list)
    audit: list[tuple[int, str]] = field(default_factory=list)
    wishes: dict[str, Wished] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.shares or self.minutes or self.audit or self.wishes)


class Sampler:
    """Makes Minutes of snapshots, whose counts run since the rig's start."""

    def __init__(self) -> None:
        self._errors: dict[str, tuple[int, int]] = {}
        self._uptime_s = 0.0

    def minute(self, utc: float, devices: Sequence[DeviceSnapshot], rig: RigSnapshot) -> Minute:
        elapsed_s = _since(rig.uptime_s, self._uptime_s)
        self._uptime_s = rig.uptime_s
        mining = [device for device in devices if device.state in _MINING]
        parts = [
            self._sample(d.id, d, d.lately_hs, elapsed_s if d in mining else 0.0) for d in devices
        ]
        whole = self._sample(RIG_NAME, rig, _rate_of_all(devices), elapsed_s if mining else 0.0)
        whole = replace(whole, hashes=math.fsum(part.hashes for part in parts))
        return Minute(int(utc // 60), (whole, *parts))

    def _sample(
        self, name: str, of: DeviceSnapshot | RigSnapshot, rate: float | None, mined_s: float
    ) -> Sample:
        before = self._errors.get(name, (0, 0))
        self._errors[name] = of.hardware_errors, of.comm_errors
        device = of if isinstance(of, DeviceSnapshot) else None
        return Sample(
            device=name,
            hashrate_hs=_integer(rate),
            temperature=_integer(device.temperature_c, 10) if device else _hottest(of),
            power=_integer(of.power_w, 10),
            fan_percent=_integer(device.fan_percent) if device else None,
            frequency=_integer(device.frequency_mhz, 10) if device else None,
            hardware_errors=int(_since(of.hardware_errors, before[0])),
            comm_errors=int(_since(of.comm_errors, before[1])),
            mined_s=mined_s,
            hashes=_finite((rate or 0.0) * mined_s),
            best_difficulty=_finite(of.best_difficulty or 0.0),
        )


class Tables:
    """Writes Batches. The ids of names are remembered, and forgotten when a transaction fails."""

    def __init__(self, connection: sqlite3.Connection, keep_days: int) -> None:
        self._db = connection
        self._keep_minutes = keep_days * 24 * 60
        self._ids: dict[tuple[str, str], int] = {}
        self._minute: int | None = None
        self._pruned: int | None = None

    def write(self, batch: Batch) -> None:
        """All or nothing. sqlite3.Error."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._shares(batch.shares)
            for minute in batch.minutes:
                self._write_minute(minute)
            self._db.executemany("INSERT INTO audit (time_ms, text) VALUES (?, ?)", batch.audit)
            self._wishes(batch.wishes)
            self._db.execute("COMMIT")
        except BaseException:
            self._ids.clear()
            if self._db.in_transaction:  # a full disk may have rolled it back
                self._db.execute("ROLLBACK")
            raise

    def roll_up_the_latest(self) -> None:
        """What a writer that was killed had not summed up yet."""
        [latest] = self._db.execute("SELECT max(quarter) FROM quarters").fetchone()
        first = 0 if latest is None else latest * QUARTER_MINUTES
        self._db.execute(ROLL_UP, (first, _LARGEST))

    def _shares(self, shares: Iterable[ShareRecord]) -> None:
        for share in shares:
            device, pool = self._id("devices", share.device), self._id("pools", share.pool)
            verdict = VERDICTS.index(share.verdict) if share.verdict in VERDICTS else 3
            time_ms = milliseconds(share.time)
            difficulty, is_block = _finite(share.difficulty), int(share.is_block)
            row = (device, pool, verdict, difficulty, _finite(share.wanted), is_block)
            self._db.execute(
                """INSERT INTO shares SELECT ?1,
                    ifnull((SELECT max(tie) FROM shares WHERE time_ms = ?1), -1) + 1,
                    ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9""",
                (time_ms, *row, _integer(share.latency_ms), self._reason(share.reason)),
            )
            counts = [int(verdict == number) for number in range(len(VERDICTS))]
            self._db.execute(
                """INSERT INTO share_counts VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                    ON CONFLICT DO UPDATE SET accepted = accepted + excluded.accepted,
                    rejected = rejected + excluded.rejected, stale = stale + excluded.stale,
                    unacknowledged = unacknowledged + excluded.unacknowledged,
                    blocks = blocks + excluded.blocks,
                    best_difficulty = max(best_difficulty, excluded.best_difficulty)""",
                (device, pool, *counts, is_block, difficulty),
            )
            if is_block:
                self._db.execute(
                    """INSERT INTO blocks (time_ms, device, pool, verdict, difficulty)
                        VALUES (?, ?, ?, ?, ?)""",
                    (time_ms, device, pool, verdict, difficulty),
                )

    def _write_minute(self, minute: Minute) -> None:
        rows = [(self._id("devices", sample.device), sample) for sample in minute.samples]
        # A minute that is told twice (the clock went back): the later values, the errors of both.
        self._db.executemany(
            """INSERT INTO samples VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT DO UPDATE SET hashrate_hs = excluded.hashrate_hs,
                temperature = excluded.temperature, power = excluded.power,
                fan_percent = excluded.fan_percent, frequency = excluded.frequency,
                hardware_errors = hardware_errors + excluded.hardware_errors,
                comm_errors = comm_errors + excluded.comm_errors""",
            (
                (
                    *(minute.minute, device, s.hashrate_hs, s.temperature, s.power),
                    *(s.fan_percent, s.frequency, s.hardware_errors, s.comm_errors),
                )
                for device, s in rows
            ),
        )
        self._db.executemany(
            """INSERT INTO work VALUES (?, ?, ?, ?, ?, ?)
                ON CONFLICT DO UPDATE SET mined_s = mined_s + excluded.mined_s,
                hashes = hashes + excluded.hashes,
                hardware_errors = hardware_errors + excluded.hardware_errors,
                comm_errors = comm_errors + excluded.comm_errors,
                best_difficulty = max(best_difficulty, excluded.best_difficulty)""",
            (
                (device, s.mined_s, s.hashes, s.hardware_errors, s.comm_errors, s.best_difficulty)
                for device, s in rows
            ),
        )
        self._roll_up(minute.minute)
        self._prune(minute.minute)

    def _roll_up(self, minute: int) -> None:
        quarter, before = minute // QUARTER_MINUTES, self._minute
        if before is not None and before // QUARTER_MINUTES != quarter:
            self._roll_up_quarter(before // QUARTER_MINUTES)
        if minute % ROLL_UP_MINUTES == ROLL_UP_MINUTES - 1:
            self._roll_up_quarter(quarter)
        self._minute = minute

    def _roll_up_quarter(self, quarter: int) -> None:
        first = quarter * QUARTER_MINUTES
        self._db.execute(ROLL_UP, (first, first + QUARTER_MINUTES))

    def _prune(self, now: int) -> None:
        """Once an hour, a few hours of the oldest of what is too old."""
        if self._pruned == now // 60:
            return
        self._pruned = now // 60
        step, day = PRUNE_STEP_MINUTES, now - self._keep_minutes
        self._drop("samples", "minute", now - min(MINUTES_KEPT, self._keep_minutes), step)
        self._drop("quarters", "quarter", day // QUARTER_MINUTES, step // QUARTER_MINUTES)
        self._drop("shares", "time_ms", day * 60_000, step * 60_000)
        self._db.execute(
            "DELETE FROM audit WHERE id <= (SELECT max(id) FROM audit) - ?", (MOST_AUDIT,)
        )
        [count] = self._db.execute("SELECT count(*) FROM shares").fetchone()
        if count > MOST_SHARES:
            self._db.execute(
                """DELETE FROM shares WHERE time_ms < (
                    SELECT time_ms FROM shares ORDER BY time_ms LIMIT 1 OFFSET ?)""",
                (count - MOST_SHARES,),
            )

    def _drop(self, table: str, column: str, before: int, step: int) -> None:
        [oldest] = self._db.execute(f"SELECT min({column}) FROM {table}").fetchone()
        if oldest is not None and oldest < before:
            last = min(before, oldest + step)
            self._db.execute(f"DELETE FROM {table} WHERE {column} < ?", (last,))

    def _wishes(self, wishes: Mapping[str, Wished]) -> None:
        for device, wished in wishes.items():
            self._db.execute("DELETE FROM settings WHERE device = ?", (device,))
            self._db.executemany(
                "INSERT INTO settings VALUES (?, ?, ?)",
                [(device, name, _finite(value)) for name, value in wished.settings.items()],
            )
            self._db.execute("DELETE FROM disabled WHERE device = ?", (device,))
            if wished.disabled:
                self._db.execute("INSERT INTO disabled VALUES (?)", (device,))

    def _reason(self, text: str) -> int | None:
        text = text[:LONGEST_TEXT]
        if not text or ("reasons", text) in self._ids:
            return self._ids.get(("reasons", text))
        [count] = self._db.execute("SELECT count(*) FROM reasons").fetchone()
        return self._id("reasons", text if count < MOST_REASONS else "(another reason)")

    def _id(self, table: str, name: str) -> int:
        known = self._ids.get((table, name))
        if known is not None:
            return known
        self._db.execute(f"INSERT OR IGNORE INTO {table} (name) VALUES (?)", (name,))
        [number] = self._db.execute(f"SELECT id FROM {table} WHERE name = ?", (name,)).fetchone()
        self._ids[table, name] = number
        return int(number)


def milliseconds(utc: float) -> int:
    return round(utc * 1000) if math.isfinite(utc) and abs(utc) < 1e12 else 0


def _since(count: float, before: float) -> float:
    """What was added; a count that is lower than before was begun anew."""
    return count - before if count >= before else count


def _integer(value: float | None, scale: int = 1) -> int | None:
    if value is None or not math.isfinite(value):
        return None
    return max(-_LARGEST, min(_LARGEST, round(value * scale)))


def _finite(value: float) -> float:
    return value if math.isfinite(value) else 0.0


def _rate_of_all(devices: Sequence[DeviceSnapshot]) -> float | None:
    """Unknown where one mines at an unknown rate: a part of the rig would pass for all of it."""
    known = [device.lately_hs for device in devices if device.lately_hs is not None]
    unknown = any(d.state in _MINING and d.lately_hs is None for d in devices)
    return None if unknown or not known else sum(known)


def _hottest(rig: DeviceSnapshot | RigSnapshot) -> int | None:
    if isinstance(rig, DeviceSnapshot):
        return None
    known = [d.temperature_c for d in rig.devices if d.temperature_c is not None]
    return _integer(max(known, default=None), 10)
