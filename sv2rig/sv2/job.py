"""A Job: what a pool sends on one channel, once it is active (Mining Protocol, 5.1 and 5.3)."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property

from sv2rig.bitcoin.hashing import sha256d
from sv2rig.bitcoin.merkle import root_from_path
from sv2rig.bitcoin.target import MAX_TARGET, bits_to_target

_U32 = 0xFFFFFFFF
_MAX_EXTRANONCE = 32  # B0_32
_MAX_MERKLE_PATH = 255  # SEQ0_255


@dataclass(frozen=True, kw_only=True)
class Job:
    """One channel's active job: its previous hash, its target and its room to search are fixed.

    A standard job carries `merkle_root`. An extended one leaves it None and carries the coinbase's
    parts (free of BIP141 bytes), the merkle path from the leaves up, and how many extranonce bytes
    the client fills in behind the prefix. Hashes are raw, 32 bytes, in header order.

    `target` is the channel's as it stood when the job became active; later SetTargets leave it
    alone. `version_rolling_mask` holds the bits of nVersion that may be changed, 0 where rolling is
    refused. `prevhash_received_at` is the monotonic time in seconds at which SetNewPrevHash came,
    and `prevhash_ntime` the min_ntime it carried (None: the same as this job's `min_ntime`).

    ValueError, naming the field, for values that no valid message can have.
    """

    channel_id: int
    job_id: int
    version: int
    prev_hash: bytes
    nbits: int
    min_ntime: int
    prevhash_received_at: float
    target: int
    version_rolling_mask: int = 0
    prevhash_ntime: int | None = None
    merkle_root: bytes | None = None
    coinbase_prefix: bytes = b""
    coinbase_suffix: bytes = b""
    merkle_path: tuple[bytes, ...] = ()
    extranonce_prefix: bytes = b""
    extranonce_size: int = 0

    def __post_init__(self) -> None:
        for name in ("channel_id", "job_id", "version", "version_rolling_mask", "min_ntime"):
            self._check_range(name, getattr(self, name), _U32)
        self._check_range("prevhash_ntime", self._prevhash_ntime, _U32)
        self._check_range("target", self.target, MAX_TARGET)
        self._check_range("extranonce_size", self.extranonce_size, _MAX_EXTRANONCE)
        self._check_hash("prev_hash", self.prev_hash)
        if self.merkle_root is not None:
            self._check_hash("merkle_root", self.merkle_root)
            if self.extranonce_size:
                raise ValueError(f"job {self.job_id}: a standard job has no extranonce to roll")
        if len(self.merkle_path) > _MAX_MERKLE_PATH:
            raise ValueError(f"job {self.job_id}: merkle_path has {len(self.merkle_path)} hashes")
        for sibling in self.merkle_path:
            self._check_hash("merkle_path", sibling)
        bits_to_target(self.nbits)

    def _check_range(self, name: str, value: int, highest: int) -> None:
        if not 0 <= value <= highest:
            raise ValueError(f"job {self.job_id}: {name} is {value}, outside 0..{highest}")

    def _check_hash(self, name: str, value: bytes) -> None:
        if len(value) != 32:
            raise ValueError(f"job {self.job_id}: {name} has {len(value)} bytes, not 32")

    @property
    def is_extended(self) -> bool:
        """Whether shares of this job carry an extranonce."""
        return self.merkle_root is None

    @cached_property
    def network_target(self) -> int:
        """The target that makes a share a block."""
        return bits_to_target(self.nbits)

    @cached_property
    def content(self) -> Hashable:
        """Equal for jobs whose merkle roots come from the same bytes in the same order."""
        if self.merkle_root is not None:
            return self.merkle_root
        start = self.coinbase_prefix + self.extranonce_prefix
        return (start, self.extranonce_size, self.coinbase_suffix, self.merkle_path)

    def merkle_root_for(self, extranonce: bytes = b"") -> bytes:
        """The merkle root with these `extranonce_size` bytes (5.3.16); ValueError for others."""
        if len(extranonce) != self.extranonce_size:
            raise ValueError(
                f"job {self.job_id}: extranonce has {len(extranonce)} bytes,"
                f" extranonce_size is {self.extranonce_size}"
            )
        if self.merkle_root is not None:
            return self.merkle_root
        coinbase = self.coinbase_prefix + self.extranonce_prefix + extranonce + self.coinbase_suffix
        return root_from_path(sha256d(coinbase), self.merkle_path)

    @property
    def _prevhash_ntime(self) -> int:
        return self.min_ntime if self.prevhash_ntime is None else self.prevhash_ntime

    def max_ntime(self, now: float) -> int:
        """The highest ntime a share may carry at monotonic time `now` (5.3.12).

        SetNewPrevHash's min_ntime plus the whole seconds since it came, but never below this job's
        own `min_ntime`, which a server may set a little ahead of that clock.
        """
        elapsed = max(0, int(now - self.prevhash_received_at))
        return min(max(self.min_ntime, self._prevhash_ntime + elapsed), _U32)

    def ntime_allowed_at(self, ntime: int) -> float:
        """The monotonic time from which `ntime` is allowed.

        A millisecond late, so that max_ntime agrees however the floats round.
        """
        return self.prevhash_received_at + (ntime - self._prevhash_ntime) + 0.001
