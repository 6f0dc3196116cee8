"""The orders in which boards take a header's parts; nothing here is called "swap".

A midstate is the eight SHA-256 words h0..h7 after header bytes 0..63 (sv2rig.bitcoin.sha256).
A tail is header bytes 64..75: the merkle root's end, ntime, nbits. Replies are header bytes
76..79, some boards' reversed. drivers/*/REFERENCE.md use these names.
"""

import struct
from collections.abc import Sequence

_BIG = struct.Struct(">8I")
_LITTLE = struct.Struct("<8I")


def mid_rev(midstate: Sequence[int]) -> bytes:
    """MID_REV: h7 big-endian first, h0 last (Icarus, BM1384 to BM1397, PyFPGA, makomk)."""
    return _BIG.pack(*reversed(midstate))


def words_of_mid_rev(data: bytes) -> tuple[int, ...]:
    """h0..h7 of 32 bytes in MID_REV."""
    return _BIG.unpack(data)[::-1]


def mid_le(midstate: Sequence[int]) -> bytes:
    """MID_LE: h0 little-endian first, MID_REV's exact reversal (ZTEX, KC705, Rockminer)."""
    return _LITTLE.pack(*midstate)


def words_of_mid_le(data: bytes) -> tuple[int, ...]:
    """h0..h7 of 32 bytes in MID_LE."""
    return _LITTLE.unpack(data)


def tail_rev(tail: bytes) -> bytes:
    """TAIL_REV: nbits, ntime, merkle end, each as in the header; its own inverse."""
    if len(tail) != 12:
        raise ValueError(f"a header's tail has 12 bytes, not {len(tail)}")
    return tail[8:12] + tail[4:8] + tail[0:4]


def tail_gw(tail: bytes) -> bytes:
    """TAIL_GW: header order, each word byte-swapped: TAIL_REV's exact reversal; its own inverse."""
    return tail_rev(tail)[::-1]


def rev32(field: bytes) -> bytes:
    """REV32: a 32-byte field's eight words in reverse order, the bytes in each word kept."""
    if len(field) != 32:
        raise ValueError(f"prev_hash and merkle_root have 32 bytes, not {len(field)}")
    return b"".join(field[at : at + 4] for at in range(28, -4, -4))
