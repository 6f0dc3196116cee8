"""The control port of bitaxe-raw and EmberOne, and the peripherals behind it."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sv2rig.devices.voltage import VoltageError
from sv2rig.drivers.bitaxe_raw import protocol as raw
from sv2rig.drivers.bitaxe_raw import regulator, sensors
from sv2rig.drivers.bitaxe_raw.protocol import ControlDecoder, ControlError, ControlReply, Framing

FRAMINGS = st.sampled_from(list(Framing))


def reply(framing: Framing, request_id: int, data: bytes, status: int = 0) -> bytes:
    body = bytes((request_id,)) + (bytes((status,)) if framing is Framing.STATUS else b"") + data
    length = len(data) if framing is Framing.DATA_LENGTH else len(body) + 2
    return length.to_bytes(2, "little") + body


REPLIES = st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=40)), max_size=5)


@given(FRAMINGS, REPLIES, st.lists(st.integers(0, 200), max_size=5))
def test_replies_in_any_pieces(
    framing: Framing, replies: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    stream = b"".join(reply(framing, *one) for one in replies)
    decoder = ControlDecoder(framing)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    found = [one for a, b in itertools.pairwise(edges) for one in decoder.feed(stream[a:b])]
    assert found == [ControlReply(*one) for one in replies]
    assert (decoder.waiting, decoder.errors) == (0, 0)


@given(FRAMINGS, st.lists(st.binary(max_size=700), max_size=5))
def test_garbage_is_bounded_and_given_up(framing: Framing, pieces: list[bytes]) -> None:
    decoder = ControlDecoder(framing)
    for piece in pieces:
        decoder.feed(piece)
        assert decoder.waiting < raw.MAX_REPLY
    decoder.give_up()
    assert decoder.feed(reply(framing, 7, b"ok")) == [ControlReply(7, b"ok")]


def test_lengths_that_cannot_be() -> None:
    for framing, length in (
        (Framing.STATUS, 3),
        (Framing.WHOLE_LENGTH, 2),
        (Framing.STATUS, raw.MAX_REPLY + 1),
        (Framing.DATA_LENGTH, raw.MAX_REPLY - 2),
    ):
        decoder = ControlDecoder(framing)
        assert decoder.feed(length.to_bytes(2, "little") + b"abc") == [ControlError(5)]
        assert (decoder.waiting, decoder.errors) == (0, 1)


def test_why_a_firmware_refused() -> None:
    decoder = ControlDecoder(Framing.STATUS)
    frames = [(0x10, b""), (0x11, b""), (0x12, b""), (0xFF, b"i2c nak"), (0x77, b"")]
    found = [decoder.feed(reply(Framing.STATUS, 1, text, code))[0] for code, text in frames]
    assert [getattr(one, "error", "") for one in found] == [
        "timeout", "invalid command", "buffer overflow", "failed: i2c nak", "error 77",
    ]  # fmt: skip


def test_a_reply_that_stays_out_is_a_refusal_or_nothing() -> None:
    decoder = ControlDecoder(Framing.DATA_LENGTH)
    assert decoder.feed(b"\x13\0\x01\xffI2C Write Error") == []
    assert decoder.give_up() == ControlReply(1, b"", "failed: I2C Write Error")
    assert decoder.feed(b"\x04\0\xff\x11") == []
    assert decoder.give_up() == ControlReply(0xFF, b"", "invalid command")
    assert decoder.errors == 0
    assert decoder.feed(b"\x05\0\x01\xff") == []
    assert decoder.give_up() is None
    assert decoder.give_up() is None
    assert (decoder.errors, decoder.waiting) == (1, 0)


def test_firmware_versions() -> None:
    version = raw.FirmwareVersion.of_bcd(0x0112)
    assert version == raw.FirmwareVersion(1, 1, 2)
    assert raw.emberone_framing(version) is Framing.STATUS
    assert raw.emberone_framing(raw.FirmwareVersion.of_bcd(0x0102)) is Framing.DATA_LENGTH


def test_transfers_become_requests() -> None:
    assert sensors.read_register(0x4C, 0x01).request(5).hex() == "0900050005404c0101"
    assert sensors.emc2101_fan(100).request(5).hex() == "0900050005204c4c3f"
    assert raw.gpio_read(2, 0).hex() == "060002000600"
    assert raw.adc_read(2, raw.ADC_VIN).hex() == "060002000751"


def test_fan_and_its_speed() -> None:
    duties = [sensors.emc2101_fan(percent).data[1] for percent in (-5, 0, 0.1, 50, 100, 200)]
    assert duties == [0, 0, 1, 32, 63, 63]
    assert sensors.emc2101_rpm(0x00, 0x06) == 5_400_000 // 0x600
    assert sensors.emc2101_rpm(0xFF, 0xFF) == sensors.emc2101_rpm(0, 0) == 0
    assert sensors.emc2101_known(0x5D, 0x16)
    assert sensors.emc2101_known(0x5D, 0x28)
    assert not sensors.emc2101_known(0xFF, 0x16)
    assert [one.data.hex() for one in sensors.emc2101_start()] == ["0304", "4a23"]


def test_temperatures() -> None:
    assert sensors.emc2101_external(60, 0x20) == 60.125
    assert sensors.emc2101_external(0xFF, 0xE0) == -0.125
    assert sensors.emc2101_external(0x7F, 0x00) is None
    assert sensors.emc2101_external(0x7F, 0xE0) is None
    assert sensors.emc2101_internal(0xFF) == -1
    assert sensors.tmp1075_celsius(bytes.fromhex("1910")) == 25.0625
    assert sensors.tmp1075_celsius(bytes.fromhex("fff0")) == -0.0625
    assert sensors.tmp451_celsius(0x40, 0x80) == 64.5
    assert sensors.tmp451_remote(0x04, 0x40, 0) is None
    assert sensors.tmp451_remote(0, 0x40, 0) == 64
    for celsius, believed in ((None, False), (-0.1, False), (0, True), (120, True), (120.1, False)):
        assert sensors.plausible(celsius) is believed


@given(st.floats(-1000, 1000))
def test_linear11_keeps_a_thousandth(value: float) -> None:
    assert regulator.of_linear11(regulator.linear11(value)) == pytest.approx(
        value, rel=1e-3, abs=1e-5
    )


def test_linear11_words_of_the_pmbus_specification() -> None:
    assert regulator.of_linear11(0xF864) == 50.0  # -1, 100
    assert regulator.of_linear11(0x0400) == -1024.0
    assert regulator.of_linear11(regulator.linear11(1023 * 2.0**15)) == 1023 * 2.0**15
    with pytest.raises(ValueError, match="SLINEAR11"):
        regulator.linear11(1024 * 2.0**15)


@given(st.floats(0, 15.9), st.integers(0x14, 0x1F))
def test_linear16_never_rounds_a_voltage_up(volts: float, mode: int) -> None:
    step = 2.0 ** (mode - 32)
    word = regulator.linear16(volts, mode)
    assert volts - step < regulator.of_linear16(word, mode) <= volts + 1e-6


def test_linear16_has_sixteen_bits() -> None:
    assert regulator.linear16(15.9999, 0x14) == 0xFFFF
    for volts in (16.0, -0.001):
        with pytest.raises(ValueError, match="ULINEAR16"):
            regulator.linear16(volts, 0x14)


def test_voltages_have_limits() -> None:
    mode = 0x17
    assert regulator.set_voltage(regulator.GAMMA, 1.15, mode).data.hex() == "214c02"
    for volts, ceiling in ((1.151, None), (0.999, None), (1.25, 1.2), (1.301, 1.5)):
        with pytest.raises(VoltageError, match="core voltage"):
            regulator.set_voltage(regulator.GAMMA, volts, mode, ceiling)
    assert regulator.set_voltage(regulator.GAMMA, 1.25, mode, 1.25).data[0] == 0x21


def test_a_regulator_is_off_and_limited_before_it_is_told_a_voltage() -> None:
    commands = [step.data[0] for step in regulator.configure(regulator.GAMMA, 0x17)]
    assert commands[0] == regulator.OPERATION
    assert next(iter(regulator.configure(regulator.GAMMA, 0x17))) == regulator.off()
    limits = [commands.index(one) for one in (regulator.VOUT_MAX, regulator.VOUT_MIN)]
    assert max(limits) < commands.index(regulator.VOUT_COMMAND)
    assert regulator.on() not in list(regulator.configure(regulator.GAMMA, 0x17))
    assert regulator.known(b"\x06" + regulator.KNOWN_IDS[0])
    assert not regulator.known(bytes(7))
    assert regulator.Status(0x0010) & regulator.CUT_OFF
    assert [one.count for one in (regulator.read_byte(1), regulator.read_word(1))] == [1, 2]
    assert regulator.read_device_id().count == 7
