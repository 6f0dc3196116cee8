"""The 80-byte block header. Hashes are raw (as they are hashed) unless displayed."""

import struct
from dataclasses import dataclass

from sv2rig.bitcoin.hashing import sha256d
from sv2rig.bitcoin.reader import ParseError

HEADER_SIZE = 80
_LAYOUT = struct.Struct("<I32s32sIII")


def to_display(raw32: bytes) -> str:
    """A raw hash as block explorers show it: byte-reversed hex."""
    return _hash32("hash", raw32)[::-1].hex()


def from_display(text: str) -> bytes:
    """The raw hash of 64 displayed hex digits."""
    try:
        shown = bytes.fromhex(text)
    except ValueError:
        raise ValueError(f"displayed hash {text!r} is not hexadecimal") from None
    return _hash32("displayed hash", shown)[::-1]


def _hash32(name: str, value: bytes) -> bytes:
    if len(value) != 32:
        raise ValueError(f"{name} has {len(value)} bytes, not 32")
    return value


@dataclass(frozen=True, slots=True)
class BlockHeader:
    """A block header's six fields; version is unsigned, as Stratum V2 carries it.

    Raises ValueError where a field cannot stand in its bytes.
    """

    version: int
    prev_hash: bytes
    merkle_root: bytes
    ntime: int
    nbits: int
    nonce: int

    def __post_init__(self) -> None:
        _hash32("prev_hash", self.prev_hash)
        _hash32("merkle_root", self.merkle_root)
        for name in ("version", "ntime", "nbits", "nonce"):
            value = getattr(self, name)
            if not 0 <= value <= 0xFFFFFFFF:
                raise ValueError(f"header field {name} is {value}, outside 0..2^32-1")

    def pack(self) -> bytes:
        """The 80 bytes that are hashed."""
        return _LAYOUT.pack(
            self.version, self.prev_hash, self.merkle_root, self.ntime, self.nbits, self.nonce
        )

    @classmethod
    def unpack(cls, data: bytes) -> "BlockHeader":
        """The header in exactly 80 bytes; ParseError otherwise."""
        if len(data) != HEADER_SIZE:
            raise ParseError("header", 0, f"has {len(data)} bytes, not {HEADER_SIZE}")
        return cls(*_LAYOUT.unpack(data))

    def hash(self) -> bytes:
        """The block's hash, raw."""
        return sha256d(self.pack())

    def hash_value(self) -> int:
        """The hash as the little-endian integer that is compared with targets."""
        return int.from_bytes(self.hash(), "little")
