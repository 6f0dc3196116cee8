"""Which driver a sighting gets, and why none: rows of vectors/boards/detection.json and beyond."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sv2rig.devices.detection import (
    Identities,
    OptIn,
    Verdict,
    bind,
    choose,
    device_id,
    means,
)
from sv2rig.devices.known_boards import is_generic_text
from sv2rig.devices.pattern import Contains, Matches, Pattern, score
from sv2rig.devices.sighting import EmulatorClaims, Port, Sighting


@dataclass(frozen=True)
class Driver:
    name: str
    patterns: tuple[Pattern, ...]


GEKKO = Driver(
    "gekko",
    (
        Pattern(0x0403, 0x6015, "GekkoScience", "CompacF Bitcoin Miner", model="Compac F"),
        Pattern(0x0403, 0x6015, "GekkoScience", "NewPac Bitcoin Miner", model="NewPac"),
        Pattern(0x10C4, 0xEA70, product=Matches(r"GekkoScience (Compac|Terminus) A[12]")),
        Pattern(0x10C4, 0xEA60, "GekkoScience", Contains("BM1384"), model="Compac"),
    ),
)
BITAXE = Driver("bitaxe_raw", (Pattern(0xC0DE, 0xCAFE, "OSMU", "Bitaxe"),))
EMBER = Driver("emberone", (Pattern(0x1209, 0x256F, "256F", "EmberOne00"),))
ZTEX = Driver("ztex", (Pattern(0x221A, 0x0100, "ZTEX", Matches("USB-FPGA Module 1.15.*")),))
ICARUS = Driver(
    "icarus", (Pattern(0x067B, 0x2303, model="Icarus"), Pattern(0x10C4, 0xEA60, model="Erupter"))
)
DRIVERS = (ICARUS, GEKKO, BITAXE, EMBER, ZTEX)


def seen(
    vid: int,
    pid: int,
    manufacturer: str | None = None,
    product: str | None = None,
    serial: str | None = None,
    usb_path: str = "1-1",
    tty: str = "/dev/ttyUSB0",
) -> Sighting:
    return Sighting(usb_path, vid, pid, None, manufacturer, product, serial, (Port(tty),), "cp210x")


UNNAMED = seen(0x10C4, 0xEA60, "Silicon Labs", "CP2102 USB to UART Bridge Controller", "0001")


@pytest.mark.parametrize(
    ("sighting", "driver"),
    [
        (seen(0xC0DE, 0xCAFE, "OSMU", "Bitaxe"), "bitaxe_raw"),
        (seen(0x1209, 0x256F, "256F", "EmberOne00"), "emberone"),
        (seen(0x0403, 0x6015, "GekkoScience", "CompacF Bitcoin Miner"), "gekko"),
        (seen(0x0403, 0x6015, "GekkoScience", "NewPac Bitcoin Miner"), "gekko"),
        (seen(0x10C4, 0xEA70, "Silicon Labs", "GekkoScience Compac A1"), "gekko"),
        (seen(0x10C4, 0xEA60, "GekkoScience", "Compac BM1384 Bitcoin Miner"), "gekko"),
        (seen(0x221A, 0x0100, "ZTEX", "USB-FPGA Module 1.15y (default)"), "ztex"),
    ],
)
def test_strings_name_a_board(sighting: Sighting, driver: str) -> None:
    choice = choose(sighting, DRIVERS)
    assert (choice.verdict, choice.driver) == (Verdict.USED, driver)
    assert str(sighting.product) in choice.reason


@pytest.mark.parametrize(
    "sighting",
    [
        UNNAMED,
        seen(0x10C4, 0xEA60, "Silicon Labs", "CP2102N USB to UART Bridge Controller"),
        seen(0x10C4, 0xEA70, "Silicon Labs", "CP2105 Dual USB to UART Bridge Controller"),
        seen(0x067B, 0x2303, "Prolific Technology Inc.", "USB-Serial Controller"),
        seen(0x1A86, 0x7523, None, "USB Serial"),
        seen(0x1A86, 0x7523, "QinHeng Electronics", "CH340"),
        seen(0x0403, 0x6001, "FTDI", "FT232R USB UART"),
        seen(0x0403, 0x6014, "FTDI", "Single RS232-HS"),
        seen(0x0403, 0x6010, "FTDI", "Dual RS232-HS"),
        seen(0x0403, 0x6015, "FTDI", "FT230X Basic UART"),
        seen(0x0403, 0x6015, None, None),
        seen(0x10C4, 0xEA60, "ITead", "Sonoff Zigbee 3.0 USB Dongle Plus"),
        seen(0xC0DE, 0xCAFE, "Embassy", "USB-serial example"),
    ],
)
def test_an_unnamed_bridge_is_left_alone_and_told_how_to_opt_in(sighting: Sighting) -> None:
    greedy = Driver("greedy", (Pattern(sighting.vid, sighting.pid),))
    generic = Driver("generic", (Pattern(sighting.vid, sighting.pid, product=Matches(".*")),))
    choices = [choose(sighting, DRIVERS), choose(sighting, (*DRIVERS, greedy))]
    if is_generic_text(sighting.product):  # a pattern may not make a board of a chip's own string
        choices.append(choose(sighting, (*DRIVERS, generic)))
    for choice in choices:
        assert choice.driver is None
        assert choice.verdict is Verdict.NEEDS_OPT_IN
        assert "--device 'serial:/dev/ttyUSB0?driver=" in choice.reason


def test_a_pattern_that_fits_the_ids_only_is_suggested() -> None:
    assert "?driver=icarus" in choose(UNNAMED, DRIVERS).reason


@pytest.mark.parametrize(
    ("what", "resolved"),
    [
        ("/dev/ttyUSB0", None),
        ("1-1", None),
        ("ABC", None),
        ("/dev/serial/by-id/usb-it", "/dev/ttyUSB0"),
    ],
)
def test_opting_in(what: str, resolved: str | None) -> None:
    sighting = replace(UNNAMED, serial="ABC")
    choice = choose(sighting, DRIVERS, [OptIn(what, "icarus", resolved)])
    assert (choice.verdict, choice.driver, choice.opted_in) == (Verdict.USED, "icarus", True)
    assert what in choice.reason
    other = replace(sighting, usb_path="1-2", serial="ABD", ports=(Port("/dev/ttyUSB1"),))
    assert choose(other, DRIVERS, [OptIn(what, "icarus", resolved)]).driver is None


def test_opting_in_without_a_driver_needs_one_clear_claim() -> None:
    assert choose(UNNAMED, DRIVERS, [OptIn("/dev/ttyUSB0")]).driver == "icarus"
    two = (ICARUS, Driver("fpga_uart", (Pattern(0x10C4, 0xEA60),)))
    choice = choose(UNNAMED, two, [OptIn("/dev/ttyUSB0")])
    assert choice.verdict is Verdict.NEEDS_OPT_IN
    assert "?driver=NAME" in choice.reason
    assert choose(UNNAMED, (), [OptIn("/dev/ttyUSB0")]).driver is None


def test_strings_win_over_a_tty_name_given_for_another_driver() -> None:
    named = seen(0x0403, 0x6015, "GekkoScience", "CompacF Bitcoin Miner", "S1")
    assert choose(named, DRIVERS, [OptIn("/dev/ttyUSB0", "icarus")]).driver == "gekko"
    assert choose(named, DRIVERS, [OptIn("S1", "icarus")]).driver == "icarus"
    assert choose(named, DRIVERS, [OptIn("1-1", "icarus")]).driver == "icarus"
    assert choose(named, DRIVERS, [OptIn("/dev/ttyUSB0", "gekko")]).opted_in


def test_a_bound_opt_in_follows_its_device_and_no_other() -> None:
    mine = replace(UNNAMED, serial="ABC")
    (bound,) = bind([OptIn("/dev/ttyUSB0", "icarus")], [mine])
    moved = replace(mine, usb_path="2-1", ports=(Port("/dev/ttyUSB7"),))
    thief = replace(UNNAMED, usb_path="1-4", serial="GPS")
    assert means(bound, moved)
    assert not means(bound, thief)
    assert bind([bound], [thief]) == (bound,)
    (by_port,) = bind([OptIn("/dev/ttyUSB0", "icarus")], [UNNAMED])  # factory serial: no identity
    assert means(by_port, replace(UNNAMED, ports=(Port("/dev/ttyUSB3"),)))
    assert not means(by_port, replace(UNNAMED, usb_path="1-4"))
    (unmet,) = bind([OptIn("/dev/ttyUSB9")], [UNNAMED])
    assert unmet.bound is None


def test_the_most_specific_claim_wins_and_equals_are_not_guessed() -> None:
    vague = Driver("vague", (Pattern(0x0403, 0x6015, Contains("Gekko")),))
    named = seen(0x0403, 0x6015, "GekkoScience", "CompacF Bitcoin Miner")
    assert choose(named, (vague, GEKKO)).driver == "gekko"
    twin = Driver("twin", GEKKO.patterns)
    choice = choose(named, (twin, GEKKO))
    assert choice.verdict is Verdict.AMBIGUOUS
    assert "gekko and twin" in choice.reason
    assert choose(named, (twin, GEKKO), [OptIn("/dev/ttyUSB0", "twin")]).driver == "twin"


@pytest.mark.parametrize(
    ("pattern", "points"),
    [
        (Pattern(), None),
        (Pattern(0x0403), 10),
        (Pattern(0x0403, 0x6015), 20),
        (Pattern(0x0403, 0x6016), None),
        (Pattern(manufacturer="GekkoScience"), 20),
        (Pattern(manufacturer=Matches("Gekko.*")), 15),
        (Pattern(manufacturer=Matches("Gekko")), None),
        (Pattern(manufacturer=Contains("kkoS")), 10),
        (Pattern(0x0403, 0x6015, "GekkoScience", "CompacF Bitcoin Miner"), 60),
        (Pattern(0x0403, 0x6015, "GekkoScience", "CompacF"), None),
    ],
)
def test_scores(pattern: Pattern, points: int | None) -> None:
    named = seen(0x0403, 0x6015, "GekkoScience", "CompacF Bitcoin Miner")
    assert score(pattern, named) == points


@pytest.mark.parametrize(
    ("sighting", "verdict", "word"),
    [
        (
            seen(0x303A, 0x1001, "Espressif", "USB JTAG/serial debug unit"),
            Verdict.NETWORK,
            "bitaxe-raw",
        ),
        (seen(0x28E9, 0x018A, "Canaan", "Avalon Nano 3S"), Verdict.NETWORK, "web page"),
        (seen(0xC0DE, 0xCAFE, "OSMU", "BitaxeBonanza"), Verdict.NO_DRIVER, "Bonanza"),
        (
            seen(0x10C4, 0xEA60, "Silicon Labs", "VoltLink CP2102N"),
            Verdict.NO_DRIVER,
            "VoltLink",
        ),
        (seen(0x1FC9, 0x0003, None, "ModMiner Quad v0.4"), Verdict.NO_DRIVER, "ModMiner"),
    ],
)
def test_known_boards_that_are_not_driven(sighting: Sighting, verdict: Verdict, word: str) -> None:
    choice = choose(sighting, DRIVERS)
    assert choice.verdict is verdict
    assert word in choice.reason


def test_the_user_may_drive_what_is_listed_as_a_network_miner() -> None:
    esp = seen(0x303A, 0x1001, "Espressif", "USB JTAG/serial debug unit")
    assert choose(esp, DRIVERS, [OptIn("/dev/ttyUSB0", "icarus")]).driver == "icarus"


def test_what_is_no_board_and_what_has_no_usb() -> None:
    keyboard = Sighting("1-3", 0x046D, 0xC31C, product="Keyboard")
    assert choose(keyboard, DRIVERS).verdict is Verdict.UNKNOWN
    no_tty = replace(UNNAMED, ports=())  # its kernel driver is missing: worth listing
    assert "--device 'serial:1-1?driver=" in choose(no_tty, DRIVERS).reason
    port = Sighting("tty:/dev/ttyS0", ports=(Port("/dev/ttyS0"),))
    assert choose(port, DRIVERS).verdict is Verdict.NEEDS_OPT_IN
    assert choose(port, DRIVERS, [OptIn("/dev/ttyS0", "fpga_uart")]).driver == "fpga_uart"


def test_an_emulator_is_used_only_when_asked_for() -> None:
    path = "/run/user/1/sv2rig/emulated/compacf"
    emulated = Sighting(
        "emulated:compacf",
        0x0403,
        0x6015,
        None,
        "GekkoScience",
        "CompacF Bitcoin Miner",
        ports=(Port(path),),
        emulator=EmulatorClaims(16, 1e5, driver="gekko"),
    )
    choice = choose(emulated, DRIVERS)
    assert choice.driver is None
    assert "--device 'serial:emulated:compacf?driver=gekko" in choice.reason
    assert choose(emulated, DRIVERS, [OptIn(path)]).driver == "gekko"
    assert choose(emulated, DRIVERS, [OptIn("emulated:compacf", "icarus")]).driver == "icarus"


def test_identities() -> None:
    identities = Identities()
    one = seen(0x10C4, 0xEA60, "A", "B", "S1", usb_path="1-1")
    assert identities.of([one]) == {"1-1": "S1"}
    assert identities.of([replace(one, usb_path="1-2")]) == {"1-2": "S1"}  # any port
    assert identities.of([one]) == {"1-1": "S1"}
    twin = replace(one, usb_path="1-3")
    assert identities.of([one, twin]) == {"1-1": "S1", "1-3": "1-3"}  # the first keeps its name
    assert identities.of([twin]) == {"1-3": "1-3"}  # and so does the second, left alone
    assert identities.of([]) == {}
    assert identities.of([twin, one]) == {"1-1": "S1", "1-3": "1-3"}


def test_two_identical_from_the_start_go_by_their_usb_path() -> None:
    twins = [seen(0x10C4, 0xEA60, "A", "B", "S1", usb_path=path) for path in ("1-1", "1-2")]
    assert Identities().of(twins) == {"1-1": "1-1", "1-2": "1-2"}


@pytest.mark.parametrize("serial", [None, "", "0", "0000", "0001", "12345678"])
def test_a_missing_or_factory_serial_is_no_identity(serial: str | None) -> None:
    assert Identities().of([replace(UNNAMED, serial=serial)]) == {"1-1": "1-1"}


@example([[("1-1", "S1")], [("1-2", "S1")], [("1-1", "S1"), ("1-2", "S1")]])
@given(
    st.lists(
        st.lists(
            st.tuples(st.sampled_from(["1-1", "1-2", "1-3"]), st.sampled_from(["S1", "S2", None])),
            max_size=3,
            unique_by=lambda plugged: plugged[0],
        ),
        max_size=6,
    )
)
def test_no_two_plugged_in_devices_share_an_identity(
    history: list[list[tuple[str, str | None]]],
) -> None:
    identities = Identities()
    for plugged in history:
        given_now = identities.of(
            [seen(1, 1, serial=serial, usb_path=path) for path, serial in plugged]
        )
        assert len(set(given_now.values())) == len(plugged)


def test_a_device_id_is_one_word() -> None:
    assert device_id("gekko", "S 1:2") == "gekko:S_1_2"
    assert device_id("icarus", "1-2.3") == "icarus:1-2.3"
