"""Emulated GekkoScience boards, as raw bytes on each of their ports."""

import json
from pathlib import Path

import pytest

from sv2rig.drivers.gekko.emulated_telemetry import Telemetry
from sv2rig.drivers.gekko.emulator import EMULATOR, STICKS, EmulatedStick
from sv2rig.emulation.emulator import EmulatorOptions

VECTORS = Path(__file__).parents[1] / "vectors" / "boards"
READ_ID = {
    "BM1384": "84000011",
    "BM1387": "5405000019",
    "BM1397": "55aa520500000a",
    "BM1362": "55aa520500000a",
    "BM1370": "55aa520500000a",
}
ID_SIZE = {"BM1384": 5, "BM1387": 7}
IDS = {"BM1384": "1384", "BM1387": "1387", "BM1397": "1397", "BM1362": "1362", "BM1370": "1370"}


def stick(name: str, **options: float) -> EmulatedStick:
    emulated = EmulatedStick(STICKS[name], EmulatorOptions(rate_hs=options.get("rate")))
    emulated.power_up(0.0)
    return emulated


def says(emulated: EmulatedStick, port: str, data: bytes, now: float = 1.0) -> bytes:
    number = emulated.ports.index(port)
    emulated.receive(number, data, 115200, now)
    return emulated.take_output(number)


def chips(emulated: EmulatedStick, name: str) -> int:
    chip = STICKS[name].chip
    said = says(emulated, "data", bytes.fromhex(READ_ID[chip]))
    assert all(said[at : at + 2].hex() in (IDS[chip], "aa55", "") for at in (0,))
    return len(said) // ID_SIZE.get(chip, 9)


@pytest.mark.parametrize("name", STICKS)
def test_strings_and_chips(name: str) -> None:
    emulated = stick(name)
    identity = emulated.identity
    detected = {
        (v["in"]["vid"], v["in"]["pid"], v["in"]["manufacturer"], v["in"]["product"])
        for v in json.loads((VECTORS / "detection.json").read_text())["vectors"]
    }
    if name in ("compacf", "newpac", "a1", "compac"):
        assert identity.vid is not None
        assert identity.pid is not None
        ids = (f"{identity.vid:04x}", f"{identity.pid:04x}")
        assert (*ids, identity.manufacturer, identity.product) in detected
    if STICKS[name].telemetry:
        assert chips(emulated, name) == 0
        says(emulated, "telemetry", b"V" + bytes((60,)) + b"BO")
        says(emulated, "reset", b"reset=1\n")
    assert chips(emulated, name) == STICKS[name].chips


@pytest.mark.parametrize("name", ["compac", "newpac", "compacf"])
def test_reset_line(name: str) -> None:
    emulated = stick(name)
    says(emulated, "reset", b"reset=0\n")
    assert emulated.pins()["reset_released"] == 0
    assert chips(emulated, name) == 0
    says(emulated, "reset", b"rts=1\n")
    assert chips(emulated, name) == 0
    says(emulated, "reset", b"reset")
    says(emulated, "reset", b"=1\n")
    assert chips(emulated, name) == STICKS[name].chips
    says(emulated, "reset", b"reset=0\nreset=1\n")
    assert chips(emulated, name) == STICKS[name].chips


def test_a_pulse_in_one_write_resets_the_chips() -> None:
    emulated = stick("newpac")
    says(emulated, "data", bytes.fromhex("4809000c0068022102"))
    assert emulated.pins()["mhz"] == 650
    says(emulated, "data", bytes.fromhex("5505000010" + "410504000a"))
    assert says(emulated, "data", bytes.fromhex("5405000019"))[3] == 4
    says(emulated, "reset", b"reset=0\nreset=1\n")
    assert says(emulated, "data", bytes.fromhex("5405000019"))[3] == 0


def test_telemetry_of_the_first_version() -> None:
    emulated = stick("a1")
    assert says(emulated, "telemetry", b"?v") == b"\x10"
    assert says(emulated, "telemetry", b"V") == b""
    assert says(emulated, "telemetry", bytes((60,))) == b"V"
    assert emulated.pins()["power_on"] == 0
    assert says(emulated, "telemetry", b"BO") == b"B"
    assert emulated.pins()["volts"] == 0.3
    vin, iin, vout, iout, temp1, temp2, tach = says(emulated, "telemetry", b"G.")
    assert vin * 6.0 / 255 == pytest.approx(5.0, abs=0.02)
    assert vout * 2.048 / 255 / 2 == pytest.approx(0.3, abs=0.003)
    assert temp1 * 175 / 218 - 50 == pytest.approx(25, abs=1)
    assert (iin, iout, temp2, tach) == (0, 0, 0, 0)
    assert says(emulated, "telemetry", b"B-") == b"B"
    assert emulated.pins()["power_on"] == 0


def test_telemetry_of_the_second_version() -> None:
    emulated = stick("a2")
    assert says(emulated, "telemetry", b"?v") == b"\x21"
    says(emulated, "telemetry", b"F" + bytes((50,)))
    vin, _, _, iout, temp1, temp2, tach = says(emulated, "telemetry", b"G.")
    assert vin * 2.048 * 12 / 255 == pytest.approx(12, abs=0.1)
    assert iout == 0
    assert temp1 == temp2
    assert tach * 30 == pytest.approx(1500, abs=30)
    assert emulated.pins()["fan_percent"] == 50
    assert says(emulated, "telemetry", b"xyM.") == b""


def test_stated_readings() -> None:
    vector = next(
        v
        for v in json.loads((VECTORS / "bm13xx_numbers.json").read_text())["vectors"]
        if v["id"] == "gekko-a1-telemetry"
    )
    told = vector["out"]
    telemetry = Telemetry(0x11, celsius=told["temp1_c"], input_volts=told["vin_v1_board"])
    assert telemetry.readings()[0] == vector["in"]["bytes"][0]
    assert telemetry.readings()[4] == vector["in"]["bytes"][4]
    telemetry.celsius = None
    assert telemetry.readings()[4] == 0


def test_it_hashes_and_warms_and_cools() -> None:
    emulated = stick("a2", rate=1e6)
    says(emulated, "telemetry", b"V" + bytes((60,)) + b"BO")
    says(emulated, "reset", b"reset=1\n")
    says(emulated, "data", bytes.fromhex("55aa5109000850a8023007"))
    tx = json.loads((VECTORS / "bm1370_roundtrip.json").read_text())["vectors"][0]["out"]
    says(emulated, "data", bytes.fromhex(tx["tx_frame"]))
    while (due := emulated.next_timeout()) is not None and due < 60:
        emulated.on_time(due)
    assert emulated.wires.ledger.replies_sent > 50
    assert 40 < emulated.pins()["temperature_c"] < 70
    says(emulated, "reset", b"reset=0\n", now=60.0)
    while (due := emulated.next_timeout()) is not None:
        emulated.on_time(due)
    assert emulated.pins()["temperature_c"] < 30


def test_options_are_checked_in_words() -> None:
    assert EMULATOR.make(EmulatorOptions()).identity.product == "CompacF Bitcoin Miner"
    with pytest.raises(ValueError, match="one of compac"):
        EMULATOR.make(EmulatorOptions(more={"board": "gsk"}))
