"""Why a port cannot be used, in words with the way out. Nothing is opened: that resets boards."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sv2rig.boards.permission import INSTALL, why_not_permitted
from sv2rig.boards.surroundings import Process, Surroundings
from sv2rig.boards.usb_tree import interface_classes, read_text, usb_node
from sv2rig.devices.sighting import Sighting

# Which kernel module makes a tty of whose bridges (Linux, drivers/usb/serial and usb/class).
_MODULES = {0x10C4: "cp210x", 0x0403: "ftdi_sio", 0x067B: "pl2303", 0x1A86: "ch341"}
_CDC_DATA = 0x0A

# What brltty before 6.5 takes for Braille displays.
_LIKE_BRAILLE = {(0x10C4, 0xEA60), (0x1A86, 0x7523), (0x0403, 0x6001)}


class Obstacle(enum.Enum):
    DRIVER = "driver"
    BRLTTY = "brltty"
    PERMISSION = "permission"
    BUSY = "busy"
    MODEM_MANAGER = "ModemManager"


@dataclass(frozen=True, slots=True)
class Problem:
    """`blocks`: the board cannot be used like this; otherwise it may go wrong. `holders`: who has
    a busy one."""

    obstacle: Obstacle
    text: str
    blocks: bool = True
    holders: tuple[Process, ...] = ()


def problems(sighting: Sighting, around: Surroundings) -> tuple[Problem, ...]:
    """All that stands in the way of using it."""
    if sighting.emulator is not None:
        return tuple(
            _busy(port.path, lockers)
            for port in sighting.ports
            if (lockers := around.lockers(port.path))  # the emulator itself has it open, too
        )
    if not sighting.ports and (module := _missing_module(sighting, around)):
        return (_no_tty(sighting, around, module),)
    paths = [port.path for port in sighting.ports]
    if not paths and (node := usb_node(around.root, sighting.usb_path)):
        paths = [node]
    found = [problem for path in paths for problem in _node_problems(path, around)]
    if sighting.ports:
        found += _modem_manager(sighting, around)
    return tuple(found)


def _missing_module(sighting: Sighting, around: Surroundings) -> str | None:
    """The kernel driver that would make a serial port of this device."""
    if sighting.vid in _MODULES:
        return _MODULES[sighting.vid]
    serial = _CDC_DATA in interface_classes(around.root, sighting.usb_path)
    return "cdc_acm" if serial else None


def _no_tty(sighting: Sighting, around: Surroundings, module: str) -> Problem:
    if sighting.kernel_driver not in (None, "usbfs"):
        return Problem(
            Obstacle.DRIVER,
            f"the kernel's {sighting.kernel_driver} has it and makes no serial port of it: "
            f"{module} should; unbind the other",
        )
    brltty = around.running("brltty")
    if brltty is not None and (sighting.vid, sighting.pid) in _LIKE_BRAILLE:
        return Problem(
            Obstacle.BRLTTY,
            f"{brltty} takes this bridge for a Braille display, so its serial port is gone. If "
            "you need no Braille display: `sudo systemctl mask --now brltty-udev.service` and plug "
            "the board in again; otherwise brltty 6.5 or later leaves it alone",
        )
    if sighting.kernel_driver == "usbfs":
        node = usb_node(around.root, sighting.usb_path)
        holders = around.holders(node) if node else ()
        who = _words(holders) or "another program"
        words = f"{who} drives it over libusb: end that and plug the board in again"
        return Problem(Obstacle.BUSY, words, holders=holders)
    return Problem(
        Obstacle.DRIVER,
        f"no kernel driver makes a serial port of it: `sudo modprobe {module}` (a kernel without "
        "it needs its extra modules' package)",
    )


def _node_problems(path: str, around: Surroundings) -> Iterator[Problem]:
    why = why_not_permitted(path, around.real(path))
    if why is not None:
        yield Problem(Obstacle.PERMISSION, why)
    if holders := around.holders(path):
        yield _busy(path, holders)


def _busy(path: str, holders: tuple[Process, ...]) -> Problem:
    words = f"{_words(holders)} has {path} open: end that first"
    return Problem(Obstacle.BUSY, words, holders=holders)


def _modem_manager(sighting: Sighting, around: Surroundings) -> list[Problem]:
    process = around.running("ModemManager")
    if process is None or _udev_property(sighting, around, "ID_MM_DEVICE_IGNORE") == "1":
        return []
    text = (
        f"{process} may send modem commands to it for half a minute after it was plugged in: "
        f"{INSTALL}; for a bridge without a name of its own, a rule by its serial number "
        "(`sv2rig udev print` shows one)"
    )
    return [Problem(Obstacle.MODEM_MANAGER, text, blocks=False)]


def _udev_property(sighting: Sighting, around: Surroundings, name: str) -> str | None:
    """What udev has noted of the USB device, from its database (/run/udev/data)."""
    device = read_text(around.root / "sys/bus/usb/devices" / sighting.usb_path / "dev")
    noted = read_text(around.root / f"run/udev/data/c{device}") if device else None
    for line in (noted or "").splitlines():
        if line.startswith(f"E:{name}="):
            return line.partition("=")[2]
    return None


def _words(processes: Sequence[Process]) -> str:
    return " and ".join(str(process) for process in processes)
