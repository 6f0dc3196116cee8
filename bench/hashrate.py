"""Hash rates side by side: our back ends, and another program on the same cores in turn.

The other program is any that takes `--seconds S --threads N` and prints a JSON object with
`hashrate_hs` (and `cpu_seconds`, if it counts them), like a harness around cpuminer-opt's scan loop
built outside this repository. Each round runs it, then each of our cases, on the same cores; ratios
are medians of the rounds' own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import machine
from figures import table

DESCRIPTION = "hash rates of the back ends, beside another miner's (--peer)"

SHORT_S: Final = 0.010  # two launches of 5 ms
LONG_S: Final = 0.100
GOALS: Final = {("opencl", 1): 1.10, ("opencl", 8): 1.30, ("cpu", 8): 1.30}


@dataclass(frozen=True, slots=True)
class Case:
    """What is measured: a back end, the midstates at once, the latency its launches keep."""

    backend: str
    midstates: int
    latency_s: float


CASES: Final = [
    Case(backend, midstates, latency_s)
    for backend in ("opencl", "cpu")
    for midstates in (1, 8)
    for latency_s in (SHORT_S, LONG_S)
]


@dataclass(slots=True)
class Rounds:
    """The figures of every round, by case, on so many cores; the peer's own first."""

    cores: int
    peer: list[dict[str, float]] = field(default_factory=list)
    ours: dict[Case, list[dict[str, float]]] = field(default_factory=dict)
    variants: dict[str, str] = field(default_factory=dict)

    def hashrate_hs(self, case: Case) -> list[float]:
        return [figures["hashrate_hs"] for figures in self.ours[case]]

    @property
    def peer_hs(self) -> list[float]:
        return [figures["hashrate_hs"] for figures in self.peer]

    def ratio(self, case: Case) -> float | None:
        """To the peer, the median over the rounds."""
        return _ratio(self.hashrate_hs(case), self.peer_hs) if self.peer else None

    def cpu_ratio(self, case: Case) -> float | None:
        """The same for each second of CPU time: other programs on the machine do not count."""
        if not self.peer or "cores_busy" not in self.peer[0]:
            return None
        return _ratio(
            *(
                [f["hashrate_hs"] / f["cores_busy"] for f in figures]
                for figures in (self.ours[case], self.peer)
            )
        )

    def short_launch_share(self, case: Case) -> float:
        """Of the speed with long launches, the median over the rounds."""
        short, long = (Case(case.backend, case.midstates, s) for s in (SHORT_S, LONG_S))
        return _ratio(self.hashrate_hs(short), self.hashrate_hs(long))


def _ratio(ours: Sequence[float], others: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(ours, others, strict=True))


@contextlib.contextmanager
def child(backend: str, cores: set[int]) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "POCL_MAX_PTHREAD_COUNT": str(len(cores))}
    script = Path(__file__).with_name("hashrate_child.py")
    with on_cores(cores):  # inherited
        process = subprocess.Popen(
            [sys.executable, str(script), backend],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
    try:
        yield process
    finally:
        process.communicate()


@contextlib.contextmanager
def on_cores(cores: set[int]) -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def ask(process: subprocess.Popen[str], question: str = "") -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    if question:
        process.stdin.write(question + "\n")
        process.stdin.flush()
    line = process.stdout.readline()
    while line and not line.startswith("{"):  # log lines
        line = process.stdout.readline()
    if not line:
        raise SystemExit("bench hashrate: a measuring process ended; its words are above")
    figures: dict[str, Any] = json.loads(line)
    return figures


def run_peer(peer: Path, cores: set[int], seconds: float) -> dict[str, float]:
    command = [str(peer), "--seconds", str(seconds), "--threads", str(len(cores))]
    with on_cores(cores):
        began = time.monotonic()
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        wall_s = time.monotonic() - began
    said = json.loads(output)
    figures = {"hashrate_hs": float(said["hashrate_hs"])}
    if "cpu_seconds" in said:
        figures["cores_busy"] = said["cpu_seconds"] / said.get("seconds", wall_s)
    return figures


def measure(cores: set[int], rounds: int, seconds: float, peer: Path | None) -> Rounds:
    result = Rounds(len(cores), ours={case: [] for case in CASES})
    with child("opencl", cores) as opencl, child("cpu", cores) as cpu:
        processes = {"opencl": opencl, "cpu": cpu}
        for backend, process in processes.items():
            result.variants[backend] = ask(process)["variant"]
        for _ in range(rounds):
            if peer:
                result.peer.append(run_peer(peer, cores, seconds))
            for case in CASES:
                question = f"{case.midstates} {case.latency_s} {seconds}"
                result.ours[case].append(ask(processes[case.backend], question))
    return result


def rows(result: Rounds) -> list[dict[str, Any]]:
    """One a back end and number of midstates, with long launches unless said otherwise."""
    found = []
    for case in CASES:
        if case.latency_s == LONG_S:
            ratio, cpu_ratio = result.ratio(case), result.cpu_ratio(case)
            figures = result.ours[case]
            found.append(
                {
                    "backend": case.backend,
                    "variant": result.variants[case.backend],
                    "midstates": case.midstates,
                    "cores": result.cores,
                    "hashrate_hs": round(statistics.median(result.hashrate_hs(case))),
                    "ratio": ratio and round(ratio, 3),
                    "cpu_ratio": cpu_ratio and round(cpu_ratio, 3),
                    "goal": GOALS.get((case.backend, case.midstates)),
                    "short_launch_share": round(result.short_launch_share(case), 3),
                    "launching_share": round(
                        statistics.median(entry["launching_share"] for entry in figures), 4
                    ),
                    "cores_busy": round(
                        statistics.median(entry["cores_busy"] for entry in figures), 2
                    ),
                }
            )
    return found


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench hashrate", description=DESCRIPTION)
    parser.add_argument("--peer", type=Path, help="the other program (see this module's text)")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each run in a round")
    parser.add_argument("--json", action="store_true", help="one JSON object on one line")
    options = parser.parse_args(argv)
    usable = sorted(os.sched_getaffinity(0))
    sets = [set(usable[-count:]) for count in (1, 2) if count <= len(usable)]
    results = [measure(cores, options.rounds, options.seconds, options.peer) for cores in sets]
    if options.json:
        report = {
            "bench": "hashrate",
            "machine": machine.describe(),
            "rounds": options.rounds,
            "peer_hs": [result.peer_hs and statistics.median(result.peer_hs) for result in results],
            "results": [row for result in results for row in rows(result)],
        }
        print(json.dumps(report))
    else:
        print_report(results, options.rounds)
    return 0


def print_report(results: Sequence[Rounds], rounds: int) -> None:
    print(machine.headline())
    print(f"medians of {rounds} rounds; ratios are each round's own, to the peer beside it\n")
    lines: list[Sequence[str]] = [
        ("", "cores", "MH/s", "to peer", "by CPU time", "goal", "5 ms launches", "launching thread")
    ]
    for result in results:
        if result.peer_hs:
            rate = f"{statistics.median(result.peer_hs) / 1e6:.1f}"
            lines.append(("peer", str(result.cores), rate, "1.000", "1.000", "", "", ""))
        lines += [
            (
                f"{row['backend']}, {row['midstates']} midstates",
                str(row["cores"]),
                f"{row['hashrate_hs'] / 1e6:.1f}",
                *(
                    "–" if row[name] is None else f"{row[name]:.3f}"
                    for name in ("ratio", "cpu_ratio")
                ),
                "" if row["goal"] is None else f"{row['goal']:.2f}",
                f"{row['short_launch_share']:.1%}",
                f"{row['launching_share']:.2%}",
            )
            for row in rows(result)
        ]
    print(table(lines))
    if len(results) == 2:
        one, two = results
        for case in CASES:
            if case.latency_s == LONG_S:
                scale = _ratio(two.hashrate_hs(case), one.hashrate_hs(case))
                name = f"{case.backend}, {case.midstates} midstates"
                print(f"{name}: two cores are {scale:.2f} times one")
    print()
