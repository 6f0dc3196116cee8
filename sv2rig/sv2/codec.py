"""Compiles a message's fields into an encoder and a decoder, once, when its class is made.

Neighbouring fields of constant size become one struct.Struct; the others keep their own closures.
Errors are looked for only after the fast way failed, field by field, so that they can name one.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from sv2rig.sv2.errors import DecodeError, EncodeError
from sv2rig.sv2.wire import FixedLayout, MalformedError, WireType

EncodePayload = Callable[[Any], bytes]
DecodePayload = Callable[[bytes], tuple[Any, int]]
# Appends the values that it reads at the offset, returns the offset after them.
_ReadSegment = Callable[[bytes, int, list[Any]], int]


@dataclass(frozen=True, slots=True)
class Field:
    """One row of a message's table."""

    name: str
    wire: WireType


@dataclass(frozen=True, slots=True)
class Codec:
    """Both directions of one message; `decode` returns the message and where it ended."""

    encode: EncodePayload
    decode: DecodePayload


def compile_codec(cls: type, message_name: str, fields: tuple[Field, ...]) -> Codec:
    """The codec of `cls`, whose constructor takes `fields` in their order."""
    segments = _segments(fields)
    writers = [_writer(message_name, segment) for segment in segments]
    readers = [_reader(message_name, segment) for segment in segments]
    if len(segments) == 1 and _plain_run(segments[0]):
        # All numbers, as in SubmitSharesStandard: the busiest messages skip the loops.
        return Codec(writers[0], _plain_decoder(cls, segments[0], readers[0]))
    return Codec(_joined(writers), _sequenced(cls, readers))


def _segments(fields: tuple[Field, ...]) -> list[tuple[Field, ...]]:
    """Runs of fields of constant size, and each other field by itself."""
    segments: list[tuple[Field, ...]] = []
    run: tuple[Field, ...] = ()
    for field in fields:
        if field.wire.fixed:
            run += (field,)
            continue
        segments += [run, (field,)] if run else [(field,)]
        run = ()
    return [*segments, run] if run else segments


def _layouts(segment: tuple[Field, ...]) -> list[FixedLayout]:
    return [field.wire.fixed for field in segment if field.wire.fixed]


def _plain_run(segment: tuple[Field, ...]) -> bool:
    layouts = _layouts(segment)
    return bool(layouts) and not any(layout.pack or layout.unpack for layout in layouts)


def _struct(segment: tuple[Field, ...]) -> struct.Struct:
    return struct.Struct("<" + "".join(layout.code for layout in _layouts(segment)))


def _writer(message_name: str, segment: tuple[Field, ...]) -> EncodePayload:
    if not segment[0].wire.fixed:
        return _field_writer(message_name, segment[0])
    pack = _struct(segment).pack
    packs = [layout.pack or _unchanged for layout in _layouts(segment)]
    values_of = _values_of(segment)
    plain = _plain_run(segment)

    def write(message: Any) -> bytes:
        try:
            if plain:
                return pack(*values_of(message))
            return pack(
                *[convert(value) for convert, value in zip(packs, values_of(message), strict=True)]
            )
        except (struct.error, ValueError):
            return b"".join(_field_writer(message_name, field)(message) for field in segment)

    return write


def _values_of(segment: tuple[Field, ...]) -> Callable[[Any], tuple[Any, ...]]:
    names = [field.name for field in segment]
    get: Callable[[Any], Any] = attrgetter(*names)
    if len(names) == 1:
        return lambda message: (get(message),)
    return get


def _unchanged(value: Any) -> Any:
    return value


def _field_writer(message_name: str, field: Field) -> EncodePayload:
    get, encode = attrgetter(field.name), field.wire.encode

    def write(message: Any) -> bytes:
        try:
            return encode(get(message))
        except ValueError as error:
            raise EncodeError(message_name, field.name, str(error)) from None

    return write


def _reader(message_name: str, segment: tuple[Field, ...]) -> _ReadSegment:
    if not segment[0].wire.fixed:
        return _field_reader(message_name, segment[0])
    compiled = _struct(segment)
    unpack, size = compiled.unpack_from, compiled.size
    unpacks = [layout.unpack or _unchanged for layout in _layouts(segment)]
    plain = all(layout.unpack is None for layout in _layouts(segment))

    def read(data: bytes, offset: int, values: list[Any]) -> int:
        end = offset + size
        if end > len(data):
            for field in segment:  # one of them is the first that does not fit: it raises
                offset = _field_reader(message_name, field)(data, offset, values)
        raw = unpack(data, offset)
        if plain:
            values += raw
        else:
            values += [convert(value) for convert, value in zip(unpacks, raw, strict=True)]
        return end

    return read


def _field_reader(message_name: str, field: Field) -> _ReadSegment:
    decode = field.wire.decode

    def read(data: bytes, offset: int, values: list[Any]) -> int:
        try:
            value, end = decode(data, offset)
        except MalformedError as error:
            raise DecodeError(message_name, field.name, error.offset, error.reason) from None
        values.append(value)
        return end

    return read


def _joined(writers: list[EncodePayload]) -> EncodePayload:
    def encode(message: Any) -> bytes:
        return b"".join([write(message) for write in writers])

    return encode


def _sequenced(cls: type, readers: list[_ReadSegment]) -> DecodePayload:
    def decode(data: bytes) -> tuple[Any, int]:
        values: list[Any] = []
        offset = 0
        for read in readers:
            offset = read(data, offset, values)
        return cls(*values), offset

    return decode


def _plain_decoder(cls: type, segment: tuple[Field, ...], explain: _ReadSegment) -> DecodePayload:
    compiled = _struct(segment)
    unpack, size = compiled.unpack_from, compiled.size

    def decode(data: bytes) -> tuple[Any, int]:
        if len(data) < size:
            explain(data, 0, [])
        return cls(*unpack(data)), size

    return decode
