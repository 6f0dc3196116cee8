"""A month of history in the store: its size, what a day writes, and how long a screen of it takes.

The month is filled in large transactions. The day that follows is written as a rig would, each
share and each minute a transaction of its own; what it costs is what the process handed to the
kernel meanwhile (`wchar` of /proc/self/io): the write-ahead log and what is copied from it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import machine
from figures import table

from sv2rig.rig.snapshot import ShareRecord
from sv2rig.rig.store import Store
from sv2rig.rig.store_files import FILE, connect
from sv2rig.rig.store_rows import RIG_NAME, Batch, Minute, Sample, Tables
from sv2rig.rig.store_schema import upgrade

DESCRIPTION = "a month of 64 devices in the store: size, bytes written a day, time of a screen"

SIZE_GOAL: Final = 200e6
DAY_GOAL: Final = 50e6
SCREEN_GOAL_MS: Final = 100.0
SHARES_A_MINUTE: Final = 6
FIRST_MINUTE: Final = 1_790_000_040 // 60
DAY_MINUTES: Final = 24 * 60
SCREENS: Final = {"1 h": 60, "24 h": DAY_MINUTES, "7 d": 7 * DAY_MINUTES, "30 d": 30 * DAY_MINUTES}


@dataclass(frozen=True, slots=True)
class Screen:
    """`cold_ms`: the first time of this screen, with nothing in SQLite's cache; else the worst."""

    name: str
    of: str
    points: int
    cold_ms: float
    worst_ms: float


@dataclass(frozen=True, slots=True)
class Result:
    devices: int
    days: float
    size: int
    day_bytes: int
    day_to_disk: int
    commits: int
    commit_ms: float
    screens: list[Screen]

    @property
    def worst_ms(self) -> float:
        return max(max(screen.cold_ms, screen.worst_ms) for screen in self.screens)

    @property
    def met(self) -> bool:
        small = self.size < SIZE_GOAL and self.day_bytes < DAY_GOAL
        return small and self.worst_ms < SCREEN_GOAL_MS


class Rig:
    """Devices of 60 to 900 GH/s and what they would tell."""

    def __init__(self, devices: int) -> None:
        self._random = random.Random(7)
        self._rates = {
            f"icarus:A{number:07}": self._random.uniform(6e10, 9e11) for number in range(devices)
        }

    def minute(self, minute: int) -> Minute:
        noise = self._random.random
        samples = [
            Sample(
                device=name,
                hashrate_hs=round(rate * (0.95 + noise() / 10)),
                temperature=round(500 + 200 * noise()),
                power=round(rate / 2e9),
                fan_percent=round(40 + 60 * noise()),
                frequency=5250,
                hardware_errors=int(noise() * 3),
                comm_errors=int(noise() * 1.1),
                mined_s=60.0,
                hashes=rate * 60,
                best_difficulty=1e6,
            )
            for name, rate in self._rates.items()
        ]
        total = sum(sample.hashrate_hs or 0 for sample in samples)
        rig = Sample(RIG_NAME, total, 700, 20_000, None, None, 60, 3, 60.0, total * 60.0, 1e6)
        return Minute(minute, (rig, *samples))

    def shares(self, minute: int) -> Iterator[ShareRecord]:
        names = list(self._rates)
        for number in range(SHARES_A_MINUTE):
            yield ShareRecord(
                number=number + 1,
                time=minute * 60 + number * 10 + self._random.random(),
                device=self._random.choice(names),
                pool=self._random.choice(["main", "main", "main", "backup"]),
                verdict="accepted" if self._random.random() < 0.99 else "stale",
                difficulty=4096 / (self._random.random() + 1e-9),
                wanted=4096.0,
                latency_ms=round(20 + 20 * self._random.random(), 1),
            )


def fill(tables: Tables, rig: Rig, first: int, last: int) -> None:
    for begin in range(first, last, 60):
        minutes = range(begin, min(begin + 60, last))
        shares = [share for minute in minutes for share in rig.shares(minute)]
        tables.write(Batch(shares, [rig.minute(minute) for minute in minutes]))


def live(tables: Tables, rig: Rig, first: int, last: int) -> list[float]:
    """Seconds of each commit."""
    took: list[float] = []

    def commit(batch: Batch) -> None:
        began = time.perf_counter()
        tables.write(batch)
        took.append(time.perf_counter() - began)

    for minute in range(first, last):
        for share in rig.shares(minute):
            commit(Batch(shares=[share]))
        commit(Batch(minutes=[rig.minute(minute)]))
    return took


def handed_over() -> tuple[int, int]:
    """Bytes written by this process: to the kernel, and of those for a disk."""
    lines = Path("/proc/self/io").read_text().splitlines()
    counts = {name: int(value) for name, _, value in (line.partition(": ") for line in lines)}
    return counts["wchar"], counts["write_bytes"]


def screens(folder: Path, device: str, last: int, days: float, rounds: int) -> list[Screen]:
    async def ask() -> list[Screen]:
        return [
            await one(name, span, of, points)
            for name, span in SCREENS.items()
            for of in (device, None)
            for points in (120, 1000)
            if span <= max(60, days * DAY_MINUTES)
        ]

    async def one(name: str, span: int, of: str | None, points: int) -> Screen:
        store = Store.open(folder, no_report)
        took = []
        try:
            for _ in range(1 + rounds):
                began = time.perf_counter()
                history = await store.history(of, (last - span) * 60, last * 60, points)
                await store.shares(of, (last - span) * 60, last * 60, 100)
                took.append((time.perf_counter() - began) * 1000)
                if not history.points:
                    raise RuntimeError(f"no history of {name}")
        finally:
            store.close()
        return Screen(name, "device" if of else "rig", points, took[0], max(took[1:]))

    return asyncio.run(ask())


def no_report(level: str, text: str) -> None:
    raise RuntimeError(f"the store reports: {level}: {text}")


def measure(
    folder: Path, devices: int, days: float, rounds: int, tell: Callable[[str], None]
) -> Result:
    rig, path = Rig(devices), folder / FILE
    middle = FIRST_MINUTE + round(days * DAY_MINUTES)
    last = middle + DAY_MINUTES
    with closing(connect(path)) as connection:
        upgrade(connection, path)
        tables = Tables(connection, 365)
        tell(f"filling {days:g} days ...")
        fill(tables, rig, FIRST_MINUTE, middle)
    size = path.stat().st_size
    with closing(connect(path)) as connection:
        tell("a day as it comes ...")
        before = handed_over()
        took = live(Tables(connection, 365), rig, middle, last)
        after = handed_over()
    return Result(
        devices=devices,
        days=days,
        size=size,
        day_bytes=after[0] - before[0],
        day_to_disk=after[1] - before[1],
        commits=len(took),
        commit_ms=sorted(took)[len(took) * 99 // 100] * 1000,
        screens=screens(folder, "icarus:A0000003", last, days, rounds),
    )


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench store", description=DESCRIPTION)
    parser.add_argument("--devices", type=int, default=64)
    parser.add_argument("--days", type=float, default=30.0, help="days of history before the day")
    parser.add_argument("--rounds", type=int, default=10, help="how often a screen is asked for")
    parser.add_argument("--json", action="store_true", help="one JSON object on one line")
    options = parser.parse_args(argv)
    if options.devices < 4 or options.days <= 0 or options.rounds < 1:
        parser.error("at least 4 devices, some days and one round")

    def tell(text: str) -> None:
        if not options.json:
            print(text)

    if not options.json:
        print(machine.headline())
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), options.devices, options.days, options.rounds, tell)
    if options.json:
        report = {"bench": "store", "machine": machine.describe(), "met": result.met}
        print(json.dumps(report | asdict(result) | {"worst_ms": result.worst_ms}))
    else:
        print_report(result)
    return 0


def print_report(result: Result) -> None:
    print(f"\n{result.devices} devices, {result.days:g} days, {SHARES_A_MINUTE} shares a minute")
    print(f"size            {result.size / 1e6:8.1f} MB  (goal {SIZE_GOAL / 1e6:.0f})")
    print(f"written a day   {result.day_bytes / 1e6:8.1f} MB  (goal {DAY_GOAL / 1e6:.0f})")
    print(
        f"  for the disk  {result.day_to_disk / 1e6:8.1f} MB  as the kernel counts pages, at once"
    )
    print(f"commits         {result.commits:8}     99 of 100 within {result.commit_ms:.2f} ms\n")
    rows = [("screen", "points", "first, ms", f"worst, ms (goal {SCREEN_GOAL_MS:.0f})")]
    rows += [
        (f"{s.name} of a {s.of}", str(s.points), f"{s.cold_ms:.1f}", f"{s.worst_ms:.1f}")
        for s in result.screens
    ]
    print(table(rows))
    print(f"\n{'met' if result.met else 'MISSED'}\n")
