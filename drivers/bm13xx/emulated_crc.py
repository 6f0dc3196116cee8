"""The checks that Bitmain's chips put on their frames (facts/boards.md 2.2 and 2.3)."""

from __future__ import annotations


def crc5(data: bytes, bits: int | None = None) -> int:
    """CRC5 of the first `bits` bits, all of them unless told: polynomial 05, from 1F, MSB first."""
    value = int.from_bytes(data, "big")
    whole = len(data) * 8
    register = 0x1F
    for place in range(whole - 1, whole - 1 - (whole if bits is None else bits), -1):
        top = (register >> 4 ^ value >> place) & 1
        register = (register << 1 & 0x1F) ^ (0x05 if top else 0)
    return register


def crc16(data: bytes) -> int:
    """CRC16 of jobs: polynomial 1021, from FFFF, MSB first, nothing inverted."""
    register = 0xFFFF
    for byte in data:
        register = (register << 8 & 0xFFFF) ^ _CRC16[register >> 8 ^ byte]
    return register


def _crc16_of_byte(byte: int) -> int:
    register = byte << 8
    for _ in range(8):
        register = (register << 1 & 0xFFFF) ^ (0x1021 if register & 0x8000 else 0)
    return register


_CRC16 = tuple(_crc16_of_byte(byte) for byte in range(256))
