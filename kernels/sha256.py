"""SHA-256 on Python integers (FIPS 180-4): the constants, the functions, one compression."""

from __future__ import annotations

import math
from collections.abc import Sequence

MASK = 0xFFFFFFFF


def _primes(count: int) -> list[int]:
    found: list[int] = []
    candidate = 2
    while len(found) < count:
        if all(candidate % prime for prime in found):
            found.append(candidate)
        candidate += 1
    return found


def _cube_root(value: int) -> int:
    root = 1 << -(-value.bit_length() // 3)
    while True:  # Newton from above ends at the floor
        better = (2 * root + value // (root * root)) // 3
        if better >= root:
            return root
        root = better


# Section 4.2.2 and 5.3.3: fractions of the cube and square roots of the first primes.
K = tuple(_cube_root(prime << 96) & MASK for prime in _primes(64))
IV = tuple(math.isqrt(prime << 64) & MASK for prime in _primes(8))

# Section 4.1.2: (rotate, rotate, rotate) and (rotate, rotate, shift).
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


def _compression_source() -> str:
    """`compress` as straight-line Python: a third of the time of a loop over tuples.

    Doubling x into 64 bits turns each rotation into one shift.
    """

    def sigma(x: str, turns: tuple[int, int, int], last: str) -> str:
        return f"({x}_ >> {turns[0]} ^ {x}_ >> {turns[1]} ^ {last} >> {turns[2]}) & M"

    lines = ["def compress(state, w):", "    a, b, c, d, e, f, g, h = state"]
    lines.append(f"    {', '.join(f'w{i}' for i in range(16))}, = w")
    for i in range(64):
        if i >= 16:
            x, y = f"w{i - 15}", f"w{i - 2}"
            lines.append(f"    {x}_ = {x} << 32 | {x}; {y}_ = {y} << 32 | {y}")
            lines.append(
                f"    w{i} = ({sigma(x, SMALL_SIGMA0, x)}) + ({sigma(y, SMALL_SIGMA1, y)})"
                f" + w{i - 7} + w{i - 16} & M"
            )
        lines.append("    a_ = a << 32 | a; e_ = e << 32 | e")
        lines.append(
            f"    t = h + {K[i]} + w{i} + (g ^ e & (f ^ g)) + ({sigma('e', BIG_SIGMA1, 'e_')})"
        )
        lines.append("    h = g; g = f; f = e; e = d + t & M; d = c")
        lines.append(
            f"    t += (b ^ (a ^ b) & (b ^ c)) + ({sigma('a', BIG_SIGMA0, 'a_')})"
            "; c = b; b = a; a = t & M"
        )
    total = ", ".join(f"{name} + state[{i}] & M" for i, name in enumerate("abcdefgh"))
    lines.append(f"    return ({total})")
    return "\n".join(lines)


_namespace: dict[str, object] = {"M": MASK}
exec(compile(_compression_source(), "<sha256 compression>", "exec"), _namespace)
_compress = _namespace["compress"]


def compress(state: Sequence[int], block: Sequence[int]) -> tuple[int, ...]:
    """The state after one block of 16 big-endian words (section 6.2.2)."""
    assert callable(_compress)
    result: tuple[int, ...] = _compress(state, block)
    return result
