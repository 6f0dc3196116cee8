"""The Icarus family's bytes: 64 in, 4 out, no frames, no acknowledgement (REFERENCE.md)."""

from __future__ import annotations

from sv2rig.boards.byte_order import mid_rev, tail_rev
from sv2rig.boards.engine import Nonce, Reply
from sv2rig.boards.push_engine import Probe
from sv2rig.devices.slices import Slice

WORK_BYTES = 64
REPLY_BYTES = 4
_FILLER = bytes(20)

# Block 171874: the work that cgminer and bfgminer probe with, and how far the board counts for it.
GOLDEN = Probe(
    frame=bytes.fromhex(
        "4679ba4ec99876bf4bfe086082b400254df6c356451471139a3afa71e48f544a"
        "0000000000000000000000000000000000000000"
        "87320b1a1426674f2fa722ce"
    ),
    midstate=(
        0xE48F544A,
        0x9A3AFA71,
        0x45147113,
        0x4DF6C356,
        0x82B40025,
        0x4BFE0860,
        0xC99876BF,
        0x4679BA4E,
    ),
    tail12=bytes.fromhex("2fa722ce1426674f87320b1a"),
    hashes=100_258,
)


def encode_work(midstate: tuple[int, ...], tail12: bytes) -> bytes:
    """A job: `midstate` of the first 64 header bytes, `tail12` header bytes 64 to 75."""
    return mid_rev(midstate) + _FILLER + tail_rev(tail12)


class IcarusWire:
    """Work out, nonces in (sv2rig.boards.push_engine.PushWire)."""

    def __init__(self) -> None:
        self._kept = bytearray()

    @property
    def pending(self) -> int:
        return len(self._kept)

    def drop(self) -> None:
        self._kept.clear()

    def encode(self, piece: Slice) -> bytes:
        header = piece.header76()
        return encode_work(piece.midstates()[0], header[64:76])

    def decode(self, data: bytes) -> list[Reply]:
        self._kept += data
        whole = len(self._kept) // REPLY_BYTES * REPLY_BYTES
        taken = bytes(self._kept[:whole])
        del self._kept[:whole]
        return [Nonce(taken[i : i + REPLY_BYTES]) for i in range(0, whole, REPLY_BYTES)]
