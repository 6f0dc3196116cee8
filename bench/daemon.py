"""The whole daemon with 64 boards that do no hashing here: its CPU time, its screen, its clients.

Emulated boards and our pool run in processes of their own (bench/boards_*.py), each board answering
a nonce a second, as 1 TH/s does at a ticket of 40 bits; one in 16 is a share. The daemon is
`sv2rig run` with a configuration, its store and its API; screens are `sv2rig top` on a
pseudo-terminal.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import re
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import machine
from boards import BOARDS, MIX, Run, job_latencies, share_latencies
from daemon_world import (
    ENDING_S,
    Cpu,
    World,
    answered,
    drained,
    scrape,
    stalled_asker,
    stalled_stream,
    top,
    watch,
    world,
)
from figures import Tail, table
from screen import Terminal

DESCRIPTION = "the whole daemon with 64 boards: CPU, attaching, stalled clients, log of bad wires"

GOALS: Final = {
    "daemon_cpu_percent": 15.0,
    "screen_cpu_percent": 12.0,
    "attach_median_s": 1.0,
    "stalled_growth_mib": 16.0,
    "lines_a_minute": 20.0,
}
NONCES_A_SECOND: Final = 1.0
CALM_JOBS_S: Final = 30.0  # from job to job, where jobs are not what is measured
BUSY_JOBS_S: Final = 2.0
SCRAPE_S: Final = 5.0
FAULT: Final = "bytes=0.01"
STALLED: Final = 4  # clients of either kind
ESCAPES: Final = re.compile(rb"\x1b\[[0-9;?]*[a-zA-Z]")
ATTACH_LIMIT_S: Final = 20.0
ROOM: Final = 56  # lines of the screen that are not the table's, and more

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    boards: int
    seconds: float
    attach_runs: int
    stalled_s: float
    faults_s: float

    def run(self, every_s: float) -> Run:
        return Run(self.boards, NONCES_A_SECOND, MIX, 0.0, every_s, None)


async def cost(wanted: Wanted) -> Figures:
    """Of the daemon with a screen, a client of the stream and a scrape each 5 s."""
    async with world(wanted.run(CALM_JOBS_S)) as it:
        alone = Cpu(it.daemon)
        await asyncio.sleep(wanted.seconds / 4)
        figures: Figures = {"daemon_alone_cpu_percent": alone.percent()}
        seen = Counter[str]()
        with top(it, 120, 40) as (screen, terminal), drained(terminal):
            async with beside(watch(it, seen), scrape(it, SCRAPE_S, seen)):
                await asyncio.sleep(5.0)  # the screen is up
                others, cpus = machine.Others(), (Cpu(it.daemon), Cpu(screen))
                before = await answered(it, "/v1/snapshot")
                await asyncio.sleep(wanted.seconds)
                figures |= {
                    "daemon_cpu_percent": cpus[0].percent(),
                    "screen_cpu_percent": cpus[1].percent(),
                    "daemon_resident_mib": it.resident_mib(),
                    "screen_resident_mib": round(screen.memory_info().rss / 2**20, 1),
                    "others_cores": others.cores(),
                }
                after = await answered(it, "/v1/snapshot")
        figures["shares"] = after["shares"]["accepted"] - before["shares"]["accepted"]
        figures |= {f"client_{name}": count for name, count in seen.items()}
        return figures | attach(it, wanted.boards, wanted.attach_runs)


def attach(it: World, boards: int, runs: int) -> Figures:
    """From the process' start until every board's row stands on the terminal."""
    others = machine.Others()
    times = sorted(attached(it, boards) for _ in range(runs))
    return {
        "attach_median_s": round(statistics.median(times), 3),
        "attach_worst_s": round(times[-1], 3),
        "attach_s": [round(taken, 3) for taken in times],
        "attach_others_cores": others.cores(),
    }


def attached(it: World, boards: int) -> float:
    began = time.monotonic()
    missing = [f"emu-{number:03}".encode() for number in range(boards)]
    with top(it, 120, boards + ROOM) as (_, fd):
        terminal, drawn = Terminal(fd), b""
        while missing:
            drawn += ESCAPES.sub(b"", terminal.read(0.01))
            missing = [name for name in missing if name not in drawn]
            if time.monotonic() - began > ATTACH_LIMIT_S:
                words = drawn[-2000:].decode(errors="replace")
                raise SystemExit(f"bench daemon: `top` did not draw {missing}: {words}")
        return time.monotonic() - began


@contextlib.asynccontextmanager
async def beside(*work: Awaitable[None]) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        yield
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def stalled(wanted: Wanted) -> Figures:
    """Jobs and shares for a while without and then with clients that take nothing."""
    async with world(wanted.run(BUSY_JOBS_S)) as it:
        others = machine.Others()
        before = it.resident_mib()
        without = await _span(wanted.stalled_s)
        growth_without = it.resident_mib() - before
        before = most = it.resident_mib()
        lines = [stall(it) for stall in (stalled_stream, stalled_asker) for _ in range(STALLED)]
        began = time.monotonic()
        while (left := began + wanted.stalled_s - time.monotonic()) > 0:
            await asyncio.sleep(min(1.0, left))
            most = max(most, it.resident_mib())
        beside_them = began, time.monotonic()
        for line in lines:
            line.close()
        await asyncio.sleep(1.0)
        lost = others.cores()
        it.daemon.terminate()  # before its pool and its boards
        it.daemon.wait(ENDING_S)
        boards, pool = it.boards.end(), it.pool.end()
    spans = {"without": without, "with": beside_them}
    return {
        "stalled_clients": len(lines),
        "stalled_growth_mib": round(most - before, 1),
        "growth_without_mib": round(growth_without, 1),
        "stalled_others_cores": lost,
        **{
            f"{name}_stalled": _passed(boards, pool, span, wanted.boards)
            for name, span in spans.items()
        },
    }


async def _span(seconds: float) -> tuple[float, float]:
    began = time.monotonic()
    await asyncio.sleep(seconds)
    return began, time.monotonic()


def _passed(boards: Figures, pool: Figures, span: tuple[float, float], count: int) -> Figures:
    """How fast jobs and shares of these seconds passed through, in ms."""
    shares, lost = share_latencies(boards["written"], pool["read"], *span)
    jobs, incomplete = job_latencies(pool["sent"], boards["reads"], *span, count)
    job_ms, share_ms = Tail.of(jobs or [math.inf]), Tail.of(shares or [math.inf])
    return {
        "jobs": len(jobs),
        "jobs_incomplete": incomplete,
        "job_ms_median": job_ms.median,
        "job_ms_max": job_ms.max,
        "shares": len(shares),
        "shares_lost": lost,
        "share_ms_median": share_ms.median,
        "share_ms_p99": share_ms.p99,
    }


async def faults(wanted: Wanted) -> Figures:
    """What the daemon says of 64 boards on bad wires."""
    async with world(wanted.run(CALM_JOBS_S), FAULT) as it:
        others, cpu = machine.Others(), Cpu(it.daemon)
        first, before = len(it.log_lines()), await answered(it, "/v1/snapshot")
        await asyncio.sleep(wanted.faults_s)
        lines, after = it.log_lines()[first:], await answered(it, "/v1/snapshot")
        return {
            "lines": len(lines),
            "lines_a_minute": round(60 * len(lines) / wanted.faults_s, 1),
            "line_kinds": Counter(map(_kind, lines)).most_common(12),
            "faults_daemon_cpu_percent": cpu.percent(),
            "states": Counter(device["state"] for device in after["devices"]),
            **{
                name: _sum(after, name) - _sum(before, name)
                for name in ("comm_errors", "hardware_errors")
            },
            "faults_others_cores": others.cores(),
        }


def _sum(snapshot: Figures, name: str) -> int:
    return sum(device[name] or 0 for device in snapshot["devices"])


def _kind(line: str) -> str:
    """A line of the log without its time and its numbers."""
    return re.sub(r"0x[0-9a-f]+|[0-9a-f]{8,}|\d+", "#", line[26:])[:120]


PARTS: Final[dict[str, Callable[[Wanted], Awaitable[Figures]]]] = {
    "cost": cost,
    "stalled": stalled,
    "faults": faults,
}


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench daemon", description=DESCRIPTION)
    parser.add_argument("--part", choices=PARTS, action="append", help="not all of them")
    parser.add_argument("--boards", type=int, default=BOARDS, help="how many")
    parser.add_argument("--seconds", type=float, default=60.0, help="of the cost")
    parser.add_argument("--attach", type=int, default=10, help="how often to attach")
    parser.add_argument("--stalled", type=float, default=30.0, help="seconds without, and with")
    parser.add_argument("--faults", type=float, default=120.0, help="seconds of bad wires")
    parser.add_argument("--json", action="store_true", help="one JSON object on one line")
    given = parser.parse_args(argv)
    wanted = Wanted(given.boards, given.seconds, given.attach, given.stalled, given.faults)
    figures: Figures = {}
    for part in given.part or PARTS:
        figures |= asyncio.run(_part(part, wanted))
    goals = {name: goal for name, goal in GOALS.items() if name in figures}
    missed = [name for name, goal in goals.items() if figures[name] >= goal]
    if given.json:
        report = {"bench": "daemon", "machine": machine.describe(), "boards": wanted.boards}
        print(json.dumps(report | {"goals": goals} | figures | {"missed": missed}))
    else:
        print(machine.headline() + "\n")
        rows = [("", "figure", "goal under")]
        rows += [(name, str(value), str(goals.get(name, ""))) for name, value in plain(figures)]
        print(table(rows))
        print(f"\n{'MISSED: ' + ', '.join(missed) if missed else 'every goal is met'}")
    return 0


async def _part(name: str, wanted: Wanted) -> Figures:
    return await PARTS[name](wanted)


def plain(figures: Figures) -> list[tuple[str, object]]:
    """Figures as rows, those within others too."""
    rows: list[tuple[str, object]] = []
    for name, value in figures.items():
        if isinstance(value, dict):
            rows += [(f"{name}: {inner}", figure) for inner, figure in plain(value)]
        elif name == "line_kinds":
            rows += [(f"lines: {text}", count) for text, count in value]
        else:
            rows.append((name, value))
    return rows
