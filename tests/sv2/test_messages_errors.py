"""What a wrong message says: which field of which message, where, and why."""

import math

import pytest

from sv2rig.sv2.errors import (
    DecodeError,
    EncodeError,
    FrameError,
    FrameTooLargeError,
    UnknownMessageError,
)
from sv2rig.sv2.frame import (
    Frame,
    FrameHeader,
    decode_frame,
    decode_message,
    encode_frame,
    parse_frame,
)
from sv2rig.sv2.messages.common import MiningSetupFlags, Protocol, SetupConnection
from sv2rig.sv2.messages.job_declaration import ProvideMissingTransactionsSuccess
from sv2rig.sv2.messages.mining import (
    CloseChannel,
    NewMiningJob,
    OpenStandardMiningChannel,
    SetExtranoncePrefix,
    SetTarget,
    SubmitSharesExtended,
    SubmitSharesStandard,
    UpdateChannel,
)
from sv2rig.sv2.messages.registry import REGISTRY, Message, message


def refusal(wrong: Message) -> str:
    with pytest.raises(EncodeError) as caught:
        encode_frame(wrong)
    return str(caught.value)


def test_messages_share_extranonce_too_long() -> None:
    payload = bytes(24) + bytes([40]) + bytes(40)
    with pytest.raises(DecodeError) as caught:
        decode_message(Frame(0, True, 0x1B, payload))
    assert str(caught.value) == (
        "SubmitSharesExtended.extranonce at byte 24: length 40 exceeds B0_32's 32"
    )


def test_messages_truncated_number_is_named() -> None:
    with pytest.raises(DecodeError) as caught:
        decode_message(Frame(0, True, 0x1A, bytes(14)))
    assert str(caught.value) == (
        "SubmitSharesStandard.nonce at byte 12: truncated: U32 needs 4 bytes, 2 left"
    )


def test_messages_option_of_two() -> None:
    with pytest.raises(DecodeError, match=r"min_ntime at byte 8: length 2 exceeds OPTION\[U32\]"):
        decode_message(Frame(0, True, 0x15, bytes(8) + b"\x02" + bytes(44)))


def test_messages_text_must_be_utf8() -> None:
    payload = bytes(4) + b"\x02\xc3\x28" + bytes(36)
    with pytest.raises(DecodeError, match=r"user_identity at byte 4: not UTF-8"):
        decode_message(Frame(0, False, 0x10, payload))


def test_messages_sequence_element_offset_is_its_own() -> None:
    payload = bytes(4) + b"\x02\x00" + b"\x01\x00\x00\xaa" + b"\x05\x00\x00\xbb"
    with pytest.raises(DecodeError) as caught:
        decode_message(Frame(0, False, 0x56, payload))
    assert caught.value.offset == 10
    assert caught.value.field == "transaction_list"


def test_messages_unknown() -> None:
    for extension_type, msg_type in ((0, 0x1E), (0, 0xFF), (0x4000, 0x00), (0x0002, 0x01)):
        with pytest.raises(UnknownMessageError) as caught:
            decode_frame(Frame(extension_type, False, msg_type, b""))
        assert (caught.value.extension_type, caught.value.msg_type) == (extension_type, msg_type)


@pytest.mark.parametrize("value", [-1, 2**32, 1.0, "1", None])
def test_messages_number_out_of_range(value: int) -> None:
    wrong = SubmitSharesStandard(1, 2, 3, value, 5, 6)
    text = f"SubmitSharesStandard.nonce: {value!r} is outside U32's 0 to 4294967295"
    assert refusal(wrong) == text


def test_messages_refused_values() -> None:
    assert "length 33 given where B0_32 takes 0 to 32 bytes" in refusal(
        SubmitSharesExtended(1, 2, 3, 4, 5, 6, bytes(33))
    )
    assert "length 31 given where U256 takes exactly 32 bytes" in refusal(
        NewMiningJob(1, 2, None, 4, bytes(31))
    )
    assert "min_ntime: -1 is outside U32's" in refusal(NewMiningJob(1, 2, -1, 4, bytes(32)))
    assert "maximum_target" in refusal(SetTarget(1, 2**256))
    assert "maximum_target" in refusal(SetTarget(1, -1))
    assert "str given where B0_32" in refusal(SetExtranoncePrefix(1, "ab"))  # type: ignore[arg-type]
    assert "reason_code: control characters" in refusal(CloseChannel(1, "a\nb"))
    assert "user_identity" in refusal(OpenStandardMiningChannel(1, "x" * 256, 0.0, 1))
    assert "user_identity" in refusal(OpenStandardMiningChannel(1, "\ud800", 0.0, 1))


@pytest.mark.parametrize("rate", [math.nan, 1e39, "fast"])
def test_messages_hash_rate_never_sent(rate: float) -> None:
    assert "UpdateChannel.nominal_hash_rate" in refusal(UpdateChannel(1, rate, 1))


def test_messages_nan_received_is_handed_on() -> None:
    payload = bytes(4) + b"\x00\x00\xc0\x7f" + bytes(32)
    message = decode_message(Frame(0, True, 0x16, payload))
    assert isinstance(message, UpdateChannel)
    assert math.isnan(message.nominal_hash_rate)


def test_messages_control_characters_in_a_code_are_tolerated() -> None:
    message = decode_message(Frame(0, True, 0x18, bytes(4) + b"\x03a\nb"))
    assert message == CloseChannel(0, "a\nb")


def test_messages_flags_and_protocol_encode_as_numbers() -> None:
    flags = MiningSetupFlags.REQUIRES_STANDARD_JOBS | MiningSetupFlags.REQUIRES_VERSION_ROLLING
    setup = SetupConnection(Protocol.MINING, 2, 2, flags, "", 0, "", "", "", "")
    assert encode_frame(setup)[6:15].hex() == "000200020005000000"


def test_messages_frame_too_large() -> None:
    header = bytes.fromhex("0000 71 010010")
    with pytest.raises(FrameTooLargeError, match=r"0x71 claims 1048577 .* at most 1048576"):
        FrameHeader.parse(header, 2**20)
    assert FrameHeader.parse(header, 2**20 + 1).msg_length == 2**20 + 1
    assert FrameHeader.parse(bytes.fromhex("0000 71 ffffff")).msg_length == 2**24 - 1


def test_messages_frame_header_and_payload_must_fit() -> None:
    with pytest.raises(FrameError, match="6 bytes, 5 given"):
        FrameHeader.parse(bytes(5))
    for payload in (bytes(3), bytes(5)):
        with pytest.raises(FrameError, match="claims 4 bytes"):
            parse_frame(bytes.fromhex("0080 03 040000") + payload)


def test_messages_payload_beyond_u24() -> None:
    # Two transactions of 8 MiB fit their own length fields, but not one frame.
    big = ProvideMissingTransactionsSuccess(1, (bytes(2**23), bytes(2**23)))
    assert "exceed a frame's 16777215" in refusal(big)
    room = 2**24 - 1 - 4 - 2 - 3
    assert len(encode_frame(ProvideMissingTransactionsSuccess(1, (bytes(room),)))) == 2**24 + 5
    assert "exceed" in refusal(ProvideMissingTransactionsSuccess(1, (bytes(room + 1),)))


def test_messages_size_of_a_header_sri() -> None:
    # Known answer of SRI (stratum 26802203, sv2/framing-sv2/src/framing.rs, test_size_hint).
    header = FrameHeader.parse(bytes([0, 128, 30, 46, 0, 0]))
    assert header == FrameHeader(0, True, 30, 46)


def test_messages_a_number_is_given_once() -> None:
    with pytest.raises(ValueError, match=r"Again and SetupConnection share"):
        message(0x00, "Again", spec="")(REGISTRY[0, 1])
