"""An emulated chip's search: real hashes at a steady pace, each hit when the chip would reach it.

Hashes are computed a chunk ahead of the pace, so that the host of many emulators wakes a few times
a second for each; what was computed beyond the pace when a work is replaced is never claimed.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sv2rig.bitcoin.hashing import sha256d
from sv2rig.emulation.scan import NONCES, HeaderBase, Scan

__all__ = ["NONCES", "HeaderBase", "Hit", "KnownAnswer", "Search", "known_versions"]

CHUNK_S = 0.25
_LEAST_HASHES = 2048  # at once: fewer take no less time
MAX_TICKET_BITS = 64


@dataclass(frozen=True, slots=True)
class Hit:
    """A header whose hash meets the ticket.

    `index` of its base among those begun with; `nonce`: header bytes 76..79; `hash`: raw SHA-256d;
    `counter`: how many nonces of this base came before; `due`: when it was reached.
    """

    index: int
    nonce: bytes
    hash: bytes
    counter: int
    due: float

    @property
    def value(self) -> int:
        """The hash as the integer that targets bound."""
        return int.from_bytes(self.hash, "little")


@dataclass(frozen=True, slots=True)
class KnownAnswer:
    """A solved header of 80 bytes; an emulator that is given one is a REPLAY.

    Where a work begun has the same first 76 bytes, the nonce is found `after_s` seconds later,
    whatever the pace; it is hashed like any other.
    """

    header: bytes
    after_s: float = 0.0

    def __post_init__(self) -> None:
        if len(self.header) != 80:
            raise ValueError(f"a known answer is a header of 80 bytes, not {len(self.header)}")

    @property
    def nonce(self) -> bytes:
        return self.header[76:]

    @property
    def hash(self) -> bytes:
        return sha256d(self.header)


def known_versions(known: Iterable[KnownAnswer], header: bytes, version_bits: int) -> list[int]:
    """The nVersions of known answers that differ from a header's first 76 bytes in rolled bits."""
    plain = int.from_bytes(header[:4], "little") & ~version_bits
    versions = (
        int.from_bytes(answer.header[:4], "little")
        for answer in known
        if answer.header[4:76] == header[4:76]
    )
    return [version for version in versions if version & ~version_bits == plain]


class Search:
    """One chip, or a chain of them, at `rate_hs` hashes a second in all.

    Hits are hashes of at most 2**(256 - ticket_bits) - 1. Each base begun is tried with every
    counter before the next counter. Time never goes back.
    """

    def __init__(self, rate_hs: float, ticket_bits: int, known: Sequence[KnownAnswer] = ()) -> None:
        if not (math.isfinite(rate_hs) and rate_hs >= 0):
            raise ValueError(f"a rate of {rate_hs} H/s: it must be 0 or more, and finite")
        if not 0 <= ticket_bits <= MAX_TICKET_BITS:
            raise ValueError(f"{ticket_bits} ticket bits: 0 to {MAX_TICKET_BITS} are possible")
        self.rate_hs = rate_hs
        self.ticket = (1 << 256 - ticket_bits) - 1
        self._known: dict[tuple[object, ...], list[KnownAnswer]] = {}
        for answer in known:
            base = HeaderBase.of_header(answer.header)
            self._known.setdefault((base.midstate, base.tail), []).append(answer)
        self._before = 0  # hashes of works that ran before
        self._nothing()

    def _nothing(self) -> None:
        self._bases: Sequence[HeaderBase] = ()
        self._scans: list[Scan] = []
        self._first = 0
        self._count = 0  # counters in the range
        self._computed = 0  # of these
        self._hits: deque[tuple[int, int, int]] = deque()  # hash number, base, counter
        self._replayed: list[Hit] = []
        self._ended = True  # nothing is left to say, not even that the range ended
        self._since = (0.0, 0.0)  # from when the pace holds, and the hashes done by then

    def begin(
        self, headers: Sequence[HeaderBase], now: float, first: int = 0, count: int = NONCES
    ) -> None:
        """Search these headers instead of what ran, `count` counters of each from `first`."""
        if not (0 <= first < NONCES and 0 <= count <= NONCES):
            raise ValueError(f"{count} nonces from {first}: outside 0..2**32")
        self.stop(now)
        self._bases = headers
        top = self.ticket >> 224
        self._scans = [Scan(base, top) for base in headers]
        self._first = first
        self._count = count if headers else 0
        self._ended = not self._count
        self._since = (now, 0.0)
        if self._known:
            self._replayed = sorted(self._known_hits(headers, now), key=lambda hit: hit.due)

    def stop(self, now: float) -> None:
        """Search nothing; hits not taken are lost, as a chip loses them."""
        self._before += self._done(now)
        self._nothing()

    def set_rate(self, rate_hs: float, now: float) -> None:
        """Go on at another pace: a clock was changed. 0: the chip stands."""
        self._since = (now, self._reached(now))
        self.rate_hs = rate_hs

    def next_due(self) -> float | None:
        """When `take` has something to do: a hit, hashes to compute, or the end of the range.

        None: never, unless something changes.
        """
        dues = [hit.due for hit in self._replayed[:1]]
        if self._hits:
            dues.append(self._due(self._hits[0][0] + 1))
        elif self._bases and self._computed < self._count:
            dues.append(self._due(self._computed * len(self._bases)))
        elif not self._ended:
            dues.append(self._due(self._total))
        reachable = [due for due in dues if due < math.inf]
        return min(reachable, default=None)

    def take(self, now: float) -> list[Hit]:
        """The hits due by now, in order; each once."""
        while self._computed < self._count and self._due(self._computed * len(self._bases)) <= now:
            self._compute()
        hits = []
        while self._hits and self._due(self._hits[0][0] + 1) <= now:
            number, index, counter = self._hits.popleft()
            hits.append(self._hit(index, counter, self._due(number + 1)))
        self._ended = self.exhausted(now)
        while self._replayed and self._replayed[0].due <= now:
            hits.append(self._replayed.pop(0))
        return sorted(hits, key=lambda hit: hit.due)

    def hashes(self, now: float) -> int:
        """Hashes of all works, as far as they are both computed and reached at this pace."""
        return self._before + self._done(now)

    def exhausted(self, now: float) -> bool:
        """Whether the range is searched to its end, or there is none."""
        return self._due(self._total) <= now

    @property
    def _total(self) -> int:
        return self._count * len(self._bases)

    def _reached(self, now: float) -> float:
        """How many hashes the pace has come to; the last may be partly done."""
        if self.exhausted(now):  # by the same sum as its time was told, or rounding keeps it short
            return float(self._total)
        since, done = self._since
        return min(done + (now - since) * self.rate_hs, float(self._total))

    def _done(self, now: float) -> int:
        return min(int(self._reached(now)), self._computed * len(self._bases))

    def _due(self, hashes: int) -> float:
        """When the pace comes to this many hashes."""
        since, done = self._since
        if hashes <= done:
            return since
        return since + (hashes - done) / self.rate_hs if self.rate_hs else math.inf

    def _compute(self) -> None:
        """The next chunk of each base."""
        bases = len(self._bases)
        size = max(1, round(max(self.rate_hs * CHUNK_S, _LEAST_HASHES) / bases))
        size = min(size, self._count - self._computed)
        first = self._first + self._computed
        found = [
            ((counter - self._first) * bases + index, index, counter)
            for index, scan in enumerate(self._scans)
            for counter in scan.find(first, size)
            if self._meets(index, counter)
        ]
        self._hits.extend(sorted(found))
        self._computed += size

    def _meets(self, index: int, counter: int) -> bool:
        """Whether a hit of the scan, which compares top words, meets the whole ticket."""
        return self.ticket >> 224 > 0 or self._hit(index, counter, 0.0).value <= self.ticket

    def _hit(self, index: int, counter: int, due: float) -> Hit:
        base = self._bases[index]
        nonce = ((counter + base.offset) % NONCES).to_bytes(4, "big")
        return Hit(index, nonce, base.hash(nonce), counter, due)

    def _known_hits(self, headers: Sequence[HeaderBase], now: float) -> Iterable[Hit]:
        for index, base in enumerate(headers):
            for answer in self._known.get((base.midstate, base.tail), ()):
                counter = (int.from_bytes(answer.nonce, "big") - base.offset) % NONCES
                yield Hit(
                    index, answer.nonce, base.hash(answer.nonce), counter, now + answer.after_s
                )
