"""A machine's sysfs under a folder, laid out as Linux does it, for tests to plug things into."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path


class SysfsTree:
    def __init__(self, root: Path) -> None:
        self.root = root
        self._devnum = 0
        for folder in (
            "sys/bus/usb/devices",
            "sys/bus/usb/drivers",
            "sys/class/tty",
            "dev",
            "proc",
        ):
            (root / folder).mkdir(parents=True)

    def plug(
        self,
        usb_path: str,
        vid: int,
        pid: int,
        manufacturer: str | None = None,
        product: str | None = None,
        serial: str | None = None,
        *,
        ttys: Sequence[str] = (),
        interfaces: Sequence[int] | None = None,
        driver: str | None = "cp210x",
        device_class: int = 0,
        interface_class: int = 0xFF,
    ) -> Path:
        """One interface a tty, numbered as given (or 0, 1, ...); at least one interface."""
        self._devnum += 1
        device = self.root / "sys/devices/pci0000:00/0000:00:14.0/usb1" / usb_path
        device.mkdir(parents=True)
        self._subsystem(device, "bus/usb")
        _write(device, "uevent", "DEVTYPE=usb_device")
        _write(device, "idVendor", f"{vid:04x}")
        _write(device, "idProduct", f"{pid:04x}")
        _write(device, "bcdDevice", "0100")
        _write(device, "bDeviceClass", f"{device_class:02x}")
        _write(device, "busnum", "1")
        _write(device, "devnum", str(self._devnum))
        _write(device, "dev", f"189:{self._devnum - 1}")
        for name, text in (
            ("manufacturer", manufacturer),
            ("product", product),
            ("serial", serial),
        ):
            if text is not None:
                _write(device, name, text)
        (self.root / "sys/bus/usb/devices" / usb_path).symlink_to(device)
        numbers = interfaces if interfaces is not None else range(max(len(ttys), 1))
        for index, number in enumerate(numbers):
            interface = device / f"{usb_path}:1.{number}"
            interface.mkdir()
            self._subsystem(interface, "bus/usb")
            _write(interface, "uevent", "DEVTYPE=usb_interface")
            _write(interface, "bInterfaceNumber", f"{number:02x}")
            _write(interface, "bInterfaceClass", f"{interface_class:02x}")
            if driver is not None:
                (interface / "driver").symlink_to(self.root / "sys/bus/usb/drivers" / driver)
            if index < len(ttys):
                self._tty(interface, ttys[index])
        return device

    def _tty(self, interface: Path, name: str) -> None:
        tty = interface / name / "tty" / name
        tty.mkdir(parents=True)
        self._subsystem(tty, "class/tty")
        if name.startswith("ttyUSB"):  # a bridge's port is a device of its own; CDC's is not
            self._subsystem(interface / name, "bus/usb-serial")
            _write(interface / name, "uevent", "")
            _write(interface / name, "latency_timer", "16")
            (interface / name / "driver").symlink_to((interface / "driver").readlink())
        _write(tty, "uevent", f"MAJOR=188\nMINOR=0\nDEVNAME={name}")
        (self.root / "sys/class/tty" / name).symlink_to(tty)

    def _subsystem(self, device: Path, name: str) -> None:
        folder = self.root / "sys" / name
        folder.mkdir(parents=True, exist_ok=True)
        (device / "subsystem").symlink_to(folder)

    def unplug(self, usb_path: str) -> None:
        link = self.root / "sys/bus/usb/devices" / usb_path
        device = link.resolve()
        for tty in (self.root / "sys/class/tty").iterdir():
            if tty.resolve().is_relative_to(device):
                tty.unlink()
        link.unlink()
        shutil.rmtree(device)

    def process(self, pid: int, name: str, *open_files: str) -> None:
        folder = self.root / "proc" / str(pid)
        (folder / "fd").mkdir(parents=True)
        _write(folder, "comm", name)
        for number, path in enumerate(open_files):
            (folder / "fd" / str(number)).symlink_to(path)


def _write(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text + "\n")
