"""GekkoScience's telemetry and boards; the three FPGA dialects in any pieces."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sv2rig.boards.engine import Damaged, Nonce, RangeDone, Reply
from sv2rig.boards.push_engine import PushWire
from sv2rig.devices.slices import Slice
from sv2rig.devices.work import Work
from sv2rig.drivers.bm13xx.chips import CHIPS
from sv2rig.drivers.bm13xx.old_framing import OLD_CHIPS
from sv2rig.drivers.fpga_uart import protocol as fpga
from sv2rig.drivers.gekko import protocol as gekko

V1, V20, V21 = (gekko.TelemetryVersion(*one) for one in ((1, 0), (2, 0), (2, 1)))


def test_versions_of_telemetry() -> None:
    known = [gekko.TelemetryVersion.of(one) for one in (0x10, 0x20, 0x21)]
    assert known == [V1, V20, V21]
    assert gekko.TelemetryVersion.of(0x00) is None
    assert gekko.TelemetryVersion.of(0x30) is None


def test_telemetry_of_each_version() -> None:
    data = bytes((105, 80, 60, 70, 90, 91, 50))
    first, middle, last = (gekko.telemetry(version, data) for version in (V1, V20, V21))
    assert first is not None
    assert middle is not None
    assert last is not None
    assert (first.input_amperes, first.fan_rpm, first.second_celsius) == (None, None, None)
    assert middle.output_amperes == pytest.approx(11.24, abs=0.01)
    assert (last.output_amperes, last.fan_rpm) == (None, 1500)
    assert last.second_celsius == pytest.approx(23.05, abs=0.01)
    assert last.input_volts == pytest.approx(10.12, abs=0.01)
    assert gekko.telemetry(V21, data[:6]) is None


def test_temperatures_of_telemetry() -> None:
    assert gekko.celsius(0) is None
    assert gekko.celsius(218) == 125
    assert gekko.celsius(255) == 125


@given(st.lists(st.binary(min_size=1, max_size=5), max_size=6))
def test_an_answer_is_joined_and_what_nobody_asked_for_is_dropped(pieces: list[bytes]) -> None:
    decoder = gekko.TelemetryDecoder()
    assert decoder.feed(b"noise") is None
    decoder.ask(7)
    answers = [answer for piece in pieces if (answer := decoder.feed(piece)) is not None]
    joined = b"".join(pieces)
    assert answers == ([joined[:7]] if len(joined) >= 7 else [])
    assert decoder.waiting < 7
    decoder.ask(1)
    assert decoder.feed(b"\x21") == b"\x21"
    assert decoder.errors >= 1


def test_commands_to_gekkos_boards() -> None:
    assert gekko.core_voltage(300) == b"V\x3c"
    assert gekko.core_voltage(500) == b"V\x64"
    for millivolt in (-1, 501):
        with pytest.raises(ValueError, match="0 to 500"):
            gekko.core_voltage(millivolt)
    assert [gekko.fan(one)[1] for one in (-1, 0, 100, 101)] == [0, 0, 100, 100]


def test_every_board_has_a_chip_and_a_pattern_of_its_own() -> None:
    chips = {one.name for one in CHIPS.values()} | {one.name for one in OLD_CHIPS.values()}
    assert {board.chip for board in gekko.BOARDS} <= chips
    assert len({board.product for board in gekko.BOARDS}) == len(gekko.BOARDS)
    for board in gekko.BOARDS:
        assert gekko.board_of(board.product) is board
        assert board.lowest_mhz <= board.start_mhz <= board.default_mhz <= board.highest_mhz
        assert board.telemetry == (board.millivolt is not None)
    assert gekko.board_of("CP2102") is None


WIRES = st.sampled_from([fpga.Kc705Wire, fpga.PyFpgaWire, fpga.MakomkWire])
NONCES = st.binary(min_size=4, max_size=4)
PIECE = Slice(Work(1, 1, 1, 2, bytes(32), bytes(range(32)), 3, 4, 0, 0), 2, 0, 3)


def written(wire: PushWire, nonce: bytes) -> bytes:
    if isinstance(wire, fpga.Kc705Wire):
        return nonce.hex().upper().encode() + b"\n"
    return (b"\x02" if isinstance(wire, fpga.PyFpgaWire) else b"") + nonce


@given(WIRES, st.lists(NONCES, max_size=8))
def test_nonces_are_read_as_they_were_written(make: type[PushWire], nonces: list[bytes]) -> None:
    wire = make()
    stream = b"".join(written(wire, nonce) for nonce in nonces)
    assert wire.decode(stream) == [Nonce(nonce) for nonce in nonces]
    assert wire.pending == 0


@given(
    WIRES,
    st.lists(st.binary(max_size=20) | st.sampled_from([b"\n", b"01234567\n"]), max_size=6),
    st.lists(st.integers(0, 120), max_size=6),
)
def test_any_split_gives_what_the_whole_gives(
    make: type[PushWire], parts: list[bytes], cuts: list[int]
) -> None:
    stream = b"".join(parts)
    whole, split = make(), make()
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    found = [one for a, b in itertools.pairwise(edges) for one in split.decode(stream[a:b])]
    assert found == list(whole.decode(stream))
    assert whole.pending < 10
    whole.drop()
    assert whole.pending == 0
    nonce = bytes.fromhex("00112233")
    assert list(whole.decode(written(whole, nonce))) == [Nonce(nonce)]


@given(st.binary(max_size=100), NONCES)
def test_text_is_back_in_step_at_the_next_line(garbage: bytes, nonce: bytes) -> None:
    wire = fpga.Kc705Wire()
    wire.decode(garbage)
    line = written(wire, nonce)
    found: list[Reply] = wire.decode(line + line)
    assert found[-1] == Nonce(nonce)


def test_lines_and_types_that_mean_something_else() -> None:
    text = fpga.Kc705Wire()
    assert text.decode(b"9a40\r\n") == []
    assert text.celsius == pytest.approx(30.51, abs=0.01)
    assert text.decode(b"9a4\n0e33337a\r\n") == [
        Damaged("a line of 3 bytes that is no nonce"),
        Nonce(bytes.fromhex("0e33337a")),
    ]
    assert text.decode(b"zzzzzzzz\n") == [Damaged("a line of 8 bytes that is no nonce")]
    typed = fpga.PyFpgaWire()
    assert typed.decode(b"\x00\x01\x03\x09\x02\x01") == [
        RangeDone(),
        Damaged("byte 09 that begins no reply"),
    ]
    assert (typed.pongs, typed.acknowledged, typed.pending) == (1, 1, 2)
    assert len(fpga.FLUSH) == 45


@pytest.mark.parametrize("dialect", fpga.DIALECTS.values(), ids=lambda one: one.name)
def test_golden_work_is_answered_by_its_nonce(dialect: fpga.Dialect) -> None:
    golden = dialect.golden
    assert golden.is_answered_by(bytes.fromhex("000187a2"), 1 << 203)
    assert not golden.is_answered_by(bytes.fromhex("000187a3"), 1 << 203)
    assert len(golden.frame) == dialect.frame_bytes or golden.frame.endswith(b"\n")
    job = dialect.wire().encode(PIECE)
    assert job == dialect.work(PIECE.midstates()[0], PIECE.header76()[64:])
