"""The paced search against hashlib, and its pace on a clock of our own."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sv2rig.bitcoin.hashing import sha256d
from sv2rig.emulation.search import (
    NONCES,
    HeaderBase,
    Hit,
    KnownAnswer,
    Search,
    known_versions,
)

HEADER = bytes(range(76))
OTHER = bytes(reversed(range(76)))
GENESIS = bytes.fromhex(
    "01000000" + 64 * "0" + "3ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a"
    "29ab5f49ffff001d1dac2b7c"
)


def drain(search: Search, until: float) -> Iterator[Hit]:
    """Every hit until then, taken only when the search asks for it."""
    while (due := search.next_due()) is not None and due <= until:
        yield from search.take(due)


def expected(header: bytes, first: int, count: int, bits: int) -> list[tuple[bytes, bytes]]:
    nonces = ((first + i) % NONCES for i in range(count))
    hashed = ((n.to_bytes(4, "big"), sha256d(header + n.to_bytes(4, "big"))) for n in nonces)
    return [(n, h) for n, h in hashed if int.from_bytes(h, "little") < 1 << 256 - bits]


@pytest.mark.parametrize("first", [0, 1000, NONCES - 700])
@pytest.mark.parametrize("bits", [0, 1, 6])
def test_every_hit_and_no_other_in_the_order_of_counting(first: int, bits: int) -> None:
    search = Search(1000, bits)
    search.begin([HeaderBase.of_header(HEADER)], 50.0, first, 2000)
    found = list(drain(search, 100.0))
    assert [(hit.nonce, hit.hash) for hit in found] == expected(HEADER, first, 2000, bits)
    assert [hit.counter for hit in found] == sorted(hit.counter for hit in found)
    assert search.exhausted(52.0)
    assert search.next_due() is None
    assert search.hashes(60.0) == 2000


def test_tickets_beyond_the_top_word() -> None:
    """Genesis has 43 zero bits: within a ticket of 40, outside one of 44."""
    nonce = int.from_bytes(GENESIS[76:], "big")
    for bits, hits in ((40, [GENESIS[76:]]), (43, [GENESIS[76:]]), (44, [])):
        search = Search(1000, bits)
        search.begin([HeaderBase.of_header(GENESIS)], 0.0, nonce - 500, 1000)
        assert [hit.nonce for hit in drain(search, 10.0)] == hits


def test_a_hit_comes_when_the_pace_reaches_it() -> None:
    search = Search(500, 6)
    search.begin([HeaderBase.of_header(HEADER)], 10.0)
    for hit in drain(search, 20.0):
        assert hit.due == pytest.approx(10.0 + (hit.counter + 1) / 500)
    assert search.hashes(20.0) == 5000


def test_bases_take_turns_and_have_their_own_ranges() -> None:
    bases = [HeaderBase.of_header(HEADER), HeaderBase.of_header(OTHER, offset=NONCES - 100)]
    search = Search(800, 5)
    search.begin(bases, 0.0, count=600)
    found = list(drain(search, 10.0))
    assert [(h.nonce, h.hash) for h in found if h.index == 0] == expected(HEADER, 0, 600, 5)
    second = [(h.nonce, h.hash) for h in found if h.index == 1]
    assert second == expected(OTHER, NONCES - 100, 600, 5)
    for hit in found:
        assert hit.due == pytest.approx((2 * hit.counter + hit.index + 1) / 800)
    assert search.hashes(10.0) == 1200


def test_new_work_replaces_the_old_whose_hashes_stay_counted() -> None:
    search = Search(1000, 4)
    search.begin([HeaderBase.of_header(HEADER)], 0.0)
    list(drain(search, 1.5))
    search.begin([HeaderBase.of_header(OTHER)], 1.5)
    assert search.hashes(1.5) == 1500
    assert {h.nonce for h in drain(search, 2.0)} <= {n for n, _ in expected(OTHER, 0, 500, 4)}
    search.stop(2.0)
    assert search.hashes(9.0) == 2000
    assert search.next_due() is None
    assert search.take(9.0) == []


def test_only_what_was_computed_is_claimed() -> None:
    """Nobody took anything for an hour: no hash was done in it."""
    search = Search(1000, 32)
    search.begin([HeaderBase.of_header(HEADER)], 0.0)
    assert search.hashes(3600.0) == 0
    search.take(10.0)
    assert search.hashes(3600.0) <= 10_250


def test_another_pace() -> None:
    search = Search(1000, 5)
    search.begin([HeaderBase.of_header(HEADER)], 0.0)
    early = list(drain(search, 1.0))
    search.set_rate(0, 1.0)
    assert search.next_due() is None
    assert search.take(50.0) == []
    search.set_rate(2000, 50.0)
    late = list(drain(search, 51.0))
    assert search.hashes(51.0) == 3000
    assert [(h.nonce, h.hash) for h in early + late] == expected(HEADER, 0, 3000, 5)
    for hit in late:
        assert hit.due == pytest.approx(50.0 + (hit.counter + 1 - 1000) / 2000)


def test_an_empty_range_and_no_headers_are_nothing_to_do() -> None:
    search = Search(1000, 0)
    for bases, count in (([], NONCES), ([HeaderBase.of_header(HEADER)], 0)):
        search.begin(bases, 0.0, count=count)
        assert search.next_due() is None
        assert search.take(1.0) == []
        assert search.exhausted(1.0)


def test_a_known_answer_is_found_at_its_time_whatever_the_pace() -> None:
    search = Search(1000, 32, [KnownAnswer(GENESIS, after_s=0.1)])
    search.begin([HeaderBase.of_header(HEADER), HeaderBase.of_header(GENESIS)], 5.0)
    assert search.take(5.09) == []
    assert search.next_due() == pytest.approx(5.1)
    [hit] = search.take(5.1)
    assert (hit.index, hit.nonce, hit.hash) == (1, GENESIS[76:], sha256d(GENESIS))
    assert hit.value == int.from_bytes(sha256d(GENESIS), "little")
    assert search.take(6.0) == []
    search.begin([HeaderBase.of_header(OTHER)], 7.0)
    assert search.take(8.0) == []


def test_known_answers_under_a_version_mask() -> None:
    known = [KnownAnswer(GENESIS), KnownAnswer(b"\x01\x20\x00\x00" + GENESIS[4:])]
    plain = b"\x01\x00\x00\x00" + GENESIS[4:76]
    assert known_versions(known, plain, 0) == [1]
    assert known_versions(known, plain, 0x1FFFE000) == [1, 0x2001]
    assert known_versions(known, HEADER, 0x1FFFE000) == []


@given(st.binary(min_size=76, max_size=76), st.integers(0, NONCES - 1))
def test_the_hash_of_a_base_is_the_headers(header: bytes, nonce: int) -> None:
    four = struct.pack(">I", nonce)
    assert HeaderBase.of_header(header).hash(four) == sha256d(header + four)
    assert HeaderBase.of_header(header + four) == HeaderBase.of_header(header)


@pytest.mark.parametrize("rate", [-1.0, math.inf, math.nan])
def test_rates_that_are_none(rate: float) -> None:
    with pytest.raises(ValueError, match="rate"):
        Search(rate, 16)


def test_limits() -> None:
    base = HeaderBase.of_header(HEADER)
    for bits in (-1, 65):
        with pytest.raises(ValueError, match="ticket bits"):
            Search(1000, bits)
    for first, count in ((-1, 1), (NONCES, 1), (0, -1), (0, NONCES + 1)):
        with pytest.raises(ValueError, match="outside"):
            Search(1000, 16).begin([base], 0.0, first, count)
    with pytest.raises(ValueError, match="76 or 80"):
        HeaderBase.of_header(HEADER[:75])
    with pytest.raises(ValueError, match="8 words and 12 bytes"):
        HeaderBase(base.midstate, HEADER[64:75])
    with pytest.raises(ValueError, match="80 bytes"):
        KnownAnswer(HEADER)
