"""Real mainnet blocks that come with the program: the answers which nobody can have made up."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files

import msgspec

from sv2rig.bitcoin.header import BlockHeader, from_display

_VECTORS = files("sv2rig.rig") / "vectors"


@dataclass(frozen=True, slots=True)
class KnownBlock:
    """A block's place in the chain, its header and its hash (raw, header order)."""

    height: int
    header: BlockHeader
    block_hash: bytes

    @property
    def year(self) -> int:
        """By the header's time, UTC."""
        return datetime.fromtimestamp(self.header.ntime, UTC).year

    @property
    def name(self) -> str:
        return f"{self.height} ({self.year})"


def known_blocks() -> tuple[KnownBlock, ...]:
    """Mainnet blocks in the chain's order, the genesis block first."""
    entries = msgspec.json.decode(vector("headers.json"))["headers"]
    return tuple(
        KnownBlock(
            entry["height"],
            BlockHeader.unpack(bytes.fromhex(entry["header"])),
            from_display(entry["hash"]),
        )
        for entry in entries
    )


def block_413567() -> bytes:
    """A whole block of 2016 as nodes exchange it, 999,887 bytes with 1557 transactions."""
    return gzip.decompress(vector("block413567.raw.gz"))


def vector(name: str) -> bytes:
    """A file of known answers, from the package wherever it is installed."""
    return (_VECTORS / name).read_bytes()
