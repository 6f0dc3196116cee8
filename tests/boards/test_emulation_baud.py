"""Bytes heard at another speed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sv2rig.emulation.baud import heard


def test_bits_of_double_length() -> None:
    """0F at half the speed: the line is low for 2 bits, high for 8, low for 8, then high."""
    assert heard(b"\x0f", 57600, 115200) == b"\xfe\x80"


def test_a_low_stop_bit_loses_the_byte() -> None:
    assert heard(b"\x00\x00", 9600, 115200) == b""


def test_too_fast_to_follow() -> None:
    assert heard(b"\x00", 1_000_000, 9600) == b""


def test_a_line_that_is_hung_up() -> None:
    assert heard(b"\x0f", 0, 115_200) == b""


@pytest.mark.parametrize("speed", [112_896, 115_200, 117_504])
def test_near_enough(speed: int) -> None:
    data = bytes(range(256))
    assert heard(data, speed, 115_200) is data


@pytest.mark.parametrize("speed", [112_800, 117_600])
def test_just_too_far_is_sampled_and_still_understood(speed: int) -> None:
    """Sampling itself bears more than the tolerance, as it does on real lines."""
    data = bytes(range(256))
    assert heard(data, speed, 115_200) == data


@given(st.binary(max_size=100), st.sampled_from([9600, 19200, 57600, 230400, 1_000_000]))
def test_any_bytes_at_any_speed(data: bytes, speed: int) -> None:
    """A slower sender is heard as more bytes at most by the ratio of the speeds."""
    assert len(heard(data, speed, 115_200)) <= len(data) * max(1, 115_200 / speed)
