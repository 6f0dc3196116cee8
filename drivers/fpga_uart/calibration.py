"""Which hypothesis do a board's nonces speak for: how many bytes its receiver is out of step, and
how far its count runs ahead of the hash (its pipeline's depth).

A nonce that solves what the board would be searching under a hypothesis is a vote for it. At the
hardware's ticket of 32 bits one vote is proof; at an emulator's easy one it may be chance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import ceil, log2

from sv2rig.boards.push_engine import Probe
from sv2rig.devices.work import NONCES
from sv2rig.drivers.fpga_uart.protocol import MAKOMK, makomk_header

_PROOF_BITS = 20  # one wrong verdict in a million
_FRAME = MAKOMK.frame_bytes


def corrected(nonce: bytes, offset: int) -> bytes:
    """The nonce that a design has found which reports `offset` counts more."""
    return ((int.from_bytes(nonce, "big") - offset) % NONCES).to_bytes(4, "big")


@dataclass(frozen=True, slots=True)
class Searched:
    """What a board searches if its receiver holds the last `slip` bytes that were sent for the
    start of its next work."""

    slip: int
    work: Probe


def of_whole_range(known: Probe) -> Probe:
    """The same work, answered by any of its nonces."""
    return replace(known, hashes=NONCES - 1)


def out_of_step(sent: bytes) -> list[Searched]:
    """All that a makomk board may be searching whose step is not the host's, the likely ones
    first: one byte lost, one byte added, two lost ... `sent`: what it was sent last."""
    found = []
    for slip in sorted(range(1, _FRAME), key=lambda slip: min(_FRAME - slip, slip + 0.5)):
        start = len(sent) - _FRAME - slip
        if start >= 0:
            midstate, tail12 = makomk_header(sent[start : start + _FRAME])
            found.append(Searched(slip, Probe(b"", midstate, tail12, NONCES - 1)))
    return found


def make_up(slip: int) -> bytes:
    """The zeros that bring a board back into step."""
    return bytes(-slip % _FRAME)


class Votes:
    """Of one board. `hypotheses`: how many there are at most."""

    def __init__(self, ticket: int, hypotheses: int) -> None:
        bits = max(1, 256 - ticket.bit_length())
        self.wanted = ceil((_PROOF_BITS + log2(hypotheses)) / bits)
        self.against = 0  # nonces that nothing explained
        self._ticket = ticket
        self._counted: set[bytes] = set()
        self._votes: Counter[tuple[int, int]] = Counter()

    def add(
        self, nonce: bytes, searched: Iterable[Searched], offsets: Sequence[int]
    ) -> tuple[int, int] | None:
        """The slip and the offset that are proved by now. A nonce votes for the first hypothesis
        that it fits, and once."""
        if nonce in self._counted:
            return None
        self._counted.add(nonce)
        for one in searched:
            for offset in offsets:
                if one.work.is_answered_by(corrected(nonce, offset), self._ticket):
                    vote = (one.slip, offset)
                    self._votes[vote] += 1
                    return vote if self._votes[vote] >= self.wanted else None
        self.against += 1
        return None

    @property
    def given(self) -> int:
        """How many there are."""
        return self._votes.total()

    def clear(self) -> None:
        """Begin anew."""
        self.against = 0
        self._counted.clear()
        self._votes.clear()
