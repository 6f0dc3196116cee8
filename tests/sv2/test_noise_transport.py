"""Encrypted frames: sizes around every border, any split, any fault."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sv2rig.sv2.errors import FrameTooLargeError
from sv2rig.sv2.frame import Frame
from sv2rig.sv2.noise import (
    MAX_CHUNK,
    SEALED_HEADER_SIZE,
    CipherState,
    FrameDecryptor,
    NonceExhaustedError,
    WrongTagError,
    sealed_size,
)

KEY = bytes(range(32))
MSG_TYPE = 0x1A


def _frame(payload: bytes, extension: bytes = b"\x00\x80") -> bytes:
    return extension + bytes([MSG_TYPE]) + len(payload).to_bytes(3, "little") + payload


def _parsed(payload: bytes) -> Frame:
    return Frame(0, True, MSG_TYPE, payload)


def _all_frames(decryptor: FrameDecryptor) -> list[Frame]:
    return list(iter(decryptor.next_frame, None))


SIZES = [0, 1, 24, 100, MAX_CHUNK - 1, MAX_CHUNK, MAX_CHUNK + 1, 2 * MAX_CHUNK, 200_000]


@pytest.mark.parametrize("size", SIZES)
def test_frame_of_every_size_comes_back(size: int) -> None:
    payload = bytes(i & 0xFF for i in range(size))
    sender = CipherState(KEY)
    wire = sender.encrypt_frame(_frame(payload))
    assert len(wire) == SEALED_HEADER_SIZE + sealed_size(size)
    assert sender.nonce == 1 + -(-size // MAX_CHUNK)
    decryptor = FrameDecryptor(CipherState(KEY))
    decryptor.feed(wire)
    assert _all_frames(decryptor) == [_parsed(payload)]
    assert decryptor.missing == 0


def _specification_size(plain: int) -> int:
    """pt_len_to_ct_len of spec 4.6, as it stands there."""
    remainder = plain % 65519
    if remainder > 0:
        remainder += 16
    return plain // 65519 * 65535 + remainder


@given(st.integers(0, 0xFFFFFF))
def test_sealed_size_is_the_specifications(plain: int) -> None:
    assert sealed_size(plain) == _specification_size(plain)


@given(st.lists(st.binary(max_size=300), max_size=8), st.data())
def test_any_split_gives_the_same_frames(payloads: list[bytes], data: st.DataObject) -> None:
    sender = CipherState(KEY)
    wire = b"".join(sender.encrypt_frame(_frame(payload)) for payload in payloads)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=30)))
    decryptor = FrameDecryptor(CipherState(KEY))
    frames = []
    for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True):
        decryptor.feed(wire[start:end])
        frames += _all_frames(decryptor)
    assert frames == [_parsed(payload) for payload in payloads]


def test_byte_by_byte_over_a_chunk_border() -> None:
    payload = b"\x5a" * (MAX_CHUNK + 1)
    wire = CipherState(KEY).encrypt_frame(_frame(payload))
    decryptor = FrameDecryptor(CipherState(KEY))
    for at in range(len(wire) - 1):
        decryptor.feed(wire[at : at + 1])
        assert decryptor.next_frame() is None
    assert decryptor.missing == 1
    decryptor.feed(wire[-1:])
    assert decryptor.next_frame() == _parsed(payload)


def test_missing_counts_the_part_under_way() -> None:
    wire = CipherState(KEY).encrypt_frame(_frame(bytes(24)))
    decryptor = FrameDecryptor(CipherState(KEY))
    assert decryptor.missing == 0
    decryptor.feed(wire[:21])
    assert decryptor.next_frame() is None
    assert decryptor.missing == 1
    decryptor.feed(wire[21:22])
    assert decryptor.next_frame() is None
    assert decryptor.missing == 40
    decryptor.feed(wire[22:])
    assert decryptor.next_frame() is not None
    assert decryptor.missing == 0


@pytest.mark.parametrize("position", [0, 5, 21, 22, 45, 61])
def test_altered_byte_is_a_wrong_tag_and_earlier_frames_still_count(position: int) -> None:
    sender = CipherState(KEY)
    first = sender.encrypt_frame(_frame(b"first"))
    second = bytearray(sender.encrypt_frame(_frame(bytes(24))))
    second[position] ^= 0x80
    decryptor = FrameDecryptor(CipherState(KEY))
    decryptor.feed(first + second)
    assert decryptor.next_frame() == _parsed(b"first")
    with pytest.raises(WrongTagError, match="authentication tag"):
        decryptor.next_frame()


def test_lost_swapped_and_repeated_frames_are_noticed() -> None:
    sender = CipherState(KEY)
    first, second = (sender.encrypt_frame(_frame(bytes([i]))) for i in range(2))
    for wire in (second, second + first, first + first):
        decryptor = FrameDecryptor(CipherState(KEY))
        decryptor.feed(wire)
        with pytest.raises(WrongTagError):
            _all_frames(decryptor)


def test_decrypt_failure_leaves_the_nonce() -> None:
    sealed = CipherState(KEY).encrypt(b"word")
    receiver = CipherState(KEY)
    with pytest.raises(WrongTagError):
        receiver.decrypt(sealed[:-1] + bytes([sealed[-1] ^ 1]))
    assert receiver.nonce == 0
    assert receiver.decrypt(sealed) == b"word"


@pytest.mark.parametrize(("size", "allowed"), [(999, True), (1000, True), (1001, False)])
def test_limit_is_judged_from_the_header_alone(size: int, allowed: bool) -> None:
    wire = CipherState(KEY).encrypt_frame(_frame(bytes(size)))
    decryptor = FrameDecryptor(CipherState(KEY), max_payload=1000)
    decryptor.feed(wire[:SEALED_HEADER_SIZE])
    if allowed:
        assert decryptor.next_frame() is None
        assert decryptor.missing == sealed_size(size)
    else:
        with pytest.raises(FrameTooLargeError, match="1001 bytes"):
            decryptor.next_frame()


def test_what_was_read_is_not_kept() -> None:
    sender = CipherState(KEY)
    wire = b"".join(sender.encrypt_frame(_frame(bytes(1000))) for _ in range(50))
    decryptor = FrameDecryptor(CipherState(KEY), max_payload=1000)
    decryptor.feed(wire[:-1])
    assert len(_all_frames(decryptor)) == 49
    assert len(decryptor._buffer) == sealed_size(1000) - 1


LAST = 2**64 - 2


def test_last_nonce_is_used_and_none_after_it() -> None:
    sender, receiver = CipherState(KEY, LAST), CipherState(KEY, LAST)
    assert receiver.decrypt(sender.encrypt(b"last")) == b"last"
    for state in (sender, receiver):
        with pytest.raises(NonceExhaustedError, match="connect again"):
            state.encrypt(b"one more")
        with pytest.raises(NonceExhaustedError, match="connect again"):
            state.decrypt(bytes(16))


def test_frame_needs_room_for_all_its_nonces() -> None:
    fits = CipherState(KEY, LAST - 1)
    decryptor = FrameDecryptor(CipherState(KEY, LAST - 1))
    decryptor.feed(fits.encrypt_frame(_frame(b"x")))
    assert decryptor.next_frame() == _parsed(b"x")
    with pytest.raises(NonceExhaustedError):
        CipherState(KEY, LAST).encrypt_frame(_frame(b"x"))


@settings(max_examples=300)
@given(st.lists(st.binary(max_size=100), max_size=5))
def test_garbage_never_becomes_a_frame(pieces: list[bytes]) -> None:
    decryptor = FrameDecryptor(CipherState(KEY))
    total = 0
    for piece in pieces:
        decryptor.feed(piece)
        total += len(piece)
        if total < SEALED_HEADER_SIZE:
            assert decryptor.next_frame() is None
        else:
            with pytest.raises(WrongTagError):
                decryptor.next_frame()
            return
