"""Any message survives the wire; any bytes end in a message or a typed error."""

import struct
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sv2rig.sv2.errors import ProtocolError
from sv2rig.sv2.frame import (
    Frame,
    decode_frame,
    decode_message,
    encode_frame,
    parse_frame,
)
from sv2rig.sv2.messages.registry import REGISTRY, Message
from sv2rig.sv2.wire import WireType

MESSAGES = [REGISTRY[key] for key in sorted(REGISTRY)]
NAMES = [cls.__name__ for cls in MESSAGES]

RAW: dict[str, Callable[[int], st.SearchStrategy[Any]]] = {
    "BOOL": lambda _: st.booleans(),
    "F32": lambda _: st.floats(width=32, allow_nan=False),
    "STR0_255": lambda limit: st.text(
        st.characters(exclude_categories=["Cs", "Cc"]), max_size=limit // 4
    ),
}


def values(wire: WireType, python_type: type) -> st.SearchStrategy[Any]:
    """Values of a wire type, from its published limit."""
    if wire.element is not None:
        item = values(wire.element, bytes if wire.element.name in ("U256", "B0_16M") else int)
        if wire.limit == 1:
            return st.none() | item
        return st.lists(item, max_size=min(wire.limit, 12)).map(tuple)
    if wire.name in RAW:
        return RAW[wire.name](wire.limit)
    if python_type is int:
        return st.integers(0, wire.limit)
    if wire.fixed:
        return st.binary(min_size=wire.fixed.size, max_size=wire.fixed.size)
    return st.binary(max_size=min(wire.limit, 300))


def messages(cls: type[Message]) -> st.SearchStrategy[Message]:
    python_types = cls.__annotations__
    return st.builds(
        cls,
        *(values(field.wire, python_types[field.name].__origin__) for field in cls.wire_fields),
    )


@pytest.mark.parametrize("cls", MESSAGES, ids=NAMES)
@settings(max_examples=60)
@given(data=st.data())
def test_messages_survive_the_wire(cls: type[Message], data: st.DataObject) -> None:
    message = data.draw(messages(cls))
    raw = encode_frame(message)
    assert decode_message(parse_frame(raw)) == message
    assert encode_frame(decode_message(parse_frame(raw))) == raw


@pytest.mark.parametrize("cls", MESSAGES, ids=NAMES)
@settings(max_examples=60)
@given(payload=st.binary(max_size=400), extensions=st.frozensets(st.integers(0, 3)))
def test_messages_any_payload(
    cls: type[Message], payload: bytes, extensions: frozenset[int]
) -> None:
    try:
        message, _ = decode_frame(
            Frame(cls.extension_type, False, cls.msg_type, payload), extensions
        )
    except ProtocolError:
        return
    assert isinstance(message, cls)


@pytest.mark.parametrize("cls", MESSAGES, ids=NAMES)
@settings(max_examples=60)
@given(data=st.data())
def test_messages_damaged(cls: type[Message], data: st.DataObject) -> None:
    raw = bytearray(encode_frame(data.draw(messages(cls))))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode_message(parse_frame(bytes(raw)))
    except ProtocolError:
        return


@given(st.binary(max_size=200))
def test_messages_any_bytes_as_a_frame(data: bytes) -> None:
    try:
        decode_message(parse_frame(data))
    except ProtocolError:
        return


@pytest.mark.parametrize("cls", MESSAGES, ids=NAMES)
def test_messages_claimed_counts_allocate_nothing(cls: type[Message]) -> None:
    """All-ones payloads claim the greatest lengths and counts there are."""
    for size in (8, 64, 512):
        frame = Frame(cls.extension_type, False, cls.msg_type, b"\xff" * size)
        tracemalloc.start()
        try:
            decode_message(frame)
        except ProtocolError:
            pass
        finally:
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert peak < 40_000


def test_messages_many_empty_items_stay_in_proportion() -> None:
    """65535 empty transactions: the most items that a payload can hold for its size."""
    payload = struct.pack("<IH", 1, 65535) + bytes(3 * 65535)
    tracemalloc.start()
    decode_message(Frame(0, False, 0x56, payload))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12 * len(payload)
