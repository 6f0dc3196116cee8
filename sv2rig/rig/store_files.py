"""The store's files: the folder, the lock on it, and a database that is opened, brought up, or put
aside. Every refusal says what to do."""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from sqlite3 import Connection
from typing import Final, Literal

from sv2rig.rig.store_schema import (
    PAGE_BYTES,
    VERSION,
    ForeignDatabaseError,
    NewerSchemaError,
    upgrade,
    version_of,
)

FILE: Final = "rig.sqlite"
LOCK_FILE: Final = "rig.lock"
_MAGIC: Final = b"SQLite format 3\0"
_SAVED: Final = ("devices", "pools", "share_counts", "work", "blocks", "settings", "disabled")
_CORRUPT: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

Kind = Literal["locked", "newer", "foreign", "corrupt", "permission", "disk"]


class StoreError(Exception):
    """Why there is no store, and what to do. `kind` "disk": it may pass; a rig can mine without."""

    def __init__(self, kind: Kind, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class Lock:
    """Held by one process a folder; the kernel lets go of it when that process ends, however. A
    rig holds it also while it has no store."""

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._file, 20, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._file)
            raise StoreError(
                "locked",
                f"{folder / FILE} is in use by another sv2rig, process {holder}: "
                "stop that one, or give this rig another state_dir",
            ) from None
        os.ftruncate(self._file, 0)
        with suppress(OSError):  # a full disk does not take the number; the lock holds all the same
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def close(self) -> None:
        os.close(self._file)


def lock_folder(folder: Path) -> Lock:
    """Makes the folder (mode 0700) if need be."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Lock(folder)
    except OSError as error:
        raise _os_error(folder, error) from error


def open_database(folder: Path) -> tuple[Connection, str | None]:
    """The database at the present schema, and what there is to tell about it."""
    path = folder / FILE
    _check_beginning(path)
    try:
        connection = connect(path)
        try:
            kept = upgrade(connection, path)
            _read_all_small(connection)
        except BaseException:
            connection.close()
            raise
    except NewerSchemaError as error:
        raise StoreError(
            "newer",
            f"{path} was written by a later sv2rig (schema {error.args[0]}, this one knows up to "
            f"{VERSION}): install that version again, or move the file away to begin a new one. "
            f"If you went back on purpose, {FILE}.v{VERSION}.bak holds what stood before, if there "
            "is one",
        ) from None
    except ForeignDatabaseError:
        raise StoreError(
            "foreign",
            f"{path} is a database of some other program: move it away, or choose another "
            "state_dir",
        ) from None
    except OSError as error:
        raise _os_error(folder, error) from error
    except sqlite3.DatabaseError as error:
        raise _sqlite_error(path, error) from error
    news = (
        f"the store was brought up to schema {VERSION}; as it was before: {kept}" if kept else None
    )
    return connection, news


def connect(path: Path) -> Connection:
    """For the writer. With synchronous NORMAL a commit is in the kernel's hands (a killed process
    loses nothing) without a wait for the disk; the writer asks for that now and then."""
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=2.0)
    try:
        version_of(connection)  # what is not ours is not changed
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        connection.close()
        raise
    return connection


def begin_anew(path: Path, error: Exception, report: Callable[[str, str], None]) -> Connection:
    """A new database in place of a damaged one, which is renamed, with what could be read of the
    counters and wishes. OSError, sqlite3.Error; the damaged one has its name again then, so that
    the next try finds what can be read of it."""
    saved = _what_is_readable(path)
    aside = _put_aside(path)
    try:
        connection = _filled_with(saved, path)
    except BaseException:
        _put_back(aside, path)
        raise
    missing = ", ".join(table for table in _SAVED if table not in saved)
    report(
        "error",
        f"the store was damaged ({error}) and is now {aside}; a new one is begun with the old "
        f"counters and settings{', but without ' + missing if missing else ''}. The share log and "
        "the samples stay in the old file (the sqlite3 program's .recover may read them)",
    )
    return connection


def _filled_with(saved: dict[str, list[tuple[object, ...]]], path: Path) -> Connection:
    connection = connect(path)
    try:
        upgrade(connection, path)
        connection.execute("BEGIN")
        for table, rows in saved.items():
            for row in rows:
                places = ", ".join("?" * len(row))
                connection.execute(f"INSERT OR IGNORE INTO {table} VALUES ({places})", row)
        connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    return connection


def _what_is_readable(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """The small tables, as far as they can be read, in the present schema."""
    saved: dict[str, list[tuple[object, ...]]] = {}
    with suppress(sqlite3.Error), closing(sqlite3.connect(path)) as damaged:
        if version_of(damaged) == VERSION:
            for table in _SAVED:
                with suppress(sqlite3.Error):
                    saved[table] = damaged.execute(f"SELECT * FROM {table}").fetchall()
    return saved


def _put_aside(path: Path) -> Path:
    """Renames a damaged database and its log; nothing is deleted. OSError."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    aside = path.with_name(f"{path.name}.corrupt-{stamp}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.corrupt-{stamp}-{number}")
    path.rename(aside)
    for ending in ("-wal", "-shm"):
        side = path.with_name(path.name + ending)
        if side.exists():
            side.rename(aside.with_name(aside.name + ending))
    return aside


def _put_back(aside: Path, path: Path) -> None:
    """In place of what was begun in vain."""
    with suppress(OSError):
        for ending in ("", "-wal", "-shm"):
            begun = path.with_name(path.name + ending)
            begun.unlink(missing_ok=True)
            before = aside.with_name(aside.name + ending)
            if before.exists():
                before.rename(begun)


def is_corrupt(error: Exception) -> bool:
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _CORRUPT


def disk_words(error: Exception) -> str:
    """What keeps the disk from taking writes, in words; "" where it is something else."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full"
    return {
        sqlite3.SQLITE_FULL: "the disk is full",
        sqlite3.SQLITE_IOERR: "the disk gave an error",
        sqlite3.SQLITE_READONLY: "the file may not be written to",
        sqlite3.SQLITE_PERM: "the file may not be written to",
        sqlite3.SQLITE_CANTOPEN: "the file cannot be opened",
        sqlite3.SQLITE_BUSY: "another program holds the file",
        sqlite3.SQLITE_LOCKED: "another program holds the file",
        sqlite3.SQLITE_NOMEM: "there is no memory",
    }.get(code, str(error.strerror) if isinstance(error, OSError) else "")


def _check_beginning(path: Path) -> None:
    """A text file under this name is the user's: it is neither changed nor moved."""
    try:
        with path.open("rb") as file:
            beginning = file.read(len(_MAGIC))
    except FileNotFoundError:
        return
    except OSError as error:
        raise _os_error(path.parent, error) from error
    if beginning and beginning != _MAGIC:
        raise StoreError(
            "foreign",
            f"{path} is no SQLite database: move it away to begin a new one, or choose another "
            "state_dir",
        )


def _read_all_small(connection: Connection) -> None:
    """What the rig starts from must be readable; history may turn out damaged later."""
    for table in ("devices", "pools", "share_counts", "work", "settings", "disabled"):
        connection.execute(f"SELECT * FROM {table}").fetchall()


def _os_error(folder: Path, error: OSError) -> StoreError:
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        why = "is on a read-only file system" if error.errno == errno.EROFS else _owner(folder)
        return StoreError(
            "permission",
            f"this user (uid {os.getuid()}) may not write to {folder}, which {why}: "
            "give it the folder, or choose another state_dir",
        )
    return StoreError("disk", f"{folder}: {error.strerror}")


def _owner(folder: Path) -> str:
    """Of the folder, or of the nearest one that can be seen."""
    for nearest in (folder, *folder.parents):
        try:
            found = nearest.stat()
        except OSError:
            continue
        where = "" if nearest == folder else f"cannot be made: {nearest} "
        return f"{where}belongs to uid {found.st_uid} with mode {found.st_mode & 0o7777:04o}"
    return "cannot be seen"


def _sqlite_error(path: Path, error: sqlite3.DatabaseError) -> StoreError:
    if is_corrupt(error):
        return StoreError("corrupt", f"{path} is damaged: {error}")
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN):
        return _os_error(path.parent, PermissionError(errno.EACCES, str(error)))
    return StoreError("disk", f"{path}: {disk_words(error) or 'it cannot be opened'}: {error}")
