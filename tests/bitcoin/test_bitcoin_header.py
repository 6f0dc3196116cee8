import json
from dataclasses import replace
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sv2rig.bitcoin.header import BlockHeader, from_display, to_display
from sv2rig.bitcoin.reader import ParseError
from sv2rig.bitcoin.target import bits_to_target

VECTORS = json.loads((files("sv2rig.rig") / "vectors/headers.json").read_text())


@pytest.mark.parametrize("vector", VECTORS["headers"], ids=lambda v: str(v["height"]))
def test_real_headers_hash_as_the_chain_says(vector: dict[str, str]) -> None:
    raw = bytes.fromhex(vector["header"])
    header = BlockHeader.unpack(raw)
    assert header.pack() == raw
    assert to_display(header.hash()) == vector["hash"]
    assert from_display(vector["hash"]) == header.hash()
    assert header.hash_value() == int(vector["hash"], 16)
    assert header.hash_value() <= bits_to_target(header.nbits)
    wrong = replace(header, nonce=header.nonce ^ 1)
    assert wrong.hash_value() > bits_to_target(header.nbits)


def test_fields_of_the_genesis_header() -> None:
    header = BlockHeader.unpack(bytes.fromhex(VECTORS["headers"][0]["header"]))
    assert header == BlockHeader(
        version=1,
        prev_hash=bytes(32),
        merkle_root=from_display(
            "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b"
        ),
        ntime=1231006505,
        nbits=0x1D00FFFF,
        nonce=2083236893,
    )


@given(st.binary(min_size=80, max_size=80))
def test_any_80_bytes_are_a_header(raw: bytes) -> None:
    assert BlockHeader.unpack(raw).pack() == raw


@pytest.mark.parametrize("size", [0, 79, 81])
def test_other_lengths_are_refused(size: int) -> None:
    with pytest.raises(ParseError, match=f"header at byte 0: has {size} bytes, not 80"):
        BlockHeader.unpack(bytes(size))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", -1),
        ("version", 1 << 32),
        ("nonce", 1 << 32),
        ("ntime", -1),
        ("nbits", 1 << 32),
        ("prev_hash", bytes(31)),
        ("merkle_root", bytes(33)),
    ],
)
def test_values_that_do_not_fit_are_named(field: str, value: object) -> None:
    good = BlockHeader(0xFFFFFFFF, bytes(32), bytes(32), 0xFFFFFFFF, 0, 0xFFFFFFFF)
    with pytest.raises(ValueError, match=field):
        replace(good, **{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["00" * 31, "00" * 33, "zz" * 32, ""])
def test_display_hashes_are_checked(text: str) -> None:
    with pytest.raises(ValueError, match="displayed hash"):
        from_display(text)
