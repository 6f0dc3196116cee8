"""The emulated FPGA designs, driven with raw bytes on an injected clock."""

from importlib.metadata import entry_points
from itertools import pairwise

import pytest
from board_on_clock import BoardOnClock, hash_value, vectors
from hypothesis import given, settings
from hypothesis import strategies as st

from sv2rig.drivers.fpga_uart.emulator import EMULATOR
from sv2rig.emulation.emulator import EmulatorOptions
from sv2rig.emulation.search import KnownAnswer

QUICK = vectors("quick_solve.json")
OWN = vectors("fpga_uart.json")
BLOCK = vectors("cross_family_matrix.json")["matrix-block-125552"]
RATE = 1e6
NAMES = list(QUICK)
# PyFPGAMiner's own speed test: 45 335 163 hashes before the nonce 7bc2b302 (as it prints it).
SPEED_TEST = (
    b"\x01"
    + bytes.fromhex("1625cbf1a5bc6ba648d1218441389e00a9dc79768a2fc6f2b79c70cf576febd0")[::-1]
    + bytes.fromhex("4c0afa494de837d81a269421")[::-1]
)


def powered(
    variant: str, ticket_bits: int = 16, rate_hs: float = RATE, **more: str
) -> BoardOnClock:
    options = EmulatorOptions(ticket_bits, rate_hs, more={"variant": variant, **more})
    return BoardOnClock(EMULATOR.make(options), int(more.get("baud", "115200")))


def work_of(variant: str, name: str) -> bytes:
    out = QUICK[name]["out"]
    if variant == "kc705":
        return str(out["kc705"]["line"]).encode()
    return bytes.fromhex(out["pyfpga"]["host"] if variant == "pyfpga" else out["icarus"]["work"])


def header_of(name: str) -> bytes:
    return bytes.fromhex(QUICK[name]["in"]["header_76"])


def ticket(bits: int) -> int:
    return int(2 ** (256 - bits)) - 1


def nonces(variant: str, sent: bytes) -> list[bytes]:
    """Read as the documents say, by other code than a driver's."""
    if variant == "kc705":
        lines = sent.split(b"\n")
        assert lines.pop() == b""
        return [bytes.fromhex(line.decode()) for line in lines if len(line) == 8]
    if variant == "makomk":
        assert len(sent) % 4 == 0
        return [sent[at : at + 4] for at in range(0, len(sent), 4)]
    found, at = [], 0
    while at < len(sent):
        if sent[at] == 2:
            found.append(sent[at + 1 : at + 5])
        at += 5 if sent[at] == 2 else 1
    return found


def by_hashlib(header: bytes, bits: int, first: int, count: int) -> list[bytes]:
    counters = ((first + step) % 2**32 for step in range(count))
    tried = (counter.to_bytes(4, "big") for counter in counters)
    return [nonce for nonce in tried if hash_value(header, nonce) <= ticket(bits)]


def test_the_entry_point_names_it() -> None:
    (found,) = entry_points(group="sv2rig.emulators", name="fpga_uart")
    assert found.load() is EMULATOR


def test_kc705_example_of_its_documents() -> None:
    """At 400 MH/s the nonce comes after 0.6 s; the board goes on searching after it."""
    vector = OWN["kc705-text"]
    line = powered("kc705", ticket_bits=32, rate_hs=1000.0)
    line.write(vector["in"]["line_sent"].encode())
    assert line.wait(0.595) == b""
    assert line.wait(0.001) == vector["out"]["line_received"].encode()
    assert line.board.pins()["hashing"] == 1


def test_pyfpga_speed_test() -> None:
    line = powered("pyfpga", ticket_bits=32, rate_hs=1000.0)
    line.write(SPEED_TEST)
    assert line.read() == b"\x01"
    sent_at = line.now
    assert line.until_output()[:0:-1].hex() == "7bc2b302"
    assert line.now - sent_at == pytest.approx(45.335164 / 120)


@pytest.mark.parametrize("variant", ["kc705", "pyfpga"])
@pytest.mark.parametrize("name", NAMES)
def test_a_difficulty_one_nonce_is_found_when_it_is_counted_to(variant: str, name: str) -> None:
    line = powered(variant, ticket_bits=32)
    sent_at = line.now
    line.write(work_of(variant, name))
    line.read()
    reply = line.until_output()
    out = QUICK[name]["out"]
    expected = out[variant]["reply" if variant == "kc705" else "device"]
    assert reply == (expected.encode() if variant == "kc705" else bytes.fromhex(expected))
    assert line.now - sent_at == pytest.approx(out["hashes"] / RATE, abs=2 / RATE)
    assert hash_value(header_of(name), nonces(variant, reply)[0]) <= ticket(32)


@pytest.mark.parametrize("variant", ["kc705", "pyfpga"])
def test_all_nonces_of_a_range_and_no_others(variant: str) -> None:
    """They go on after a nonce, from 0 upwards, exactly those that hashlib finds."""
    line = powered(variant, ticket_bits=12)
    line.write(work_of(variant, "quick-3"))
    found = nonces(variant, line.wait(0.1))
    assert found == by_hashlib(header_of("quick-3"), 12, 0, 100_000)
    ledger = line.board.wires.ledger
    assert (ledger.replies_sent, ledger.replies_damaged) == (len(found), 0)
    assert ledger.hashes == pytest.approx(100_000, abs=2)


def test_makomk_counts_on_whatever_the_work() -> None:
    """Its nonce stands where the time since power-up put it, not at 0."""
    line = powered("makomk", ticket_bits=12)
    line.wait(0.05)
    line.write(work_of("makomk", "quick-3"))
    first = nonces("makomk", line.wait(0.03))
    line.write(work_of("makomk", "quick-2"))
    second = nonces("makomk", line.wait(0.03))
    assert first == by_hashlib(header_of("quick-3"), 12, 50_000, 30_000)
    assert second == by_hashlib(header_of("quick-2"), 12, 80_000, 30_000)


def test_makomk_has_no_end_of_range() -> None:
    line = powered("makomk", ticket_bits=8, nonce_bits="12")
    line.wait(0.001)
    line.write(work_of("makomk", "quick-0"))
    found = nonces("makomk", line.wait(3 * 4096 / RATE))
    once = by_hashlib(header_of("quick-0"), 8, 1000, 3096) + by_hashlib(
        header_of("quick-0"), 8, 0, 1000
    )
    assert found == once * 3
    assert line.board.pins()["hashing"] == 1


def test_makomk_golden_work_waits_for_the_count_to_come_round() -> None:
    """109 MH/s: 40 ms after power-up the count has passed 000187a2, and comes back in 39 s."""
    line = powered("makomk", ticket_bits=48, rate_hs=1000.0)
    golden = vectors("icarus.json")["icarus-golden"]
    line.wait(0.04)
    line.write(bytes.fromhex(golden["in"]["work_frame"]))
    assert line.wait(39.3) == b""
    assert line.wait(0.1).hex() == golden["out"]["reply"]


def test_kc705_is_quiet_at_the_end_of_the_range() -> None:
    line = powered("kc705", ticket_bits=48, rate_hs=1024.0, nonce_bits="10")
    line.write(work_of("kc705", "quick-0"))
    assert line.wait(0.99) == b""
    assert line.board.pins()["hashing"] == 1
    assert line.wait(0.02) == b""
    assert line.board.pins()["hashing"] == 0


def test_pyfpga_says_that_the_range_is_exhausted_and_begins_again() -> None:
    line = powered("pyfpga", ticket_bits=8, nonce_bits="12")
    line.write(work_of("pyfpga", "quick-0"))
    sent = line.wait(2.5 * 4096 / RATE)
    found = by_hashlib(header_of("quick-0"), 8, 0, 4096)
    half = [nonce for nonce in found if int.from_bytes(nonce, "big") < 2040]
    frames = b"".join(b"\x02" + nonce for nonce in found)
    assert sent.startswith(b"\x01" + frames + b"\x03" + frames + b"\x03")
    assert len(nonces("pyfpga", sent)) >= 2 * len(found) + len(half)


def test_pyfpga_pings() -> None:
    line = powered("pyfpga")
    line.write(b"\x00\x00\x07\xff\x00")
    assert line.read() == b"\x00\x00\x00"


@pytest.mark.parametrize("before", [1, 44, 45])
def test_pyfpga_is_flushed_by_45_zeros(before: int) -> None:
    """Zeros fill a half-loaded work up, which is acknowledged; the rest are pings."""
    line = powered("pyfpga", ticket_bits=48)
    line.write(work_of("pyfpga", "quick-0")[:before])
    line.read()
    line.write(bytes(45))
    missing = 45 - before
    ack = b"\x01" if missing else b""
    assert line.read() == ack + b"\x00" * (45 - missing)


def test_kc705_temperature_every_four_seconds() -> None:
    vector = OWN["kc705-temp"]
    assert vector["out"]["celsius"] == 30.51
    line = powered("kc705", ticket_bits=64, celsius="31")
    assert line.wait(3.99) == b""
    sent = line.wait(0.02)
    assert len(sent) == 5
    assert int(sent, 16) * 503.975 / 65536 - 273.15 == pytest.approx(31, abs=0.01)
    board = line.board
    assert board.pins()["celsius"] == 31
    board.celsius = 30.514  # type: ignore[attr-defined]  # of this kind only
    assert line.wait(8.0) == vector["in"]["line_received"].encode() * 2


@pytest.mark.parametrize(
    ("celsius", "line"), [("-40", b"766E\n"), ("150", b"D6F2\n")], ids=["coldest", "hottest"]
)
def test_kc705_temperatures_at_the_ends(celsius: str, line: bytes) -> None:
    assert powered("kc705", celsius=celsius).wait(4.0) == line


def test_kc705_takes_capitals_and_carriage_returns() -> None:
    line = powered("kc705")
    line.write(work_of("kc705", "quick-0").upper())
    shouted = line.until_output()
    line.write(work_of("kc705", "quick-0").replace(b"\n", b"\r\n"))
    assert line.until_output() == shouted
    assert hash_value(header_of("quick-0"), nonces("kc705", shouted)[0]) <= ticket(16)


@pytest.mark.parametrize("rubbish", [b"f\n", b"\x00\xff", b"0123456789abcdef" * 20, b"xyz\n"])
def test_kc705_is_in_step_again_with_the_next_whole_line(rubbish: bytes) -> None:
    line = powered("kc705")
    line.write(rubbish)
    line.wait(0.5)
    line.write(work_of("kc705", "quick-0"))
    assert hash_value(header_of("quick-0"), nonces("kc705", line.until_output())[0]) <= ticket(16)


def test_kc705_pairs_digits_across_rubbish_until_a_line_feed() -> None:
    """One byte before the line puts every pair of digits of it out of place; the next is right."""
    line = powered("kc705")
    line.board.wires.inbound[0].foreign(0)
    line.write(b"f" + work_of("kc705", "quick-0"))
    assert hash_value(header_of("quick-0"), nonces("kc705", line.until_output())[0]) > ticket(16)
    assert line.board.wires.ledger.works_damaged == 1
    line.write(work_of("kc705", "quick-0"))
    assert hash_value(header_of("quick-0"), nonces("kc705", line.until_output())[0]) <= ticket(16)
    assert line.board.wires.ledger.works_damaged == 1


def test_kc705_after_a_lost_digit() -> None:
    """Those after it are paired wrongly, and the last one is over."""
    line = powered("kc705", ticket_bits=10)
    work = work_of("kc705", "quick-0")
    line.board.wires.inbound[0].gap(30)
    line.write(work[:30] + work[31:])
    wrong = nonces("kc705", line.wait(0.1))
    assert wrong
    assert all(hash_value(header_of("quick-0"), nonce) > ticket(20) for nonce in wrong)
    ledger = line.board.wires.ledger
    assert (ledger.works_damaged, ledger.replies_damaged) == (1, len(wrong))
    line.write(work_of("kc705", "quick-2"))
    right = nonces("kc705", line.wait(0.1))
    assert all(hash_value(header_of("quick-2"), nonce) <= ticket(10) for nonce in right)
    assert (ledger.works_damaged, ledger.replies_damaged) == (1, len(wrong))


def test_kc705_after_a_lost_line_feed() -> None:
    """The next line's digits push the lost one's out of the register: its work is right."""
    line = powered("kc705")
    line.board.wires.inbound[0].gap(88)
    line.write(work_of("kc705", "quick-2")[:-1])
    assert line.wait(1.0) == b""
    line.write(work_of("kc705", "quick-0"))
    assert hash_value(header_of("quick-0"), nonces("kc705", line.until_output())[0]) <= ticket(16)
    assert line.board.wires.ledger.works_damaged == 0


def test_makomk_waits_for_its_64th_byte() -> None:
    line = powered("makomk")
    line.board.wires.inbound[0].gap(0)
    line.write(work_of("makomk", "quick-0")[1:])
    assert line.wait(10) == b""
    line.write(b"\x00")
    line.wait(0.5)
    line.write(work_of("makomk", "quick-0"))
    assert hash_value(header_of("quick-0"), nonces("makomk", line.until_output())[0]) <= ticket(16)
    assert line.board.wires.ledger.works_damaged == 1


@pytest.mark.parametrize("variant", ["kc705", "pyfpga", "makomk"])
@pytest.mark.parametrize("offset", [131, 133, 66, -3])
def test_a_count_that_runs_ahead(variant: str, offset: int) -> None:
    line = powered(variant, offset=str(offset))
    line.write(work_of(variant, "quick-0"))
    line.read()
    reported = int.from_bytes(nonces(variant, line.until_output())[0], "big")
    right = ((reported - offset) % 2**32).to_bytes(4, "big")
    assert hash_value(header_of("quick-0"), right) <= ticket(16)
    assert hash_value(header_of("quick-0"), reported.to_bytes(4, "big")) > ticket(16)
    assert line.board.wires.ledger.replies_wrong == 0


def test_offsets_wrap_around() -> None:
    header = bytes.fromhex(BLOCK["in"]["header_80"])
    options = EmulatorOptions(
        known=[KnownAnswer(header)], more={"variant": "pyfpga", "offset": str(2**32 - 0x42A14696)}
    )
    line = BoardOnClock(EMULATOR.make(options))
    line.write(bytes.fromhex(BLOCK["out"]["pyfpga"]["host"]))
    assert line.read() == b"\x01"
    assert line.until_output().hex() == "02ffffffff"


@pytest.mark.parametrize("variant", ["kc705", "pyfpga"])
def test_a_block_as_its_documents_write_it(variant: str) -> None:
    header = bytes.fromhex(BLOCK["in"]["header_80"])
    options = EmulatorOptions(
        known=[KnownAnswer(header, 2.0)], more={"variant": variant}, rate_hs=1
    )
    line = BoardOnClock(EMULATOR.make(options))
    out = BLOCK["out"][variant]
    line.write(out["line"].encode() if variant == "kc705" else bytes.fromhex(out["host"]))
    line.read()
    expected = out["reply"].encode() if variant == "kc705" else bytes.fromhex(out["device"])
    assert line.wait(2.1) == expected
    assert line.board.claims.replay


@pytest.mark.parametrize("variant", ["kc705", "pyfpga", "makomk"])
def test_new_work_takes_over_at_once(variant: str) -> None:
    line = powered(variant, ticket_bits=12)
    line.write(work_of(variant, "quick-2"))
    line.wait(0.1)
    line.write(work_of(variant, "quick-0"))
    found = nonces(variant, line.wait(0.1))
    assert found
    assert all(hash_value(header_of("quick-0"), nonce) <= ticket(12) for nonce in found)


@pytest.mark.parametrize("variant", ["kc705", "pyfpga", "makomk"])
def test_built_for_another_speed(variant: str) -> None:
    line = powered(variant, baud="9600")
    line.baud = 115200
    line.write(work_of(variant, "quick-0"))
    assert nonces(variant, line.wait(0.5)) == []
    line.board.power_up(line.now)
    line.baud = 9600
    line.write(work_of(variant, "quick-0"))
    line.read()
    assert hash_value(header_of("quick-0"), nonces(variant, line.until_output())[0]) <= ticket(16)


@pytest.mark.parametrize("variant", ["kc705", "pyfpga", "makomk"])
def test_power_forgets_work(variant: str) -> None:
    line = powered(variant)
    line.write(work_of(variant, "quick-0") + work_of(variant, "quick-2")[:10])
    line.read()
    line.board.power_up(line.now)
    assert nonces(variant, line.wait(10)) == []
    assert line.board.pins()["hashing"] == 0


@pytest.mark.parametrize(
    "more",
    [
        {"variant": "vc707"},
        {"baud": "299"},
        {"baud": "4000001"},
        {"offset": str(2**32 + 1)},
        {"offset": "k"},
        {"celsius": "151"},
        {"nonce_bits": "0"},
        {"nonce_bits": "33"},
    ],
)
def test_options_that_no_design_has(more: dict[str, str]) -> None:
    (name,) = more
    with pytest.raises(ValueError, match=f"{name}="):
        EMULATOR.make(EmulatorOptions(more={"variant": "kc705", **more}))


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(["kc705", "pyfpga", "makomk"]), st.lists(st.integers(0, 89), max_size=6))
def test_work_may_come_in_any_pieces(variant: str, cuts: list[int]) -> None:
    line = powered(variant)
    work = work_of(variant, "quick-5")
    for start, end in pairwise([0, *sorted(cut for cut in cuts if cut < len(work)), len(work)]):
        if start < end:
            line.write(work[start:end])
    line.read()
    assert hash_value(header_of("quick-5"), nonces(variant, line.until_output())[0]) <= ticket(16)
    assert line.board.wires.ledger.works_damaged == 0


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=300))
def test_kc705_any_bytes_then_a_whole_line(rubbish: bytes) -> None:
    line = powered("kc705")
    line.write(rubbish)
    line.wait(0.01)
    line.write(b"\n")
    line.write(work_of("kc705", "quick-5"))
    line.read()
    assert hash_value(header_of("quick-5"), nonces("kc705", line.until_output())[0]) <= ticket(16)


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=300))
def test_pyfpga_any_bytes_then_45_zeros(rubbish: bytes) -> None:
    """Whatever state it was in, after the zeros it takes the next work."""
    line = powered("pyfpga", ticket_bits=24)
    line.write(rubbish)
    line.write(bytes(45))
    line.read()
    line.write(work_of("pyfpga", "quick-0"))
    assert line.read() == b"\x01"
    assert line.until_output().hex() == QUICK["quick-0"]["out"]["pyfpga"]["device"]
