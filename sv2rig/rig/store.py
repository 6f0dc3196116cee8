"""What outlives the rig's process: counters, the share log, samples, wishes, audit lines.

One SQLite file, rig.sqlite in the state folder. Writing hands rows to a thread and never waits;
reading goes through another thread. Killed at any moment, the process loses what came in the last
half second; a loss of power may cost the last 30 s.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, Self, TypeVar

from sv2rig.rig import store_history
from sv2rig.rig.snapshot import DeviceSnapshot, RigSnapshot, ShareRecord
from sv2rig.rig.store_files import (
    FILE,
    Lock,
    StoreError,
    begin_anew,
    lock_folder,
    open_database,
)
from sv2rig.rig.store_history import AuditLine, FoundBlock, History, Totals
from sv2rig.rig.store_rows import LONGEST_TEXT, Sampler, Tables, Wished, milliseconds
from sv2rig.rig.store_writer import Backlog, Report, Writer

__all__ = ["AuditLine", "FoundBlock", "History", "Store", "StoreError", "Totals"]

KEEP_DAYS: Final = 365

Answer = TypeVar("Answer")


class Store:
    """Made by `open`. Adding and wishing may be done on any one thread; `report(level, text)` is
    called on the writer's."""

    def __init__(
        self,
        folder: Path,
        lock: Lock,
        connection: sqlite3.Connection,
        report: Report,
        keep_days: int,
    ) -> None:
        self._path = folder / FILE
        self._lock = lock
        self._report = report
        Tables(connection, keep_days).roll_up_the_latest()
        self._totals = store_history.totals(connection)
        self._wishes = _read_wishes(connection)
        self._sampler = Sampler()
        self._closed = False
        self._readers = ThreadPoolExecutor(1, "store-reader")
        self._reading: sqlite3.Connection | None = None
        self._writer = Writer(self._path, connection, keep_days, report, self._begin_anew)
        self._writer.start()

    @classmethod
    def open(cls, folder: Path, report: Report, keep_days: int = KEEP_DAYS) -> Self:
        """Makes, brings up or begins anew what is needed. StoreError says why it cannot."""
        report = partial(_tell, report)
        lock = lock_folder(folder)
        try:
            connection = _open_or_begin_anew(folder, report)
            try:
                return cls(folder, lock, connection, report, keep_days)
            except BaseException:
                connection.close()
                raise
        except sqlite3.Error as error:
            lock.release()
            raise StoreError("disk", f"{folder / FILE}: {error}") from error
        except BaseException:
            lock.release()
            raise

    def add_share(self, share: ShareRecord) -> None:
        """A share whose verdict is known."""
        self._writer.add(lambda backlog: backlog.shares.append(share))

    def add_samples(self, utc: float, devices: Sequence[DeviceSnapshot], rig: RigSnapshot) -> None:
        """Once a minute. Counts of errors run since the rig's start, as snapshots have them."""
        minute = self._sampler.minute(utc, devices, rig)
        self._writer.add(lambda backlog: backlog.minutes.append(minute))

    def add_audit(self, utc: float, text: str) -> None:
        """A command: who did what."""
        line = milliseconds(utc), text[:LONGEST_TEXT]
        self._writer.add(lambda backlog: backlog.audit.append(line))

    @property
    def trouble(self) -> str:
        """While nothing can be written, why and since when, in words."""
        return self._writer.trouble

    def totals(self) -> Totals:
        """The lifetime counters as they stood when the store was opened."""
        return self._totals

    def settings(self, device_id: str) -> dict[str, float]:
        """What the user set, by name of the setting."""
        wished = self._wishes.get(device_id)
        return dict(wished.settings) if wished else {}

    def keep_settings(self, device_id: str, values: Mapping[str, float]) -> None:
        """These, in place of all that was kept for this device."""
        wished = self._wishes.get(device_id, Wished())
        self._keep(device_id, Wished(dict(values), wished.disabled))

    def disabled(self) -> frozenset[str]:
        """The ids of devices that the user wants stopped."""
        return frozenset(name for name, wished in self._wishes.items() if wished.disabled)

    def keep_disabled(self, device_id: str, disabled: bool) -> None:
        wished = self._wishes.get(device_id, Wished())
        self._keep(device_id, Wished(wished.settings, disabled))

    async def history(
        self, device: str | None, since: float, until: float, points: int = 300
    ) -> History:
        """Of a device, or of the rig; at most `points` spans. StoreError."""
        return await self._read(lambda db: store_history.history(db, device, since, until, points))

    async def shares(
        self, device: str | None, since: float, until: float, limit: int = 100
    ) -> tuple[ShareRecord, ...]:
        """The latest first. StoreError."""
        return await self._read(lambda db: store_history.shares(db, device, since, until, limit))

    async def totals_now(self) -> Totals:
        """The lifetime counters with what was written up to now. StoreError."""
        return await self._read(store_history.totals)

    async def blocks(self) -> tuple[FoundBlock, ...]:
        """The latest first. StoreError."""
        return await self._read(store_history.blocks)

    async def audit(self, limit: int = 100) -> tuple[AuditLine, ...]:
        """The latest first. StoreError."""
        return await self._read(lambda db: store_history.audit(db, limit))

    def close(self) -> None:
        """Writes what waits, for at most 5 s, and lets go of the file."""
        if self._closed:
            return
        self._closed = True
        self._readers.submit(self._close_reading).result()
        self._writer.close()
        self._readers.shutdown()
        self._lock.release()

    def _keep(self, device_id: str, wished: Wished) -> None:
        self._wishes[device_id] = wished

        def change(backlog: Backlog) -> None:
            backlog.wishes[device_id] = wished

        self._writer.add(change)

    async def _read(self, ask: Callable[[sqlite3.Connection], Answer]) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(
            self._readers, partial(self._ask, ask)
        )

    def _ask(self, ask: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """On the reader's thread. A connection that failed is not used again."""
        try:
            if self._reading is None:
                self._reading = _connect_to_read(self._path)
            return ask(self._reading)
        except sqlite3.Error as error:
            self._close_reading()
            raise StoreError("disk", f"{self._path} cannot be read: {error}") from error

    def _close_reading(self) -> None:
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.close()

    def _begin_anew(self, error: sqlite3.Error) -> sqlite3.Connection:
        """On the writer's thread: the file turned out to be damaged."""
        self._readers.submit(self._close_reading).result()
        connection = begin_anew(self._path, error, self._report)
        for device_id, wished in list(self._wishes.items()):
            self._keep(device_id, wished)
        return connection


def _tell(report: Report, level: str, text: str) -> None:
    """A loop that is closed already hears nothing; the rows are written all the same."""
    with suppress(RuntimeError):
        report(level, text)


def _open_or_begin_anew(folder: Path, report: Report) -> sqlite3.Connection:
    try:
        connection, news = open_database(folder)
    except StoreError as error:
        if error.kind != "corrupt":
            raise
        return begin_anew(folder / FILE, error, report)
    if news:
        report("info", news)
    return connection


def _connect_to_read(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)


def _read_wishes(connection: sqlite3.Connection) -> dict[str, Wished]:
    wishes: dict[str, Wished] = {}
    for device, name, value in connection.execute("SELECT device, name, value FROM settings"):
        wishes.setdefault(device, Wished()).settings[name] = value
    for (device,) in connection.execute("SELECT device FROM disabled"):
        wishes.setdefault(device, Wished()).disabled = True
    return wishes
