"""The tables of the store, version by version. A database is brought up step by step, never down.

Times are UTC: minutes since 1970 in samples, quarters of an hour in quarters, milliseconds
elsewhere. Pages are small because a commit writes whole pages: a share costs two of them.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

VERSION: Final = 2
APPLICATION_ID: Final = 0x53563252  # "SV2R", in the file's header
PAGE_BYTES: Final = 1024
RIG: Final = 0  # the id of the rig as a whole among the devices; its name is ""
VERDICTS: Final = ("accepted", "rejected", "stale", "unacknowledged")  # by number in shares
QUARTER_MINUTES: Final = 15

_FIRST = (
    "CREATE TABLE devices (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    "CREATE TABLE pools (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    """CREATE TABLE shares (
        id INTEGER PRIMARY KEY, time REAL NOT NULL, device INTEGER NOT NULL, pool INTEGER NOT NULL,
        verdict TEXT NOT NULL, difficulty REAL NOT NULL, wanted REAL NOT NULL,
        is_block INTEGER NOT NULL, latency_ms REAL, reason TEXT NOT NULL)""",
    """CREATE TABLE share_counts (
        device INTEGER NOT NULL, pool INTEGER NOT NULL, accepted INTEGER NOT NULL,
        rejected INTEGER NOT NULL, stale INTEGER NOT NULL, unacknowledged INTEGER NOT NULL,
        blocks INTEGER NOT NULL, best_difficulty REAL NOT NULL,
        PRIMARY KEY (device, pool)) WITHOUT ROWID""",
    """CREATE TABLE samples (
        time INTEGER NOT NULL, device INTEGER NOT NULL, hashrate_hs REAL, temperature_c REAL,
        power_w REAL, fan_percent REAL, frequency_mhz REAL, hardware_errors INTEGER NOT NULL)""",
    """CREATE TABLE settings (
        device TEXT NOT NULL, name TEXT NOT NULL, value REAL NOT NULL,
        PRIMARY KEY (device, name)) WITHOUT ROWID""",
    "CREATE TABLE disabled (device TEXT PRIMARY KEY) WITHOUT ROWID",
)

_COMPACT = (
    "INSERT INTO devices VALUES (0, '')",
    "CREATE TABLE reasons (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    "INSERT INTO reasons (name) SELECT DISTINCT reason FROM shares WHERE reason <> ''",
    "ALTER TABLE shares RENAME TO old_shares",
    # `tie` tells shares of the same millisecond apart.
    """CREATE TABLE shares (
        time_ms INTEGER NOT NULL, tie INTEGER NOT NULL, device INTEGER NOT NULL,
        pool INTEGER NOT NULL, verdict INTEGER NOT NULL, difficulty REAL NOT NULL,
        wanted REAL NOT NULL, is_block INTEGER NOT NULL, latency_ms INTEGER, reason INTEGER,
        PRIMARY KEY (time_ms, tie)) WITHOUT ROWID""",
    """INSERT INTO shares SELECT
        CAST(round(time * 1000) AS INTEGER),
        row_number() OVER (PARTITION BY CAST(round(time * 1000) AS INTEGER) ORDER BY id) - 1,
        device, pool,
        CASE verdict WHEN 'accepted' THEN 0 WHEN 'rejected' THEN 1 WHEN 'stale' THEN 2 ELSE 3 END,
        difficulty, wanted, is_block, CAST(round(latency_ms) AS INTEGER),
        (SELECT reasons.id FROM reasons WHERE reasons.name = old_shares.reason)
        FROM old_shares""",
    "DROP TABLE old_shares",
    """CREATE TABLE blocks (
        id INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, device INTEGER NOT NULL,
        pool INTEGER NOT NULL, verdict INTEGER NOT NULL, difficulty REAL NOT NULL)""",
    """INSERT INTO blocks (time_ms, device, pool, verdict, difficulty)
        SELECT time_ms, device, pool, verdict, difficulty FROM shares WHERE is_block""",
    "ALTER TABLE samples RENAME TO old_samples",
    # Tenths of a degree, of a watt and of a MHz; errors are those of this minute.
    """CREATE TABLE samples (
        minute INTEGER NOT NULL, device INTEGER NOT NULL, hashrate_hs INTEGER,
        temperature INTEGER, power INTEGER, fan_percent INTEGER, frequency INTEGER,
        hardware_errors INTEGER NOT NULL, comm_errors INTEGER NOT NULL,
        PRIMARY KEY (minute, device)) WITHOUT ROWID""",
    """INSERT OR REPLACE INTO samples SELECT time / 60, device,
        CAST(round(hashrate_hs) AS INTEGER), CAST(round(temperature_c * 10) AS INTEGER),
        CAST(round(power_w * 10) AS INTEGER), CAST(round(fan_percent) AS INTEGER),
        CAST(round(frequency_mhz * 10) AS INTEGER), hardware_errors, 0 FROM old_samples""",
    "DROP TABLE old_samples",
    # Means and maxima over the `minutes` that there were samples of.
    """CREATE TABLE quarters (
        quarter INTEGER NOT NULL, device INTEGER NOT NULL, minutes INTEGER NOT NULL,
        hashrate_hs INTEGER, temperature INTEGER, power INTEGER, fan_percent INTEGER,
        frequency INTEGER, hardware_errors INTEGER NOT NULL, comm_errors INTEGER NOT NULL,
        PRIMARY KEY (quarter, device)) WITHOUT ROWID""",
    # `work`: what a device did beside its shares.
    """CREATE TABLE work (
        device INTEGER PRIMARY KEY, mined_s REAL NOT NULL, hashes REAL NOT NULL,
        hardware_errors INTEGER NOT NULL, comm_errors INTEGER NOT NULL,
        best_difficulty REAL NOT NULL)""",
    """INSERT INTO work SELECT device, 60 * count(hashrate_hs), total(hashrate_hs) * 60,
        sum(hardware_errors), 0, 0 FROM samples GROUP BY device""",
    "CREATE TABLE audit (id INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, text TEXT NOT NULL)",
)

ROLL_UP = f"""INSERT OR REPLACE INTO quarters
    SELECT minute / {QUARTER_MINUTES} AS quarter, device, count(*),
        CAST(round(avg(hashrate_hs)) AS INTEGER), max(temperature),
        CAST(round(avg(power)) AS INTEGER), max(fan_percent),
        CAST(round(avg(frequency)) AS INTEGER), sum(hardware_errors), sum(comm_errors)
    FROM samples WHERE minute >= ? AND minute < ? GROUP BY quarter, device"""

_STEPS: Final = {1: _FIRST, 2: _COMPACT}


class NewerSchemaError(Exception):
    """The database was written by a later sv2rig; the argument is its version."""


class ForeignDatabaseError(Exception):
    """A SQLite database of some other program."""


def version_of(connection: sqlite3.Connection) -> int:
    """0 for an empty database. ForeignDatabaseError, NewerSchemaError."""
    found = _pragma(connection, "user_version")
    ours = _pragma(connection, "application_id") == APPLICATION_ID
    empty = not _pragma(connection, "schema_version")
    if not (ours or empty):
        raise ForeignDatabaseError
    if found > VERSION:
        raise NewerSchemaError(found)
    return found


def upgrade(connection: sqlite3.Connection, backup: Path, target: int = VERSION) -> Path | None:
    """Brings the database up to `target` in one transaction. What stood there before is copied to
    `backup` with ".vN.bak" added, which is returned; None where nothing had to be kept.
    sqlite3.Error leaves the database as it was."""
    found = version_of(connection)
    if found >= target:
        return None
    kept = _back_up(connection, backup.with_name(f"{backup.name}.v{found}.bak")) if found else None
    connection.execute("BEGIN IMMEDIATE")
    try:
        for version in range(found + 1, target + 1):
            for statement in _STEPS[version]:
                connection.execute(statement)
        if found < VERSION <= target:
            connection.execute(ROLL_UP, (0, 1 << 62))
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {target}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return kept


def _back_up(connection: sqlite3.Connection, path: Path) -> Path:
    """A whole copy, or none: it gets its name once it is complete."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    os.close(os.open(new, os.O_CREAT | os.O_WRONLY, 0o600))
    with closing(sqlite3.connect(new)) as copy:
        connection.backup(copy)
    new.replace(path)
    return path


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    [value] = connection.execute(f"PRAGMA {name}").fetchone()
    return int(value)
