"""Every message against a frame written by hand from the specification's tables."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sv2rig.sv2.errors import DecodeError
from sv2rig.sv2.frame import Frame, decode_frame, decode_message, encode_frame, parse_frame
from sv2rig.sv2.messages.registry import REGISTRY, Message
from sv2rig.sv2.messages.template_distribution import NewTemplate

FRAMES = Path(__file__).parents[1] / "vectors" / "sv2" / "frames.txt"

BY_NAME = {cls.__name__: cls for cls in REGISTRY.values()}

# Section 8 and extension 0x0001 section 3, retyped: number, channel_msg bit, name.
NUMBERS = """
0000 00 0 SetupConnection
0000 01 0 SetupConnection.Success
0000 02 0 SetupConnection.Error
0000 03 1 ChannelEndpointChanged
0000 04 0 Reconnect
0000 10 0 OpenStandardMiningChannel
0000 11 0 OpenStandardMiningChannel.Success
0000 12 0 OpenMiningChannel.Error
0000 13 0 OpenExtendedMiningChannel
0000 14 0 OpenExtendedMiningChannel.Success
0000 15 1 NewMiningJob
0000 16 1 UpdateChannel
0000 17 1 UpdateChannel.Error
0000 18 1 CloseChannel
0000 19 1 SetExtranoncePrefix
0000 1a 1 SubmitSharesStandard
0000 1b 1 SubmitSharesExtended
0000 1c 1 SubmitShares.Success
0000 1d 1 SubmitShares.Error
0000 1f 1 NewExtendedMiningJob
0000 20 1 SetNewPrevHash
0000 21 1 SetTarget
0000 22 1 SetCustomMiningJob
0000 23 1 SetCustomMiningJob.Success
0000 24 1 SetCustomMiningJob.Error
0000 25 0 SetGroupChannel
0000 50 0 AllocateMiningJobToken
0000 51 0 AllocateMiningJobToken.Success
0000 55 0 ProvideMissingTransactions
0000 56 0 ProvideMissingTransactions.Success
0000 57 0 DeclareMiningJob
0000 58 0 DeclareMiningJob.Success
0000 59 0 DeclareMiningJob.Error
0000 60 0 PushSolution
0000 70 0 CoinbaseOutputConstraints
0000 71 0 NewTemplate
0000 72 0 SetNewPrevHash
0000 73 0 RequestTransactionData
0000 74 0 RequestTransactionData.Success
0000 75 0 RequestTransactionData.Error
0000 76 0 SubmitSolution
0001 00 0 RequestExtensions
0001 01 0 RequestExtensions.Success
0001 02 0 RequestExtensions.Error
"""


@dataclass
class Vector:
    name: str
    raw: bytes = b""
    values: dict[str, object] = field(default_factory=dict)

    def message(self) -> Message:
        return BY_NAME[self.name](**self.values)


def read_vectors() -> list[Vector]:
    vectors: list[Vector] = []
    for line in FRAMES.read_text().splitlines():
        if line.startswith("== "):
            vectors.append(Vector(line[3:]))
        elif "|" in line and not line.startswith("#"):
            hexes, words = line.split("|")
            vectors[-1].raw += bytes.fromhex(hexes)
            # The values of our own file, as Python expressions; a header's sum has no name.
            if named := re.fullmatch(r" ([a-z_]+) = (.*)", words):
                value = eval(named[2], {"h": bytes.fromhex, "bytes": bytes, "range": range})
                vectors[-1].values[named[1]] = value
    return vectors


VECTORS = read_vectors()
IDS = [vector.name for vector in VECTORS]


def test_messages_numbers_are_those_of_section_8() -> None:
    ours = {
        f"{ext:04x} {number:02x} {int(cls.channel_msg)} {cls.wire_name}"
        for (ext, number), cls in REGISTRY.items()
    }
    assert ours == set(NUMBERS.strip().splitlines())


def test_messages_every_one_has_a_frame_by_hand() -> None:
    assert set(IDS) == set(BY_NAME)


@pytest.mark.parametrize("vector", VECTORS, ids=IDS)
def test_messages_frame_by_hand(vector: Vector) -> None:
    assert int.from_bytes(vector.raw[3:6], "little") == len(vector.raw) - 6
    message = vector.message()
    assert encode_frame(message).hex() == vector.raw.hex()
    frame = parse_frame(vector.raw)
    assert frame.channel_msg is type(message).channel_msg
    assert frame.extension_type == type(message).extension_type
    assert decode_frame(frame) == (message, ())
    assert type(decode_message(frame)) is type(message)


@pytest.mark.parametrize("vector", VECTORS, ids=IDS)
def test_messages_cut_short_anywhere(vector: Vector) -> None:
    frame = parse_frame(vector.raw)
    for length in range(len(frame.payload)):
        with pytest.raises(DecodeError) as caught:
            decode_message(frame._replace(payload=frame.payload[:length]))
        assert caught.value.message == type(vector.message()).wire_name
        assert caught.value.field in vector.values
        assert 0 <= caught.value.offset <= length


@pytest.mark.parametrize("vector", VECTORS, ids=IDS)
def test_messages_trailing_byte(vector: Vector) -> None:
    frame = parse_frame(vector.raw)
    with pytest.raises(DecodeError, match="trailing bytes are no TLV fields"):
        decode_message(frame._replace(payload=frame.payload + b"\0"))


def test_messages_channel_bit_plays_no_part_in_the_lookup() -> None:
    frame = parse_frame(VECTORS[IDS.index("SubmitSharesStandard")].raw)
    assert decode_message(frame._replace(channel_msg=False)) == decode_message(frame)


def test_messages_boolean_reads_the_lowest_bit_only() -> None:
    raw = VECTORS[IDS.index("NewTemplate")].raw
    payload = bytearray(raw[6:])
    for byte, truth in ((0xFE, False), (0xFF, True), (0x03, True), (0x80, False)):
        payload[8] = byte
        message = decode_message(Frame(0, False, 0x71, bytes(payload)))
        assert isinstance(message, NewTemplate)
        assert message.future_template is truth
