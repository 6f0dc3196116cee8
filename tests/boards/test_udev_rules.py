"""The rules we ship, through a table of devices; rules that must be refused; udevadm's own view."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest
from sysfs_tree import SysfsTree

from sv2rig.boards.sysfs_device import sysfs_device
from sv2rig.boards.udev_rules import Outcome, Rule, RulesError, evaluate, parse

RULES_FILE = "70-sv2rig.rules"
TEXT = (files("sv2rig.udev") / RULES_FILE).read_text()
RULES = parse(TEXT)
PATH_TAG = {"ID_PATH_TAG": "pci-0000_00_14_0-usb-0_2_1_0"}

# vid, pid, manufacturer, product, kernel driver, name of its first tty, what SV2RIG becomes
BOARDS = [
    (0xC0DE, 0xCAFE, "OSMU", "Bitaxe", "cdc_acm", "ttyACM0", "bitaxe_raw"),
    (0x1209, 0x256F, "256F", "EmberOne00", "cdc_acm", "ttyACM0", "bitaxe_raw"),
    (0x0403, 0x6015, "GekkoScience", "CompacF Bitcoin Miner", "ftdi_sio", "ttyUSB0", "gekko"),
    (0x0403, 0x6015, "GekkoScience", "R909 Bitcoin Miner", "ftdi_sio", "ttyUSB0", "gekko"),
    (0x0403, 0x6015, None, "NewPac Bitcoin Miner", "ftdi_sio", "ttyUSB0", "gekko"),
    (0x10C4, 0xEA70, "Silicon Labs", "GekkoScience Compac A1", "cp210x", "ttyUSB0", "gekko"),
    (0x10C4, 0xEA60, "GekkoScience", "Compac BM1384 Bitcoin Miner", "cp210x", "ttyUSB0", "gekko"),
    (0x221A, 0x0100, "ZTEX", "USB-FPGA Module 1.15y (default)", None, None, "ztex"),
    (0x1FC9, 0x0083, None, None, "cdc_acm", "ttyACM0", "icarus"),
    (0x0403, 0x6014, "FTDI", "Cairnsmore1", "ftdi_sio", "ttyUSB0", "icarus"),
    (0x1FC9, 0x0003, None, "ModMiner Quad v0.4", "cdc_acm", "ttyACM0", "modminer"),
    (0x29F1, 0x33F3, None, None, None, None, "avalon"),
    (0x0403, 0x6014, "Butterfly Labs Inc.", "BitFORCE SHA256", "ftdi_sio", "ttyUSB0", "bitforce"),
    (0x0403, 0x6001, "FTDI", "X6500 FPGA Miner", "ftdi_sio", "ttyUSB0", "x6500"),
]
STRANGERS = [
    (0x10C4, 0xEA60, "Silicon Labs", "CP2102 USB to UART Bridge Controller", "cp210x", "ttyUSB0"),
    (0x10C4, 0xEA70, "Silicon Labs", "CP2105 Dual USB to UART Bridge", "cp210x", "ttyUSB0"),
    (0x10C4, 0xEA60, "ITead", "Sonoff Zigbee 3.0 USB Dongle Plus", "cp210x", "ttyUSB0"),
    (0x0403, 0x6001, "FTDI", "FT232R USB UART", "ftdi_sio", "ttyUSB0"),
    (0x0403, 0x6014, "FTDI", "Single RS232-HS", "ftdi_sio", "ttyUSB0"),
    (0x0403, 0x6015, "FTDI", "FT230X Basic UART", "ftdi_sio", "ttyUSB0"),
    (0x067B, 0x2303, "Prolific Technology Inc.", "USB-Serial Controller", "pl2303", "ttyUSB0"),
    (0x1A86, 0x7523, None, "USB Serial", "ch341", "ttyUSB0"),
    (0xC0DE, 0xCAFE, "Embassy", "USB-serial example", "cdc_acm", "ttyACM0"),
    (0x303A, 0x1001, "Espressif", "USB JTAG/serial debug unit", "cdc_acm", "ttyACM0"),
    (0x046D, 0xC31C, "Logitech", "USB Keyboard", None, None),
]


def outcomes(
    rules: tuple[Rule, ...],
    folder: Path,
    vid: int,
    pid: int,
    manufacturer: str | None,
    product: str | None,
    driver: str | None,
    tty: str | None,
) -> list[Outcome]:
    """What the USB device, its port on the bridge and its tty get, as far as it has them."""
    machine = SysfsTree(folder)
    device = machine.plug(
        "1-2", vid, pid, manufacturer, product, "S", ttys=[tty] if tty else [], driver=driver
    )
    places = [device]
    if tty is not None:
        places.append(device / f"1-2:1.0/{tty}/tty/{tty}")
    if tty is not None and tty.startswith("ttyUSB"):
        places.append(device / f"1-2:1.0/{tty}")
    return [evaluate(rules, sysfs_device(place, PATH_TAG)) for place in places]


@pytest.mark.parametrize("board", BOARDS)
def test_boards_get_their_rules(
    board: tuple[int, int, str | None, str | None, str | None, str | None, str], tmp_path: Path
) -> None:
    *description, family = board
    usb, *ports = outcomes(RULES, tmp_path / "machine", *description)  # type: ignore[arg-type]
    assert usb.properties["SV2RIG"] == family
    assert usb.properties["ID_MM_DEVICE_IGNORE"] == "1"
    assert (usb.mode, usb.group, usb.tags) == ("0660", "plugdev", {"uaccess"})
    assert usb.written == {"power/control": "on"}
    assert usb.symlinks == []
    if ports:
        tty = ports[0]
        assert tty.properties["SV2RIG"] == family
        assert (tty.mode, tty.tags) == ("0660", {"uaccess"})
        assert tty.symlinks == [f"sv2rig/{family}-{PATH_TAG['ID_PATH_TAG']}"]
    if ports[1:]:
        latency = {"latency_timer": "1"} if board[4] == "ftdi_sio" else {}
        assert ports[1].written == latency


def claimed(rules: tuple[Rule, ...], folder: Path) -> list[str]:
    """The strangers that rules would touch."""
    found = []
    for number, stranger in enumerate(STRANGERS):
        for outcome in outcomes(rules, folder / str(number), *stranger):
            untouched = not (outcome.tags or outcome.mode or outcome.written or outcome.symlinks)
            if not (
                untouched
                and set(outcome.properties)
                <= {"ACTION", "DEVTYPE", "DEVNAME", "MAJOR", "MINOR", "ID_PATH_TAG"}
            ):
                found.append(f"{stranger[0]:04x}:{stranger[1]:04x} {stranger[3]}")
    return found


def test_strangers_get_nothing(tmp_path: Path) -> None:
    assert claimed(RULES, tmp_path) == []


def test_a_rule_by_bare_ids_would_be_found_out(tmp_path: Path) -> None:
    """The table above can fail: this is the rule that the whole file avoids."""
    bare = 'ATTRS{idVendor}=="10c4", ATTRS{idProduct}=="ea60", ENV{SV2RIG}="icarus"\n'
    broken = parse(TEXT.replace("# What sv2rig drives\n", bare))
    assert len(claimed(broken, tmp_path)) == 6  # USB device, tty and bridge port, two strangers


def test_all_attrs_of_a_line_match_on_the_same_device(tmp_path: Path) -> None:
    """A stranger on a hub whose maker is GekkoScience is no GekkoScience board."""
    machine = SysfsTree(tmp_path / "machine")
    device = machine.plug("1-2", 0x0403, 0x6015, "FTDI", "FT230X Basic UART", ttys=["ttyUSB0"])
    (device.parent / "manufacturer").write_text("GekkoScience\n")
    (device.parent / "idVendor").write_text("1d6b\n")
    (device.parent / "uevent").write_text("")
    tty = sysfs_device(device / "1-2:1.0/ttyUSB0/tty/ttyUSB0")
    assert "SV2RIG" not in evaluate(RULES, tty).properties


def test_nothing_happens_on_removal(tmp_path: Path) -> None:
    machine = SysfsTree(tmp_path / "machine")
    device = machine.plug("1-2", 0xC0DE, 0xCAFE, "OSMU", "Bitaxe", ttys=["ttyACM0"])
    assert "SV2RIG" not in evaluate(RULES, sysfs_device(device), "remove").properties


def test_the_local_rule_that_the_comment_shows(tmp_path: Path) -> None:
    (line,) = re.findall(r"^#   (ATTRS.*)$", TEXT, re.MULTILINE)
    machine = SysfsTree(tmp_path / "machine")
    mine = machine.plug("1-2", 0x10C4, 0xEA60, serial="02A1B3C4", ttys=["ttyUSB0"])
    other = machine.plug("1-3", 0x10C4, 0xEA60, serial="02A1B3C5", ttys=["ttyUSB1"])
    rules = (*parse(line), *RULES)
    assert evaluate(rules, sysfs_device(mine)).properties["ID_MM_DEVICE_IGNORE"] == "1"
    assert "SV2RIG" not in evaluate(rules, sysfs_device(other)).properties


# udevadm 252 objects to each of these in its log (to the last one not at all) and goes on.
BROKEN = [
    ('ATTRS{idVendor}="10c4", ENV{SV2RIG}="x"', "ATTRS cannot be used with ="),
    ('ENV{SV2RIG}=="", GOTO="nowhere"', "no LABEL 'nowhere' follows"),
    ('SUBSYSTEM=="tty, MODE="0660"', "expected at"),
    ('SUBSYSTEM=="tty", MODE="rw"', "MODE 'rw' is no octal"),
    ('SUBSYSTEM=="tty"', "does nothing"),
    ('SUBSYSTEMS=="usb", ATTRS=="x", MODE="0660"', "ATTRS needs a name in braces"),
    ('SUBSYSTEM{x}=="tty", MODE="0660"', "takes no braces"),
    ('SUBSISTEM=="tty", MODE="0660"', "SUBSISTEM is no key"),
    ('SUBSYSTEM=="tty", SYMLINK+="sv2rig/$ENV{X}"', "$ENV is no substitution"),
    ('LABEL="back"\nSUBSYSTEM=="tty", GOTO="back"', "line 2: no LABEL"),
    ('SUBSYSTEM=="tty", \\', "the file ends"),
]


@pytest.mark.parametrize(("text", "reason"), BROKEN)
def test_broken_rules_are_refused(text: str, reason: str) -> None:
    with pytest.raises(RulesError) as caught:
        parse(text)
    assert reason in str(caught.value)


def test_a_long_line_may_be_broken() -> None:
    (rule,) = parse('# a comment\nSUBSYSTEM=="tty", \\\n  MODE="0660"\n')
    assert [term.key for term in rule.terms] == ["SUBSYSTEM", "MODE"]


def udevadm_version() -> int:
    udevadm = shutil.which("udevadm")
    if udevadm is None:
        return 0
    told = subprocess.run([udevadm, "--version"], capture_output=True, text=True, check=True)
    return int(told.stdout.split()[0])


@pytest.mark.skipif(udevadm_version() < 254, reason="udevadm verify came with systemd 254")
def test_udevadm_verify(tmp_path: Path) -> None:
    def verify(text: str) -> int:
        file = tmp_path / RULES_FILE
        file.write_text(text)
        command = ["udevadm", "verify", "--resolve-names=never", str(file)]
        return subprocess.run(command, capture_output=True, check=False).returncode

    assert verify(TEXT) == 0
    assert [verify(text) for text, _ in BROKEN[:3]] == [1, 1, 1]
