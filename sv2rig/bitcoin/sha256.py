"""SHA-256's compression function (FIPS 180-4), for preparing kernels; data is hashed by hashlib."""

import struct
from collections.abc import Sequence
from hashlib import sha256
from math import isqrt

_MASK = 0xFFFFFFFF
_PADDING = bytes.fromhex("80") + bytes(45) + (640).to_bytes(2, "big")  # after 80 bytes (5.1.1)
_STATE = struct.Struct(">8I")
_PRIMES = [n for n in range(2, 312) if all(n % d for d in range(2, isqrt(n) + 1))]


def _cube_root(n: int) -> int:
    """The whole part of the cube root, by Newton's method from above."""
    root = 1 << -(-n.bit_length() // 3)
    while (smaller := (2 * root + n // (root * root)) // 3) < root:
        root = smaller
    return root


# 32 bits of the fractional parts of the first primes' roots (FIPS 180-4, 4.2.2 and 5.3.3).
IV: tuple[int, ...] = tuple(isqrt(p << 64) & _MASK for p in _PRIMES[:8])
K: tuple[int, ...] = tuple(_cube_root(p << 96) & _MASK for p in _PRIMES)


def _schedule(block64: bytes) -> list[int]:
    # Rotations stand written out, here and below: they are most of the work, and a device waits
    # for eight midstates whenever it gets new work. A word beside itself rotates by one shift.
    w = list(struct.unpack(">16I", block64))
    for i in range(16, 64):
        x, y = w[i - 15], w[i - 2]
        xx, yy = x << 32 | x, y << 32 | y
        s0 = xx >> 7 ^ xx >> 18 ^ x >> 3
        s1 = yy >> 17 ^ yy >> 19 ^ y >> 10
        w.append((w[i - 16] + s0 + w[i - 7] + s1) & _MASK)
    return w


def compress(state: Sequence[int], block64: bytes) -> tuple[int, ...]:
    """The state of 8 words after one 64-byte block."""
    if len(state) != 8 or len(block64) != 64:
        raise ValueError(
            f"compress takes 8 words and 64 bytes, not {len(state)} words and {len(block64)} bytes"
        )
    a, b, c, d, e, f, g, h = state
    for k, w in zip(K, _schedule(block64), strict=True):
        aa, ee = a << 32 | a, e << 32 | e
        t1 = h + (ee >> 6 ^ ee >> 11 ^ ee >> 25) + (g ^ e & (f ^ g)) + k + w
        t2 = (aa >> 2 ^ aa >> 13 ^ aa >> 22) + (b ^ (a ^ b) & (b ^ c))
        a, b, c, d, e, f, g, h = (t1 + t2) & _MASK, a, b, c, (d + t1) & _MASK, e, f, g
    return tuple((x + y) & _MASK for x, y in zip(state, (a, b, c, d, e, f, g, h), strict=True))


def midstate(first64: bytes) -> tuple[int, ...]:
    """The 8 words after a header's first 64 bytes, which no nonce or ntime changes."""
    return compress(IV, first64)


def header_hash(midstate: Sequence[int], last16: bytes) -> bytes:
    """Raw SHA-256d of an 80-byte header: 8 words after its first 64 bytes, then the rest."""
    if len(last16) != 16:
        raise ValueError(f"a header goes on for 16 bytes after its midstate, not {len(last16)}")
    return sha256(_STATE.pack(*compress(midstate, last16 + _PADDING))).digest()
