"""Engines: what turns Work into bytes for a board and its replies into Solutions. Sans-I/O.

An engine is called with the monotonic time; it speaks to its Host at once. A board owns power, fan,
sensors and reset; its engine owns jobs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from sv2rig.devices.slices import Slice, cut
from sv2rig.devices.work import Solution, Work

PATIENCE = 20.0  # e**-20: silence for so many expected intervals is no chance


@dataclass(frozen=True, slots=True)
class Nonce:
    """A board found something. `nonce` is header bytes 76 to 79. `job_id` names the job where the
    board says it; `rolled`: the version bits it had set; `index`: which of the job's midstates."""

    nonce: bytes
    job_id: int | None = None
    rolled: int | None = None
    index: int | None = None


@dataclass(frozen=True, slots=True)
class Damaged:
    """Bytes that make no sense: counted as one communication error."""

    reason: str


@dataclass(frozen=True, slots=True)
class RangeDone:
    """The board says that it has searched its whole job."""


Reply = Nonce | Damaged | RangeDone


class Host(Protocol):
    """Whom an engine speaks to."""

    def send(self, data: bytes) -> None:
        """Bytes for the board, written whole and in order."""

    def solution(self, solution: Solution, valid: bool) -> None:
        """A reply; `valid`: its hash, computed here, meets the ticket."""

    def exhausted(self, work_id: int) -> None:
        """More Work is wanted soon; it may come before this returns."""

    def comm_error(self, reason: str) -> None:
        """Damage on the way: this many bytes, what was expected."""


class Engine(Protocol):
    """What a board's base class needs of its engine."""

    def assign(self, work: Work | None, now: float) -> None: ...

    def received(self, data: bytes, now: float) -> None: ...

    def next_timeout(self) -> float | None: ...

    def on_time(self, now: float) -> None: ...

    def reset(self) -> None:
        """The board was reset or opened anew: nothing is in flight. Work in hand stays."""


class SliceFeed:
    """The Slices of the Work in hand, and then of the one that follows it.

    More Work is asked for when the next Slice is wanted and there is none, not before: when a job
    comes for many boards at once, each gets its first Slice before any looks further.
    """

    def __init__(self, rolled: Callable[[Work], int], exhausted: Callable[[int], None]) -> None:
        self._rolled = rolled
        self._exhausted = exhausted
        self._work: Work | None = None
        self._slices: Iterator[Slice] = iter(())
        self._asking = False
        self._asked = False

    @property
    def work(self) -> Work | None:
        """What the last Slice came from, or the next comes from."""
        return self._work

    @property
    def is_asking(self) -> bool:
        """Whether `next` is under way and asks for more Work."""
        return self._asking

    def assign(self, work: Work | None) -> bool:
        """New Work. True: turn to it at once; False: it follows what is being searched."""
        if self._asking and work is None:
            return False  # nothing follows yet; what is being searched stays good
        follows = work is not None and self._asked and self._is_same_job(work)
        self._work, self._asked = work, False
        self._slices = iter(()) if work is None else cut(work, self._rolled(work))
        return not follows

    def next(self) -> Slice | None:
        """The next Slice, or None: there is nothing to search."""
        piece = next(self._slices, None)
        if piece is None and self._work is not None and not self._asked:
            self._ask(self._work.work_id)
            piece = next(self._slices, None)
        return piece

    def _ask(self, work_id: int) -> None:
        self._asking = self._asked = True
        try:
            self._exhausted(work_id)
        finally:
            self._asking = False

    def _is_same_job(self, work: Work) -> bool:
        before = self._work
        return before is not None and (
            (before.channel_id, before.job_id, before.prev_hash)
            == (work.channel_id, work.job_id, work.prev_hash)
        )
