"""What hangs on USB, as sysfs has it. Reading it opens no port and sends no byte to a device."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from sv2rig.devices.sighting import Port, Sighting

_HUB_CLASS = 0x09


@dataclass(frozen=True, slots=True)
class Seen:
    """A sighting, and a mark that differs when the same thing was plugged in anew."""

    sighting: Sighting
    plugged: str


@dataclass(frozen=True, slots=True)
class _Tty:
    port: Port
    usb_path: str
    driver: str | None


def usb_devices(root: Path = Path("/")) -> tuple[Seen, ...]:
    """Every USB device except hubs, with its serial ports. `root` stands for / in tests."""
    ttys = _usb_ttys(root)
    found = []
    for entry in _entries(root / "sys/bus/usb/devices"):
        if ":" in entry.name or (vid := _number(entry / "idVendor", 16)) is None:
            continue
        if _number(entry / "bDeviceClass", 16) == _HUB_CLASS:
            continue
        found.append(_device(entry, vid, [tty for tty in ttys if tty.usb_path == entry.name]))
    return tuple(found)


def is_still_there(sighting: Sighting, root: Path = Path("/")) -> bool:
    """Whether a USB device is where it was seen, with the same strings and ports: tty names go to
    the next device as soon as one is unplugged. Always true for what is not on USB."""
    entry = root / "sys/bus/usb/devices" / sighting.usb_path
    if sighting.vid is None or sighting.emulator is not None or ":" in sighting.usb_path:
        return True
    classes = (root / "sys/class/tty" / Path(port.path).name for port in sighting.ports)
    ttys = [tty for link in classes if (tty := _usb_tty(link))]
    here = [tty for tty in ttys if tty.usb_path == sighting.usb_path]
    return _device(entry, _number(entry / "idVendor", 16) or 0, here).sighting == sighting


def usb_mark(root: Path = Path("/")) -> tuple[str, ...]:
    """Differs when something came, went or was plugged in anew: cheaper than looking at it all."""
    devices = _entries(root / "sys/bus/usb/devices")
    numbers = [f"{d.name} {read_text(d / 'devnum')}" for d in devices if ":" not in d.name]
    return (*numbers, *(tty.name for tty in _entries(root / "sys/class/tty")))


def _device(entry: Path, vid: int, ttys: list[_Tty]) -> Seen:
    ttys.sort(key=lambda tty: (tty.port.interface, tty.port.path))
    sighting = Sighting(
        usb_path=entry.name,
        vid=vid,
        pid=_number(entry / "idProduct", 16),
        bcd=_number(entry / "bcdDevice", 16),
        manufacturer=read_text(entry / "manufacturer"),
        product=read_text(entry / "product"),
        serial=read_text(entry / "serial"),
        ports=tuple(tty.port for tty in ttys),
        kernel_driver=ttys[0].driver if ttys else _interface_driver(entry),
    )
    return Seen(sighting, read_text(entry / "devnum") or "")


def _usb_ttys(root: Path) -> list[_Tty]:
    return [tty for entry in _entries(root / "sys/class/tty") if (tty := _usb_tty(entry))]


def _usb_tty(entry: Path) -> _Tty | None:
    """The tty's place on USB: its interface is the first folder above it that has a number."""
    interface = number = None
    for above in Path(os.path.realpath(entry)).parents:
        if interface is None and (number := _number(above / "bInterfaceNumber", 16)) is not None:
            interface = above
        if interface is not None and (above / "idVendor").exists():
            port = Port(f"/dev/{_device_name(entry)}", number or 0)
            return _Tty(port, above.name, _link_name(interface / "driver"))
        if above.name == "devices":
            return None
    return None


def _device_name(entry: Path) -> str:
    for line in (read_text(entry / "uevent") or "").splitlines():
        key, _, value = line.partition("=")
        if key == "DEVNAME":
            return value.removeprefix("/dev/")
    return entry.name


def _interface_driver(device: Path) -> str | None:
    names = (_link_name(entry / "driver") for entry in _entries(device) if ":" in entry.name)
    return next((name for name in names if name), None)


def interface_classes(root: Path, usb_path: str) -> tuple[int, ...]:
    """bInterfaceClass of each of a device's interfaces."""
    device = root / "sys/bus/usb/devices" / usb_path
    numbers = (_number(entry / "bInterfaceClass", 16) for entry in _entries(device))
    return tuple(number for number in numbers if number is not None)


def usb_node(root: Path, usb_path: str) -> str | None:
    """What libusb opens: /dev/bus/usb/BBB/DDD."""
    device = root / "sys/bus/usb/devices" / usb_path
    bus, number = _number(device / "busnum", 10), _number(device / "devnum", 10)
    return None if bus is None or number is None else f"/dev/bus/usb/{bus:03}/{number:03}"


def read_text(path: Path) -> str | None:
    """A small file's text without its line end; None where it cannot be read or is empty."""
    try:
        return path.read_bytes().decode(errors="replace").strip() or None
    except OSError:  # unplugged while we looked, or no such attribute
        return None


def _number(path: Path, base: int) -> int | None:
    try:
        return int(read_text(path) or "", base)
    except ValueError:
        return None


def _link_name(path: Path) -> str | None:
    try:
        return path.readlink().name
    except OSError:
        return None


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []
