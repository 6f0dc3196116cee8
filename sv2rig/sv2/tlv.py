"""Type-length-value fields that extensions append to a message (specification 3.4.3).

The specification's prose makes multibyte types little-endian and its example shows the extension
type and the length big-endian; SRI sends and reads little-endian. So: sent little-endian, read in
either order.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from sv2rig.sv2.errors import EncodeError

ByteOrder = Literal["little", "big"]

HEADER_SIZE = 5

# (extension_type, field_type) -> greatest length of the value; a longer one is refused (3.4.3).
MAX_VALUE_LENGTH = {(0x0002, 0x01): 32}


@dataclass(frozen=True, slots=True)
class TLV:
    """One appended field; `value` is at most 65535 bytes."""

    extension_type: int
    field_type: int
    value: bytes


class MalformedTLVError(ValueError):
    """Bytes after a message that are no TLV fields, or one longer than its extension allows."""


def encode_tlvs(message_name: str, tlvs: Iterable[TLV]) -> bytes:
    """TLV fields as they are appended: by extension type, else in the order given (3.4.3)."""
    return b"".join(
        _encode(message_name, tlv) for tlv in sorted(tlvs, key=lambda tlv: tlv.extension_type)
    )


def _encode(message_name: str, tlv: TLV) -> bytes:
    key = (tlv.extension_type, tlv.field_type)
    limit = MAX_VALUE_LENGTH.get(key, 0xFFFF)
    field = f"TLV 0x{tlv.extension_type:04x}|0x{tlv.field_type:02x}"
    if not (0 <= tlv.extension_type <= 0xFFFF and 0 <= tlv.field_type <= 0xFF):
        raise EncodeError(message_name, field, "extension type is U16, field type U8")
    if len(tlv.value) > limit:
        raise EncodeError(
            message_name, field, f"length {len(tlv.value)} exceeds the field's {limit}"
        )
    return (
        tlv.extension_type.to_bytes(2, "little")
        + bytes([tlv.field_type])
        + len(tlv.value).to_bytes(2, "little")
        + tlv.value
    )


def decode_tlvs(data: bytes, extensions: frozenset[int]) -> tuple[TLV, ...]:
    """The fields of negotiated `extensions` in `data`; the rest is ignored, as 0x0002 1.3 wants.

    A sender keeps to one byte order. An order is possible when its lengths end exactly with the
    data; where both are, the one that yields more fields of negotiated extensions is taken, and
    little-endian, as SRI sends, where that does not decide.

    Raises MalformedTLVError where neither order fits, or a field exceeds its extension's limit.
    """
    kept = [_kept(data, "little", extensions), _kept(data, "big", extensions)]
    candidates = [tlvs for tlvs in kept if tlvs is not None]
    if not candidates:
        raise MalformedTLVError(f"{len(data)} trailing bytes are no TLV fields")
    chosen = max(candidates, key=len)  # max keeps the first, little-endian, of equals
    for tlv in chosen:
        limit = MAX_VALUE_LENGTH.get((tlv.extension_type, tlv.field_type), 0xFFFF)
        if len(tlv.value) > limit:
            raise MalformedTLVError(
                f"TLV 0x{tlv.extension_type:04x}|0x{tlv.field_type:02x}:"
                f" length {len(tlv.value)} exceeds the field's {limit}"
            )
    return tuple(chosen)


def _kept(data: bytes, order: ByteOrder, extensions: frozenset[int]) -> list[TLV] | None:
    """The fields of `extensions`, or None where lengths in this byte order do not fit the data."""
    tlvs = []
    offset = 0
    while offset < len(data):
        start = offset + HEADER_SIZE
        end = start + int.from_bytes(data[offset + 3 : start], order)
        if end > len(data):
            return None
        extension_type = int.from_bytes(data[offset : offset + 2], order)
        if extension_type in extensions:
            tlvs.append(TLV(extension_type, data[offset + 2], data[start:end]))
        offset = end
    return tlvs
