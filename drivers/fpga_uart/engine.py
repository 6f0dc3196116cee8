"""The engine of designs that search one job at a time and never stop: not at a nonce, and two of
the dialects not at the end of the range either (sv2rig.boards.push_engine is for those that stop).

A job that has given a right nonce has arrived whole. One that has given none yet is in doubt at
the first wrong nonce; the job before it stays known until then, because a board that lost a byte of
new work goes on with the old. A nonce that comes again is no news: a board that begins a range
again repeats itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sv2rig.boards.engine import Damaged, Host, Nonce, RangeDone, Reply, SliceFeed
from sv2rig.devices.slices import Slice
from sv2rig.devices.work import NONCES, Solution, Work
from sv2rig.drivers.fpga_uart.calibration import (
    Votes,
    corrected,
    make_up,
    of_whole_range,
    out_of_step,
)
from sv2rig.drivers.fpga_uart.protocol import FLUSH, MAKOMK, Dialect, PyFpgaWire

GAP_S = 0.1  # a reply's bytes arrive together: 9 bytes last 1 ms at 115200 baud
SEARCHED_PART = 0.9  # of a range when the next job goes out: rates are not known better
LATE_S = 0.5  # nonces of the job before, this long after the next was sent: it did not arrive
ACK_S = 0.25  # and the time that the bytes take
TOO_MANY_WRONG = 8  # in a row, of a job that has given right ones
_MOST_BEFORE = 16  # jobs that may have got lost one after the other


@dataclass(slots=True, eq=False)
class _Job:
    piece: Slice
    sent_at: float
    found: set[bytes] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Match:
    job: _Job
    nonce: bytes
    offset: int
    solution: Solution


class FreeRunningEngine:
    """See the module. `rate_hs` and `offsets` (those that its count may run ahead by; one, once it
    is known) may be set while it has no work."""

    def __init__(self, dialect: Dialect, host: Host, rate_hs: float, ticket: int) -> None:
        self.rate_hs = rate_hs
        self.offsets: tuple[int, ...] = (0,)
        self.wire = dialect.wire(self._is_right)
        self._host = host
        self._ticket = ticket
        self.golden_answers = 0  # what the self-test's work was answered with
        self._feed = SliceFeed(lambda _work: 0, host.exhausted)
        self._golden = of_whole_range(dialect.golden)
        self._is_after_golden = True  # the self-test's work is what the board searches
        self._current: _Job | None = None
        self._before: list[_Job] = []  # newest first
        self._wrong_in_row = 0
        self._deadline: float | None = None
        self._gap_at: float | None = None

    # -- Engine

    def assign(self, work: Work | None, now: float) -> None:
        is_new = self._feed.assign(work)
        if work is None and is_new:
            self._set_aside()
        elif is_new or (self._current is None and not self._feed.is_asking):
            self._push(now)

    def received(self, data: bytes, now: float) -> None:
        for reply in self.wire.decode(data):
            self._replied(reply, now)
        self._gap_at = now + GAP_S if self.wire.pending else None

    def next_timeout(self) -> float | None:
        times = [time for time in (self._deadline, self._gap_at) if time is not None]
        return min(times, default=None)

    def on_time(self, now: float) -> None:
        if self._gap_at is not None and now >= self._gap_at:
            self._gap_at = None
            for reply in self.wire.rest():
                self._replied(reply, now)
        if self._deadline is not None and now >= self._deadline:
            self._push(now)

    def reset(self) -> None:
        self.wire.drop()
        self._set_aside()
        self._before.clear()
        self._is_after_golden = True
        self._gap_at = None

    # -- jobs

    def _set_aside(self) -> None:
        if self._current is not None:
            self._before.insert(0, self._current)
            proved = (at for at, job in enumerate(self._before) if job.found)
            del self._before[next(proved, _MOST_BEFORE) + 2 :]
        self._current = self._deadline = None
        self._wrong_in_row = 0

    def _push(self, now: float) -> None:
        self._set_aside()
        piece = self._feed.next()
        if piece is not None:
            self._current = _Job(piece, now)
            self._send(self.wire.encode(piece))
            self._deadline = now + SEARCHED_PART * NONCES / self.rate_hs

    def _send(self, data: bytes) -> None:
        self._host.send(data)

    # -- replies

    def _replied(self, reply: Reply, now: float) -> None:
        match reply:
            case Damaged(reason):
                self._host.comm_error(reason)
            case RangeDone():
                self._range_done(now)
            case Nonce(nonce):
                self._found(nonce, now)

    def _range_done(self, now: float) -> None:
        self._push(now)

    def _found(self, nonce: bytes, now: float) -> None:
        match = self._match(nonce)
        if match is not None:
            self.offsets = (match.offset,)
            self._right(match, now)
        elif self._is_golden(nonce):
            self.golden_answers += 1
            self._is_of_before(now)
        else:
            self._wrong(nonce, now)

    def _right(self, match: _Match, now: float) -> None:
        job = match.job
        if match.nonce not in job.found:
            job.found.add(match.nonce)
            self._host.solution(match.solution, True)
        if job is self._current:
            self._wrong_in_row = 0
            self._is_after_golden = False
        else:
            self._is_of_before(now)

    def _is_of_before(self, now: float) -> None:
        """The board still searched an older job when it sent this."""
        job = self._current
        if job is not None and not job.found and now > job.sent_at + LATE_S:
            self._host.comm_error("it goes on with an older work: the last one was damaged")
            self._push(now)

    def _wrong(self, nonce: bytes, now: float) -> None:
        job = self._current or next(iter(self._before), None)
        if job is None:
            self._host.comm_error(f"nonce {nonce.hex()} for no work")
            return
        self._host.solution(job.piece.solution(corrected(nonce, self.offsets[0])), False)
        if job is self._current:
            self._wrong_in_row += 1
            if not job.found or self._wrong_in_row >= TOO_MANY_WRONG:
                self._doubt(nonce, now)

    def _doubt(self, _nonce: bytes, now: float) -> None:
        """The job in hand may be damaged."""
        self._push(now)

    def _match(self, nonce: bytes) -> _Match | None:
        """Which job a nonce solves."""
        for offset in self.offsets:
            right = corrected(nonce, offset)
            for job in (self._current, *self._before):
                if job is not None and job.piece.is_met(solution := job.piece.solution(right)):
                    return _Match(job, right, offset, solution)
        return None

    def _is_golden(self, nonce: bytes) -> bool:
        return self._is_after_golden and any(
            self._golden.is_answered_by(corrected(nonce, offset), self._ticket)
            for offset in self.offsets
        )

    def _is_right(self, nonce: bytes) -> bool:
        return self._match(nonce) is not None or self._is_golden(nonce)


class PyFpgaEngine(FreeRunningEngine):
    """Each work is acknowledged. If one is not, zeros complete what the board may have of it and
    are pings beyond that; the first answer to these shows that it is in step."""

    wire: PyFpgaWire

    def __init__(
        self, dialect: Dialect, host: Host, rate_hs: float, ticket: int, byte_s: float
    ) -> None:
        super().__init__(dialect, host, rate_hs, ticket)
        self._answer_s = ACK_S + 2 * len(FLUSH) * byte_s
        self._ack_by: float | None = None
        self._pong_by: float | None = None

    def received(self, data: bytes, now: float) -> None:
        wire = self.wire
        pongs, acknowledged = wire.pongs, wire.acknowledged
        super().received(data, now)
        if self._pong_by is not None:
            if wire.pongs > pongs:
                self._pong_by = None
                self._push(now)
        elif wire.acknowledged > acknowledged:
            self._ack_by = None

    def next_timeout(self) -> float | None:
        times = (super().next_timeout(), self._ack_by, self._pong_by)
        return min((time for time in times if time is not None), default=None)

    def on_time(self, now: float) -> None:
        super().on_time(now)
        if self._pong_by is not None and now >= self._pong_by:
            self._host.comm_error("it does not answer pings")
            self._flush(now)
        elif self._ack_by is not None and now >= self._ack_by:
            self._host.comm_error("a work was not acknowledged: a byte of it was lost")
            self._flush(now)

    def reset(self) -> None:
        super().reset()
        self._ack_by = self._pong_by = None

    def _flush(self, now: float) -> None:
        self._set_aside()
        self._ack_by = None
        self._pong_by = now + self._answer_s
        self._send(FLUSH)

    def _push(self, now: float) -> None:
        if self._pong_by is None:
            super()._push(now)
            self._ack_by = now + self._answer_s if self._current else None

    def _range_done(self, now: float) -> None:
        if self._ack_by is None:  # else it is the range of the job before
            self._push(now)


class MakomkEngine(FreeRunningEngine):
    """Nothing marks a work: a board that lost a byte goes on with works made of two halves. How far
    it is out of step shows in a nonce that is right for one of these; then the missing bytes are
    made up for."""

    def __init__(self, dialect: Dialect, host: Host, rate_hs: float, ticket: int) -> None:
        super().__init__(dialect, host, rate_hs, ticket)
        self._votes = Votes(ticket, MAKOMK.frame_bytes)
        self._sent = b""

    def reset(self) -> None:
        super().reset()
        self._votes.clear()
        self._sent = b""

    def _send(self, data: bytes) -> None:
        self._sent = (self._sent + data)[-2 * MAKOMK.frame_bytes :]
        super()._send(data)

    def _right(self, match: _Match, now: float) -> None:
        if match.job is self._current:
            self._votes.clear()
        super()._right(match, now)

    def _doubt(self, nonce: bytes, now: float) -> None:
        votes = self._votes
        verdict = votes.add(nonce, out_of_step(self._sent), self.offsets)
        if verdict is not None:
            missing = make_up(verdict[0])
            self._host.comm_error(f"it was out of step by {len(missing)} bytes of work")
            self._send(missing)
        elif votes.against < votes.wanted:
            return
        votes.clear()
        self._push(now)
