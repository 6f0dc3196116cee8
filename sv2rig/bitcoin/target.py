"""Targets, compact bits, difficulty and expected work, in exact integers and fractions.

A target is an integer of 256 bits; a hash, read as a little-endian integer, meets it when it is not
above it. One hash meets target t with probability (t+1) / 2^256.
"""

import math
from fractions import Fraction

MAX_TARGET = (1 << 256) - 1
DIFFICULTY_1 = 0xFFFF << 208


def bits_to_target(nbits: int) -> int:
    """The target that a header's compact bits encode (Bitcoin Core, arith_uint256::SetCompact).

    ValueError for negative encodings and for those over 256 bits, which Core calls invalid.
    """
    if not 0 <= nbits <= 0xFFFFFFFF:
        raise ValueError(f"nbits {nbits} is outside 0..2^32-1")
    size, mantissa = nbits >> 24, nbits & 0x7FFFFF
    target = mantissa << 8 * (size - 3) if size > 3 else mantissa >> 8 * (3 - size)
    if nbits & 0x800000 and target:
        raise ValueError(f"nbits {nbits:08x} encodes a negative target")
    if target > MAX_TARGET:
        raise ValueError(f"nbits {nbits:08x} encodes a target over 256 bits")
    return target


def target_to_bits(target: int) -> int:
    """The compact bits of the largest encodable target not above `target`."""
    _check_range(target, 0)
    size = (target.bit_length() + 7) // 8
    mantissa = target >> 8 * (size - 3) if size > 3 else target << 8 * (3 - size)
    if mantissa & 0x800000:  # the sign bit: one byte less of mantissa, one more of size
        mantissa >>= 8
        size += 1
    return size << 24 | mantissa


def difficulty(target: int) -> Fraction:
    """DIFFICULTY_1 / target, for targets 1 to 2^256-1."""
    _check_range(target, 1)
    return Fraction(DIFFICULTY_1, target)


def target_for_difficulty(value: Fraction | int | float) -> int:
    """The target of a difficulty, rounded down and clamped to 1..2^256-1."""
    exact = _exact("difficulty", value)
    if exact <= 0:
        raise ValueError(f"difficulty is {value}; it must be above 0")
    return _clamp(math.floor(DIFFICULTY_1 / exact))


def target_for_rate(
    hashrate_hs: Fraction | int | float, shares_per_minute: Fraction | int | float
) -> int:
    """The target at which `hashrate_hs` (hashes a second) finds `shares_per_minute` on average.

    Rounded down (the harder side), then clamped to 1..2^256-1. A rate of 0 gives 2^256-1.
    """
    rate = _exact("hash rate", hashrate_hs)
    wanted = _exact("shares per minute", shares_per_minute)
    if rate < 0 or wanted <= 0:
        raise ValueError(
            f"hash rate is {hashrate_hs} and must be 0 or more;"
            f" shares per minute is {shares_per_minute} and must be above 0"
        )
    if rate == 0:
        return MAX_TARGET
    return _clamp(math.floor(wanted * (1 << 256) / (rate * 60)) - 1)


def expected_hashes(target: int) -> Fraction:
    """How many hashes it takes on average to meet `target` (0 to 2^256-1): 2^256 / (target+1)."""
    _check_range(target, 0)
    return Fraction(1 << 256, target + 1)


def _clamp(target: int) -> int:
    return min(max(target, 1), MAX_TARGET)


def _check_range(target: int, lowest: int) -> None:
    if not lowest <= target <= MAX_TARGET:
        raise ValueError(f"target {target:#x} is outside {lowest}..2^256-1")


def _exact(name: str, value: Fraction | int | float) -> Fraction:
    try:
        return Fraction(value)
    except (ValueError, OverflowError):
        raise ValueError(f"{name} is {value}, not a finite number") from None
