"""Screens of history: spans, units, thinning, and clocks that are set."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_scene import UTC, device, rig, share

from sv2rig.rig.store_history import history, shares
from sv2rig.rig.store_rows import MINUTES_KEPT, PRUNE_STEP_MINUTES, Batch, Minute, Sampler, Tables
from sv2rig.rig.store_schema import upgrade


class Filled:
    """A database in memory and what fills it."""

    def __init__(self, keep_days: int = 365) -> None:
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        upgrade(self.db, Path("unused"))
        self.tables = Tables(self.db, keep_days)
        self._sampler = Sampler()
        self._uptime_s = 0.0

    def minute(self, utc: float, **changes: object) -> Minute:
        self._uptime_s += 60
        devices = [device(**changes), device("other", hashrate_1m_hs=1e6)]  # type: ignore[arg-type]
        return self._sampler.minute(utc, devices, rig(devices, self._uptime_s))

    def add(self, utc: float, **changes: object) -> None:
        self.tables.write(Batch(minutes=[self.minute(utc, **changes)]))

    def add_minutes(self, first_utc: float, count: int) -> None:
        minutes = [self.minute(first_utc + 60 * n) for n in range(count)]
        self.tables.write(Batch(minutes=minutes))

    def count(self, table: str) -> int:
        [count] = self.db.execute(f"SELECT count(*) FROM {table} WHERE device <> 0").fetchone()
        return int(count)


@pytest.fixture
def filled() -> Iterator[Filled]:
    made = Filled()
    with closing(made.db):
        yield made


def test_a_span_has_means_maxima_and_sums(filled: Filled) -> None:
    filled.add(UTC, hashrate_1m_hs=100e6, temperature_c=61.5, power_w=10.0, hardware_errors=4)
    filled.add(UTC + 60, hashrate_1m_hs=300e6, temperature_c=59.0, power_w=None, hardware_errors=6)
    filled.add(UTC + 120, hashrate_1m_hs=None, hashrate_hs=None, fan_percent=70.4)
    answer = history(filled.db, "icarus:A1", UTC, UTC + 240, 2)
    assert answer.step_s == 120
    first, second = answer.points
    assert (first.time, second.time) == (UTC, UTC + 120)
    assert (first.hashrate_hs, first.temperature_c, first.power_w) == (200e6, 61.5, 10.0)
    assert (first.hardware_errors, first.frequency_mhz) == (6, 200.0)
    assert (second.hashrate_hs, second.fan_percent) == (None, 70.0)


def test_the_rig_is_asked_for_by_no_name(filled: Filled) -> None:
    filled.add(UTC, hashrate_1m_hs=99e6, temperature_c=71.0)
    [point] = history(filled.db, None, UTC, UTC + 60, 10).points
    assert (point.hashrate_hs, point.temperature_c) == (100e6, 71.0)
    assert history(filled.db, "nobody", UTC, UTC + 60, 10).points == ()
    assert history(filled.db, "", UTC, UTC + 60, 10).points == ()


def test_until_is_not_of_the_span(filled: Filled) -> None:
    filled.add_minutes(UTC, 10)
    times = [p.time for p in history(filled.db, None, UTC + 60, UTC + 180, 100).points]
    assert times == [UTC + 60, UTC + 120]
    assert history(filled.db, None, UTC + 120, UTC + 120, 100).points == ()
    assert history(filled.db, None, UTC + 180, UTC + 60, 100).points == ()


@settings(max_examples=60, deadline=None)
@given(st.integers(-90, 90), st.integers(1, 400), st.integers(-3, 2000))
def test_never_more_points_than_asked_for_and_every_minute_counts(
    start: int, minutes: int, points: int
) -> None:
    made = _whole()
    since = UTC + 60 * start
    until = since + 60 * minutes
    answer = history(made.db, None, since, until, points)
    assert len(answer.points) <= max(1, points)
    times = [point.time for point in answer.points]
    assert times == sorted(set(times))
    assert all(time % answer.step_s == 0 for time in times)
    assert all(point.hashrate_hs == 381e6 for point in answer.points)
    if minutes / max(1, points) < 15:  # of minutes, in which there are samples of two hours
        overlap = max(0, min(start + minutes, 120) - max(start, 0))
        assert bool(answer.points) == bool(overlap)


_MADE: list[Filled] = []


def _whole() -> Filled:
    if not _MADE:
        _MADE.append(Filled())
        _MADE[0].add_minutes(UTC, 120)
    return _MADE[0]


def test_quarters_say_the_same_as_minutes(filled: Filled) -> None:
    begin = UTC // 3600 * 3600
    for number in range(120):
        filled.add(begin + 60 * number, hashrate_1m_hs=1e6 * (number + 1), hardware_errors=number)
    coarse = history(filled.db, "icarus:A1", begin, begin + 7200, 4)
    assert coarse.step_s == 1800
    fine = history(filled.db, "icarus:A1", begin, begin + 7200, 120)
    for index, point in enumerate(coarse.points):
        minutes = fine.points[30 * index : 30 * (index + 1)]
        assert point.hashrate_hs == pytest.approx(sum(p.hashrate_hs or 0 for p in minutes) / 30)
        assert point.hardware_errors == sum(p.hardware_errors for p in minutes)


def test_the_latest_quarter_lacks_at_most_five_minutes(filled: Filled) -> None:
    begin = UTC // 3600 * 3600
    filled.add_minutes(begin, 64)
    last = history(filled.db, None, begin, begin + 86400, 96).points[-1]
    assert last.time == begin + 3600 - 900  # four minutes of the next quarter are not summed up
    filled.add_minutes(begin + 64 * 60, 1)
    assert history(filled.db, None, begin, begin + 86400, 96).points[-1].time == begin + 3600


def test_a_writer_that_was_killed_left_a_quarter_open(filled: Filled) -> None:
    begin = UTC // 3600 * 3600
    filled.add_minutes(begin, 63)
    Tables(filled.db, 365).roll_up_the_latest()
    assert history(filled.db, None, begin, begin + 86400, 96).points[-1].time == begin + 3600


def test_a_clock_that_goes_back_loses_no_errors_and_no_shares(filled: Filled) -> None:
    filled.add(UTC, hardware_errors=2, hashrate_1m_hs=1e6)
    filled.add(UTC + 60, hardware_errors=5, hashrate_1m_hs=2e6)
    filled.add(UTC, hardware_errors=9, hashrate_1m_hs=3e6)  # set back by two minutes
    first, second = history(filled.db, "icarus:A1", UTC, UTC + 120, 10).points
    assert (first.hashrate_hs, second.hashrate_hs) == (3e6, 2e6)
    assert (first.hardware_errors, second.hardware_errors) == (6, 3)
    filled.tables.write(Batch(shares=[share(1), share(2, time=UTC - 86400), share(1)]))
    assert len(shares(filled.db, None, 0, UTC + 10, 10)) == 3
    # And to before 1970, as machines without a battery have it.
    filled.add(-120.0)
    filled.tables.write(Batch(shares=[share(1, time=-5.0)]))
    assert len(shares(filled.db, None, -10, UTC + 10, 10)) == 4
    assert filled.db.execute("SELECT mined_s FROM work WHERE device <> 0").fetchall() == [
        (240.0,),
        (240.0,),
    ]


def test_counts_that_begin_anew_are_added(filled: Filled) -> None:
    filled.add(UTC, hardware_errors=7)
    filled.add(UTC + 60, hardware_errors=2)
    points = history(filled.db, "icarus:A1", UTC, UTC + 120, 10).points
    assert [point.hardware_errors for point in points] == [7, 2]


def test_minutes_are_thinned_to_quarters_and_those_dropped_in_the_end() -> None:
    made = Filled(keep_days=40)
    with closing(made.db):
        made.add_minutes(UTC, 30)
        made.tables.write(Batch(shares=[share(1)]))
        quarters = made.count("quarters")
        made.add(UTC + 60 * MINUTES_KEPT)
        assert made.count("samples") == 60 + 2  # none is older than what is kept
        made.add(UTC + 60 * (MINUTES_KEPT + 90))
        assert made.count("samples") == 2 + 2
        assert made.count("quarters") >= quarters
        made.add(UTC + 41 * 86400)
        [old] = made.db.execute(
            "SELECT count(*) FROM quarters WHERE quarter < ?", (UTC // 900 + 3,)
        ).fetchone()
        assert old == 0
        assert shares(made.db, None, 0, 1e11, 10) == ()


def test_a_clock_far_ahead_costs_a_few_hours_of_history(filled: Filled) -> None:
    filled.add_minutes(UTC, 2 * PRUNE_STEP_MINUTES)
    filled.add(UTC + 60 * 365 * 86400)
    filled.add(UTC + 60 * 365 * 86400 + 60)
    assert filled.count("samples") == 2 * (PRUNE_STEP_MINUTES + 2)
