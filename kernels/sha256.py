"""SHA-256's functions (FIPS 180-4 section 4.1.2), on integers: what kernels are made of."""

from __future__ import annotations

MASK = 0xFFFFFFFF

# (rotate, rotate, rotate) and (rotate, rotate, shift).
BIG_SIGMA0 = (2, 13, 22)
BIG_SIGMA1 = (6, 11, 25)
SMALL_SIGMA0 = (7, 18, 3)
SMALL_SIGMA1 = (17, 19, 10)


def rotr(x: int, n: int) -> int:
    return (x >> n | x << (32 - n)) & MASK


def shr(x: int, n: int) -> int:
    return x >> n


def xor3(a: int, b: int, c: int) -> int:
    return a ^ b ^ c


def ch(e: int, f: int, g: int) -> int:
    return g ^ (e & (f ^ g))


def maj(a: int, b: int, c: int) -> int:
    return b ^ ((a ^ b) & (b ^ c))


def bswap(x: int) -> int:
    return int.from_bytes(x.to_bytes(4, "little"), "big")
