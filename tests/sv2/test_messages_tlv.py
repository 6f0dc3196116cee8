"""TLV fields appended to a message (3.4.3) and the worker's name of extension 0x0002."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sv2rig.sv2.errors import DecodeError, EncodeError
from sv2rig.sv2.frame import Frame, decode_frame, decode_message, encode_frame, parse_frame
from sv2rig.sv2.messages.extensions import (
    WORKER_HASHRATE_TRACKING,
    user_identity_of,
    user_identity_tlv,
)
from sv2rig.sv2.messages.mining import SubmitSharesExtended
from sv2rig.sv2.tlv import TLV, MalformedTLVError, decode_tlvs, encode_tlvs

SHARE = SubmitSharesExtended(3, 1, 44, 5, 6, 7, b"\x09" * 8)
TRACKING = frozenset({WORKER_HASHRATE_TRACKING})

# Worker_001 as SRI sends it (stratum 26802203, sv2/parsers-sv2/src/tlv/codec.rs) and as the
# specification's example has it (3.4.3).
SRI = bytes.fromhex("02 00 01 0A 00 57 6F 72 6B 65 72 5F 30 30 31")
SPEC = bytes.fromhex("00 02 01 00 0A 57 6F 72 6B 65 72 5F 30 30 31")


def share_with(trailer: bytes) -> Frame:
    frame = parse_frame(encode_frame(SHARE))
    return frame._replace(payload=frame.payload + trailer)


def test_messages_tlv_is_sent_as_sri_does() -> None:
    raw = encode_frame(SHARE, [user_identity_tlv("Worker_001")])
    assert raw.endswith(SRI)
    assert int.from_bytes(raw[3:6], "little") == len(raw) - 6 == 33 + 15


@pytest.mark.parametrize("trailer", [SRI, SPEC], ids=["little", "big"])
def test_messages_tlv_both_orders_are_read(trailer: bytes) -> None:
    message, tlvs = decode_frame(share_with(trailer), TRACKING)
    assert message == SHARE
    assert tlvs == (TLV(2, 1, b"Worker_001"),)
    assert user_identity_of(tlvs) == "Worker_001"


@pytest.mark.parametrize("trailer", [SRI, SPEC], ids=["little", "big"])
def test_messages_tlv_not_negotiated_is_ignored(trailer: bytes) -> None:
    assert decode_frame(share_with(trailer)) == (SHARE, ())
    assert decode_message(share_with(trailer)) == SHARE


@pytest.mark.parametrize("trailer", ["02 00 01 00 00", "00 02 01 00 00"])
def test_messages_tlv_empty_name_fits_both_orders_and_the_known_extension_decides(
    trailer: str,
) -> None:
    assert decode_tlvs(bytes.fromhex(trailer), TRACKING) == (TLV(2, 1, b""),)


def test_messages_tlv_little_endian_where_nothing_decides() -> None:
    both = frozenset({0x0002, 0x0200})
    assert decode_tlvs(bytes.fromhex("00 02 01 00 00"), both) == (TLV(0x0200, 1, b""),)


@pytest.mark.parametrize("length", [0, 1, 31, 32])
def test_messages_tlv_name_lengths(length: int) -> None:
    name = "w" * length
    raw = encode_frame(SHARE, [user_identity_tlv(name)])
    assert user_identity_of(decode_frame(parse_frame(raw), TRACKING)[1]) == name


def test_messages_tlv_name_too_long() -> None:
    with pytest.raises(EncodeError, match=r"TLV 0x0002\|0x01: length 33 exceeds the field's 32"):
        encode_frame(SHARE, [user_identity_tlv("w" * 33)])
    trailer = bytes.fromhex("02 00 01 21 00") + b"w" * 33
    with pytest.raises(DecodeError, match=r"TLV fields at byte 33: .* 33 exceeds"):
        decode_frame(share_with(trailer), TRACKING)


def test_messages_tlv_name_not_utf8() -> None:
    with pytest.raises(DecodeError, match="user_identity TLV"):
        user_identity_of([TLV(2, 1, b"\xff\xfe")])


def test_messages_tlv_no_name() -> None:
    assert user_identity_of([TLV(3, 1, b"a"), TLV(2, 2, b"b")]) is None


@pytest.mark.parametrize("trailer", ["02", "02 00 01", "02 00 01 0A 00 73 68 6f 72 74"])
def test_messages_tlv_cut_short(trailer: str) -> None:
    # The last one is SRI's own known answer of a value too short (codec.rs, as above).
    with pytest.raises(DecodeError, match="trailing bytes are no TLV fields"):
        decode_frame(share_with(bytes.fromhex(trailer)), TRACKING)


def test_messages_tlv_sorted_by_extension_only() -> None:
    tlvs = [TLV(3, 2, b"c"), TLV(2, 9, b"b"), TLV(2, 1, b"a")]
    raw = encode_tlvs("M", tlvs)
    assert raw.hex(" ") == "02 00 09 01 00 62 02 00 01 01 00 61 03 00 02 01 00 63"


def test_messages_tlv_out_of_range() -> None:
    for wrong in (TLV(-1, 0, b""), TLV(65536, 0, b""), TLV(0, 256, b""), TLV(4, 0, bytes(65536))):
        with pytest.raises(EncodeError, match=r"^M\.TLV"):
            encode_tlvs("M", [wrong])
    assert len(encode_tlvs("M", [TLV(4, 0, bytes(65535))])) == 65540


@given(st.binary(max_size=64), st.frozensets(st.sampled_from([1, 2, 3, 0x0100, 0x0200])))
def test_messages_tlv_any_bytes(data: bytes, extensions: frozenset[int]) -> None:
    try:
        tlvs = decode_tlvs(data, extensions)
    except MalformedTLVError:
        return
    assert {tlv.extension_type for tlv in tlvs} <= extensions
    assert sum(5 + len(tlv.value) for tlv in tlvs) <= len(data)


TLVS = st.builds(
    TLV, st.sampled_from([2, 3, 0x4001]), st.integers(0, 255), st.binary(min_size=1, max_size=32)
)


@given(st.lists(TLVS, max_size=4))
def test_messages_tlv_survives(tlvs: list[TLV]) -> None:
    # 0x4001 and the values' sizes keep big-endian readings from being negotiated ones.
    extensions = frozenset({2, 3, 0x4001})
    raw = encode_tlvs("M", tlvs)
    assert decode_tlvs(raw, extensions) == tuple(sorted(tlvs, key=lambda t: t.extension_type))
