"""The checksums of BM13xx frames, as the chip computes them (drivers/bm13xx/REFERENCE.md)."""

from __future__ import annotations

import binascii


def crc5(data: bytes, bits: int | None = None, state: int = 0x1F) -> int:
    """x^5 + x^2 + 1 from 0x1f, most significant bit first, over the first `bits` (None: all).

    Over a frame whose last five bits are its checksum it is 0.
    """
    total = 8 * len(data) if bits is None else bits
    for index in range(total):
        bit = data[index >> 3] >> 7 - (index & 7) & 1
        top = state >> 4
        state = state << 1 & 0x1F
        if top ^ bit:
            state ^= 0x05
    return state


def crc16(data: bytes) -> int:
    """CRC-16/CCITT-FALSE: x^16 + x^12 + x^5 + 1 from 0xffff, most significant bit first."""
    return binascii.crc_hqx(data, 0xFFFF)
