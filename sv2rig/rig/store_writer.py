"""The one thread that writes: batches within half a second, and a bounded backlog while it cannot.

`report` is called on this thread.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from sv2rig.rig.snapshot import ShareRecord
from sv2rig.rig.store_files import disk_words, is_corrupt
from sv2rig.rig.store_rows import Batch, Minute, Tables, Wished

GATHER_S: Final = 0.25  # after the first row, for others to come along
RETRY_S: Final = 5.0
SYNC_S: Final = 30.0  # what a loss of power may cost
CLOSE_S: Final = 5.0
MOST_SHARES: Final = 10_000  # kept while the disk takes none: a day at 6 a minute
MOST_MINUTES: Final = 240
MOST_AUDIT: Final = 1_000
SHARES_AT_ONCE: Final = 1_000  # in a transaction, so that it fits into what room there is
MINUTES_AT_ONCE: Final = 30

Report = Callable[[str, str], None]
Row = TypeVar("Row")


class Backlog:
    """Rows that wait for the disk, the oldest first; beyond a bound the oldest are dropped and
    counted. Wishes are few and never dropped."""

    def __init__(self) -> None:
        self.shares: deque[ShareRecord] = deque()
        self.minutes: deque[Minute] = deque()
        self.audit: deque[tuple[int, str]] = deque()
        self.wishes: dict[str, Wished] = {}
        self.lost: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self.shares or self.minutes or self.audit or self.wishes)

    def take(self) -> Batch:
        """What goes into the next transaction."""
        batch = Batch(
            shares=_first(self.shares, SHARES_AT_ONCE),
            minutes=_first(self.minutes, MINUTES_AT_ONCE),
            audit=_first(self.audit, MOST_AUDIT),
            wishes=self.wishes,
        )
        self.wishes = {}
        return batch

    def give_back(self, batch: Batch) -> None:
        """What could not be written; newer wishes stand."""
        self.shares.extendleft(reversed(batch.shares))
        self.minutes.extendleft(reversed(batch.minutes))
        self.audit.extendleft(reversed(batch.audit))
        self.wishes = batch.wishes | self.wishes
        self.bound()

    def bound(self) -> None:
        self._cut("shares", self.shares, MOST_SHARES)
        self._cut("minutes of samples", self.minutes, MOST_MINUTES)
        self._cut("audit lines", self.audit, MOST_AUDIT)

    def lose(self, batch: Batch) -> None:
        """It will never be written."""
        self._count("shares", len(batch.shares))
        self._count("minutes of samples", len(batch.minutes))
        self._count("audit lines", len(batch.audit))

    def lost_words(self) -> str:
        """What was lost since the last time this was asked."""
        lost, self.lost = self.lost, {}
        named = [f"{count} {what}" for what, count in lost.items() if count]
        return f"{', '.join(named)} were lost" if named else "nothing was lost"

    def _cut(self, what: str, rows: deque[Row], most: int) -> None:
        while len(rows) > most:
            rows.popleft()
            self._count(what, 1)

    def _count(self, what: str, number: int) -> None:
        self.lost[what] = self.lost.get(what, 0) + number


class Writer:
    """Owns the connection. `begin_anew(error)` answers a damaged file with a new connection.
    `trouble`: while nothing can be written, why and since when, in words."""

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        keep_days: int,
        report: Report,
        begin_anew: Callable[[sqlite3.Error], sqlite3.Connection],
    ) -> None:
        self._wal = path.with_name(f"{path.name}-wal")
        self._db = connection
        self._keep_days = keep_days
        self._tables = Tables(connection, keep_days)
        self._report = report
        self._begin_anew = begin_anew
        self._backlog = Backlog()
        self._news = threading.Condition()
        self._closing = threading.Event()
        self.trouble = ""
        self._unsynced_since: float | None = None
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def add(self, change: Callable[[Backlog], None]) -> None:
        """From any thread; never waits for the disk."""
        with self._news:
            change(self._backlog)
            self._backlog.bound()
            self._news.notify()

    def close(self) -> None:
        """Writes what waits, if the disk takes it, within CLOSE_S."""
        self._closing.set()
        with self._news:
            self._news.notify()
        self._thread.join(CLOSE_S)

    def _run(self) -> None:
        while not self._closing.is_set():
            if self._wait_for_rows():
                self._closing.wait(GATHER_S)
                if not self._write_next():
                    self._closing.wait(RETRY_S)
            self._sync_when_due()
        self._end()

    def _wait_for_rows(self) -> bool:
        with self._news:
            if not self._backlog and not self._closing.is_set():
                self._news.wait(None if self._unsynced_since is None else SYNC_S)
            return bool(self._backlog)

    def _write_next(self) -> bool:
        """False: the disk takes nothing now."""
        with self._news:
            batch = self._backlog.take()
        try:
            self._tables.write(batch)
        except sqlite3.Error as error:
            return self._failed(batch, error)
        except (OverflowError, ValueError, TypeError) as error:
            self._drop(batch, error)
            return True
        if self._unsynced_since is None:
            self._unsynced_since = time.monotonic()
        if self.trouble:
            self.trouble = ""
            self._report("good", f"the store is written again; {self._lost_words()}")
        return True

    def _failed(self, batch: Batch, error: sqlite3.Error) -> bool:
        if is_corrupt(error):
            return self._replace(batch, error)
        words = disk_words(error)
        if not words:
            self._drop(batch, error)
            return True
        with self._news:
            self._backlog.give_back(batch)
        self._trouble(f"{words} ({error})")
        return False

    def _replace(self, batch: Batch, error: sqlite3.Error) -> bool:
        with self._news:
            self._backlog.give_back(batch)
        self._db.close()
        try:
            self._db = self._begin_anew(error)
        except (OSError, sqlite3.Error) as worse:
            self._trouble(f"it is damaged and no new one can be begun: {worse}")
            return False
        self._tables = Tables(self._db, self._keep_days)
        return True

    def _trouble(self, words: str) -> None:
        if not self.trouble:
            when = time.strftime("%H:%M%z")
            self.trouble = f"{words}: shares and samples since {when} wait in memory"
            self._report(
                "error",
                f"the store cannot be written: {words}. Mining goes on; the latest "
                f"{MOST_SHARES} shares and {MOST_MINUTES} minutes of samples are kept in memory",
            )

    def _drop(self, batch: Batch, error: Exception) -> None:
        """Rows that SQLite refuses for what they hold would stand in the way of all others."""
        with self._news:
            self._backlog.lose(batch)
        self._report("error", f"the store refused some rows ({error}); {self._lost_words()}")

    def _lost_words(self) -> str:
        with self._news:
            return self._backlog.lost_words()

    def _sync_when_due(self) -> None:
        """The write-ahead log to the disk. SQLite holds no lock on that file, so closing another
        descriptor of it lets go of none."""
        since = self._unsynced_since
        if since is None or time.monotonic() - since < SYNC_S:
            return
        self._unsynced_since = None
        try:
            descriptor = os.open(self._wal, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            self._report("warning", f"the store's log cannot be synced: {error.strerror}")

    def _end(self) -> None:
        while self._backlog and self._write_next():
            pass
        if self._backlog:
            while self._backlog:
                batch = self._backlog.take()
                self._backlog.lose(batch)
            self._report("error", f"the store is closed; {self._lost_words()}")
        self._db.close()  # the last connection's close also empties the write-ahead log


def _first(rows: deque[Row], most: int) -> list[Row]:
    return [rows.popleft() for _ in range(min(most, len(rows)))]
