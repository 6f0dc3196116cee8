"""`sv2rig devices`: ports with their reasons, and --watch as they come and go."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import tty
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sysfs_tree import SysfsTree

from sv2rig.boards.ports import PortWatcher
from sv2rig.boards.surroundings import look_around
from sv2rig.devices.detection import OptIn
from sv2rig.devices.pattern import Pattern
from sv2rig.rig.port_listing import ListedPort, PortListing


class Gekko:
    name = "gekko"
    patterns = (Pattern(0x0403, 0x6015, "GekkoScience", "CompacF Bitcoin Miner"),)


def listed(machine: SysfsTree, folder: Path, *opted_in: OptIn) -> dict[str, ListedPort]:
    sightings = PortWatcher(opted_in, root=machine.root, folder=folder).current()
    ports = PortListing([Gekko()], opted_in).of(sightings, look_around(machine.root))
    return {port.sighting.usb_path: port for port in ports}


def test_each_port_says_why(tmp_path: Path) -> None:
    machine = SysfsTree(tmp_path / "machine")
    machine.plug(
        "1-1", 0x0403, 0x6015, "GekkoScience", "CompacF Bitcoin Miner", "10007", ttys=["ttyUSB0"]
    )
    machine.plug(
        "1-2", 0x0403, 0x6015, "GekkoScience", "CompacF Bitcoin Miner", "10008", ttys=["ttyUSB1"]
    )
    machine.plug("1-3", 0x10C4, 0xEA60, "Silicon Labs", "CP2102", "0001", ttys=["ttyUSB2"])
    machine.plug("1-4", 0x303A, 0x1001, "Espressif", "USB JTAG", ttys=["ttyACM0"])
    machine.plug("1-5", 0x046D, 0xC31C, "Logitech", "Keyboard", driver="usbhid")
    machine.plug("1-6", 0x1A86, 0x7523, None, "USB Serial", driver=None)
    machine.plug("1-7", 0x29F1, 0x33F3, driver=None)
    for name in ("ttyUSB0", "ttyUSB1", "ttyUSB2", "ttyACM0"):
        (machine.root / "dev" / name).touch()
    machine.process(40, "cgminer", str(machine.root / "dev/ttyUSB1"))

    ports = listed(machine, tmp_path, OptIn("/dev/ttyUSB2", "fpga_uart"))
    states = {path: (port.state, port.name, port.device_id) for path, port in ports.items()}
    assert states == {
        "1-1": ("ready", "serial:/dev/ttyUSB0", "gekko:10007"),
        "1-2": ("blocked", "serial:/dev/ttyUSB1", "gekko:10008"),
        "1-3": ("ready", "serial:/dev/ttyUSB2", "fpga_uart:1-3"),
        "1-4": ("mines over the network", "serial:/dev/ttyACM0", None),
        "1-6": ("blocked", "usb:1-6", None),
        "1-7": ("no driver", "usb:1-7", None),
    }
    assert "cgminer (pid 40)" in ports["1-2"].problems[0].text
    assert "modprobe ch341" in ports["1-6"].problems[0].text
    assert ports["1-1"].title == "GekkoScience CompacF Bitcoin Miner"
    assert listed(machine, tmp_path)["1-3"].state == "needs opt-in"


@pytest.fixture
def emulated(tmp_path: Path) -> Iterator[Path]:
    """Where an emulator's announcement belongs, for a pty that is there."""
    folder = tmp_path / "sv2rig/emulated"
    folder.mkdir(parents=True, mode=0o700)
    master, slave = pty.openpty()
    tty.setraw(slave)
    (folder / "icarus").symlink_to(os.ttyname(slave))
    yield folder / "icarus.json"
    os.close(master)
    os.close(slave)


def announce(file: Path) -> None:
    told = {
        "driver": "icarus",
        "usb_path": "emulated:icarus",
        "manufacturer": "Open",
        "product": "Icarus",
        "ports": [{"path": str(file.with_suffix("")), "interface": 0}],
        "ticket_bits": 16,
        "rate_hs": 1e5,
    }
    new = file.with_suffix(".new")
    new.write_text(json.dumps(told))
    new.rename(file)


def command(*args: str) -> list[str]:
    return [str(Path(sys.executable).parent / "sv2rig"), "devices", *args]


def test_watch_follows(emulated: Path) -> None:
    environment = os.environ | {"XDG_RUNTIME_DIR": str(emulated.parents[2])}
    announce(emulated)
    with (
        subprocess.Popen(
            command("--watch", "--json"), stdout=subprocess.PIPE, text=True, env=environment
        ) as process,
        ExitStack() as stack,
    ):
        stack.callback(process.kill)  # where an assertion fails, Popen would wait for it
        assert process.stdout is not None
        (row,) = [
            row
            for row in json.loads(process.stdout.readline())["added"]
            if row["usb_path"] == "emulated:icarus"
        ]
        assert (row["emulated"], row["state"]) == (True, "needs opt-in")
        assert "--device 'serial:emulated:icarus?driver=icarus'" in row["reason"]
        emulated.unlink()
        assert json.loads(process.stdout.readline())["removed"] == ["emulated:icarus"]
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


def test_watch_in_words(emulated: Path) -> None:
    environment = os.environ | {"XDG_RUNTIME_DIR": str(emulated.parents[2])}
    announce(emulated)
    with (
        subprocess.Popen(
            command("--watch"), stdout=subprocess.PIPE, text=True, env=environment
        ) as process,
        ExitStack() as stack,
    ):
        stack.callback(process.kill)
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        assert any("emulated Open Icarus" in line and line.startswith("+ ") for line in lines)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
