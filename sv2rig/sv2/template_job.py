"""What a pool mines on: a template turned into the parts that jobs carry."""

from __future__ import annotations

from dataclasses import dataclass

from sv2rig.bitcoin.hashing import sha256d
from sv2rig.bitcoin.merkle import root_from_path
from sv2rig.bitcoin.target import MAX_TARGET

# nVersion, input count, outpoint and the scriptSig's length byte stand before the scriptSig.
_SCRIPT_SIG_START = 4 + 1 + 36 + 1
_MERKLE_PATH_LIMIT = 255  # SEQ0_255


@dataclass(frozen=True, slots=True)
class MiningTemplate:
    """One candidate block, ready to be sent as jobs.

    The coinbase is `coinbase_prefix + extranonce + coinbase_suffix` without its BIP141 bytes (spec
    3.7.1); the prefix ends where the extranonce starts, and the extranonce ends the scriptSig.
    `prev_hash` and `merkle_path` are raw header-order bytes; `network_target` bounds the hash of a
    block. `template_id` comes back with a block found, so that the pool can complete it.

    Raises ValueError naming the field that cannot be.
    """

    template_id: int
    version: int
    coinbase_prefix: bytes
    coinbase_suffix: bytes
    merkle_path: tuple[bytes, ...]
    prev_hash: bytes
    nbits: int
    min_ntime: int
    network_target: int
    version_rolling_allowed: bool = True

    def __post_init__(self) -> None:
        if len(self.coinbase_prefix) < _SCRIPT_SIG_START:
            raise ValueError(
                f"coinbase_prefix has {len(self.coinbase_prefix)} bytes; a coinbase has"
                f" {_SCRIPT_SIG_START} before its scriptSig"
            )
        if self.coinbase_prefix[4] == 0:
            raise ValueError("coinbase_prefix carries the BIP141 marker; strip the witness")
        if len(self.prev_hash) != 32:
            raise ValueError(f"prev_hash has {len(self.prev_hash)} bytes, not 32")
        if len(self.merkle_path) > _MERKLE_PATH_LIMIT or any(
            len(h) != 32 for h in self.merkle_path
        ):
            raise ValueError("merkle_path must be at most 255 hashes of 32 bytes")
        if not 0 <= self.network_target <= MAX_TARGET:
            raise ValueError(f"network_target {self.network_target:#x} is outside 0..2^256-1")

    @property
    def extranonce_room(self) -> int:
        """How many bytes of extranonce fill the scriptSig up to its stated length."""
        script_so_far = len(self.coinbase_prefix) - _SCRIPT_SIG_START
        return self.coinbase_prefix[_SCRIPT_SIG_START - 1] - script_so_far

    def coinbase(self, extranonce: bytes) -> bytes:
        """The coinbase transaction without witness, whose hash is the txid."""
        return self.coinbase_prefix + extranonce + self.coinbase_suffix

    def merkle_root(self, extranonce: bytes) -> bytes:
        """The header's merkle root for one full extranonce."""
        return root_from_path(sha256d(self.coinbase(extranonce)), self.merkle_path)

    def same_work(self, other: MiningTemplate) -> bool:
        """Whether jobs of both carry the same bytes, whatever they are mined on."""
        return self._work() == other._work()

    def same_tip(self, other: MiningTemplate) -> bool:
        """Whether both are mined on the same previous hash."""
        return self.prev_hash == other.prev_hash and self.nbits == other.nbits

    def _work(self) -> tuple[object, ...]:
        return (
            self.version,
            self.version_rolling_allowed,
            self.coinbase_prefix,
            self.coinbase_suffix,
            self.merkle_path,
        )
