"""Work, the piece of a Job's search space handed to one device, and the Solutions it reports."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from sv2rig.bitcoin.hashing import sha256d

NONCES = 1 << 32
_TAIL = struct.Struct("<32sIII")
_HEAD = struct.Struct("<I32s")


@dataclass(frozen=True, slots=True)
class Work:
    """Every header in versions x ntimes x nonces below; no other Work holds any of them.

    `version` has all bits of `version_bits` cleared; the device tries each combination of those
    bits (2 ** popcount versions). `ntime_count` consecutive seconds start at `ntime`. Nonces run
    from `nonce_start` for `nonce_count` (1 to 2**32) without wrapping. `target` is the Job's, as
    bound when the Job became active; `ticket` >= every hash the device should report. Hashes
    compare as little-endian integers. `extranonce` is what an extended share carries (b"" on a
    standard channel). prev_hash and merkle_root are 32 raw header-order bytes.
    """

    work_id: int
    channel_id: int
    job_id: int
    version: int
    prev_hash: bytes
    merkle_root: bytes
    ntime: int
    nbits: int
    target: int
    ticket: int
    extranonce: bytes = b""
    version_bits: int = 0
    ntime_count: int = 1
    nonce_start: int = 0
    nonce_count: int = NONCES

    def versions(self) -> Iterator[int]:
        """Every nVersion of this Work, the plain one first."""
        bits = 0
        while True:
            yield self.version | bits
            bits = (bits - self.version_bits) & self.version_bits
            if not bits:
                return

    @property
    def hashes(self) -> int:
        """How many headers this Work holds."""
        return (1 << self.version_bits.bit_count()) * self.ntime_count * self.nonce_count

    def header(self, nonce: int, version: int, ntime: int) -> bytes:
        """The 80 bytes of one header of this Work."""
        return _HEAD.pack(version, self.prev_hash) + _TAIL.pack(
            self.merkle_root, ntime, self.nbits, nonce
        )

    def holds(self, solution: Solution) -> bool:
        """Whether a Solution's header lies in this Work's space."""
        return (
            solution.version & ~self.version_bits == self.version
            and self.ntime <= solution.ntime < self.ntime + self.ntime_count
            and self.nonce_start <= solution.nonce < self.nonce_start + self.nonce_count
        )


@dataclass(frozen=True, slots=True)
class Solution:
    """What a device reports for a Work: never trusted, always re-hashed by the host."""

    work_id: int
    nonce: int
    version: int
    ntime: int

    def hash_value(self, work: Work) -> int:
        """SHA-256d of the header it names, as the little-endian integer that targets bound."""
        return int.from_bytes(sha256d(work.header(self.nonce, self.version, self.ntime)), "little")
