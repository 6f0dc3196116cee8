import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sv2rig.bitcoin.sha256 import IV, K, compress, header_hash, midstate

# Block 0 of mainnet: version, no previous block, merkle root, time, bits, nonce.
GENESIS = bytes.fromhex(
    "01000000"
    + 32 * "00"
    + "3ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a"
    + "29ab5f49ffff001d1dac2b7c"
)


def test_constants_at_both_ends() -> None:
    # FIPS 180-4, 4.2.2 and 5.3.3.
    assert len(K) == 64
    assert (K[0], K[1], K[62], K[63]) == (0x428A2F98, 0x71374491, 0xBEF9A3F7, 0xC67178F2)
    assert (IV[0], IV[7]) == (0x6A09E667, 0x5BE0CD19)


def sha256(data: bytes) -> bytes:
    padded = data + b"\x80" + bytes(-(len(data) + 9) % 64) + struct.pack(">Q", 8 * len(data))
    state: tuple[int, ...] = IV
    for start in range(0, len(padded), 64):
        state = compress(state, padded[start : start + 64])
    return struct.pack(">8I", *state)


@given(st.binary(max_size=200))
def test_chained_compressions_are_sha256(data: bytes) -> None:
    assert sha256(data) == hashlib.sha256(data).digest()


@given(st.binary(min_size=80, max_size=80))
def test_midstate_continues_to_the_headers_hash(header: bytes) -> None:
    tail = header[64:] + b"\x80" + bytes(39) + struct.pack(">Q", 640)
    state = compress(midstate(header[:64]), tail)
    assert struct.pack(">8I", *state) == hashlib.sha256(header).digest()


def test_the_genesis_blocks_hash() -> None:
    hashed = header_hash(midstate(GENESIS[:64]), GENESIS[64:])
    assert hashed[::-1].hex() == "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"


@given(st.binary(min_size=80, max_size=80))
def test_a_headers_hash_is_sha256d(header: bytes) -> None:
    twice = hashlib.sha256(hashlib.sha256(header).digest()).digest()
    assert header_hash(midstate(header[:64]), header[64:]) == twice


@pytest.mark.parametrize("size", [0, 15, 17])
def test_other_ends_of_a_header_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"not {size}"):
        header_hash(IV, bytes(size))


@pytest.mark.parametrize("size", [0, 63, 65, 80])
def test_blocks_of_other_sizes_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"and {size} bytes"):
        midstate(bytes(size))
    with pytest.raises(ValueError, match="not 7 words"):
        compress(IV[:7], bytes(64))
