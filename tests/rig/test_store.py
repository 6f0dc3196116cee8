"""The store through its own front: what goes in comes out, counted and kept."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from store_scene import DISAGREEMENTS, UTC, device, rig, share

from sv2rig.rig.store import Store
from sv2rig.rig.store_files import FILE, connect
from sv2rig.rig.store_history import Lifetime, history, totals
from sv2rig.rig.store_rows import Batch, Sampler, Tables
from sv2rig.rig.store_schema import upgrade


def unexpected(level: str, text: str) -> None:
    raise AssertionError(f"{level}: {text}")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(tmp_path / "state", unexpected)
    yield opened
    opened.close()


@pytest.fixture
def tables(tmp_path: Path) -> Iterator[tuple[sqlite3.Connection, Tables]]:
    with closing(connect(tmp_path / FILE)) as connection:
        upgrade(connection, tmp_path / FILE)
        yield connection, Tables(connection, 365)


async def written(store: Store, accepted: int) -> None:
    """Until as many accepted shares are in the file."""
    async with asyncio.timeout(20):
        while (await store.totals_now()).rig.accepted < accepted:
            await asyncio.sleep(0.02)


def reopened(store: Store, tmp_path: Path) -> Store:
    store.close()
    return Store.open(tmp_path / "state", unexpected)


def test_folder_and_file_are_this_users_alone(store: Store, tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    for path in (tmp_path / "state").glob(f"{FILE}*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


async def test_shares_are_read_back_the_latest_first(store: Store) -> None:
    refused = share(2, verdict="rejected", reason="duplicate-share", latency_ms=30.0)
    unanswered = share(3, verdict="unacknowledged", latency_ms=None, device="cpu:0")
    block = share(4, is_block=True, pool="backup", difficulty=9e13)
    for record in (share(1), refused, unanswered, block):
        store.add_share(record)
    await written(store, 2)
    found = await store.shares(None, 0, UTC + 100)
    assert [record.number for record in found] == [1, 2, 3, 4]
    expected = (block, unanswered, refused, share(1))
    assert [_unnumbered(r) for r in found] == [_unnumbered(r) for r in expected]
    assert [r.device for r in await store.shares("cpu:0", 0, UTC + 100)] == ["cpu:0"]
    assert await store.shares("no such device", 0, UTC + 100) == ()
    in_span = await store.shares(None, UTC + 2, UTC + 4)
    assert [r.time for r in in_span] == [UTC + 3, UTC + 2]
    assert [r.time for r in await store.shares(None, 0, UTC + 100, limit=1)] == [UTC + 4]
    [found_block] = await store.blocks()
    assert (found_block.time, found_block.pool, found_block.difficulty) == (UTC + 4, "backup", 9e13)


async def test_totals_by_device_and_pool_outlive_the_process(store: Store, tmp_path: Path) -> None:
    store.add_share(share(1))
    store.add_share(share(2, verdict="stale", difficulty=5e6))
    store.add_share(share(3, device="cpu:0", pool="backup", is_block=True))
    first = [device(hardware_errors=3, comm_errors=1, best_difficulty=7e6)]
    store.add_samples(UTC, first, rig(first, uptime_s=60))
    second = [device(hardware_errors=5, comm_errors=1, state="LOST", hashrate_1m_hs=None)]
    store.add_samples(UTC + 60, second, rig(second, uptime_s=120))
    again = reopened(store, tmp_path)
    try:
        found = again.totals()
        assert found == await again.totals_now()
    finally:
        again.close()
    board = found.devices["icarus:A1"]
    assert (board.accepted, board.stale, board.blocks) == (1, 1, 0)
    assert board.best_difficulty == 7e6
    assert (board.hardware_errors, board.comm_errors) == (5, 1)
    assert (board.mined_s, board.hashes) == (60.0, 380e6 * 60)
    assert found.devices["cpu:0"].blocks == 1
    assert found.pools["main"] == Lifetime(accepted=1, stale=1, best_difficulty=5e6)
    assert (found.rig.accepted, found.rig.stale, found.rig.blocks) == (2, 1, 1)
    assert found.rig.hardware_errors == 5


async def test_a_part_of_the_rig_never_passes_for_all_of_it(store: Store, tmp_path: Path) -> None:
    fast = device("fast:1", hashrate_hs=500e9, hashrate_1m_hs=None)
    slow = device("slow:1", hashrate_hs=7e6, hashrate_1m_hs=6e6)
    silent = device("new:1", hashrate_hs=None, hashrate_1m_hs=None)
    idle = device("idle:1", hashrate_hs=None, hashrate_1m_hs=None, state="DISABLED")
    minutes = [[fast, slow, idle], [fast, slow, silent, idle]]
    for number, devices in enumerate(minutes):
        seen = replace(rig(devices, 60.0 * (number + 1)), hashrate_hs=7e6, hashrate_1m_hs=6e6)
        store.add_samples(UTC + 60 * number, devices, seen)
    again = reopened(store, tmp_path)
    try:
        points = (await again.history(None, UTC, UTC + 120)).points
        assert [point.hashrate_hs for point in points] == [500e9 + 6e6, None]
        assert again.totals().rig.hashes == (500e9 + 6e6) * 120
        assert again.totals().rig.mined_s == 120.0
    finally:
        again.close()


def test_wishes_outlive_the_process(store: Store, tmp_path: Path) -> None:
    store.keep_settings("icarus:A1", {"frequency_mhz": 200.0, "voltage_mv": 900.0})
    store.keep_settings("icarus:A1", {"frequency_mhz": 212.5, "fan_percent": 60.0})
    store.keep_disabled("icarus:A1", True)
    store.keep_disabled("cpu:0", True)
    store.keep_disabled("cpu:0", False)
    again = reopened(store, tmp_path)
    try:
        kept = again.settings("icarus:A1")
        assert kept == {"frequency_mhz": 212.5, "fan_percent": 60.0}  # in place of all before
        assert again.settings("cpu:0") == {}
        assert again.disabled() == {"icarus:A1"}
    finally:
        again.close()


async def test_audit_lines_are_kept(store: Store, tmp_path: Path) -> None:
    store.add_audit(UTC + 0.5, "uid 1000: pause icarus:A1")
    store.add_audit(UTC + 1, "token: quit")
    again = reopened(store, tmp_path)
    try:
        lines = await again.audit()
        assert [(line.time, line.text) for line in lines] == [
            (UTC + 1, "token: quit"),
            (UTC + 0.5, "uid 1000: pause icarus:A1"),
        ]
    finally:
        again.close()


async def test_a_question_does_not_run_on_the_loops_thread(store: Store) -> None:
    asked_on = await store._read(lambda _: threading.get_ident())
    assert asked_on != threading.get_ident()


def test_values_that_no_number_is_are_unknown(
    tables: tuple[sqlite3.Connection, Tables],
) -> None:
    connection, writes = tables
    odd = device(hashrate_1m_hs=float("nan"), temperature_c=float("inf"), power_w=1e300)
    minute = Sampler().minute(UTC, [odd], rig([device()]))
    broken = share(
        1, difficulty=float("nan"), time=float("inf"), verdict="no such", reason="x" * 9999
    )
    writes.write(Batch([broken], [minute]))
    [point] = history(connection, "icarus:A1", UTC, UTC + 60, 10).points
    assert (point.hashrate_hs, point.temperature_c) == (None, None)
    assert totals(connection).rig.unacknowledged == 1


def test_a_pool_that_makes_up_reasons_fills_nothing(
    tables: tuple[sqlite3.Connection, Tables],
) -> None:
    connection, writes = tables
    writes.write(Batch([share(n, verdict="rejected", reason=f"why {n}") for n in range(1500)]))
    [count] = connection.execute("SELECT count(*) FROM reasons").fetchone()
    assert count == 1001
    assert totals(connection).rig.rejected == 1500


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "c"]),
            st.sampled_from(["main", "backup"]),
            st.sampled_from(["accepted", "rejected", "stale", "unacknowledged"]),
            st.integers(0, 3),  # seconds: many of the same moment, and back
            st.floats(1, 1e9),
            st.booleans(),
        ),
        max_size=40,
    )
)
def test_counters_agree_with_the_log(
    told: list[tuple[str, str, str, int, float, bool]],
) -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        upgrade(connection, Path("unused"))
        writes = Tables(connection, 365)
        for number, (name, pool, verdict, second, difficulty, is_block) in enumerate(told):
            record = share(
                number,
                device=name,
                pool=pool,
                verdict=verdict,
                time=UTC + second,
                difficulty=difficulty,
                is_block=is_block,
            )
            writes.write(Batch([record]))
        assert connection.execute("SELECT count(*) FROM shares").fetchone() == (len(told),)
        assert connection.execute(DISAGREEMENTS).fetchall() == []


def _unnumbered(record: object) -> str:
    return repr(record).split(", ", 1)[1]
