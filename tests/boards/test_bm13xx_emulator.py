"""The emulated chain against frames and transcripts of real boards, as raw bytes."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from sv2rig.drivers.bm13xx.emulator import EMULATOR, EmulatedHashBoard
from sv2rig.emulation.emulator import EmulatorOptions
from sv2rig.emulation.search import KnownAnswer

VECTORS = Path(__file__).parents[1] / "vectors" / "boards"
READ_ID = bytes.fromhex("55aa520500000a")
ROLL = bytes.fromhex("55aa510900a49000ffff1c")


def vectors(name: str) -> list[dict[str, Any]]:
    loaded: list[dict[str, Any]] = json.loads((VECTORS / name).read_text())["vectors"]
    return loaded


def crc5(data: bytes) -> int:
    """By the definition, bit after bit: x^5 + x^2 + 1 from all ones."""
    register = 31
    for byte in data:
        for place in range(7, -1, -1):
            bit = byte >> place & 1
            register = (register << 1 & 31) ^ (5 if register >> 4 ^ bit else 0)
    return register


def command(*body: int) -> bytes:
    return b"\x55\xaa" + bytes(body) + bytes((crc5(bytes(body)),))


def write(register: int, value: int) -> bytes:
    return command(0x51, 9, 0, register, *value.to_bytes(4, "big"))


def board(chip: str = "BM1370", chips: int = 1, **options: Any) -> EmulatedHashBoard:
    emulated = EmulatedHashBoard(chip, chips, EmulatorOptions(**options))
    emulated.power_up(0.0)
    return emulated


def says(emulated: EmulatedHashBoard, data: bytes, now: float = 1.0, baud: int = 115200) -> bytes:
    emulated.receive(0, data, baud, now)
    return emulated.take_output(0)


def run(emulated: EmulatedHashBoard, until: float) -> bytes:
    """All it says until then, woken only when it asks to be."""
    said = b""
    while (due := emulated.next_timeout()) is not None and due <= until:
        emulated.on_time(due)
        said += emulated.take_output(0)
    emulated.on_time(until)
    return said + emulated.take_output(0)


def frames(said: bytes, size: int) -> list[bytes]:
    assert len(said) % size == 0
    found = [said[at : at + size] for at in range(0, len(said), size)]
    for frame in found:
        assert frame[:2] == b"\xaa\x55"
        assert crc5(frame[2:]) == 0
    return found


def zero_bits(header: bytes) -> int:
    digest = hashlib.sha256(hashlib.sha256(header).digest()).digest()
    return 256 - int.from_bytes(digest, "little").bit_length()


def full_job(job_id: int, header76: bytes) -> bytes:
    words = [header76[at : at + 4] for at in range(0, 76, 4)]
    body = bytes((0x21, 0x56, job_id, 1)) + bytes(4)
    body += words[18] + words[17] + b"".join(words[16:8:-1]) + b"".join(words[8:0:-1]) + words[0]
    return b"\x55\xaa" + body + crc16(body)


def crc16(data: bytes) -> bytes:
    register = 0xFFFF
    for byte in data:
        register ^= byte << 8
        for _ in range(8):
            register = register << 1 ^ (0x11021 if register & 0x8000 else 0)
    return register.to_bytes(2, "big")


def test_full_job_of_this_test_is_the_stated_one() -> None:
    vector = vectors("bm13xx_jobs.json")[0]
    job = full_job(0xA8, bytes.fromhex(vector["in"]["header_76"]))
    stated = bytes.fromhex(vector["out"]["frame"])
    assert job[4:-2] == stated[4:-2]


@pytest.mark.parametrize(
    ("chip", "transcript"),
    [("BM1397", "bm1397_init_transcript.json"), ("BM1370", "bm1370_init_transcript.json")],
)
def test_start_up_transcript(chip: str, transcript: str) -> None:
    emulated = board(chip)
    vector = vectors(transcript)[0]
    reply = next(text for name, text in vector["out"].items() if name.startswith("device_reply"))
    for frame in vector["in"]["host_frames"]:
        expected = bytes.fromhex(reply) if bytes.fromhex(frame) == READ_ID else b""
        assert says(emulated, bytes.fromhex(frame)) == expected
    assert emulated.wires.ledger.works_received == 0


@pytest.mark.parametrize("vector", vectors("bm13xx_commands.json"), ids=lambda v: v["id"])
def test_every_stated_command_is_understood(vector: dict[str, Any]) -> None:
    emulated = board()
    frame = bytes.fromhex(vector["out"]["frame"])
    if vector["in"]["op"] == "write":
        says(emulated, frame)
        chip = emulated.chain._chips[0]
        applies = vector["in"]["broadcast"] or vector["in"]["chip"] == 0
        assert (chip.registers.get(vector["in"]["reg"]) == vector["in"]["value"]) is applies
    elif vector["in"]["op"] == "set_address":
        says(emulated, frame)
        address = vector["in"]["chip"]
        reply = says(emulated, command(0x42, 5, address, 0))
        assert reply[2:7] == bytes((0x13, 0x70, 0, address, address))
    else:
        assert bool(says(emulated, frame)) is (vector["id"] == "cmd-520500000a")
    assert not emulated.wires.inbound[0].buffer


def test_id_reply_before_and_after_version_rolling() -> None:
    emulated = board()
    assert says(emulated, READ_ID).hex() == "aa5513700000000006"
    assert says(emulated, ROLL + READ_ID).hex() == "aa55137000000000000010"


def test_twelve_chips_get_their_addresses_in_turn() -> None:
    emulated = board("BM1362", 12)
    assert len(says(emulated, READ_ID)) == 12 * 9
    says(emulated, command(0x53, 5, 0, 0))
    for index in range(12):
        says(emulated, command(0x40, 5, index * 21, 0))
    replies = frames(says(emulated, READ_ID), 9)
    assert [reply[6] for reply in replies] == [index * 21 for index in range(12)]
    (one,) = frames(says(emulated, command(0x42, 5, 42, 0)), 9)
    assert one[6] == 42


@pytest.mark.parametrize("chips", ["0", "127"])
def test_chains_too_short_and_too_long_are_refused(chips: str) -> None:
    with pytest.raises(ValueError, match="1 to 126"):
        EMULATOR.make(EmulatorOptions(more={"chips": chips}))


@pytest.mark.parametrize("chips", ["1", "126"])
def test_the_shortest_and_the_longest_chain_are_made(chips: str) -> None:
    assert EMULATOR.make(EmulatorOptions(more={"chips": chips})).claims.rate_hs > 0


def test_longest_chain() -> None:
    assert len(says(board("BM1366", 126), READ_ID)) == 126 * 9


def test_the_captured_share_to_the_last_byte() -> None:
    """Sent as the captured frame, answered as captured: ticket 256, difficulty 29588, core 38/2."""
    vector = vectors("bm1370_roundtrip.json")[0]
    known = KnownAnswer(bytes.fromhex(vector["out"]["header_80"]), after_s=0.5)
    emulated = board(ticket_bits=32, known=[known], rate_hs=1e5)
    for frame in vectors("bm1370_init_transcript.json")[0]["in"]["host_frames"]:
        says(emulated, bytes.fromhex(frame))
    says(emulated, write(0x08, 0x50A80230))
    assert emulated.claims.replay
    assert says(emulated, bytes.fromhex(vector["out"]["tx_frame"]), now=1.0) == b""
    assert run(emulated, 1.49) == b""
    assert run(emulated, 1.51).hex() == vector["out"]["rx_frame"]


@pytest.mark.parametrize("index", range(2))
def test_quick_solve_is_found_by_hashing(index: int) -> None:
    vector = vectors("quick_solve.json")[index]
    emulated = board("BM1397", rate_hs=2e6, ticket_bits=20)
    says(emulated, write(0x08, 0x40480221))
    says(emulated, bytes.fromhex(vector["out"]["bm1397"]["task"]))
    replies = frames(run(emulated, 1.2), 9)
    stated = vector["out"]["bm1397"]["reply"]
    assert (stated[4:12], stated[14:16]) in [(r[2:6].hex(), r[7:8].hex()) for r in replies]
    assert emulated.wires.ledger.hashes == pytest.approx(400_000, rel=0.01)


HEADER = bytes(range(4)) + hashlib.sha256(b"a").digest() + hashlib.sha256(b"b").digest() + bytes(8)


def rolled(reply: bytes) -> bytes:
    """The 80 bytes that a reply of 11 bytes says were hashed."""
    version = int.from_bytes(HEADER[:4], "little") | int.from_bytes(reply[8:10], "big") << 13
    return version.to_bytes(4, "little") + HEADER[4:] + reply[2:6]


@pytest.mark.parametrize(
    ("chip", "shift", "low_bits"),
    [("BM1362", 0, 7), ("BM1366", 0, 7), ("BM1368", 1, 15), ("BM1370", 1, 15)],
)
def test_nonces_of_a_chain_rehash_and_come_from_their_chips(
    chip: str, shift: int, low_bits: int
) -> None:
    emulated = board(chip, 4, rate_hs=400_000, ticket_bits=12)
    says(emulated, command(0x53, 5, 0, 0))
    for index in range(4):
        says(emulated, command(0x40, 5, index * 64, 0))
    mhz = emulated.chain.model.mhz
    says(emulated, write(0x08, 0x50A80230) + write(0xA4, 0x9000_00F0))
    pace = 400_000 * 525 / mhz
    assert emulated.pins()["mhz"] == 525
    says(emulated, full_job(0x38, HEADER))
    replies = frames(run(emulated, 2.0), 11)
    assert emulated.wires.ledger.hashes == pytest.approx(pace, abs=4)
    assert 0.6 < len(replies) / (pace / 4096) < 1.4
    for reply in replies:
        field = int.from_bytes(reply[8:10], "big")
        assert field & ~0xF0 == 0
        assert reply[7] == 0x38 << shift | field & low_bits
        assert reply[6] == 2 * (zero_bits(rolled(reply)) - 12) >= 0
    owners = {int.from_bytes(reply[2:6], "big") >> 17 & 0xFF for reply in replies}
    assert owners == {0, 64, 128, 192}
    assert len({reply[8:10] for reply in replies}) > 1


def test_a_narrow_version_mask_is_gone_through_and_begun_again() -> None:
    """HCN leaves each core one nonce a stretch: the same nonces come again, as silicon does."""
    emulated = board("BM1366", 1, rate_hs=1e6, ticket_bits=4)
    says(emulated, write(0x08, 0x50A80230) + write(0xA4, 0x9000_0000) + write(0x10, 24))
    says(emulated, full_job(0x08, HEADER))
    replies = frames(run(emulated, 1.3), 11)
    nonces = [reply[2:6] for reply in replies]
    assert len(nonces) > 2 * len(set(nonces)) > 0
    assert {int.from_bytes(nonce, "big") & 0x1FFFFFF for nonce in nonces} <= set(range(1008))


def test_four_midstates_are_told_apart() -> None:
    """Midstates of a header's four versions, each found by the index it came with."""
    from sv2rig.bitcoin.sha256 import midstate

    emulated = board("BM1397", rate_hs=1e6, ticket_bits=12)
    says(emulated, write(0x08, 0x40480221))
    firsts = [bytes((n,)) + HEADER[1:64] for n in range(4)]
    words = [HEADER[at : at + 4] for at in (72, 68, 64)]
    body = bytes((0x21, 0x96, 0x7C, 4)) + bytes(4) + b"".join(words)
    for first in firsts:
        body += b"".join(word.to_bytes(4, "big") for word in reversed(midstate(first)))
    says(emulated, b"\x55\xaa" + body + crc16(body))
    replies = frames(run(emulated, 1.3), 9)
    assert {reply[7] for reply in replies} == {0x7C, 0x7D, 0x7E, 0x7F}
    for reply in replies:
        assert zero_bits(firsts[reply[7] & 3] + HEADER[64:76] + reply[2:6]) >= 12


def test_a_real_ticket_is_decided_by_the_mask() -> None:
    vector = vectors("bm1370_roundtrip.json")[0]
    known = KnownAnswer(bytes.fromhex(vector["out"]["header_80"]))
    for mask, heard in ((0xC0FF, True), (0xFFFF, False)):  # 2**10 and 2**16; it is worth 2**14
        emulated = board(ticket_bits=32, known=[known])
        says(emulated, ROLL + write(0x14, mask))
        assert bool(says(emulated, bytes.fromhex(vector["out"]["tx_frame"]))) is False
        assert bool(run(emulated, 1.0)) is heard


def test_an_easy_ticket_is_not_touched_by_the_mask() -> None:
    emulated = board("BM1366", rate_hs=1e6, ticket_bits=10)
    says(emulated, ROLL + write(0x08, 0x50A80230) + write(0x14, 0xFF) + full_job(8, HEADER))
    assert frames(run(emulated, 1.1), 11)


def test_damaged_frames_are_dropped_and_the_next_one_is_heard() -> None:
    emulated = board()
    for place in range(2, 7):
        damaged = bytearray(READ_ID)
        damaged[place] ^= 0x10
        assert len(says(emulated, bytes(damaged) + READ_ID)) == 9
    assert len(says(emulated, READ_ID[:3] + READ_ID)) == 9
    assert says(emulated, b"\xff\x00\x55") == b""
    assert len(says(emulated, READ_ID)) == 9


def test_a_job_with_a_bad_check_is_no_work() -> None:
    emulated = board()
    job = bytearray(full_job(8, HEADER))
    job[40] ^= 1
    says(emulated, bytes(job) + READ_ID)
    assert emulated.wires.ledger.works_received == 0
    assert emulated.next_timeout() is None


@pytest.mark.parametrize("length", [0x36, 0x56, 0xFF])
def test_every_length_byte_in_use_is_taken(length: int) -> None:
    emulated = board()
    body = bytes((0x21, length)) + full_job(8, HEADER)[4:-2]
    says(emulated, b"\x55\xaa" + body + crc16(body))
    assert emulated.wires.ledger.works_received == 1


def test_another_speed_is_garbage_until_the_host_follows() -> None:
    emulated = board()
    says(emulated, write(0x28, 0x11300200))  # 25 MHz / 24
    assert says(emulated, READ_ID, now=2.0) == b""
    assert len(says(emulated, READ_ID, now=2.1, baud=1_000_000)) == 9
    says(emulated, write(0x28, 0x11300000), now=2.2, baud=1_000_000)
    assert says(emulated, READ_ID, now=2.3, baud=1_000_000) == b""
    assert len(says(emulated, READ_ID, now=2.4, baud=3_125_000)) == 9


def test_a_host_that_follows_too_soon_is_not_heard() -> None:
    emulated = board("BM1397")
    says(emulated, write(0x18, 0x00006031), now=2.0)
    assert says(emulated, READ_ID, now=2.004, baud=3_125_000) == b""
    assert len(says(emulated, READ_ID, now=2.010, baud=3_125_000)) == 9


def test_what_stands_behind_the_change_of_speed_is_lost() -> None:
    emulated = board()
    assert says(emulated, write(0x28, 0x11300000) + READ_ID) == b""


def test_power_brings_everything_back_to_the_start() -> None:
    emulated = board("BM1366", 2, rate_hs=1e6)
    says(emulated, ROLL + write(0x08, 0x50A80230) + full_job(8, HEADER))
    says(emulated, write(0x28, 0x11300200))
    emulated.power_up(5.0)
    assert emulated.next_timeout() is None
    assert emulated.pins()["mhz"] < 60
    assert len(says(emulated, READ_ID, now=6.0)) == 18


def test_hash_counters_count_tickets() -> None:
    emulated = board("BM1370", 2, rate_hs=1e6, ticket_bits=10)
    says(emulated, ROLL + write(0x08, 0x50A80230) + full_job(8, HEADER))
    run(emulated, 2.0)
    replies = frames(says(emulated, command(0x52, 5, 0, 0x8C), now=2.0), 11)
    assert [int.from_bytes(reply[2:6], "big") for reply in replies] == [500_000 >> 10] * 2
    assert {reply[7] for reply in replies} == {0x8C}
    quarters = [
        int.from_bytes(frames(says(emulated, command(0x42, 5, 0, register), now=2.0), 11)[0][2:6])
        for register in range(0x88, 0x8C)
    ]
    assert sum(quarters) == 500_000 >> 10


def test_options_are_checked_in_words() -> None:
    assert EMULATOR.make(EmulatorOptions(more={"chip": "bm1362", "chips": "12"}))
    with pytest.raises(ValueError, match="one of BM1397"):
        EMULATOR.make(EmulatorOptions(more={"chip": "BM1398"}))
    with pytest.raises(ValueError, match="whole number"):
        EMULATOR.make(EmulatorOptions(more={"chips": "few"}))
