"""The emulated Icarus family, driven with raw bytes on an injected clock."""

from importlib.metadata import entry_points
from itertools import pairwise

import pytest
from board_on_clock import BoardOnClock, hash_value, vectors
from hypothesis import given, settings
from hypothesis import strategies as st

from sv2rig.drivers.icarus.emulator import EMULATOR
from sv2rig.emulation.emulator import EmulatorOptions
from sv2rig.emulation.faults import WrongNonces, parse_fault
from sv2rig.emulation.search import KnownAnswer

QUICK = vectors("quick_solve.json")
GOLDEN = vectors("icarus.json")["icarus-golden"]
GOLDEN_WORK = bytes.fromhex(GOLDEN["in"]["work_frame"])
RATE = 1e6


def powered(options: EmulatorOptions | None = None, **more: str) -> BoardOnClock:
    options = options or EmulatorOptions(ticket_bits=16, rate_hs=RATE, more=more)
    return BoardOnClock(EMULATOR.make(options))


def work_of(name: str) -> bytes:
    return bytes.fromhex(QUICK[name]["out"]["icarus"]["work"])


def header_of(name: str) -> bytes:
    return bytes.fromhex(QUICK[name]["in"]["header_76"])


def ticket(bits: int) -> int:
    return int(2 ** (256 - bits)) - 1


def test_the_entry_point_names_it() -> None:
    (found,) = entry_points(group="sv2rig.emulators", name="icarus")
    assert found.load() is EMULATOR


@pytest.mark.parametrize("variant", ["icarus", "lancelot", "erupter"])
def test_golden_work(variant: str) -> None:
    """000187a2, within the half second that drivers wait, at the easy default ticket."""
    line = powered(EmulatorOptions(more={"variant": variant}))
    line.write(GOLDEN_WORK)
    assert line.wait(0.5) == bytes.fromhex(GOLDEN["out"]["reply"])
    assert line.wait(100) == b""


def test_a_real_board_takes_half_a_millisecond_for_the_golden_work() -> None:
    line = powered()
    line.write(GOLDEN_WORK)
    sent_at = line.now
    line.until_output()
    assert line.now - sent_at == pytest.approx(2 * 100_259 * 2.6316e-9)


@pytest.mark.parametrize("name", QUICK)
def test_a_difficulty_one_nonce_is_found_when_it_is_counted_to(name: str) -> None:
    """The vector's own nonce, after the vector's own number of hashes, on one chip."""
    line = powered(EmulatorOptions(ticket_bits=32, rate_hs=RATE, more={"chips": "1"}))
    sent_at = line.now
    line.write(work_of(name))
    reply = line.until_output()
    hashes = QUICK[name]["out"]["hashes"]
    assert reply == bytes.fromhex(QUICK[name]["out"]["icarus"]["reply"])
    assert line.now - sent_at == pytest.approx(hashes / RATE, abs=2 / RATE)
    assert line.board.wires.ledger.hashes == pytest.approx(hashes, abs=2)
    assert hash_value(header_of(name), reply) <= ticket(32)


@pytest.mark.parametrize("chips", [1, 2, 4, 8])
def test_chips_share_a_work_by_the_nonces_top_bits(chips: int) -> None:
    """hashlib counts through each chip's part in step and comes to the same first nonce."""
    line = powered(chips=str(chips), variant="icarus")
    line.write(work_of("quick-2"))
    header, share = header_of("quick-2"), (1 << 32) // chips

    def first() -> bytes:
        for counter in range(1 << 20):
            for chip in range(chips):
                nonce = (chip * share + counter).to_bytes(4, "big")
                if hash_value(header, nonce) <= ticket(16):
                    return nonce
        raise AssertionError

    assert line.until_output() == first()


def test_both_halves_are_searched() -> None:
    line = powered(EmulatorOptions(ticket_bits=8, rate_hs=RATE))
    halves = set()
    for ntime in range(40):
        line.write(work_of("quick-0")[:56] + ntime.to_bytes(4, "little") + work_of("quick-0")[60:])
        halves.add(line.until_output()[0] >> 7)
    assert halves == {0, 1}


def test_one_answer_for_each_work_then_rest() -> None:
    line = powered()
    line.write(work_of("quick-0"))
    assert line.board.pins()["hashing"] == 1
    reply = line.until_output()
    assert len(reply) == 4
    assert line.board.pins()["hashing"] == 0
    assert line.board.next_timeout() is None
    hashes = line.board.wires.ledger.hashes
    assert line.wait(3600) == b""
    assert line.board.wires.ledger.hashes == hashes
    line.write(work_of("quick-0"))  # the same again: the same answer again
    assert line.until_output() == reply
    ledger = line.board.wires.ledger
    assert (ledger.works_received, ledger.replies_sent, ledger.replies_damaged) == (2, 2, 0)


def test_new_work_takes_over_at_once() -> None:
    line = powered(EmulatorOptions(ticket_bits=32, rate_hs=RATE, more={"chips": "1"}))
    line.write(work_of("quick-0"))
    assert line.wait(0.1) == b""  # 107 178 hashes were needed
    line.write(work_of("quick-2"))
    reply = line.until_output()
    assert reply.hex() == QUICK["quick-2"]["out"]["nonce_header"]
    assert line.wait(10) == b""


def test_work_begins_with_its_last_byte() -> None:
    line = powered()
    line.write(work_of("quick-0")[:63])
    assert line.wait(10) == b""
    assert line.board.pins()["hashing"] == 0
    line.write(work_of("quick-0")[63:])
    assert hash_value(header_of("quick-0"), line.until_output()) <= ticket(16)


def test_half_a_work_does_not_stop_the_one_before() -> None:
    line = powered()
    line.write(work_of("quick-0"))
    line.write(work_of("quick-2")[:40])
    assert hash_value(header_of("quick-0"), line.until_output()) <= ticket(16)


def test_a_lost_byte_is_waited_for_and_zeros_bring_it_back() -> None:
    line = powered()
    line.board.wires.inbound[0].gap(10)
    work = work_of("quick-0")
    line.write(work[:10] + work[11:])
    assert line.wait(100) == b""
    line.write(b"\x00")  # the 64th byte: it searches something that nobody asked for
    reply = line.until_output()
    assert len(reply) == 4
    ledger = line.board.wires.ledger
    assert (ledger.works_damaged, ledger.replies_damaged) == (1, 1)
    line.write(work_of("quick-2"))
    assert hash_value(header_of("quick-2"), line.until_output()) <= ticket(16)
    assert (ledger.works_damaged, ledger.replies_damaged, ledger.replies_sent) == (1, 1, 2)


def test_without_zeros_it_stays_out_of_step() -> None:
    line = powered()
    line.board.wires.inbound[0].gap(0)
    line.write(work_of("quick-0")[1:])
    for name in ("quick-2", "quick-3"):
        line.write(work_of(name))
        assert hash_value(header_of(name), line.until_output()) > ticket(16)
    assert line.board.wires.ledger.works_damaged == 2


def test_the_end_of_the_range_is_silent() -> None:
    options = EmulatorOptions(ticket_bits=48, rate_hs=1024.0, more={"nonce_bits": "10"})
    line = powered(options)
    line.write(work_of("quick-0"))
    assert line.wait(0.99) == b""
    assert line.board.pins()["hashing"] == 1
    assert line.wait(0.02) == b""
    assert line.board.pins()["hashing"] == 0
    assert line.board.wires.ledger.hashes == 1024
    assert line.board.next_timeout() is None


def test_the_range_of_a_whole_work() -> None:
    """2**32 nonces at 100 kH/s: 42 949 s, in which a ticket of 64 bits is not met at once."""
    line = powered(EmulatorOptions(ticket_bits=64))
    line.write(work_of("quick-0"))
    line.wait(2.0)
    assert line.board.pins()["hashing"] == 1
    assert line.board.wires.ledger.hashes == 200_000


@pytest.mark.parametrize("speed", [9600, 57600, 230400, 1_000_000])
def test_another_speed_is_not_understood(speed: int) -> None:
    """Whatever it makes of the bytes, no answer to the work written comes of them."""
    line = powered(EmulatorOptions(rate_hs=RATE))
    line.baud = speed
    for name in QUICK:
        line.write(work_of(name))
    sent = line.wait(2.0)
    nonces = [sent[at : at + 4] for at in range(0, len(sent), 4)]
    for name in QUICK:
        assert all(hash_value(header_of(name), nonce) > ticket(16) for nonce in nonces)
    ledger = line.board.wires.ledger
    assert ledger.works_damaged == ledger.works_received
    assert ledger.replies_damaged == ledger.replies_sent


def test_power_forgets_work_and_what_is_half_received() -> None:
    line = powered()
    line.write(work_of("quick-0") + work_of("quick-2")[:10])
    line.board.power_up(line.now)
    assert line.wait(100) == b""
    line.write(work_of("quick-3"))
    assert hash_value(header_of("quick-3"), line.until_output()) <= ticket(16)


def test_a_known_answer_is_a_replay() -> None:
    block = vectors("cross_family_matrix.json")["matrix-block-125552"]
    header = bytes.fromhex(block["in"]["header_80"])
    options = EmulatorOptions(
        ticket_bits=32, rate_hs=RATE, known=[KnownAnswer(header, after_s=1.5)]
    )
    line = powered(options)
    assert line.board.claims.replay
    sent_at = line.now
    line.write(bytes.fromhex(block["out"]["icarus"]["work"]))
    assert line.until_output().hex() == block["out"]["icarus"]["reply"]
    assert line.now - sent_at == pytest.approx(1.5)
    assert not powered().board.claims.replay


def test_wrong_nonces_are_entered_as_wrong() -> None:
    options = EmulatorOptions(rate_hs=RATE, faults=WrongNonces([parse_fault("nonces=0.5,seed=3")]))
    line = powered(options)
    bad = 0
    for ntime in range(40):
        changed = (
            header_of("quick-0")[:68] + ntime.to_bytes(4, "little") + header_of("quick-0")[72:]
        )
        work = work_of("quick-0")
        line.write(work[:56] + ntime.to_bytes(4, "little") + work[60:])
        bad += hash_value(changed, line.until_output()) > ticket(16)
    assert 0 < bad < 40
    assert line.board.wires.ledger.replies_wrong == bad


@pytest.mark.parametrize(
    "more",
    [
        {"variant": "cairnsmore"},
        {"chips": "0"},
        {"chips": "3"},
        {"chips": "9"},
        {"chips": "two"},
        {"nonce_bits": "2"},
        {"nonce_bits": "33"},
    ],
)
def test_options_that_no_board_has(more: dict[str, str]) -> None:
    (name,) = more
    with pytest.raises(ValueError, match=f"{name}="):
        EMULATOR.make(EmulatorOptions(more=more))


def test_descriptors_of_the_bridges() -> None:
    ids = {
        variant: (board.identity.vid, board.identity.pid)
        for variant in ("icarus", "lancelot", "erupter")
        if (board := powered(variant=variant).board)
    }
    assert ids == {
        "icarus": (0x067B, 0x2303),
        "lancelot": (0x0403, 0x6001),
        "erupter": (0x10C4, 0xEA60),
    }
    assert powered(serial="A7").board.identity.serial == "A7"


def test_it_has_one_port() -> None:
    with pytest.raises(ValueError, match="one port"):
        powered().board.receive(1, b"", 115200, 0.0)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 64), max_size=6))
def test_work_may_come_in_any_pieces(cuts: list[int]) -> None:
    line = powered()
    work = work_of("quick-5")
    edges = [0, *sorted(cuts), 64]
    for start, end in pairwise(edges):
        if start < end:
            line.write(work[start:end])
    assert hash_value(header_of("quick-5"), line.until_output()) <= ticket(16)
    assert line.board.wires.ledger.works_damaged == 0


@settings(deadline=None, max_examples=30)
@given(st.binary(min_size=1, max_size=63))
def test_rubbish_before_work_is_part_of_it_until_zeros_fill_it_up(rubbish: bytes) -> None:
    line = powered()
    line.write(rubbish)
    assert line.wait(1.0) == b""
    line.write(b"\x00" * (64 - len(rubbish)))
    line.until_output()
    line.write(work_of("quick-5"))
    assert hash_value(header_of("quick-5"), line.until_output()) <= ticket(16)
