"""The engine of boards that search one job at a time and stop at the first nonce they report.

A reply may cross new work on the wire: it is checked against the job in hand, then against the ones
before it; only if all fail it is wrong. Where the wire has no frames, every doubt (a wrong nonce, a
silence) is settled by a probe: known work whose answer is known. A board that took a byte too few
or too many answers it only after the missing bytes are made up for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Protocol

from sv2rig.bitcoin.sha256 import header_hash
from sv2rig.bitcoin.target import expected_hashes
from sv2rig.boards.engine import PATIENCE, Damaged, Host, Nonce, RangeDone, Reply, SliceFeed
from sv2rig.devices.slices import Slice
from sv2rig.devices.work import NONCES, Work

REPLY_GAP_S = 0.1  # a reply's bytes arrive together: 4 bytes last 0.35 ms at 115200 baud
RANGE_MARGIN_S = 0.15  # new work goes out this long before the range's end
_BEFORE = 2  # jobs remembered that a late reply may belong to


@dataclass(frozen=True, slots=True)
class Probe:
    """Known work: what to send for it, `midstate` of its first 64 header bytes and bytes 64 to 75,
    and how many hashes the board needs to its nonce, counting big-endian. A board with an easier
    ticket may answer earlier."""

    frame: bytes
    midstate: tuple[int, ...]
    tail12: bytes
    hashes: int

    def is_answered_by(self, nonce: bytes, ticket: int) -> bool:
        """Whether this nonce (header bytes 76 to 79) is the probe's, or an easier one before it."""
        if len(nonce) != 4 or int.from_bytes(nonce, "big") > self.hashes:
            return False
        found = header_hash(self.midstate, self.tail12 + nonce)
        return int.from_bytes(found, "little") <= ticket


class PushWire(Protocol):
    """A board's bytes, for one job at a time."""

    def encode(self, piece: Slice) -> bytes: ...

    def decode(self, data: bytes) -> Sequence[Reply]: ...

    @property
    def pending(self) -> int:
        """Bytes kept of a reply that is not whole yet."""

    def drop(self) -> None:
        """Forget them."""


@dataclass(frozen=True, slots=True)
class PushTiming:
    """What is known of a board's pace. `frame_bytes` > 0: it counts bytes to this many for a job,
    so it can fall out of step (0: its frames have a mark). `stops`: it idles after a nonce."""

    rate_hs: float
    ticket: int
    frame_bytes: int = 0
    stops: bool = True

    @property
    def range_s(self) -> float:
        """When a job's successor goes out."""
        return max(NONCES / self.rate_hs - RANGE_MARGIN_S, 0.5 * NONCES / self.rate_hs)

    @property
    def patience_s(self) -> float:
        """A silence that is no chance."""
        return PATIENCE * float(expected_hashes(self.ticket)) / self.rate_hs


class PushEngine:
    """See the module. `probes_answered` counts right answers to probes."""

    def __init__(
        self,
        wire: PushWire,
        host: Host,
        timing: PushTiming,
        probe: Probe | None = None,
    ) -> None:
        self._wire = wire
        self._host = host
        self._probe = probe if timing.frame_bytes else None
        self._feed = SliceFeed(lambda _work: 0, host.exhausted)
        self._timing = timing
        self.probes_answered = 0
        self._current: Slice | None = None
        self._before: deque[Slice] = deque(maxlen=_BEFORE)
        self._ends = 0.0  # when the job in hand is searched
        self._deadline: float | None = None
        self._patience_s, self._range_s = timing.patience_s, timing.range_s
        self._gap_at: float | None = None
        self._pads: Iterator[int] | None = None  # while probing

    # -- Engine

    def assign(self, work: Work | None, now: float) -> None:
        is_new = self._feed.assign(work)
        if work is None and is_new:
            self._set_aside()
        elif is_new or (self._current is None and not self._feed.is_asking):
            self._push(now)

    def received(self, data: bytes, now: float) -> None:
        for reply in self._wire.decode(data):
            self._replied(reply, now)
        self._gap_at = now + REPLY_GAP_S if self._wire.pending else None

    def next_timeout(self) -> float | None:
        times = [t for t in (self._deadline, self._gap_at) if t is not None]
        return min(times, default=None)

    def on_time(self, now: float) -> None:
        if self._gap_at is not None and now >= self._gap_at:
            self._gap_at = None
            count = self._wire.pending
            self._wire.drop()
            self._host.comm_error(f"{count} bytes that are no whole reply")
            self._doubt(now)
        if self._deadline is not None and now >= self._deadline:
            self._timed_out(now)

    def reset(self) -> None:
        self._wire.drop()
        self._set_aside()
        self._before.clear()
        self._pads = self._gap_at = None

    # -- jobs

    def _set_aside(self) -> None:
        if self._current is not None:
            self._before.appendleft(self._current)
        self._current = self._deadline = None

    def _push(self, now: float) -> None:
        """Send the next job, unless the board is out of step: then that comes first."""
        if self._pads is not None:
            return
        self._set_aside()
        self._current = self._feed.next()
        if self._current is not None:
            self._host.send(self._wire.encode(self._current))
            self._ends = now + self._range_s
            self._deadline = min(self._ends, now + self._patience_s)

    def _timed_out(self, now: float) -> None:
        if self._pads is not None:
            self._send_probe(now)
        elif now < self._ends:
            self._host.comm_error("the board does not answer: it may have lost a byte of its work")
            self._doubt(now)
        else:
            self._push(now)

    # -- replies

    def _replied(self, reply: Reply, now: float) -> None:
        match reply:
            case Damaged(reason):
                self._host.comm_error(reason)
                self._doubt(now)
            case RangeDone():
                self._push(now)
            case Nonce(nonce):
                self._found(nonce, now)

    def _go_on(self, now: float) -> None:
        """The job in hand has given a nonce."""
        if self._timing.stops:
            self._push(now)
        else:
            self._deadline = min(self._ends, now + self._patience_s)

    def _found(self, nonce: bytes, now: float) -> None:
        for piece in (self._current, *self._before):
            if piece is None:
                continue
            solution = piece.solution(nonce)
            if piece.is_met(solution):
                self._host.solution(solution, True)
                if piece is self._current:
                    self._go_on(now)
                return
        if self._pads is not None and self._is_probes(nonce):
            self.probes_answered += 1
            self._pads = self._deadline = None
            self._push(now)
            return
        blamed = self._current or next(iter(self._before), None)
        if blamed is None:
            self._host.comm_error(f"nonce {nonce.hex()} for no work")
        else:
            self._host.solution(blamed.solution(nonce), False)
        self._doubt(now)

    # -- back into step

    def _doubt(self, now: float) -> None:
        if self._pads is not None:
            return
        if self._probe is None:
            self._push(now)
            return
        self._set_aside()
        self._pads = pads(self._timing.frame_bytes)
        self._send_probe(now)

    def _send_probe(self, now: float) -> None:
        assert self._probe is not None
        assert self._pads is not None
        missing = next(self._pads)
        if missing:
            self._host.send(bytes(missing))
        self._host.send(self._probe.frame)
        self._deadline = now + 0.1 + 1.5 * self._probe.hashes / self._timing.rate_hs

    def _is_probes(self, nonce: bytes) -> bool:
        return self._probe is not None and self._probe.is_answered_by(nonce, self._timing.ticket)


def pads(frame_bytes: int) -> Iterator[int]:
    """How many bytes to add before each try: none was lost (twice: the try itself may be damaged),
    one was lost, one was too many; then these again and two lost; and so on, in widening rounds."""
    yield 0
    made_up = 0
    for widest in count(1):
        for wrong in range(min(widest, frame_bytes // 2) + 1):
            for wanted in dict.fromkeys((wrong, -wrong % frame_bytes)):
                yield (wanted - made_up) % frame_bytes
                made_up = wanted
