"""ZTEX vendor requests in bytes, and bitstreams."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sv2rig.drivers.ztex.bitstream import BitstreamError, on_pins
from sv2rig.drivers.ztex.protocol import (
    Descriptor,
    FpgaState,
    Miner,
    ZtexProtocolError,
    decode_fpgas,
    header_nonce,
    low_speed_chunks,
    right_hash7,
    start_job,
)

# Block 125552, as the family matrix has it (tests/vectors/boards/cross_family_matrix.json).
HEADER = bytes.fromhex(
    "0100000081cd02ab7e569e8bcd9317e2fe99f2de44d49ab2b8851ba4a308000000000000"
    "e320b6c2fffc8d750423db8b1eb942ae710e951ed797f7affc8892b0f1fc122bc7f5d74df2b9441a42a14695"
)
COUNTER = 0x42A14695


def miner(**changes: int) -> Miner:
    fields = {"slots": 0, "offset": 10_000, "step": 400, "at": 47, "limit": 74, "clock": 127}
    fields |= {"extra": 1} | changes
    data = struct.pack(
        "<BBHHBBHB",
        5,
        *(fields[name] for name in ("slots", "offset", "step", "at", "limit", "clock", "extra")),
    )
    return Miner.decode((data + b"ztex_ufm1_15d4\0").ljust(64, b"\0"))


def test_a_job_is_the_vector_s() -> None:
    sent = start_job(HEADER[:76])
    assert sent.request == 0x80
    assert sent.data.hex() == (
        "2b12fcf14dd7f5c71a44b9f293c524951367c505ba69e616a010282d376ee807daa9562f69ce5bcd2dda787a"
    )


def test_a_golden_nonce_and_its_self_check() -> None:
    assert header_nonce(COUNTER) == HEADER[76:]
    assert right_hash7(HEADER[:76], COUNTER) == 0xA41F32E7
    assert right_hash7(HEADER[:76], COUNTER + 1) != 0xA41F32E7
    [slot] = miner().results(bytes.fromhex("9546a142" + "9546a142" + "e7321fa4" + "00000000"))
    assert (slot.goldens, slot.counter, slot.hash7) == ((COUNTER,), COUNTER, 0xA41F32E7)


@given(st.integers(0, 2**32 - 1), st.integers(0, 20_000))
def test_the_offset_is_taken_off(counter: int, biased: int) -> None:
    raw = (counter + biased - 10_000) % 2**32
    [slot] = miner(offset=biased).results(struct.pack("<4I", 0, raw, 7, 0))
    assert slot.counter == counter
    assert slot.goldens == ()


def test_what_the_firmware_says() -> None:
    found = miner(slots=1, extra=7)
    assert (found.slots, found.extra, found.bitstream) == (2, 7, "ztex_ufm1_15d4")
    assert (found.mhz(47), found.rate_hs(47)) == (192.0, 192e6)
    assert found.read_results.length == 2 * (12 + 4 * 7)
    assert found.range_per_slot == 1 << 31
    older = Miner.decode(bytes((2, 0)) + struct.pack("<HHBB", 10_000, 400, 9, 9) + b"name\0")
    assert (older.hashes_per_clock, older.extra, older.suspends) == (0.5, 0, False)


@pytest.mark.parametrize("data", [b"", b"\x28", bytes(40), b"\x28\x01ZTEX" + bytes((10, 12)) * 17])
def test_other_devices_are_refused(data: bytes) -> None:
    with pytest.raises(ZtexProtocolError):
        Descriptor.decode(data)


@pytest.mark.parametrize("data", [b"", b"\x03" + bytes(63), b"\x05\0\0"])
def test_other_firmware_is_refused(data: bytes) -> None:
    with pytest.raises(ZtexProtocolError):
        Miner.decode(data)


@given(st.binary(max_size=80))
def test_whatever_comes_is_understood_or_refused(data: bytes) -> None:
    for decode in (
        Descriptor.decode,
        FpgaState.decode,
        Miner.decode,
        decode_fpgas,
        miner().results,
    ):
        with contextlib.suppress(ZtexProtocolError):
            decode(data)


def test_capabilities_and_state() -> None:
    board = Descriptor.decode(
        (b"\x28\x01ZTEX" + bytes((10, 15, 0, 0, 5, 1, 0b10100010))).ljust(40, b"\0")
    )
    assert (board.model, board.configures, board.high_speed, board.several_fpgas) == (
        "1.15y",
        True,
        True,
        True,
    )
    state = FpgaState.decode(bytes((0, 0xAB)) + (70_000).to_bytes(4, "little") + bytes((1, 0, 0)))
    assert (state.configured, state.checksum, state.size) == (True, 0xAB, 70_000)
    assert decode_fpgas(b"\x03\x00\x00") == 4


def test_a_bitstream_reaches_the_pins_in_their_bit_order() -> None:
    file = b"\0" * 9 + bytes.fromhex("ffffaa9955660102")
    turned = on_pins(file, "x")
    assert turned.endswith(bytes.fromhex("ffff5599aa668040"))
    assert on_pins(turned, "x") == turned
    with pytest.raises(BitstreamError, match="AA995566"):
        on_pins(bytes(70_000) + bytes.fromhex("aa995566"), "x")


@given(st.binary(max_size=10_000))
def test_chunks_are_small_and_lose_nothing(data: bytes) -> None:
    chunks = list(low_speed_chunks(data))
    assert b"".join(chunk.data for chunk in chunks) == data
    assert all(0 < len(chunk.data) <= 2048 for chunk in chunks)
