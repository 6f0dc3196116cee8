"""Frames of BM1397 to BM1370 chains: what is sent, and what a damaged stream still gives."""

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sv2rig.bitcoin.sha256 import midstate
from sv2rig.boards.crc import crc5, crc16_false
from sv2rig.devices.work import Work
from sv2rig.drivers.bm13xx import registers as reg
from sv2rig.drivers.bm13xx import startup
from sv2rig.drivers.bm13xx.chips import (
    BM1370,
    BM1397,
    CHIPS,
    ChipError,
    addresses,
    chip_index,
    chip_named,
)
from sv2rig.drivers.bm13xx.jobs import header_job, midstate_job, work_header, work_midstates
from sv2rig.drivers.bm13xx.protocol import (
    CommError,
    Decoder,
    NonceReply,
    RegisterReply,
    Reply,
    read_register,
    write_register,
)

LENGTHS = st.sampled_from([9, 11])
WORDS = st.integers(0, 0xFFFFFFFF)
BYTES = st.integers(0, 255)


def reply_frame(length: int, payload: bytes, flags: int) -> bytes:
    """A chip's reply, its checksum found by trying all 32."""
    body = payload[: length - 3]
    frames = [body + bytes((flags | crc,)) for crc in range(32)]
    return b"\xaa\x55" + next(one for one in frames if crc5(one) == 0)


def a_nonce(length: int, number: int) -> bytes:
    return reply_frame(length, struct.pack(">IBBH", number, 2, 0x20, 0x1234), 0x80)


@given(LENGTHS, st.binary(min_size=8, max_size=8), st.sampled_from([0, 0x20, 0x80, 0xC0, 0xE0]))
def test_a_reply_is_decoded_as_it_was_encoded(length: int, payload: bytes, flags: int) -> None:
    [reply] = Decoder(length).feed(reply_frame(length, payload, flags))
    field = int.from_bytes(payload[6:8]) if length == 11 else 0
    if flags & 0x80:
        assert reply == NonceReply(payload[:4], payload[5], field, payload[4])
    else:
        assert reply == RegisterReply(payload[5], int.from_bytes(payload[:4]), payload[4])


PIECES = st.one_of(
    st.binary(max_size=30),
    st.builds(a_nonce, st.just(11), WORDS),
    st.builds(lambda number, cut: a_nonce(11, number)[:cut], WORDS, st.integers(0, 11)),
    st.sampled_from([b"\xaa", b"\xaa\x55", b"\xaa\xaa\x55"]),
)


@given(st.lists(PIECES, max_size=8).map(b"".join), st.lists(st.integers(0, 120), max_size=6))
def test_any_split_of_a_stream_gives_what_the_whole_gives(stream: bytes, cuts: list[int]) -> None:
    whole, split = Decoder(11), Decoder(11)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    pieces = [stream[a:b] for a, b in itertools.pairwise(edges)]
    assert list(itertools.chain(*map(split.feed, pieces))) == whole.feed(stream)
    assert (split.damage.errors, split.damage.skipped, split.waiting) == (
        whole.damage.errors,
        whole.damage.skipped,
        whole.waiting,
    )
    assert whole.waiting < 11
    assert whole.damage.skipped + whole.waiting + 11 * whole.replies == len(stream)


@given(LENGTHS, st.binary(max_size=200), st.lists(WORDS, min_size=2, max_size=6))
def test_two_replies_after_any_garbage_are_back_in_step(
    length: int, garbage: bytes, numbers: list[int]
) -> None:
    frames = [a_nonce(length, number) for number in numbers]
    found = Decoder(length).feed(garbage + b"".join(frames))
    wanted = [one for frame in frames[2:] for one in Decoder(length).feed(frame)]
    replies = [one for one in found if not isinstance(one, CommError)]
    assert replies[len(replies) - len(wanted) :] == wanted


def test_each_damaged_reply_is_one_error() -> None:
    # Numbers whose bytes hold no preamble; each damage is one that the checksum sees.
    good = [a_nonce(11, number) for number in (0x01020304, 0x11121314, 0x21222324)]
    flipped = bytearray(good[1])
    flipped[4] ^= 0x10
    for damaged in (
        bytes(flipped),
        b"\xab" + good[1][1:],
        good[1][:5] + good[1][6:],
        good[1][:5] + b"\x00" + good[1][5:],
        good[1][1:],
    ):
        decoder = Decoder(11)
        found = decoder.feed(good[0] + damaged + good[2])
        assert [isinstance(one, CommError) for one in found] == [False, True, False], damaged
        assert decoder.damage.errors == 1
        twice = Decoder(11)
        twice.feed(good[0] + damaged * 2 + good[2])
        assert (twice.damage.errors, twice.replies) == (2, 2), damaged


def test_a_megabyte_of_garbage_keeps_less_than_a_reply() -> None:
    decoder = Decoder(9)
    for _ in range(16):
        decoder.feed(b"\xaa\x55\x00\xaa" * 16384)
        assert decoder.waiting < 9


def test_a_new_length_counts_from_the_next_byte() -> None:
    decoder = Decoder(9)
    assert len(decoder.feed(a_nonce(9, 1))) == 1
    decoder.length = 11
    found: list[Reply | CommError] = decoder.feed(a_nonce(11, 2))
    assert found == [NonceReply(bytes((0, 0, 0, 2)), 0x20, 0x1234, 2)]


@given(BYTES, WORDS, st.none() | BYTES)
def test_commands_carry_their_fields_and_a_checksum(
    register: int, value: int, address: int | None
) -> None:
    for frame, header, rest in (
        (write_register(register, value, address), 0x41, value.to_bytes(4)),
        (read_register(register, address), 0x42, b""),
    ):
        everyone = 0x10 if address is None else 0
        body = bytes((header | everyone, len(frame) - 2, address or 0, register)) + rest
        assert frame == b"\x55\xaa" + body + bytes((crc5(body),))


HEADERS = st.binary(min_size=76, max_size=76)


def header_of(job: bytes) -> bytes:
    """The header in a full-header job, read from the table of offsets in REFERENCE.md."""
    words = [job[at : at + 4] for at in range(18, 82, 4)]
    return job[82:86] + b"".join(words[15:7:-1]) + b"".join(words[7::-1]) + job[14:18] + job[10:14]


@given(HEADERS, BYTES)
def test_a_header_job_holds_the_header(header: bytes, id_byte: int) -> None:
    job = header_job(id_byte, header)
    assert header_of(job) == header
    assert len(job) == 88
    assert job[4] == id_byte
    assert crc16_false(job[2:]) == 0
    with pytest.raises(ValueError, match="76 bytes"):
        header_job(id_byte, header[:75])


WORD8 = st.tuples(*[WORDS] * 8)


@given(st.binary(min_size=12, max_size=12), st.lists(WORD8, min_size=1, max_size=4))
def test_a_midstate_job_holds_its_parts(tail: bytes, midstates: list[tuple[int, ...]]) -> None:
    job = midstate_job(0x0C, tail, midstates)
    count = job[5]
    assert count == (1 if len(midstates) == 1 else 4)
    assert len(job) == 24 + 32 * count
    assert job[10:14] + job[14:18] + job[18:22] == tail[8:] + tail[4:8] + tail[:4]
    read = [struct.unpack(">8I", job[at : at + 32])[::-1] for at in range(22, 22 + 32 * count, 32)]
    assert read[: len(midstates)] == midstates
    assert all(one == midstates[0] for one in read[len(midstates) :])
    assert crc16_false(job[2:]) == 0


def test_a_midstate_job_has_one_to_four_midstates() -> None:
    one = tuple(range(8))
    for count in (0, 5):
        with pytest.raises(ValueError, match="1 to 4"):
            midstate_job(0, bytes(12), [one] * count)


def test_the_parts_of_a_work_are_its_headers() -> None:
    work = Work(
        1, 1, 1, 0x20000000, bytes(range(32)), bytes(range(32, 64)), 7, 8, 0, 0,
        version_bits=0x6000,
    )  # fmt: skip
    versions = list(work.versions())
    assert work_header(work, versions[1], 9) == work.header(0, versions[1], 9)[:76]
    assert work_midstates(work, versions) == [
        midstate(work.header(0, one, 7)[:64]) for one in versions
    ]


@pytest.mark.parametrize("chip", CHIPS.values(), ids=lambda chip: chip.name)
def test_slots_come_back_from_a_reply(chip: object) -> None:
    model = next(one for one in CHIPS.values() if one is chip)
    seen, slot = [], 0
    for _ in range(model.job_slots):
        seen.append(slot)
        returned = model.id_byte(slot) << (model.reply_shift - model.sent_shift) | 1
        assert model.slot_of(returned) == (slot, 1)
        slot = model.next_slot(slot)
    assert sorted(seen) == list(range(model.job_slots))
    for outside in (-1, model.job_slots):
        with pytest.raises(ValueError, match="job slots"):
            model.id_byte(outside)


def test_chains_of_one_to_128_chips() -> None:
    assert addresses(1) == (0,)
    assert addresses(12) == tuple(range(0, 192, 16))
    assert addresses(126) == tuple(range(0, 252, 2))
    assert len(addresses(128)) == 128
    for chips in (0, 129):
        with pytest.raises(ChipError):
            addresses(chips)
    assert chip_named("bm1370") is BM1370
    with pytest.raises(ChipError, match="BM1362"):
        chip_named("BM9999")


@given(WORDS, st.integers(1, 128))
def test_a_nonces_chip_is_the_one_whose_address_it_carries(value: int, chips: int) -> None:
    index = chip_index(value.to_bytes(4), chips)
    if index < chips:
        step = 256 // (1 << (chips - 1).bit_length())
        assert addresses(chips)[index] == (value >> 17 & 0xFF) // step * step


@given(st.integers(32, 64))
def test_tickets_are_read_back(bits: int) -> None:
    assert reg.ticket_bits(reg.ticket_mask(bits)) == bits


def test_limits_of_registers() -> None:
    for bits in (31, 65):
        with pytest.raises(ValueError, match="tickets"):
            reg.ticket_mask(bits)
    assert reg.ticket_mask(48) == 0x0000FFFF
    assert reg.ticket_mask(43) == 0x0000E0FF
    assert reg.version_mask(0x1FFFE000) == 0x9000FFFF
    with pytest.raises(ValueError, match="00001000"):
        reg.version_mask(0x1FFFF000)
    assert reg.uart_write(BM1370, reg.uart_divider(1_000_000)) == (0x28, 0x11300200)
    assert reg.uart_write(BM1397, reg.uart_divider(115_200)) == (0x18, 0x00007A31)
    assert reg.uart_write(BM1397, reg.uart_divider(1_500_000)) == (0x18, 0x00006131)
    assert round(reg.uart_baud(26)) == 115741
    for baud in (0, 90_000, 7_000_000):
        with pytest.raises(ValueError, match="baud"):
            reg.uart_divider(baud)
    assert reg.counted_hashes(0xFFFFFFFE, 1) == 3 << 32
    assert reg.die_celsius(0x1234) is None
    assert reg.die_celsius(0x80000000 | 1894) == pytest.approx(25.007, abs=0.01)
    # S21 Pro steps 1008 of 65536 for its 65 chips; ours are a power of two, as the counts assume.
    assert [reg.nonce_offset(index, 65) for index in (0, 1)] == [0x80000000, 0x80000200]


@pytest.mark.parametrize("chip", CHIPS.values(), ids=lambda chip: chip.name)
@pytest.mark.parametrize("chips", [1, 12, 126])
def test_a_chains_shares_cover_no_nonce_twice(chip: object, chips: int) -> None:
    model = next(one for one in CHIPS.values() if one is chip)
    setting = model.pll.search(model.default_mhz)
    ticks = reg.hash_counting_number(model, setting, chips)
    share = 2**32 / (1 << (model.cores - 1).bit_length()) / (1 << (chips - 1).bit_length())
    # Two clocks a nonce, at the hash clock; what a count covers never exceeds a core's share.
    assert 0.5 * share < ticks * setting.mhz / 25 * 2 <= share


def test_every_chip_of_a_chain_is_addressed_and_opened() -> None:
    given_addresses = addresses(12)
    for chip in CHIPS.values():
        frames = [one.frame for one in startup.configure(chip, given_addresses, 40, 0x1FFFE000)]
        named = [frame[4] for frame in frames if frame[2] == 0x40]
        assert named == list(given_addresses)
        tickets = [frame[6:10] for frame in frames if frame[2:6] == b"\x51\x09\x00\x14"]
        assert tickets == [bytes((0, 0, 0, 0xFF))]
        opened = [frame[4] for frame in frames if frame[6:10] == b"\x80\x00\x82\xaa"]
        assert opened == (list(given_addresses) if chip.rolls_versions else [])
        setting = chip.pll.search(chip.default_mhz)
        last = [one.frame for one in startup.start_mining(chip, setting, given_addresses, 0x2000)]
        assert sum(frame[5] == reg.NONCE_OFFSET for frame in last) == 12 * (chip is BM1370)
        if chip.rolls_versions:
            assert last[-1] == write_register(reg.VERSION_MASK, 0x90000001)
        assert startup.set_line_speed(chip, 0).frame[5] in (reg.FAST_UART, reg.MISC_CONTROL)
