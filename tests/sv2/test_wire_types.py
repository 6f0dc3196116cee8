"""Each wire type of section 3.1: bytes by hand, and its limits at, below and above."""

from typing import Any

import pytest

from sv2rig.sv2 import wire
from sv2rig.sv2.wire import MalformedError, wire_type

# Aliases are made for annotations; as values, a checker takes a union's alias for no class.
OPTION_U8: Any = wire.Option[wire.U8]  # type: ignore[misc]
OPTION_U32: Any = wire.Option[wire.U32]  # type: ignore[misc]

# alias, value, bytes by hand
KNOWN: list[tuple[Any, Any, str]] = [
    (wire.Bool, True, "01"),
    (wire.Bool, False, "00"),
    (wire.U8, 0xAB, "ab"),
    (wire.U16, 0x0102, "02 01"),
    (wire.U24, 0x010203, "03 02 01"),
    (wire.U32, 0x01020304, "04 03 02 01"),
    (wire.U64, 0x0102030405060708, "08 07 06 05 04 03 02 01"),
    (wire.U256, 0x0102, "02 01" + "00" * 30),
    (wire.Hash256, bytes(range(32)), bytes(range(32)).hex()),
    (wire.F32, 1.0, "00 00 80 3f"),
    (wire.F32, -2.5, "00 00 20 c0"),
    (wire.F32, float("inf"), "00 00 80 7f"),
    (wire.Mac, b"\x11" * 16, "11" * 16),
    (wire.PubKey, b"\x22" * 32, "22" * 32),
    (wire.Signature, b"\x33" * 64, "33" * 64),
    (wire.Str0_255, "aé", "03 61 c3 a9"),
    (wire.Code0_255, "a-b", "03 61 2d 62"),
    (wire.B0_32, b"\x01\x02", "02 01 02"),
    (wire.B0_255, b"\x01\x02", "02 01 02"),
    # SRI's known answer (stratum 26802203, sv2/binary-sv2/tests/test.rs, test_b064k_length_prefix)
    (wire.B0_64K, b"\x01\x02\x03", "03 00 01 02 03"),
    (wire.B0_16M, b"\x01\x02", "02 00 00 01 02"),
    (wire.Bytes, b"\x01\x02", "01 02"),
    (OPTION_U32, None, "00"),
    (OPTION_U32, 5, "01 05 00 00 00"),
    (wire.Seq0_255[wire.U16], (1, 0x0203), "02 01 00 03 02"),
    (wire.Seq0_64K[wire.U16], (1, 0x0203), "02 00 01 00 03 02"),
    (wire.Seq0_64K[wire.B0_16M], (b"", b"\x07"), "02 00 00 00 00 01 00 00 07"),
    (wire.Seq0_255[wire.U256], (), "00"),
    (wire.Seq0_255[wire.Bool], (True, False), "02 01 00"),
]


@pytest.mark.parametrize(("alias", "value", "raw"), KNOWN)
def test_wire_known_bytes(alias: Any, value: Any, raw: str) -> None:
    kind = wire_type(alias)
    content = bytes.fromhex(raw)
    assert kind.encode(value) == content
    assert kind.decode(content, 0) == (value, len(content))
    assert kind.decode(b"\xee\xee" + content, 2) == (value, len(content) + 2)


@pytest.mark.parametrize(("alias", "value", "raw"), KNOWN)
def test_wire_truncated_anywhere(alias: Any, value: Any, raw: str) -> None:
    if alias is wire.Bytes:
        return  # takes what is there
    content = bytes.fromhex(raw)
    for length in range(len(content)):
        with pytest.raises(MalformedError, match="truncated"):
            wire_type(alias).decode(content[:length], 0)


@pytest.mark.parametrize(
    ("alias", "bits"),
    [
        (wire.U8, 8),
        (wire.U16, 16),
        (wire.U24, 24),
        (wire.U32, 32),
        (wire.U64, 64),
        (wire.U256, 256),
    ],
)
def test_wire_integer_limits(alias: Any, bits: int) -> None:
    kind = wire_type(alias)
    for value in (0, 1, 2**bits - 2, 2**bits - 1):
        raw = kind.encode(value)
        assert raw == value.to_bytes(bits // 8, "little")
        assert kind.decode(raw, 0) == (value, bits // 8)
    for value in (-1, 2**bits):
        with pytest.raises(ValueError, match=rf"outside U{bits}'s 0 to {2**bits - 1}"):
            kind.encode(value)


@pytest.mark.parametrize(
    ("alias", "prefix", "limit"),
    [
        (wire.B0_32, 1, 32),
        (wire.B0_255, 1, 255),
        (wire.B0_64K, 2, 65535),
        (wire.B0_16M, 3, 2**24 - 1),
    ],
)
def test_wire_byte_array_limits(alias: Any, prefix: int, limit: int) -> None:
    kind = wire_type(alias)
    for length in (0, 1, limit - 1, limit):
        raw = kind.encode(bytes(length))
        assert raw == length.to_bytes(prefix, "little") + bytes(length)
        assert kind.decode(raw, 0) == (bytes(length), prefix + length)
    with pytest.raises(ValueError, match=rf"length {limit + 1} given .* 0 to {limit} bytes"):
        kind.encode(bytes(limit + 1))


def test_wire_b0_32_claiming_33() -> None:
    # SRI's known answer (stratum 26802203, sv2/binary-sv2/tests/test.rs, test_b032_oversize).
    with pytest.raises(MalformedError, match="length 33 exceeds B0_32's 32"):
        wire_type(wire.B0_32).decode(bytes([33]) + bytes(33), 0)


@pytest.mark.parametrize("alias", [wire.Str0_255, wire.Code0_255])
def test_wire_text_limits_count_bytes(alias: Any) -> None:
    kind = wire_type(alias)
    for text in ("", "x", "x" * 254, "x" * 255, "é" * 127):
        assert kind.decode(kind.encode(text), 0)[0] == text
    for text in ("x" * 256, "é" * 128):
        with pytest.raises(ValueError, match="length 256"):
            kind.encode(text)


@pytest.mark.parametrize("control", ["\0", "\n", "\x1f", "\x7f", "\x9f"])
def test_wire_codes_are_sent_without_control_characters(control: str) -> None:
    with pytest.raises(ValueError, match="control characters"):
        wire_type(wire.Code0_255).encode(f"a{control}b")
    plain = wire_type(wire.Str0_255).encode(f"a{control}b")
    assert wire_type(wire.Code0_255).decode(plain, 0)[0] == f"a{control}b"


@pytest.mark.parametrize(
    ("alias", "prefix", "limit"),
    [(wire.Seq0_255[wire.U8], 1, 255), (wire.Seq0_64K[wire.U8], 2, 65535)],
)
def test_wire_sequence_limits(alias: Any, prefix: int, limit: int) -> None:
    kind = wire_type(alias)
    for count in (0, 1, limit - 1, limit):
        raw = kind.encode((7,) * count)
        assert raw == count.to_bytes(prefix, "little") + b"\x07" * count
        assert kind.decode(raw, 0) == ((7,) * count, prefix + count)
    with pytest.raises(ValueError, match=rf"{limit + 1} items given .* 0 to {limit}"):
        kind.encode((7,) * (limit + 1))


def test_wire_option_holds_one_at_most() -> None:
    kind = wire_type(OPTION_U8)
    assert kind.decode(b"\x00\x07", 0) == (None, 1)
    assert kind.decode(b"\x01\x07", 0) == (7, 2)
    with pytest.raises(MalformedError, match=r"length 2 exceeds OPTION\[U8\]'s 1"):
        kind.decode(b"\x02\x07\x07", 0)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_wire_fixed_bytes_are_neither_padded_nor_cut(size: int) -> None:
    with pytest.raises(ValueError, match=rf"length {size} given where U256 takes exactly 32"):
        wire_type(wire.Hash256).encode(bytes(size))


def test_wire_float_largest() -> None:
    kind = wire_type(wire.F32)
    largest = (2 - 2**-23) * 2.0**127
    assert kind.decode(kind.encode(largest), 0)[0] == largest
    with pytest.raises(ValueError, match="does not fit F32"):
        kind.encode(2.0**128)


def test_wire_annotations_without_a_wire_type() -> None:
    for hint in (int, tuple[int, ...], bytes | None):
        with pytest.raises(TypeError, match="names no wire type"):
            wire_type(hint)
