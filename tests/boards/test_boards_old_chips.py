"""BM1384 and BM1387: replies in a stream without marks, start-up order."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sv2rig.boards.crc import crc5
from sv2rig.drivers.bm13xx import old_framing as old
from sv2rig.drivers.bm13xx import old_startup
from sv2rig.drivers.bm13xx.chips import addresses
from sv2rig.drivers.bm13xx.protocol import CommError, NonceReply, RegisterReply

CHIPS = st.sampled_from([old.BM1384, old.BM1387])
BYTE = st.integers(0, 255)


def sealed(body: bytes, flags: int) -> bytes:
    """A reply whose checksum was found by trying all 32."""
    return next(frame for crc in range(32) if not crc5(frame := body + bytes((flags | crc,))))


@given(st.binary(min_size=4, max_size=4), BYTE, BYTE)
def test_bm1387_replies(word: bytes, first: int, second: int) -> None:
    found = old.OldDecoder(old.BM1387).feed(sealed(word + bytes((first, second)), 0x80))
    assert found == [NonceReply(word, second, 0, first)]
    found = old.OldDecoder(old.BM1387).feed(sealed(word + bytes((first, second)), 0))
    assert found == [RegisterReply(second, int.from_bytes(word), first)]


@given(st.binary(min_size=4, max_size=4), st.integers(0, 31))
def test_bm1384_replies(word: bytes, job_id: int) -> None:
    found = old.OldDecoder(old.BM1384).feed(word + bytes((0x80 | job_id,)))
    assert found == [NonceReply(word, job_id, 0, 0)]
    found = old.OldDecoder(old.BM1384).feed(sealed(word, 0))
    assert found == [RegisterReply(0, int.from_bytes(word), word[3])]


@given(CHIPS, st.binary(max_size=100), st.lists(st.integers(0, 100), max_size=6))
def test_any_split_gives_what_the_whole_gives(
    chip: old.OldChip, stream: bytes, cuts: list[int]
) -> None:
    whole, split = old.OldDecoder(chip), old.OldDecoder(chip)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    found = [one for a, b in itertools.pairwise(edges) for one in split.feed(stream[a:b])]
    assert found == whole.feed(stream)
    assert whole.waiting < chip.reply_length
    dropped = whole.damage.skipped + whole.waiting + chip.reply_length * whole.replies
    assert dropped == len(stream)
    assert whole.reset() == split.reset()
    assert whole.waiting == 0


def test_a_lost_byte_costs_its_reply_and_a_silence_gives_the_rest_up() -> None:
    good = [sealed(bytes((value, 7, 7, 7, 1, 2)), 0x80) for value in (1, 2, 3)]
    decoder = old.OldDecoder(old.BM1387)
    found = decoder.feed(good[0] + good[1][1:] + good[2])
    assert [type(one) for one in found] == [NonceReply, CommError, NonceReply]
    assert decoder.feed(good[0][:3]) == []
    assert decoder.reset() == [CommError(3)]
    assert decoder.reset() == []
    assert len(decoder.feed(good[0])) == 1


def test_jobs_have_ids_and_midstates_that_the_chips_take() -> None:
    words = tuple(range(8))
    assert old.job_1384(0x1F, bytes(12), words, 0x3F, 0x01020304)[39:52].hex() == (
        "3f01020304000000000000001f"
    )
    with pytest.raises(ValueError, match="job ids 0 to 31"):
        old.job_1384(0x20, bytes(12), words)
    assert len(old.job_1387(0, bytes(12), [words] * 4)) == 0x96
    for count in (0, 2, 3, 5):
        with pytest.raises(ValueError, match="1 or 4"):
            old.job_1387(0, bytes(12), [words] * count)
    assert old.BM1387.split_id(0x0E, 4) == (0x0C, 2)
    assert old.BM1387.hash_rate(650, 2) == 650e6 * 114 * 2


def test_start_up_order() -> None:
    places = addresses(2)
    first = [step.frame.hex() for step in old_startup.address(old.BM1387, places)]
    assert first == ["5505000010"] * 3 + [old.set_address(place).hex() for place in (0, 128)]
    assert old_startup.hello(old.BM1387).frame.hex() == "5405000019"
    assert old_startup.set_line_speed(1).frame[:8].hex() == "5809001c00200100"
    gate, ticket = [step.frame[:8].hex() for step in old_startup.open_chain(0x1A, 38)]
    assert (gate, ticket) == ("5809001c40209a80", "58090018000000fc")
    assert old_startup.set_clock(old.BM1387, 500).frame[4:8].hex() == "00500221"
    assert len(list(old_startup.open_cores(old.BM1387, 4))) == 114
    oldest = [step.frame[:2].hex() for step in old_startup.address(old.BM1384, places)]
    assert oldest == ["8500", "0100", "0180"]
    assert old_startup.set_clock(old.BM1384, 225).frame.hex() == "8208821c"
    jobs = [step.frame for step in old_startup.open_cores(old.BM1384, 1)]
    assert [job[51] for job in jobs] == [index % 32 for index in range(55)]
