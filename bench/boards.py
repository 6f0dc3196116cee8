"""Many serial boards on one rig: what they cost it, and how fast jobs and shares pass through.

Three processes: emulated boards on ptys, which hash what they answer; our pool, with a new previous
hash every few seconds; and the rig alone on a core of its own, the only one whose CPU time counts.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import machine
from boards_child import TICKET_BITS, Answer
from figures import Tail, table

DESCRIPTION = "64 serial boards, or 256 table-shaped: the rig's CPU time, job and share latency"

BOARDS: Final = 64
NONCES_A_SECOND: Final = 20.0
TABLE_NONCES_A_SECOND: Final = 1.0
GOALS: Final = {
    "rig_cpu_percent": 40.0,
    "job_p99_ms": 50.0,
    "share_p99_ms": 10.0,
    "jobs_incomplete": 1,
}
TABLE_GOALS: Final = {
    "job_p99_ms": 50.0,
    "job_max_ms": 250.0,
    "growth_mib": 5.0,
    "jobs_incomplete": 1,
}
LEAST_ARRIVED: Final = 0.95
READY_S: Final = 90.0
SETTLE_S: Final = 3.0
FIRST_S: Final = 120.0  # resident memory counts from here
TELL_S: Final = 10.0

# A name, the emulator's options, and the driver's: chips hash at their full rate at this clock.
Kind = tuple[str, dict[str, str], str]
MIX: Final[tuple[Kind, ...]] = (
    ("icarus", {"variant": "erupter"}, "model=erupter"),
    ("fpga_uart", {"variant": "kc705"}, "dialect=kc705"),
    ("bm13xx", {"chip": "BM1370"}, "frequency=525"),
    ("bitaxe_raw", {"board": "gamma"}, "model=bitaxe"),
    ("icarus", {"variant": "icarus"}, "model=icarus"),
    ("bm13xx", {"chip": "BM1397", "chips": "2"}, "frequency=450"),
    ("gekko", {"board": "compacf"}, "board=compac-f&frequency=450"),
    ("bm13xx", {"chip": "BM1366", "chips": "2"}, "frequency=485"),
    ("icarus", {"variant": "lancelot"}, "model=lancelot"),
    ("fpga_uart", {"variant": "pyfpga"}, "dialect=pyfpga"),
    ("bm13xx", {"chip": "BM1368"}, "frequency=490"),
    ("bitaxe_raw", {"board": "supra"}, "model=bitaxe&frequency=490"),
    ("fpga_uart", {"variant": "makomk"}, "dialect=makomk"),
    ("bm13xx", {"chip": "BM1362", "chips": "3"}, "frequency=500"),
    ("gekko", {"board": "2pac"}, "board=2pac&frequency=200"),
    ("bm13xx", {"chip": "BM1370", "chips": "2"}, "frequency=525"),
)
TABLE_MIX: Final[tuple[Kind, ...]] = tuple(
    ("bm13xx", {"chip": chip}, f"chip={chip}&frequency={mhz}")
    for chip, mhz in (
        *(("BM1370", 525), ("BM1368", 490), ("BM1366", 485), ("BM1362", 500)),
        *(("BM1370", 525), ("BM1368", 490), ("BM1366", 485), ("BM1397", 450)),
    )
)


@dataclass(frozen=True, slots=True)
class Run:
    """What is to be measured."""

    boards: int
    nonces_a_second: float  # of each board
    mix: tuple[Kind, ...]
    seconds: float
    every_s: float  # a new job
    profile: str | None  # a folder for cProfile figures

    def kinds(self) -> list[Kind]:
        return [self.mix[number % len(self.mix)] for number in range(self.boards)]

    def devices(self, paths: list[str]) -> list[str]:
        """What `sv2rig mine --device` takes."""
        kinds = zip(paths, self.kinds(), strict=True)
        return [f"serial:{path}?driver={name}&{more}" for path, (name, _, more) in kinds]


@dataclass(frozen=True, slots=True)
class Result:
    """`nonces` came of `nonces_sent`; latencies in ms. Resident memory in MiB, its growth from the
    end of the second minute (None in a shorter run)."""

    boards: int
    seconds: float
    rig_cpu_percent: float
    emulators_cpu_percent: float
    others_cores: float
    nonces: int
    nonces_sent: int
    shares: int
    shares_lost: int
    jobs: int
    jobs_incomplete: int
    job_p99_ms: float
    job_max_ms: float
    share_p99_ms: float
    job_ms: Tail
    share_ms: Tail
    hardware_errors: int
    comm_errors: int
    resident_mib: float
    growth_mib: float | None

    def missed(self, goals: dict[str, float]) -> list[str]:
        figures = asdict(self)
        return [
            name for name, goal in goals.items() if figures[name] is None or figures[name] >= goal
        ]

    @property
    def is_whole(self) -> bool:
        return self.nonces >= LEAST_ARRIVED * self.nonces_sent > 0


class Child:
    """A process that boards_child describes, asked by lines."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.ready = self._answer()["ready"]

    def mark(self) -> Answer:
        assert self._process.stdin is not None
        self._process.stdin.write("mark\n")
        self._process.stdin.flush()
        return self._answer()

    def end(self) -> Answer:
        assert self._process.stdin is not None
        self._process.stdin.close()
        last = self._answer()
        self._process.wait(READY_S)
        return last

    def _answer(self) -> Answer:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("bench boards: a process ended early; its words are above")
        answer: Answer = json.loads(line)
        return answer


@contextlib.contextmanager
def child(part: str, run: Run, runtime: str, cores: set[int], **options: Any) -> Iterator[Child]:
    profile = str(Path(run.profile) / f"{part}.prof") if run.profile else None
    arguments = json.dumps({"cores": sorted(cores), "profile": profile, **options})
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name(f"boards_{part}.py")), arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"XDG_RUNTIME_DIR": runtime},
        text=True,
    )
    try:
        yield Child(process)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def measure(run: Run) -> Result:
    usable = sorted(os.sched_getaffinity(0))
    ours, theirs = ({usable[-1]}, set(usable[:-1])) if len(usable) > 1 else (set(), set())
    hashed = {"rate_hs": run.nonces_a_second * 2**TICKET_BITS}
    made = [(name, more) for name, more, _ in run.kinds()]
    with (
        tempfile.TemporaryDirectory() as runtime,
        child("emulators", run, runtime, theirs, boards=made, **hashed) as boards,
        child("pool", run, runtime, theirs, every_s=run.every_s) as pool,
        child(
            "rig",
            run,
            runtime,
            ours,
            url=pool.ready,
            devices=run.devices(boards.ready),
        ) as rig,
    ):
        until_all_mine(rig, run.boards)
        others = machine.Others()
        before = boards.mark(), rig.mark()
        samples = sample(rig, run.seconds)
        after = boards.mark(), rig.mark()
        others_cores = others.cores()
        time.sleep(0.5)
        rig.end()
        seen = boards.end(), pool.end()
        return result(run, before, after, seen, [before[1], *samples, after[1]], others_cores)


def until_all_mine(rig: Child, count: int) -> None:
    began = time.monotonic()
    while (state := rig.mark())["mines"] < count:
        if time.monotonic() - began > READY_S:
            raise SystemExit(f"bench boards: {state['mines']} of {count} mine: {state['states']}")
        time.sleep(0.5)
    time.sleep(SETTLE_S)


def sample(rig: Child, seconds: float) -> list[Answer]:
    samples, end = [], time.monotonic() + seconds
    while (left := end - time.monotonic()) > TELL_S:
        time.sleep(TELL_S)
        samples.append(rig.mark())
    time.sleep(left)
    return samples


def result(
    run: Run,
    before: tuple[Answer, Answer],
    after: tuple[Answer, Answer],
    seen: tuple[Answer, Answer],
    samples: list[Answer],
    others_cores: float,
) -> Result:
    (boards_before, rig_before), (boards_after, rig_after) = before, after
    emulators, pool = seen
    began, ended = rig_before["at"], rig_after["at"]
    elapsed = ended - began
    share_ms, lost = share_latencies(emulators["written"], pool["read"], began, ended)
    job_ms, incomplete = job_latencies(pool["sent"], emulators["reads"], began, ended, run.boards)
    jobs, shares = Tail.of(job_ms or [math.inf]), Tail.of(share_ms or [math.inf])
    return Result(
        boards=run.boards,
        seconds=round(elapsed, 1),
        rig_cpu_percent=percent(rig_before, rig_after),
        emulators_cpu_percent=percent(boards_before, boards_after),
        others_cores=others_cores,
        nonces=rig_after["nonces"] - rig_before["nonces"],
        nonces_sent=sum(boards_after["sent"]) - sum(boards_before["sent"]),
        shares=len(share_ms),
        shares_lost=lost,
        jobs=len(job_ms),
        jobs_incomplete=incomplete,
        job_p99_ms=jobs.p99,
        job_max_ms=jobs.max,
        share_p99_ms=shares.p99,
        job_ms=jobs,
        share_ms=shares,
        hardware_errors=rig_after["hardware_errors"],
        comm_errors=rig_after["comm_errors"],
        resident_mib=round(rig_after["resident_bytes"] / 2**20, 1),
        growth_mib=growth(samples),
    )


def percent(before: Answer, after: Answer) -> float:
    used: float = (after["cpu_s"] - before["cpu_s"]) / (after["at"] - before["at"])
    return round(100 * used, 1)


def share_latencies(
    written: dict[str, float], read: dict[str, float], began: float, ended: float
) -> tuple[list[float], int]:
    """In ms, and how many never came: those of a job that was replaced meanwhile are not sent."""
    sent = {key: at for key, at in written.items() if began <= at <= ended}
    found = [round((read[key] - at) * 1000, 3) for key, at in sent.items() if key in read]
    return found, len(sent) - len(found)


def job_latencies(
    sent: dict[str, float], reads: dict[str, list[float]], began: float, ended: float, boards: int
) -> tuple[list[float], int]:
    """In ms, and how many jobs did not reach every board."""
    within = {nbits: at for nbits, at in sent.items() if began <= at <= ended - 1.0}
    whole = {nbits: at for nbits, at in within.items() if reads.get(nbits, [0])[0] == boards}
    found = [round((reads[nbits][1] - at) * 1000, 3) for nbits, at in whole.items()]
    return found, len(within) - len(whole)


def growth(samples: list[Answer]) -> float | None:
    late = [s["resident_bytes"] for s in samples if s["at"] - samples[0]["at"] >= FIRST_S - 1]
    return round((max(late) - late[0]) / 2**20, 2) if len(late) > 1 else None


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench boards", description=DESCRIPTION)
    parser.add_argument("--table", type=int, metavar="N", help="N table-shaped boards instead")
    parser.add_argument("--boards", type=int, default=BOARDS, help="how many of mixed families")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to measure")
    parser.add_argument("--minutes", type=float, help="the same in minutes")
    parser.add_argument("--every", type=float, default=2.0, help="seconds from job to job")
    parser.add_argument("--profile", help="write cProfile figures of each process to this folder")
    parser.add_argument("--json", action="store_true", help="one JSON object on one line")
    options = parser.parse_args(argv)
    seconds = options.seconds if options.minutes is None else 60 * options.minutes
    if options.table:
        pace, mix = TABLE_NONCES_A_SECOND, TABLE_MIX
    else:
        pace, mix = NONCES_A_SECOND, MIX
    count = options.table or options.boards
    done = measure(Run(count, pace, mix, seconds, options.every, options.profile))
    goals = TABLE_GOALS if options.table else GOALS
    if options.table and done.growth_mib is None:
        goals = {name: goal for name, goal in goals.items() if name != "growth_mib"}
    missed = done.missed(goals)
    if options.json:
        report = {"bench": "boards", "machine": machine.describe(), "goals": goals}
        print(json.dumps(report | asdict(done) | {"missed": missed, "whole": done.is_whole}))
    else:
        print_report(done, goals, missed)
    return 0 if done.is_whole else 1


def print_report(done: Result, goals: dict[str, float], missed: list[str]) -> None:
    print(machine.headline())
    print(
        f"{done.boards} boards, {done.seconds:g} s, {done.jobs} jobs; other processes had "
        f"{done.others_cores} cores, the emulators {done.emulators_cpu_percent:g} % of one\n"
    )
    figures = asdict(done)
    rows = [("", "figure", "goal under")]
    rows += [(name, f"{figures[name]:g}", f"{goal:g}") for name, goal in goals.items()]
    rows += [
        (f"{name}: min, median", f"{tail.min:.1f}, {tail.median:.1f}", "")
        for name, tail in (("job_ms", done.job_ms), ("share_ms", done.share_ms))
    ]
    others = ("nonces", "nonces_sent", "shares", "shares_lost")
    errors = ("hardware_errors", "comm_errors", "rig_cpu_percent", "resident_mib")
    rows += [(name, f"{figures[name]:g}", "") for name in (*others, *errors) if name not in goals]
    print(table(rows))
    print(f"\n{'MISSED: ' + ', '.join(missed) if missed else 'every goal is met'}")
    if not done.is_whole:
        print(f"FAILED: under {LEAST_ARRIVED:.0%} of the nonces arrived")
