"""The `cpu` back end: native code on the CPU's own threads, without any OpenCL runtime."""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

from sv2rig.compute.engine import EngineInfo, Loaded, hits, in_halves
from sv2rig.compute.native import (
    NativeScan,
    NativeVariant,
    build_scan,
    native_preparation,
    usable_variants,
)
from sv2rig.devices.work import NONCES, Solution, Work
from sv2rig.kernels.llvm import RECORD_WORDS
from sv2rig.kernels.program import Program, search_program

_RECORDS = 256


class CpuEngine:
    """Splits each launch over threads; a thread that is done takes the next launch's piece.

    `threads` None: one for each core that this process may use. `variant` None: the fastest that
    the CPU can run. Raises EngineError where LLVM cannot make code for it.
    """

    def __init__(
        self,
        threads: int | None = None,
        variant: NativeVariant | None = None,
        program: Program | None = None,
    ) -> None:
        chosen = variant or usable_variants()[0]
        program = program or search_program()
        self._prepare = native_preparation(program, chosen)
        self._one = build_scan(program, chosen, several=False)
        self._several = build_scan(program, chosen, several=True)
        self._threads = threads or available_cores()
        self._pool = ThreadPoolExecutor(self._threads, "cpu-search")
        self.info = EngineInfo(
            cpu_name(),
            f"{chosen.name} x{self._threads}",
            granularity=self._one.lanes * self._threads,
        )

    def load(self, work: Work) -> Loaded:
        return Loaded.of(work)

    def launch(self, loaded: Loaded, ntime: int, nonce_start: int, nonce_count: int) -> CpuLaunch:
        words = self._prepare(loaded.midstates, *loaded.tail(ntime))
        scan = self._one if len(loaded.versions) == 1 else self._several
        search = _Search(loaded, ntime, range(nonce_start, nonce_start + nonce_count), scan, words)
        return CpuLaunch(
            search,
            [
                self._pool.submit(in_halves, search.attempt, first, count)
                for first, count in _pieces(search.steps, self._threads)
            ],
        )

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


class CpuLaunch:
    def __init__(self, search: _Search, pieces: Sequence[Future[list[Solution]]]) -> None:
        self._search = search
        self._pieces = pieces

    def collect(self) -> list[Solution]:
        candidates = [found for piece in self._pieces for found in piece.result()]
        return list(hits(self._search.loaded, candidates))


class _Search:
    """What all pieces of a launch share. Nonces are counted in steps of `lanes` from the first."""

    def __init__(
        self, loaded: Loaded, ntime: int, nonces: range, scan: NativeScan, words: list[int]
    ) -> None:
        self.loaded = loaded
        self.steps = -(-len(nonces) // scan.lanes)
        self._ntime = ntime
        self._nonces = nonces
        self._scan = scan
        self._words = (ctypes.c_uint32 * len(words))(*words)

    def attempt(self, step: int, steps: int) -> list[Solution] | None:
        """Candidates of some steps, or None if they are more than the records hold."""
        records = (ctypes.c_uint32 * (RECORD_WORDS * _RECORDS))()
        start = self._nonces.start + step * self._scan.lanes
        count = self._scan.call(
            self._words,
            start % NONCES,
            steps,
            len(self.loaded.versions),
            self.loaded.top_word,
            records,
            _RECORDS,
        )
        if count > _RECORDS:
            return None
        return [
            Solution(self.loaded.work.work_id, nonce, self.loaded.versions[index], self._ntime)
            for place in range(0, count * RECORD_WORDS, RECORD_WORDS)
            for index in [records[place + 1]]
            for lane in _set_bits(records[place + 2])
            if (nonce := records[place] + lane) in self._nonces
        ]


def _set_bits(mask: int) -> list[int]:
    return [lane for lane in range(mask.bit_length()) if mask >> lane & 1]


def _pieces(steps: int, threads: int) -> list[tuple[int, int]]:
    """Equal runs of steps as (first, count), none empty."""
    bounds = [steps * index // threads for index in range(threads + 1)]
    return [(a, b - a) for a, b in pairwise(bounds) if b > a]


def available_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_name() -> str:
    """The CPU's name for people."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    return platform.processor() or platform.machine() or "CPU"
