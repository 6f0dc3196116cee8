"""Emulated boards with a control port, as raw bytes."""

import json
from pathlib import Path

import pytest

from sv2rig.drivers.bitaxe_raw.emulated_regulator import linear11, of_linear11
from sv2rig.drivers.bitaxe_raw.emulator import BOARDS, EMULATOR, EmulatedControlBoard
from sv2rig.emulation.emulator import EmulatorOptions

VECTORS = Path(__file__).parents[1] / "vectors" / "boards"
READ_ID = bytes.fromhex("55aa520500000a")
JOB = bytes.fromhex(
    json.loads((VECTORS / "bm1370_roundtrip.json").read_text())["vectors"][0]["out"]["tx_frame"]
)


def board(name: str = "gamma", **more: str) -> EmulatedControlBoard:
    emulated = EmulatedControlBoard(BOARDS[name], EmulatorOptions(more=more))
    emulated.power_up(0.0)
    return emulated


def ask(emulated: EmulatedControlBoard, body: str, now: float = 1.0) -> bytes:
    """A request's reply, whole; `body` from the page on."""
    rest = bytes.fromhex("0700" + body)
    emulated.receive(0, (len(rest) + 2).to_bytes(2, "little") + rest, 0, now)
    return emulated.take_output(0)


def data(reply: bytes) -> bytes:
    """What a good reply of bitaxe-raw carries."""
    assert reply[2] == 7
    assert int.from_bytes(reply[:2], "little") == len(reply) - 3
    return reply[3:]


def regulate(emulated: EmulatedControlBoard, volts: float, now: float = 1.0) -> None:
    word = round(volts * 512).to_bytes(2, "little").hex()
    assert data(ask(emulated, f"05202421{word}", now)) == b"\x03"
    assert data(ask(emulated, "0520240180", now)) == b"\x02"


def released(emulated: EmulatedControlBoard, now: float = 1.0) -> None:
    if emulated.identity.product == "Bitaxe":
        regulate(emulated, 1.15, now)
    else:
        ask(emulated, "060101", now)
        ask(emulated, "060201", now)
    ask(emulated, "060001", now)


def advance(emulated: EmulatedControlBoard, until: float) -> None:
    while (due := emulated.next_timeout()) is not None and due <= until:
        emulated.on_time(due)
    emulated.on_time(until)


def test_stated_requests() -> None:
    emulated = board()
    replies = {}
    for vector in json.loads((VECTORS / "bitaxe_raw_control.json").read_text())["vectors"]:
        emulated.receive(0, bytes.fromhex(vector["out"]["request"]), 0, 1.0)
        replies[vector["in"]["meaning"]] = emulated.take_output(0)
    assert replies["I2C set 400 kHz"].hex() == "0400" + "01" + "801a0600"
    assert replies["I2C write DE to 4F"] == b"\x13\0\x01\xffI2C Write Error"  # nobody is there
    assert replies["I2C read 1 byte from 4C"].hex() == "0100" + "01" + "1c"
    assert replies["drive GPIO 0 (ASIC reset) low"].hex() == "0100" + "00" + "00"
    assert replies["LED"].hex() == "0000" + "00"
    assert emulated.led.hex() == "ff00ff"


def test_emberone_words_its_replies_another_way() -> None:
    emulated = board("emberone")
    assert ask(emulated, "060001").hex() == "0500" + "07" + "00" + "01"
    assert ask(emulated, "05204fde") == b"\x13\0\x07\xffI2C Write Error"
    assert ask(emulated, "0999").hex() == "0400" + "ff" + "11"
    assert ask(board(), "0999").hex() == "0400" + "ff" + "11"


def test_a_request_in_two_writes_is_forgotten_after_4_ms() -> None:
    emulated = board()
    whole = bytes.fromhex("07000a00060001")
    emulated.receive(0, whole[:3], 0, 1.0)
    emulated.receive(0, whole[3:], 0, 1.0039)
    assert emulated.take_output(0).hex() == "01000a01"
    emulated.receive(0, whole[:3], 0, 2.0)
    emulated.receive(0, whole, 0, 2.0041)
    assert emulated.take_output(0).hex() == "01000a01"


def test_two_requests_in_one_write_both_get_replies() -> None:
    emulated = board()
    emulated.receive(0, bytes.fromhex("07000a00060001" + "06000b000600"), 0, 1.0)
    assert emulated.take_output(0).hex() == "01000a01" + "01000b01"


@pytest.mark.parametrize("length", ["0000", "0500", "0110"])
def test_an_impossible_length_is_answered_as_invalid(length: str) -> None:
    emulated = board()
    emulated.receive(0, bytes.fromhex(length + "0a00060001"), 0, 1.0)
    assert emulated.take_output(0).hex() == "0400ff11"


@pytest.mark.parametrize(
    ("name", "reply"),
    [
        ("gamma", "aa5513700000000006"),
        ("supra", "aa551368000000"),
        ("ultra", "aa551366000000"),
        ("max", "aa5513971800000006"),
    ],
)
def test_chips_answer_only_with_power_and_without_reset(name: str, reply: str) -> None:
    emulated = board(name)
    for request in ("060001", "052024210002", "0520240180"):
        emulated.receive(1, READ_ID, 115200, 1.0)
        assert emulated.take_output(1) == b""
        ask(emulated, request)
    emulated.receive(1, READ_ID, 115200, 1.0)
    assert emulated.take_output(1).hex().startswith(reply)
    assert emulated.pins()["reset_released"] == 1
    ask(emulated, "060000")
    emulated.receive(1, READ_ID, 115200, 1.0)
    assert emulated.take_output(1) == b""
    assert emulated.pins()["mhz"] == 0


def test_emberone_needs_both_power_pins() -> None:
    emulated = board("emberone")
    ask(emulated, "060001")
    ask(emulated, "060101")
    assert not emulated.pins()["power_on"]
    ask(emulated, "060201")
    emulated.receive(1, READ_ID, 115200, 1.0)
    assert len(emulated.take_output(1)) == 12 * 9
    assert "fan_percent" not in emulated.pins()


def test_regulator_speaks_linear16() -> None:
    emulated = board()
    assert data(ask(emulated, "0540242001")) == b"\x97"  # 2**-9
    assert data(ask(emulated, "054024ad07")).hex() == "065449546d2441"
    regulate(emulated, 1.2)
    word = int.from_bytes(data(ask(emulated, "0540248b02")), "little")
    assert word / 512 == pytest.approx(1.2, abs=0.001)
    assert emulated.pins()["volts"] == pytest.approx(1.2, abs=0.001)
    vin = of_linear11(int.from_bytes(data(ask(emulated, "0540248802")), "little"))
    assert vin == pytest.approx(5.1, rel=0.002)
    assert int.from_bytes(data(ask(emulated, "0540247902")), "little") == 0
    ask(emulated, "0520240100")
    assert int.from_bytes(data(ask(emulated, "0540247902")), "little") == 0x0840
    assert emulated.pins()["volts"] == 0
    assert data(ask(emulated, "0750")) == b"\0\0"


def test_regulator_keeps_its_limits() -> None:
    emulated = board()
    ask(emulated, "05202424" + round(1.3 * 512).to_bytes(2, "little").hex())
    regulate(emulated, 1.5)
    assert emulated.pins()["volts"] == pytest.approx(1.3, abs=0.002)
    assert data(ask(emulated, "0540247a01")) == b"\x08"
    ask(emulated, "05202403")
    assert data(ask(emulated, "0540247a01")) == b"\0"


def test_over_current_shuts_down_until_cleared() -> None:
    emulated = board()
    ask(emulated, "05202446" + linear11(5).to_bytes(2, "little").hex())
    released(emulated)
    emulated.receive(1, bytes.fromhex("55aa5109000850a8023000"), 115200, 1.0)  # bad check: 0 MHz
    emulated.receive(1, bytes.fromhex("55aa510900a49000ffff1c") + JOB, 115200, 1.0)
    clock = bytes.fromhex("510900085 0a80230".replace(" ", ""))
    emulated.receive(1, b"\x55\xaa" + clock + bytes((_crc5(clock),)), 115200, 1.0)
    assert emulated.pins()["power_on"] == 0
    assert data(ask(emulated, "0540247b01")) == b"\x80"
    ask(emulated, "05202403")
    assert emulated.pins()["power_on"] == 1


def _crc5(body: bytes) -> int:
    register = 31
    for byte in body:
        for place in range(7, -1, -1):
            bit = byte >> place & 1
            register = (register << 1 & 31) ^ (5 if register >> 4 ^ bit else 0)
    return register


@pytest.mark.parametrize("value", [0, 0.004, 1, 5.1, 12.25, 80, 1023, 1024, 30_000])
def test_linear11_both_ways(value: float) -> None:
    assert of_linear11(linear11(value)) == pytest.approx(value, rel=0.001, abs=2e-5)


def hashing(**more: str) -> EmulatedControlBoard:
    emulated = board(**more)
    released(emulated)
    clock = bytes.fromhex("5109000850a80230")
    emulated.receive(1, b"\x55\xaa" + clock + bytes((_crc5(clock),)), 115200, 1.0)
    emulated.receive(1, JOB, 115200, 1.0)
    return emulated


def diode(emulated: EmulatedControlBoard, now: float) -> float:
    high = data(ask(emulated, "05404c0101", now))[0]
    low = data(ask(emulated, "05404c1001", now))[0]
    return (high << 3 | low >> 5) / 8


def test_heat_follows_power_and_fan() -> None:
    emulated = hashing()
    ask(emulated, "05204c4c3f")
    assert emulated.pins()["fan_percent"] == 100
    advance(emulated, 120.0)
    cool = emulated.pins()["temperature_c"]
    assert 40 < cool < 60
    assert diode(emulated, 120.0) == pytest.approx(cool, abs=0.13)
    ask(emulated, "05204c4c10", 120.0)
    advance(emulated, 300.0)
    assert emulated.pins()["temperature_c"] > cool + 20
    ask(emulated, "060000", 300.0)
    advance(emulated, 500.0)
    assert emulated.pins()["temperature_c"] < 40
    advance(emulated, 10_000.0)
    assert emulated.next_timeout() is None


def test_a_stuck_fan_lets_it_boil() -> None:
    emulated = hashing(fan="stuck")
    ask(emulated, "05204c0304")
    ask(emulated, "05204c4c3f")
    assert data(ask(emulated, "05404c4601")) + data(ask(emulated, "05404c4701")) == b"\xff\xff"
    advance(emulated, 120.0)
    assert emulated.pins()["temperature_c"] > 100


def test_tachometer() -> None:
    emulated = board()
    ask(emulated, "05204c0304")
    ask(emulated, "05204c4c3f")
    low, high = data(ask(emulated, "05404c4601"))[0], data(ask(emulated, "05404c4701"))[0]
    assert 5_400_000 / (high << 8 | low) == 6000


def test_the_diode_reads_nonsense_after_reset() -> None:
    emulated = board()
    released(emulated, 1.0)
    assert diode(emulated, 1.49) == 127
    assert diode(emulated, 1.51) == pytest.approx(25, abs=1)


def test_broken_sensors() -> None:
    assert diode(board(sensor="wild"), 5.0) == 127
    assert ask(board(sensor="absent"), "05404c0101") == b"\x17\0\x07\xffI2C WriteRead Error"


def test_emberone_sensors() -> None:
    emulated = board("emberone", ambient="30")
    near = ask(emulated, "05404a0002")[4:]
    assert int.from_bytes(near, "big") / 256 == 30
    assert ask(emulated, "0540490101")[4] == 30
    released(emulated)
    assert ask(emulated, "0540490101", 1.2)[4] == 127


def test_unplug_and_plug_in_again_makes_everything_safe() -> None:
    emulated = hashing()
    assert emulated.pins()["power_on"]
    emulated.power_up(5.0)
    pins = emulated.pins()
    assert (pins["reset_released"], pins["power_on"], pins["mhz"]) == (0, 0, 0)
    assert emulated.chain.next_timeout() is None


def test_options_are_checked_in_words() -> None:
    assert EMULATOR.make(EmulatorOptions(more={"board": "emberone"})).identity.vid == 0x1209
    with pytest.raises(ValueError, match="one of gamma"):
        EMULATOR.make(EmulatorOptions(more={"board": "delta"}))
    with pytest.raises(ValueError, match="one of ok, absent"):
        EMULATOR.make(EmulatorOptions(more={"sensor": "gone"}))
    assert EMULATOR.make(EmulatorOptions()).claims.rate_hs == 100_000


def test_data_port_finds_nonces() -> None:
    emulated = hashing()
    advance(emulated, 6.0)
    assert emulated.wires.ledger.replies_sent == len(emulated.take_output(1)) // 9 > 2
