"""Killed processes, full disks, files that are someone else's, damaged or too new."""

from __future__ import annotations

import os
import random
import re
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from store_scene import DISAGREEMENTS, UTC, device, rig, share
from unprivileged import run_unprivileged

from sv2rig.rig.store import Store, StoreError
from sv2rig.rig.store_files import FILE, connect
from sv2rig.rig.store_rows import Batch, Sampler, Tables
from sv2rig.rig.store_schema import VERSION, upgrade
from sv2rig.rig.store_writer import MOST_SHARES, Backlog

CHILD = Path(__file__).parents[1] / "support" / "store_writer_child.py"
V1 = Path(__file__).parents[1] / "vectors" / "store" / "v1.sql"
KILLS = int(os.environ.get("SV2RIG_STORE_KILLS", "10"))
Reports = list[tuple[str, str]]


def unexpected(level: str, text: str) -> None:
    raise AssertionError(f"{level}: {text}")


@contextmanager
def child(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, str(CHILD), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str], word: str) -> list[str]:
    """The next line that begins with this word."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(word):
            return line.split()
    raise AssertionError(f"the child ended without {word!r}")


def next_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def answer(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{word}\n")
    process.stdin.flush()


def query(folder: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(folder / FILE)) as connection:
        return connection.execute(sql).fetchall()


def test_a_killed_writer_loses_no_share_older_than_a_second(tmp_path: Path) -> None:
    chance = random.Random(4)
    before = 0
    for _ in range(KILLS):
        with child(str(tmp_path), "kill") as process:
            said(process, "ack")
            time.sleep(chance.uniform(0.0, 1.6))  # the moment is what is random here
            process.kill()
            killed = time.monotonic()
            assert process.stdout is not None
            acks = [line.split() for line in process.stdout if line.startswith("ack")]
        due = max((int(n) for _, n, at in acks if float(at) < killed - 1.0), default=0)
        [(count,)] = query(tmp_path, "SELECT count(*) FROM shares")
        assert isinstance(count, int)
        assert count - before >= due
        assert query(tmp_path, DISAGREEMENTS) == []
        assert query(tmp_path, "PRAGMA integrity_check") == [("ok",)]
        before = count
    assert before > 0
    again = Store.open(tmp_path, unexpected)  # the lock went with its holder
    again.close()


def test_a_full_disk_is_told_once_and_nothing_is_lost(tmp_path: Path) -> None:
    shares = 8000
    with child(str(tmp_path), "full", str(shares)) as process:
        lines = [next_line(process), next_line(process)]  # in whichever order
        [report] = [line for line in lines if line.startswith("report")]
        assert report.startswith("report error the store cannot be written: the disk ")
        [told] = [line for line in lines if line.startswith("told")]
        assert float(told.split()[2]) < 0.5  # who tells a share never waits for the disk
        answer(process, "room")
        trouble = next_line(process)
        assert trouble.startswith("trouble the disk ")
        assert re.search(r"since \d\d:\d\d[+-]\d{4} wait in memory$", trouble)
        again = "report good the store is written again; nothing was lost"
        assert next_line(process) == again
        answer(process, "close")
        assert next_line(process) == "trouble"
        assert next_line(process) == "closed"
    assert query(tmp_path, "SELECT count(*) FROM shares") == [(shares,)]
    assert query(tmp_path, DISAGREEMENTS) == []


def test_a_full_disk_for_long_costs_the_oldest_and_says_how_many(tmp_path: Path) -> None:
    shares = 5 * MOST_SHARES // 2
    with child(str(tmp_path), "full", str(shares)) as process:
        said(process, "told")
        answer(process, "room")
        answer(process, "close")
        assert process.stdout is not None
        lines = process.stdout.read().splitlines()
    assert lines[-1] == "closed"
    [words] = [line for line in lines if "written again" in line]
    lost = int(words.partition("; ")[2].split()[0])
    assert words.endswith(f"{lost} shares were lost")
    assert query(tmp_path, "SELECT count(*) FROM shares") == [(shares - lost,)]
    latest = round((UTC + shares - MOST_SHARES) * 1000)
    count = f"SELECT count(*) FROM shares WHERE time_ms > {latest}"
    assert query(tmp_path, count) == [(MOST_SHARES,)]
    assert query(tmp_path, DISAGREEMENTS) == []


def test_a_backlog_keeps_the_latest_and_counts_the_rest() -> None:
    backlog = Backlog()
    backlog.shares.extend(share(n) for n in range(1, MOST_SHARES + 1))
    backlog.bound()
    assert backlog.lost_words() == "nothing was lost"
    batch = backlog.take()
    backlog.shares.extend(share(MOST_SHARES + n) for n in range(1, 4))
    backlog.give_back(batch)
    assert backlog.shares[0].number == 4
    assert len(backlog.shares) == MOST_SHARES
    assert backlog.lost_words() == "3 shares were lost"
    assert backlog.lost_words() == "nothing was lost"


def test_a_second_rig_on_the_same_folder_is_refused_by_process(tmp_path: Path) -> None:
    with child(str(tmp_path), "kill") as process:
        said(process, "ack")
        with pytest.raises(StoreError, match=f"another sv2rig, process {process.pid}: stop") as got:
            Store.open(tmp_path, unexpected)
        assert got.value.kind == "locked"


def load_v1(folder: Path) -> None:
    with closing(sqlite3.connect(folder / FILE)) as connection:
        connection.executescript(V1.read_text())


async def test_a_database_of_the_first_schema_is_brought_up_after_a_copy(tmp_path: Path) -> None:
    load_v1(tmp_path)
    told: Reports = []
    store = Store.open(tmp_path, lambda level, text: told.append((level, text)))
    try:
        copy = tmp_path / f"{FILE}.v1.bak"
        [(level, text)] = told
        assert level == "info"
        assert str(copy) in text
        shares = await store.shares(None, 0, UTC + 100)
        assert [(s.device, s.time - UTC, s.verdict) for s in reversed(shares)] == [
            ("icarus:A1", 1.25, "accepted"),
            ("cpu:0", 1.25, "accepted"),
            ("icarus:A1", 5.0, "stale"),
            ("icarus:A1", 11.0, "rejected"),
            ("icarus:A1", 21.0, "accepted"),
            ("cpu:0", 31.0, "unacknowledged"),
        ]
        assert {s.reason for s in shares} == {"", "stale-share", "its job was replaced"}
        board = store.totals().devices["icarus:A1"]
        assert (board.accepted, board.rejected, board.blocks) == (2, 1, 1)
        assert (board.best_difficulty, board.mined_s, board.hardware_errors) == (9e12, 1200.0, 10)
        assert store.settings("icarus:A1") == {"frequency_mhz": 212.5}
        assert store.disabled() == {"cpu:0"}
        points = (await store.history("icarus:A1", UTC, UTC + 1200, 40)).points
        assert [p.temperature_c for p in points] == [50.0 + n for n in range(20)]
        assert points[0].power_w == 19.3  # 19.25: tenths are kept
        assert [block.difficulty for block in await store.blocks()] == [9e12]
        assert (await store.history(None, UTC, UTC + 1200, 40)).points == ()
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    finally:
        store.close()
    assert query(tmp_path, DISAGREEMENTS) == []
    with closing(sqlite3.connect(copy)) as before:
        assert before.execute("PRAGMA user_version").fetchone() == (1,)
        assert before.execute("SELECT count(*) FROM shares").fetchone() == (6,)


def test_brought_up_and_begun_anew_are_the_same(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    load_v1(old)
    Store.open(old, lambda *_: None).close()
    Store.open(new, unexpected).close()
    schema = "SELECT type, name, tbl_name FROM sqlite_schema ORDER BY name"
    columns = "SELECT m.name, c.* FROM sqlite_schema m, pragma_table_info(m.name) c ORDER BY 1, 2"
    assert query(old, schema) == query(new, schema)
    assert query(old, columns) == query(new, columns)
    assert not list(new.glob("*.bak"))  # there was nothing to keep


def test_a_step_that_fails_leaves_the_old_schema(tmp_path: Path) -> None:
    load_v1(tmp_path)
    with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE audit (mine)")  # in the way of the second step
        with pytest.raises(sqlite3.OperationalError, match="audit"):
            upgrade(connection, tmp_path / FILE)
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        assert connection.execute("SELECT count(verdict) FROM shares").fetchone() == (6,)
    with pytest.raises(StoreError, match="audit already exists"):
        Store.open(tmp_path, unexpected)


def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    Store.open(tmp_path, unexpected).close()
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    before = (tmp_path / FILE).read_bytes()
    later = f"schema {VERSION + 1}, this one knows up to {VERSION}\\): install that version again"
    with pytest.raises(StoreError, match=later) as got:
        Store.open(tmp_path, unexpected)
    assert got.value.kind == "newer"
    assert (tmp_path / FILE).read_bytes() == before


def test_files_of_others_are_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / FILE
    path.write_text("my notes, at least sixteen letters")
    with pytest.raises(StoreError, match="is no SQLite database: move it away") as got:
        Store.open(tmp_path, unexpected)
    assert got.value.kind == "foreign"
    assert path.read_text().startswith("my notes")
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE recipes (name)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="some other program") as got:
        Store.open(tmp_path, unexpected)
    assert got.value.kind == "foreign"
    assert path.read_bytes() == before


def test_an_empty_file_is_begun(tmp_path: Path) -> None:
    (tmp_path / FILE).touch()
    Store.open(tmp_path, unexpected).close()


def damage(path: Path, table: str) -> None:
    """Overwrites the root page of a table."""
    with closing(sqlite3.connect(path)) as connection:
        [page] = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)
        ).fetchone()
        [size] = connection.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)


def filled(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    with closing(connect(folder / FILE)) as connection:
        upgrade(connection, folder / FILE)
        minute = Sampler().minute(UTC, [device()], rig([device()]))
        Tables(connection, 365).write(Batch([share(n) for n in range(200)], [minute]))
    store = Store.open(folder, unexpected)
    store.keep_disabled("cpu:0", True)
    store.close()


def test_a_damaged_database_is_put_aside_with_what_is_readable_kept(tmp_path: Path) -> None:
    filled(tmp_path)
    damage(tmp_path / FILE, "work")
    before = (tmp_path / FILE).read_bytes()
    told: Reports = []
    store = Store.open(tmp_path, lambda level, text: told.append((level, text)))
    try:
        [(level, text)] = told
        [aside] = tmp_path.glob(f"{FILE}.corrupt-*Z")
        assert level == "error"
        assert f"is now {aside}; a new one is begun" in text
        assert "but without work" in text
        assert aside.read_bytes() == before
        assert store.disabled() == {"cpu:0"}
        assert store.totals().rig.accepted == 200
    finally:
        store.close()


def test_damage_that_shows_while_mining_begins_a_new_file(tmp_path: Path) -> None:
    filled(tmp_path)
    damage(tmp_path / FILE, "shares")
    told: Reports = []
    store = Store.open(tmp_path, lambda level, text: told.append((level, text)))
    try:
        assert told == []  # the share log is read later
        store.keep_disabled("icarus:A1", True)
        store.add_share(share(1000))
    finally:
        store.close()
    [(_, text)] = told
    assert "was damaged" in text
    again = Store.open(tmp_path, unexpected)
    try:
        assert again.totals().rig.accepted == 201
        assert again.disabled() == {"cpu:0", "icarus:A1"}
    finally:
        again.close()
    assert query(tmp_path, "SELECT count(*) FROM shares") == [(1,)]


def test_a_folder_that_may_not_be_written_to(tmp_path: Path) -> None:
    with TemporaryDirectory(dir="/tmp") as folder:  # pytest's own folders are closed to others
        Path(folder).chmod(0o555)
        code = f"""
for where in ({folder!r}, {folder + "/state"!r}):
    try:
        Store.open(Path(where), print)
    except StoreError as error:
        print(error.kind, error)
"""
        lines = run_unprivileged(
            "from pathlib import Path; from sv2rig.rig.store import Store, StoreError", code
        ).splitlines()
        Path(folder).chmod(0o700)
    assert len(lines) == 2
    for line in lines:
        assert line.startswith("permission this user (uid ")
        assert "with mode 0555: give it the folder, or choose another state_dir" in line
