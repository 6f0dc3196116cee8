"""A board of one UART and one search: what such boards have in common, whatever they say on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sv2rig.devices.sighting import EmulatorClaims
from sv2rig.emulation.baud import heard
from sv2rig.emulation.emulator import EmulatorOptions, Identity
from sv2rig.emulation.ledger import WorkReceived
from sv2rig.emulation.search import NONCES, HeaderBase, Hit, Search
from sv2rig.emulation.wires import Wires

DEFAULT_RATE_HS = 100_000.0
DATA = 0  # the only port


@dataclass(frozen=True, slots=True)
class Golden:
    """The work of a self-test that boards of a kind are known by, with the nonce they answer.

    At an easy ticket an honest search meets other nonces of it first, so that this one is taken
    from here, and hashed like any other before it is sent. No pool ever hands this work out.
    """

    base: HeaderBase
    nonce: bytes


NO_GOLDEN = Golden(HeaderBase((0,) * 8, bytes(12)), bytes(4))  # a work that nobody sends


class UartBoard:
    """Reads at its own baud only, searches one work at a time, replies with nonces.

    A kind of board says what its bytes mean (`_understand`), how a nonce is written (`_frame`),
    and what happens at a nonce (`_found`) and at the range's end (`_range_ended`).
    """

    ports: tuple[str, ...] = ("data",)

    def __init__(
        self, identity: Identity, options: EmulatorOptions, baud: int, golden: Golden = NO_GOLDEN
    ) -> None:
        rate_hs = DEFAULT_RATE_HS if options.rate_hs is None else options.rate_hs
        self.identity = identity
        self.baud = baud
        self.claims = EmulatorClaims(options.ticket_bits, rate_hs, replay=bool(options.known))
        self.wires = Wires(self.ports)
        self.search = Search(rate_hs, options.ticket_bits, options.known)
        self._faults = options.faults
        self._golden = golden
        self._golden_hit: Hit | None = None  # not sent yet
        self._work: WorkReceived | None = None  # being searched

    def power_up(self, now: float) -> None:
        self._rest(now)
        self.wires.power_up()

    def receive(self, port: int, data: bytes, baud: int, now: float) -> None:
        if port != DATA:
            raise ValueError(f"port {port}: this board has one port, number {DATA}")
        self.on_time(now)
        inbound = self.wires.inbound[DATA]
        bytes_heard = heard(data, baud, self.baud)
        if bytes_heard is not data:
            for place in range(len(bytes_heard)):
                inbound.foreign(place)
        inbound.feed(bytes_heard)
        self._understand(now)

    def take_output(self, port: int) -> bytes:
        return self.wires.take_output(port)

    def next_timeout(self) -> float | None:
        dues = [self.search.next_due(), self._golden_hit.due if self._golden_hit else None]
        return min((due for due in dues if due is not None), default=None)

    def on_time(self, now: float) -> None:
        for hit in self._hits(now):
            if self._work:
                self._found(hit, self._work, now)
        if self._work and self.search.exhausted(now):
            self._range_ended(now)
        self.wires.ledger.hashes = self.search.hashes(now)

    def pins(self) -> dict[str, float]:
        return {"power_on": 1.0, "hashing": float(self._work is not None)}

    def _understand(self, now: float) -> None:
        """Take from the inbound buffer what is complete, and act on it."""
        raise NotImplementedError

    def _frame(self, nonce: bytes) -> bytes:
        """What goes out for header bytes 76..79."""
        return nonce

    def _found(self, hit: Hit, work: WorkReceived, now: float) -> None:
        self._reply(hit.nonce, work, now)

    def _range_ended(self, now: float) -> None:
        """Every nonce has been tried."""
        self._rest(now)

    def _begin(
        self,
        bases: Sequence[HeaderBase],
        work: WorkReceived,
        now: float,
        first: int = 0,
        count: int = NONCES,
    ) -> None:
        self._work = work
        self.search.begin(bases, now, first, count)
        self._golden_hit = None

    def _expect_golden(self, base: HeaderBase, now: float, after_s: float) -> None:
        """If this is the self-test's work: the known nonce, when a real board would reach it."""
        known = self._golden
        if (base.midstate, base.tail) == (known.base.midstate, known.base.tail):
            counter = int.from_bytes(known.nonce, "big")
            hash_ = base.hash(known.nonce)
            self._golden_hit = Hit(0, known.nonce, hash_, counter, now + after_s)

    def _rest(self, now: float) -> None:
        """Search nothing until new work."""
        self._work = None
        self._golden_hit = None
        self.search.stop(now)

    def _reply(self, right: bytes, work: WorkReceived, now: float) -> None:
        sent = self._faults.nonce(right)
        self.wires.reply(DATA, self._frame(sent), sent, work, now, wrong=sent != right)

    def _hits(self, now: float) -> list[Hit]:
        hits = self.search.take(now)
        if self._golden_hit and self._golden_hit.due <= now:
            hits.append(self._golden_hit)
            self._golden_hit = None
        return sorted(hits, key=lambda hit: hit.due)
