"""What makes a submitted share good: the judgement of a pool, on one job."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction

from sv2rig.bitcoin.hashing import sha256d
from sv2rig.bitcoin.target import difficulty
from sv2rig.sv2.messages import error_codes
from sv2rig.sv2.messages.mining import SubmitSharesExtended, SubmitSharesStandard
from sv2rig.sv2.template_job import MiningTemplate

# BIP323's general-purpose bits; all others must be the job's (SRI since 2026-08-04).
ROLLABLE_VERSION_BITS = 0x1FFFFFE0
MAX_NTIME_AHEAD = 7200  # seconds, Bitcoin's MAX_FUTURE_BLOCK_TIME

_HEADER = struct.Struct("<I32s32sIII")
_REMEMBERED_PREV_HASHES = 3

Submission = SubmitSharesStandard | SubmitSharesExtended


@dataclass(slots=True)
class ServedJob:
    """A job as one channel has it. `extranonce_prefix` is the whole extranonce of a standard one.

    From activation on its template's previous hash holds, and `target` and `min_ntime` are bound;
    the latter is the one that came with the previous hash, which holds for later jobs too (5.3.11).
    """

    job_id: int
    template: MiningTemplate
    extranonce_prefix: bytes
    target: int = 0
    min_ntime: int = 0
    _standard_root: bytes | None = None

    def merkle_root(self, extranonce: bytes) -> bytes:
        """The merkle root with the client's part of the extranonce, b"" on a standard channel."""
        if extranonce:
            return self.template.merkle_root(self.extranonce_prefix + extranonce)
        if self._standard_root is None:
            self._standard_root = self.template.merkle_root(self.extranonce_prefix)
        return self._standard_root


@dataclass(frozen=True, slots=True)
class GoodShare:
    """A share that meets its job's target or the network's. `share_hash` is raw."""

    header: bytes
    share_hash: bytes
    is_block: bool
    difficulty: Fraction


def check_share(job: ServedJob, share: Submission, utc: float) -> GoodShare | str:
    """The share hashed and found good, or the error code that refuses it.

    ntime is judged against the previous hash's min_ntime, as SRI does, and against `utc`, the
    only judgement that wall time has a part in.
    """
    template = job.template
    if not job.min_ntime <= share.ntime <= utc + MAX_NTIME_AHEAD:
        return error_codes.INVALID_SHARE
    changed = share.version ^ template.version
    if changed and not template.version_rolling_allowed:
        return error_codes.VERSION_ROLLING_NOT_ALLOWED
    if changed & ~ROLLABLE_VERSION_BITS:
        return error_codes.INVALID_NON_ROLLABLE_VERSION_BIT
    extranonce = share.extranonce if isinstance(share, SubmitSharesExtended) else b""
    header = _HEADER.pack(
        share.version,
        template.prev_hash,
        job.merkle_root(extranonce),
        share.ntime,
        template.nbits,
        share.nonce,
    )
    share_hash = sha256d(header)
    value = int.from_bytes(share_hash, "little")
    is_block = value <= template.network_target
    if value > job.target and not is_block:
        return error_codes.DIFFICULTY_TOO_LOW
    # Where the network is easier than the job, a block is worth the network's difficulty only.
    met = job.target if value <= job.target else template.network_target
    return GoodShare(header, share_hash, is_block, difficulty(met))


class SeenShares:
    """Hashes accepted under the last few previous hashes, so that none is paid twice.

    More than one previous hash, since a chain may return to one after a reorganisation. At most
    `limit` hashes in all.
    """

    def __init__(self, limit: int = 1 << 20) -> None:
        self._limit = limit
        self._count = 0
        self._seen: dict[bytes, set[bytes]] = {}

    def add(self, prev_hash: bytes, share_hash: bytes) -> str | None:
        """Remembers a share; the error code where it is a duplicate, or memory is full."""
        seen = self._seen.setdefault(prev_hash, set())
        key = share_hash[:16]  # the last bytes are the zeros that made it a share
        if key in seen:
            return error_codes.DUPLICATE_SHARE
        self._make_room(prev_hash)
        if self._count >= self._limit:
            return error_codes.TOO_MANY_SHARES
        seen.add(key)
        self._count += 1
        return None

    def _make_room(self, present: bytes) -> None:
        while len(self._seen) > _REMEMBERED_PREV_HASHES or self._count >= self._limit:
            oldest = next((prev_hash for prev_hash in self._seen if prev_hash != present), None)
            if oldest is None:
                return
            self._count -= len(self._seen.pop(oldest))

    def __len__(self) -> int:
        return self._count
