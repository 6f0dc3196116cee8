"""The engine of chains that hold jobs by id and never say that they have finished one."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from typing import Protocol

from sv2rig.boards.engine import Damaged, Host, Nonce, RangeDone, Reply, SliceFeed
from sv2rig.devices.slices import Slice
from sv2rig.devices.work import Work

STALE_S = 1.0  # a chain that still answers for an earlier job so late has not taken the newest
SEARCHED_PART = 0.8  # the next job goes out when this part is searched: a chip would start over
_PER_ID = 2  # jobs remembered under one id: a reply may cross the one that takes its place


class TableWire(Protocol):
    """A chain's bytes. `job_ids` are used in turn."""

    @property
    def job_ids(self) -> Sequence[int]: ...

    def encode(self, job_id: int, piece: Slice) -> bytes: ...

    def decode(self, data: bytes) -> Sequence[Reply]: ...


class TableEngine:
    """Keeps a chain supplied. `seconds_of` says how long it searches a job, `patience_s` which
    silence is no chance, `rolled` which version bits of a Work it rolls by itself.

    Nothing acknowledges a job. One that was lost on the way shows by silence, or by nonces for the
    job before it: then it is sent again.
    """

    def __init__(
        self,
        wire: TableWire,
        host: Host,
        seconds_of: Callable[[Slice], float],
        rolled: Callable[[Work], int],
        patience_s: Callable[[], float] = lambda: math.inf,
    ) -> None:
        self._wire = wire
        self._host = host
        self._seconds_of = seconds_of
        self._feed = SliceFeed(rolled, host.exhausted)
        self._ids = cycle(wire.job_ids)
        self._jobs: dict[int, deque[Slice]] = {}
        self._next_job_at: float | None = None
        self._patience_s = patience_s
        self._newest: tuple[int, Slice] | None = None
        self._sent_at = self._heard_at = 0.0

    def assign(self, work: Work | None, now: float) -> None:
        is_new = self._feed.assign(work)
        if is_new and work is None:
            self._next_job_at = self._newest = None
        elif is_new or (self._next_job_at is None and not self._feed.is_asking):
            self._send_job(now)

    def received(self, data: bytes, now: float) -> None:
        for reply in self._wire.decode(data):
            match reply:
                case Nonce():
                    self._found(reply, now)
                case Damaged(reason):
                    self._host.comm_error(reason)
                case RangeDone():
                    self._send_job(now)

    def next_timeout(self) -> float | None:
        if self._next_job_at is None:
            return None
        return min(self._next_job_at, self._heard_at + self._patience_s())

    def on_time(self, now: float) -> None:
        if self._next_job_at is None:
            return
        if now >= self._next_job_at:
            self._send_job(now)
        elif now >= self._heard_at + self._patience_s():
            self._send_again(now, "no nonce for longer than chance: the job may be lost")

    def reset(self) -> None:
        self._jobs.clear()
        self._next_job_at = self._newest = None

    def _send_job(self, now: float) -> None:
        piece = self._feed.next()
        if piece is None:
            self._next_job_at = None
            return
        job_id = next(self._ids)
        self._jobs.setdefault(job_id, deque(maxlen=_PER_ID)).appendleft(piece)
        self._newest = (job_id, piece)
        self._send(now)
        self._next_job_at = now + SEARCHED_PART * self._seconds_of(piece)

    def _send_again(self, now: float, reason: str) -> None:
        self._host.comm_error(reason)
        self._send(now)

    def _send(self, now: float) -> None:
        if self._newest is not None:
            self._host.send(self._wire.encode(*self._newest))
            self._sent_at = self._heard_at = now

    def _found(self, reply: Nonce, now: float) -> None:
        jobs = self._jobs.get(reply.job_id if reply.job_id is not None else -1)
        if not jobs:
            self._host.comm_error(f"nonce {reply.nonce.hex()} for job {reply.job_id}, never sent")
            return
        self._heard_at = now
        for piece in jobs:
            solution = piece.solution(reply.nonce, _version(piece, reply))
            if piece.is_met(solution):
                self._host.solution(solution, True)
                self._see_whether_taken(piece, now)
                return
        self._host.solution(jobs[0].solution(reply.nonce, _version(jobs[0], reply)), False)

    def _see_whether_taken(self, piece: Slice, now: float) -> None:
        is_old = self._newest is not None and piece is not self._newest[1]
        if is_old and now - self._sent_at > STALE_S:
            self._send_again(now, "the chips still search an earlier job: the newest was lost")


def _version(piece: Slice, reply: Nonce) -> int:
    if reply.index is not None:
        return next(islice(piece.versions(), reply.index, None), piece.version)
    return piece.version | (reply.rolled or 0)
