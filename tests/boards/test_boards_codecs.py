"""Checksums, byte orders, clocks and ramps of the driver kit."""

import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sv2rig.boards import crc, pll
from sv2rig.boards.byte_order import (
    mid_le,
    mid_rev,
    rev32,
    tail_gw,
    tail_rev,
    words_of_mid_le,
    words_of_mid_rev,
)
from sv2rig.boards.ramp import START_MHZ, ramp

WORDS8 = st.tuples(*[st.integers(0, 0xFFFFFFFF)] * 8)
FAMILIES = (
    pll.BM1362_PLL,
    pll.BM1366_PLL,
    pll.BM1368_PLL,
    pll.BM1370_PLL,
    pll.BM1397_PLL,
    pll.BM1387_PLL,
)


@given(st.binary(max_size=100))
def test_the_crc5_of_bytes_is_that_of_their_bits(data: bytes) -> None:
    assert crc.crc5(data) == crc.crc5_bits(data, 8 * len(data))


@given(st.binary(min_size=1, max_size=20), st.data())
def test_crc5_sees_every_flipped_bit(data: bytes, draws: st.DataObject) -> None:
    bit = draws.draw(st.integers(0, 8 * len(data) - 1))
    flipped = bytearray(data)
    flipped[bit >> 3] ^= 1 << (bit & 7)
    assert crc.crc5(bytes(flipped)) != crc.crc5(data)


def test_crc5_takes_no_more_bits_than_there_are() -> None:
    assert crc.crc5_bits(b"\x84", 8) >= 0
    for bits in (-1, 9):
        with pytest.raises(ValueError, match="bits of 1 bytes"):
            crc.crc5_bits(b"\x84", bits)


@given(st.binary(max_size=40))
def test_the_crc32_is_zlibs_mirrored_and_without_its_inversions(data: bytes) -> None:
    mirror = bytes(int(f"{byte:08b}"[::-1], 2) for byte in data)
    there = zlib.crc32(mirror, 0xFFFFFFFF) ^ 0xFFFFFFFF  # zlib inverts before and after
    assert crc.crc32_uart_comm(data) == int(f"{there:032b}"[::-1], 2)


@given(WORDS8, st.binary(min_size=12, max_size=12), st.binary(min_size=32, max_size=32))
def test_orders_are_undone_and_mirror_each_other(
    words: tuple[int, ...], tail: bytes, field: bytes
) -> None:
    assert words_of_mid_rev(mid_rev(words)) == words
    assert words_of_mid_le(mid_le(words)) == words
    assert mid_le(words) == mid_rev(words)[::-1]
    assert tail_rev(tail_rev(tail)) == tail
    assert tail_gw(tail) == tail_rev(tail)[::-1]
    assert tail_gw(tail_gw(tail)) == tail
    assert rev32(rev32(field)) == field
    assert rev32(field)[:4] == field[28:]


def test_orders_take_the_lengths_they_are_for() -> None:
    for size in (11, 13):
        with pytest.raises(ValueError, match="12 bytes"):
            tail_rev(bytes(size))
    for size in (31, 33):
        with pytest.raises(ValueError, match="32 bytes"):
            rev32(bytes(size))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
@given(st.floats(0, 1))
def test_a_clock_is_near_what_was_asked_and_is_read_back(
    family: pll.PllFamily, part: float
) -> None:
    mhz = family.lowest_mhz + part * (family.highest_mhz - family.lowest_mhz)
    found = family.search(mhz)
    assert abs(found.mhz - mhz) < 7
    assert family.feedback_min <= found.feedback <= family.feedback_max
    assert family.setting(family.register(found)) == found


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_clocks_outside_their_range_are_refused_with_it(family: pll.PllFamily) -> None:
    for edge in (family.lowest_mhz, family.highest_mhz):
        assert family.search(edge).mhz > 0
    for outside in (family.lowest_mhz - 0.1, family.highest_mhz + 0.1, float("nan")):
        with pytest.raises(pll.FrequencyError, match=family.name):
            family.search(outside)
    with pytest.raises(pll.FrequencyError, match="zero"):
        family.setting(0x40A00000)


def test_clock_registers_that_were_captured() -> None:
    # S19j Pro's and S21 Pro's first and last, as mujina's reference has them.
    assert pll.BM1362_PLL.register(pll.PllSetting(0xA2, 2, 6, 6)) == 0x40A20255
    assert pll.BM1362_PLL.register(pll.BM1362_PLL.search(525)) == 0x40A80230
    assert pll.BM1370_PLL.register(pll.BM1370_PLL.search(600)) == 0x50C00230
    assert pll.PllSetting(0xA2, 2, 6, 6).mhz == 56.25


@pytest.mark.parametrize(
    ("mhz", "code"),
    [(100, 0x0783), (150, 0x0B83), (200, 0x0782), (225, 0x0882), (250, 0x0982), (300, 0x0B82),
     (400, 0x0F82), (450, 0x0881), (500, 0x0981), (106.25, 0x0803)],
)  # fmt: skip
def test_bm1384_codes(mhz: float, code: int) -> None:
    assert pll.bm1384_clock_code(mhz) == code
    assert pll.ClockCode.of(code).mhz == mhz


@given(st.floats(100, 500))
def test_bm1384_codes_are_near(mhz: float) -> None:
    code = pll.ClockCode.of(pll.bm1384_clock_code(mhz))
    assert abs(code.mhz - mhz) <= 12.5
    assert code.value == pll.bm1384_clock_code(mhz)


def test_bm1384_runs_from_100_to_500() -> None:
    for mhz in (99.9, 500.1):
        with pytest.raises(pll.FrequencyError, match="100 to 500"):
            pll.bm1384_clock_code(mhz)


@given(st.floats(0, 1000), st.floats(0, 1000), st.floats(0.5, 100))
def test_a_ramp_walks_to_its_target(start: float, target: float, step: float) -> None:
    walk = [start, *ramp(start, target, step)]
    assert walk[-1] == target
    assert all(abs(b - a) <= step * (1 + 1e-9) for a, b in pairwise(walk))
    assert len(walk) <= abs(target - start) / step + 2
    assert walk == sorted(walk, reverse=target < start)


def test_ramps() -> None:
    assert list(ramp(START_MHZ, 68.75)) == [56.25, 62.5, 68.75]
    assert list(ramp(68.75, 55)) == [62.5, 56.25, 55]
    assert list(ramp(100, 100)) == []
    with pytest.raises(ValueError, match="step"):
        list(ramp(1, 2, 0))
