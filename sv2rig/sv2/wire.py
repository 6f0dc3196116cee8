"""The wire types of specification section 3.1, all little-endian.

A message's field names its type through the aliases at the end: `channel_id: U32`,
`min_ntime: Option[U32]`, `merkle_path: Seq0_255[Hash256]`. Type checkers see int, int | None and
tuple[bytes, ...]; the message compiler (messages/registry.py) sees the WireType in the annotation.

The 256-bit number has two aliases: U256 is an int (targets), Hash256 the same 32 bytes as they
stand in a block header (prev_hash, merkle_root, merkle leaves), never in display order.
"""

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, get_args, get_origin

T = TypeVar("T")

Encoder = Callable[[Any], bytes]
Decoder = Callable[[bytes, int], tuple[Any, int]]
Convert = Callable[[Any], Any]


class MalformedError(ValueError):
    """Bytes that are not of the wire type; the message codec adds message and field."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(reason)
        self.offset = offset
        self.reason = reason


@dataclass(frozen=True, slots=True)
class FixedLayout:
    """How a type of constant size stands in a struct format string."""

    code: str
    size: int
    pack: Convert | None = None  # value -> what struct packs; ValueError where it refuses
    unpack: Convert | None = None  # what struct unpacks -> value


@dataclass(frozen=True, slots=True)
class WireType:
    """One type of section 3.1.

    `encode` takes a value and raises ValueError with the reason where the type cannot carry it.
    `decode` takes a payload and an offset, returns the value and the offset after it, and raises
    MalformedError; it never allocates more than the payload's own size.
    `limit` is the greatest value (integers, BOOL), length (bytes, text) or count (sequences);
    F32 has none (0).
    """

    name: str
    encode: Encoder
    decode: Decoder
    limit: int
    fixed: FixedLayout | None = None
    element: "WireType | None" = None


@dataclass(frozen=True, slots=True)
class SequenceOf:
    """Marks SEQ0_255[T], SEQ0_64K[T] and OPTION[T]; T is read from the annotated Python type."""

    name: str
    limit: int
    build: Callable[["SequenceOf", WireType], WireType]


def _truncated(name: str, need: int, data: bytes, offset: int) -> MalformedError:
    left = max(0, len(data) - offset)
    return MalformedError(offset, f"truncated: {name} needs {need} bytes, {left} left")


def _fixed(name: str, layout: FixedLayout, check: Convert, limit: int) -> WireType:
    """A type of constant size; `check` refuses with words what struct would refuse or cut."""
    compiled = struct.Struct("<" + layout.code)
    size, unpack = layout.size, layout.unpack

    def encode(value: Any) -> bytes:
        return compiled.pack(check(value))

    def decode(data: bytes, offset: int) -> tuple[Any, int]:
        end = offset + size
        if end > len(data):
            raise _truncated(name, size, data, offset)
        (value,) = compiled.unpack_from(data, offset)
        return (value if unpack is None else unpack(value)), end

    return WireType(name, encode, decode, limit, fixed=layout)


def _checked_int(name: str, limit: int) -> Convert:
    def check(value: Any) -> int:
        if not isinstance(value, int) or not 0 <= value <= limit:
            raise ValueError(f"{value!r} is outside {name}'s 0 to {limit}")
        return value

    return check


def _unsigned(name: str, code: str, size: int) -> WireType:
    limit = 256**size - 1
    return _fixed(name, FixedLayout(code, size), _checked_int(name, limit), limit)


def _wide_unsigned(name: str, size: int) -> WireType:
    """An integer of a size that struct has no code for."""
    limit = 256**size - 1
    check = _checked_int(name, limit)

    def pack(value: Any) -> bytes:
        number: int = check(value)
        return number.to_bytes(size, "little")

    def unpack(raw: bytes) -> int:
        return int.from_bytes(raw, "little")

    return _fixed(name, FixedLayout(f"{size}s", size, pack, unpack), pack, limit)


def _checked_bytes(name: str, value: Any, low: int, high: int) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError(f"{type(value).__name__} given where {name} takes bytes")
    if not low <= len(value) <= high:
        wanted = f"exactly {high}" if low == high else f"{low} to {high}"
        raise ValueError(f"length {len(value)} given where {name} takes {wanted} bytes")
    return value


def _fixed_bytes(name: str, size: int) -> WireType:
    def pack(value: Any) -> bytes:
        return _checked_bytes(name, value, size, size)

    return _fixed(name, FixedLayout(f"{size}s", size, pack), pack, size)


def _boolean() -> WireType:
    # Recipients read the lowest bit only; the other seven may hold anything (3.1).
    layout = FixedLayout("B", 1, bool, lambda raw: bool(raw & 1))
    return _fixed("BOOL", layout, bool, 1)


def _float32() -> WireType:
    """NaN is never sent; a NaN received is handed on, for the channel logic to refuse by name."""
    compiled = struct.Struct("<f")

    def pack(value: Any) -> float:
        try:
            compiled.pack(value)
        except (struct.error, OverflowError):
            raise ValueError(f"{value!r} does not fit F32 (magnitude up to 3.4e38)") from None
        if math.isnan(value):
            raise ValueError("NaN is never sent as F32")
        return float(value)

    return _fixed("F32", FixedLayout("f", 4, pack), pack, 0)


def _read_length(name: str, prefix: int, limit: int, data: bytes, offset: int) -> int:
    """The length or count that stands before the content, checked against the type's limit."""
    if offset + prefix > len(data):
        raise _truncated(f"{name}'s length", prefix, data, offset)
    length = int.from_bytes(data[offset : offset + prefix], "little")
    if length > limit:
        raise MalformedError(offset, f"length {length} exceeds {name}'s {limit}")
    return length


def _prefixed_bytes(name: str, prefix: int, limit: int) -> WireType:
    def encode(value: Any) -> bytes:
        content = _checked_bytes(name, value, 0, limit)
        return len(content).to_bytes(prefix, "little") + content

    def decode(data: bytes, offset: int) -> tuple[bytes, int]:
        start = offset + prefix
        end = start + _read_length(name, prefix, limit, data, offset)
        if end > len(data):
            raise _truncated(f"{name} of length {end - start}", end - offset, data, offset)
        return data[start:end], end

    return WireType(name, encode, decode, limit)


def _text(name: str, refuse_control: bool) -> WireType:
    """STR0_255 as UTF-8: strict both ways, so that no string here can break a log or a screen."""
    raw = _prefixed_bytes(name, 1, 255)

    def encode(value: Any) -> bytes:
        if not isinstance(value, str):
            raise ValueError(f"{type(value).__name__} given where {name} takes text")
        if refuse_control and any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in value):
            raise ValueError("control characters are not allowed in codes (specification 3.5)")
        return raw.encode(value.encode())

    def decode(data: bytes, offset: int) -> tuple[str, int]:
        content, end = raw.decode(data, offset)
        try:
            return content.decode(), end
        except UnicodeDecodeError as error:
            raise MalformedError(
                offset, f"not UTF-8: {error.reason} at byte {error.start} of the text"
            ) from None

    return WireType(name, encode, decode, 255)


def _rest() -> WireType:
    """BYTES with nothing after it: whatever is left of the payload."""

    def encode(value: Any) -> bytes:
        return _checked_bytes("BYTES", value, 0, 0xFFFFFF)

    def decode(data: bytes, offset: int) -> tuple[bytes, int]:
        return data[offset:], len(data)

    return WireType("BYTES", encode, decode, 0xFFFFFF)


def _encode_items(name: str, prefix: int, limit: int, element: WireType) -> Encoder:
    encode_item = element.encode

    def encode(items: Any) -> bytes:
        if not isinstance(items, tuple | list):
            raise ValueError(f"{type(items).__name__} given where {name} takes a tuple")
        if len(items) > limit:
            raise ValueError(f"{len(items)} items given where {name} takes 0 to {limit}")
        return len(items).to_bytes(prefix, "little") + b"".join(map(encode_item, items))

    return encode


def _decode_items(name: str, prefix: int, limit: int, element: WireType) -> Decoder:
    decode_item = element.decode
    item_size = element.fixed.size if element.fixed else 1

    def decode(data: bytes, offset: int) -> tuple[tuple[Any, ...], int]:
        count = _read_length(name, prefix, limit, data, offset)
        end = offset + prefix
        if end + count * item_size > len(data):  # before anything is built from a claimed count
            raise _truncated(f"{name} of {count} items", prefix + count * item_size, data, offset)
        items = []
        for _ in range(count):
            item, end = decode_item(data, end)
            items.append(item)
        return tuple(items), end

    return decode


def _sequence(marker: SequenceOf, element: WireType) -> WireType:
    name = f"{marker.name}[{element.name}]"
    prefix = 1 if marker.limit < 256 else 2
    return WireType(
        name,
        _encode_items(name, prefix, marker.limit, element),
        _decode_items(name, prefix, marker.limit, element),
        marker.limit,
        element=element,
    )


def _option(marker: SequenceOf, element: WireType) -> WireType:
    sequence = _sequence(marker, element)

    def encode(value: Any) -> bytes:
        return sequence.encode(() if value is None else (value,))

    def decode(data: bytes, offset: int) -> tuple[Any, int]:
        items, end = sequence.decode(data, offset)
        return (items[0] if items else None), end

    return WireType(sequence.name, encode, decode, 1, element=element)


def wire_type(hint: Any) -> WireType:
    """The WireType that an annotation made of this module's aliases stands for.

    Raises TypeError for any other annotation.
    """
    if get_origin(hint) is Annotated:
        python_type, marker = get_args(hint)[:2]
        if isinstance(marker, WireType):
            return marker
        if isinstance(marker, SequenceOf):
            return marker.build(marker, wire_type(get_args(python_type)[0]))
    raise TypeError(f"{hint!r} names no wire type")


Bool = Annotated[bool, _boolean()]
U8 = Annotated[int, _unsigned("U8", "B", 1)]
U16 = Annotated[int, _unsigned("U16", "H", 2)]
U24 = Annotated[int, _wide_unsigned("U24", 3)]
U32 = Annotated[int, _unsigned("U32", "I", 4)]
U64 = Annotated[int, _unsigned("U64", "Q", 8)]
U256 = Annotated[int, _wide_unsigned("U256", 32)]
Hash256 = Annotated[bytes, _fixed_bytes("U256", 32)]
F32 = Annotated[float, _float32()]
Mac = Annotated[bytes, _fixed_bytes("MAC", 16)]
PubKey = Annotated[bytes, _fixed_bytes("PUBKEY", 32)]
Signature = Annotated[bytes, _fixed_bytes("SIGNATURE", 64)]
Str0_255 = Annotated[str, _text("STR0_255", refuse_control=False)]
# Error and reason codes: no control characters sent, any tolerated when read (3.5).
Code0_255 = Annotated[str, _text("STR0_255", refuse_control=True)]
B0_32 = Annotated[bytes, _prefixed_bytes("B0_32", 1, 32)]
B0_255 = Annotated[bytes, _prefixed_bytes("B0_255", 1, 255)]
B0_64K = Annotated[bytes, _prefixed_bytes("B0_64K", 2, 0xFFFF)]
B0_16M = Annotated[bytes, _prefixed_bytes("B0_16M", 3, 0xFFFFFF)]
Bytes = Annotated[bytes, _rest()]
Option = Annotated[T | None, SequenceOf("OPTION", 1, _option)]
Seq0_255 = Annotated[tuple[T, ...], SequenceOf("SEQ0_255", 255, _sequence)]
Seq0_64K = Annotated[tuple[T, ...], SequenceOf("SEQ0_64K", 0xFFFF, _sequence)]
