"""Frames: six bytes of header and one message (specification 3.2)."""

from collections.abc import Iterable
from typing import NamedTuple

import sv2rig.sv2.messages  # noqa: F401  (fills the registry)
from sv2rig.sv2.errors import (
    DecodeError,
    EncodeError,
    FrameError,
    FrameTooLargeError,
    UnknownMessageError,
)
from sv2rig.sv2.messages.registry import CHANNEL_MSG_BIT, REGISTRY, Message
from sv2rig.sv2.tlv import TLV, MalformedTLVError, decode_tlvs, encode_tlvs

HEADER_SIZE = 6
MAX_PAYLOAD = 0xFFFFFF  # what msg_length, a U24, can say

NO_EXTENSIONS: frozenset[int] = frozenset()


class Frame(NamedTuple):
    """A message's number and its payload. `extension_type` is without the channel_msg bit."""

    extension_type: int
    channel_msg: bool
    msg_type: int
    payload: bytes


class FrameHeader(NamedTuple):
    """The first six bytes; `msg_length` counts the payload only."""

    extension_type: int
    channel_msg: bool
    msg_type: int
    msg_length: int

    @classmethod
    def parse(cls, data: bytes, max_length: int = MAX_PAYLOAD) -> "FrameHeader":
        """Read a header from the front of `data`.

        Raises FrameTooLargeError where it claims more than `max_length` bytes of payload.
        """
        if len(data) < HEADER_SIZE:
            raise FrameError(f"a frame header has {HEADER_SIZE} bytes, {len(data)} given")
        bits = data[0] | data[1] << 8
        length = data[3] | data[4] << 8 | data[5] << 16
        if length > max_length:
            raise FrameTooLargeError(data[2], length, max_length)
        return cls(bits & ~CHANNEL_MSG_BIT, bits >= CHANNEL_MSG_BIT, data[2], length)

    def frame(self, payload: bytes) -> Frame:
        """The frame of this header and its payload."""
        if len(payload) != self.msg_length:
            raise FrameError(
                f"frame of message type 0x{self.msg_type:02x} claims {self.msg_length} bytes"
                f" of payload, {len(payload)} given"
            )
        return Frame(self.extension_type, self.channel_msg, self.msg_type, payload)


def parse_frame(data: bytes, max_length: int = MAX_PAYLOAD) -> Frame:
    """Exactly one whole frame. Raises FrameError where `data` is more or less than that."""
    return FrameHeader.parse(data, max_length).frame(data[HEADER_SIZE:])


def encode_frame(message: Message, tlvs: Iterable[TLV] = ()) -> bytes:
    """Header and payload of one message, the TLV fields of negotiated extensions appended.

    Raises EncodeError naming the field whose value its wire type cannot carry.
    """
    payload = message.codec.encode(message)
    if tlvs:
        payload += encode_tlvs(message.wire_name, tlvs)
    length = len(payload)
    if length > MAX_PAYLOAD:
        raise EncodeError(
            message.wire_name, "payload", f"{length} bytes exceed a frame's {MAX_PAYLOAD}"
        )
    return message.frame_prefix + length.to_bytes(3, "little") + payload


def decode_frame(
    frame: Frame, extensions: frozenset[int] = NO_EXTENSIONS
) -> tuple[Message, tuple[TLV, ...]]:
    """The message in a frame, and its TLV fields of the negotiated `extensions`.

    The channel_msg bit plays no part in finding the message (3.2.1). TLV fields of extensions
    that were not negotiated are ignored, as extension 0x0002 section 1.3 wants; trailing bytes
    that are no TLV fields are an error.

    Raises UnknownMessageError and DecodeError.
    """
    extension_type, _, msg_type, payload = frame
    cls = REGISTRY.get((extension_type, msg_type))
    if cls is None:
        raise UnknownMessageError(extension_type, msg_type)
    message, end = cls.codec.decode(payload)
    if end == len(payload):
        return message, ()
    try:
        return message, decode_tlvs(payload[end:], extensions)
    except MalformedTLVError as error:
        raise DecodeError(cls.wire_name, "TLV fields", end, str(error)) from None


def decode_message(frame: Frame) -> Message:
    """The message in a frame, on a connection that negotiated no extension."""
    return decode_frame(frame)[0]
