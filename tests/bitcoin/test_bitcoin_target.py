from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sv2rig.bitcoin.target import (
    DIFFICULTY_1,
    MAX_TARGET,
    bits_to_target,
    difficulty,
    expected_hashes,
    target_for_difficulty,
    target_for_rate,
    target_to_bits,
)

targets = st.integers(1, MAX_TARGET) | st.builds(
    lambda bits, low: min(MAX_TARGET, (1 << bits) + low), st.integers(0, 255), st.integers(0, 3)
)


# Bitcoin Core, src/test/arith_uint256_tests.cpp, bignum_SetCompact: encoding, value, re-encoding.
@pytest.mark.parametrize(
    ("nbits", "target", "again"),
    [
        (0x00000000, 0, 0),
        (0x00123456, 0, 0),
        (0x01003456, 0, 0),
        (0x02000056, 0, 0),
        (0x03000000, 0, 0),
        (0x04000000, 0, 0),
        (0x00923456, 0, 0),
        (0x01803456, 0, 0),
        (0x02800056, 0, 0),
        (0x03800000, 0, 0),
        (0x04800000, 0, 0),
        (0x01123456, 0x12, 0x01120000),
        (0x02123456, 0x1234, 0x02123400),
        (0x03123456, 0x123456, 0x03123456),
        (0x04123456, 0x12345600, 0x04123456),
        (0x05009234, 0x92340000, 0x05009234),
        (0x20123456, 0x123456 << 232, 0x20123456),
        (0x1D00FFFF, DIFFICULTY_1, 0x1D00FFFF),
        (0x2100FFFF, 0xFFFF << 240, 0x2100FFFF),
        (0x220000FF, 0xFF << 248, 0x2100FF00),
    ],
)
def test_compact_bits_as_core_reads_them(nbits: int, target: int, again: int) -> None:
    assert bits_to_target(nbits) == target
    assert target_to_bits(target) == again


@pytest.mark.parametrize("nbits", [0x01FEDCBA, 0x04923456, 0x1D80FFFF, 0x03800001])
def test_negative_bits_are_refused(nbits: int) -> None:
    with pytest.raises(ValueError, match=f"{nbits:08x} encodes a negative target"):
        bits_to_target(nbits)


@pytest.mark.parametrize("nbits", [0xFF123456, 0x23000001, 0x22000100, 0x21010000])
def test_bits_over_256_bits_are_refused(nbits: int) -> None:
    with pytest.raises(ValueError, match=f"{nbits:08x} encodes a target over 256 bits"):
        bits_to_target(nbits)


@pytest.mark.parametrize("nbits", [-1, 1 << 32])
def test_bits_are_32_bits(nbits: int) -> None:
    with pytest.raises(ValueError, match="outside"):
        bits_to_target(nbits)


@given(targets)
def test_encoding_rounds_down_and_settles(target: int) -> None:
    nbits = target_to_bits(target)
    rounded = bits_to_target(nbits)
    assert target_to_bits(rounded) == nbits
    assert 0 <= target - rounded < max(1, target >> 15)


def test_difficulties_known_from_the_chain() -> None:
    assert difficulty(DIFFICULTY_1) == 1
    # The wiki's example (Difficulty), and block 125552's figure as explorers show it.
    assert float(difficulty(bits_to_target(0x1B0404CB))) == pytest.approx(16307.420938523983)
    assert float(difficulty(bits_to_target(0x1A44B9F2))) == pytest.approx(244112.48777434)


@pytest.mark.parametrize("target", [1, 2, 1 << 255, MAX_TARGET - 1, MAX_TARGET])
def test_the_extremes_are_exact(target: int) -> None:
    assert difficulty(target) == Fraction(0xFFFF << 208, target)
    assert target_for_difficulty(difficulty(target)) == target
    assert expected_hashes(target) == Fraction(2**256, target + 1)


def test_expected_hashes_at_known_points() -> None:
    assert expected_hashes(MAX_TARGET) == 1
    assert expected_hashes((1 << 255) - 1) == 2
    assert expected_hashes(0) == 2**256
    # A share of difficulty 1 takes 2^32 hashes and a 65536th more.
    assert round(expected_hashes(DIFFICULTY_1)) == 4295032833


@given(targets)
def test_difficulty_round_trip(target: int) -> None:
    assert target_for_difficulty(difficulty(target)) == target


@given(st.floats(min_value=1e-300, allow_infinity=False) | st.fractions(min_value=Fraction(1, 999)))
def test_a_difficulty_gives_the_largest_target_not_easier(value: float | Fraction) -> None:
    target = target_for_difficulty(value)
    assert 1 <= target <= MAX_TARGET
    assert target == 1 or difficulty(target) >= Fraction(value)
    assert target == MAX_TARGET or difficulty(target + 1) < Fraction(value)


@given(st.floats(min_value=1e-6, max_value=1e30), st.floats(min_value=1e-3, max_value=1e4))
def test_the_target_for_a_rate_finds_that_rate(hashrate: float, per_minute: float) -> None:
    target = target_for_rate(hashrate, per_minute)
    hashes_a_share = Fraction(hashrate) * 60 / Fraction(per_minute)
    assert target == MAX_TARGET or expected_hashes(target + 1) < hashes_a_share
    assert target == 1 or expected_hashes(target) >= hashes_a_share


def test_rates_at_the_ends_are_clamped() -> None:
    assert target_for_rate(0, 6) == MAX_TARGET
    assert target_for_rate(0.05, 6) == MAX_TARGET
    assert target_for_rate(2**300, 1) == 1
    assert expected_hashes(target_for_rate(1e15, 6)) == pytest.approx(1e16)


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), Fraction(-1, 3)])
def test_difficulties_that_mean_nothing_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="difficulty is"):
        target_for_difficulty(value)


@pytest.mark.parametrize(
    ("hashrate", "per_minute"),
    [(-1, 6), (float("nan"), 6), (float("inf"), 6), (1, 0), (1, -6), (1, float("nan"))],
)
def test_rates_that_mean_nothing_are_refused(hashrate: float, per_minute: float) -> None:
    with pytest.raises(ValueError, match=r"hash rate|shares per minute"):
        target_for_rate(hashrate, per_minute)


@pytest.mark.parametrize("target", [-1, 1 << 256])
def test_targets_beyond_256_bits_are_refused(target: int) -> None:
    for function in (target_to_bits, difficulty, expected_hashes):
        with pytest.raises(ValueError, match="outside"):
            function(target)
    with pytest.raises(ValueError, match="outside"):
        difficulty(0)
