"""A Work cut into Slices: what hardware takes as one job, and checks its replies by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sv2rig.bitcoin.sha256 import midstate
from sv2rig.devices.work import Solution, Work


@dataclass(frozen=True, slots=True)
class Slice:
    """All nonces of one ntime of a Work, at every combination of `version_bits` over `version`."""

    work: Work
    version: int
    version_bits: int
    ntime: int

    def versions(self) -> Iterator[int]:
        """Every nVersion of this Slice, the plain one first."""
        bits = 0
        while True:
            yield self.version | bits
            bits = (bits - self.version_bits) & self.version_bits
            if not bits:
                return

    def header76(self, version: int | None = None) -> bytes:
        """The header without its nonce."""
        plain = self.version if version is None else version
        return self.work.header(0, plain, self.ntime)[:76]

    def midstates(self) -> list[tuple[int, ...]]:
        """SHA-256's 8 words after the first 64 bytes, one for each of versions()."""
        return [midstate(self.header76(version)[:64]) for version in self.versions()]

    @property
    def hashes(self) -> int:
        """How many headers this Slice holds."""
        return 1 << 32 + self.version_bits.bit_count()

    def solution(self, nonce: bytes, version: int | None = None) -> Solution:
        """What a reply means: `nonce` is header bytes 76 to 79 as they are hashed."""
        plain = self.version if version is None else version
        return Solution(self.work.work_id, int.from_bytes(nonce, "little"), plain, self.ntime)

    def is_met(self, solution: Solution) -> bool:
        """Whether a Solution is worth reporting: its hash meets the ticket or the target."""
        return solution.hash_value(self.work) <= max(self.work.ticket, self.work.target)


def cut(work: Work, rolled: int) -> Iterator[Slice]:
    """Disjoint Slices that together hold the Work, for hardware that rolls the version bits
    `rolled` (as far as the Work has them) and every nonce by itself."""
    inside = work.version_bits & rolled
    outside = work.version_bits & ~rolled
    for ntime in range(work.ntime, work.ntime + work.ntime_count):
        bits = 0
        while True:
            yield Slice(work, work.version | bits, inside, ntime)
            bits = (bits - outside) & outside
            if not bits:
                break


def lowest_bits(mask: int, count: int) -> int:
    """The `count` lowest set bits of `mask` (all of them if there are fewer)."""
    found = 0
    for _ in range(count):
        bit = mask & -mask
        found |= bit
        mask ^= bit
    return found
