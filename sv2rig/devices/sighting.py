"""What was seen on this machine's ports: one USB device, opted-in serial port or emulated board."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class EmulatorClaims:
    """What an emulator says of itself; nothing else may lower a ticket or a rate.

    Replies meet 2**(256 - ticket_bits) - 1; `rate_hs` is what it really hashes; `replay`: its
    answers come from a table; `driver` is the one that it was written for; `on_usb`: it is a USB
    device of its own, not serial ports.
    """

    ticket_bits: int
    rate_hs: float
    replay: bool = False
    driver: str | None = None
    on_usb: bool = False
    files: tuple[tuple[str, str], ...] = ()

    @property
    def ticket(self) -> int:
        """The highest hash (little-endian integer) that it reports."""
        return (1 << 256 - self.ticket_bits) - 1


@dataclass(frozen=True, slots=True)
class Port:
    """One thing to open: /dev/ttyUSB0, an emulator's pty. `interface`: its bInterfaceNumber."""

    path: str
    interface: int = 0


@dataclass(frozen=True, slots=True)
class Sighting:
    """One board, perhaps. `usb_path` is "1-2.3" as sysfs has it, "tty:/dev/ttyS0" for a port
    without USB, "emulated:NAME"; `ports` are ordered by interface number."""

    usb_path: str
    vid: int | None = None
    pid: int | None = None
    bcd: int | None = None
    manufacturer: str | None = None
    product: str | None = None
    serial: str | None = None
    ports: tuple[Port, ...] = ()
    kernel_driver: str | None = None
    emulator: EmulatorClaims | None = None


def runtime_folder(environment: Mapping[str, str], uid: int) -> Path:
    """Where running programs of this user meet, in a folder that only they enter: sv2rig in
    $XDG_RUNTIME_DIR, else in $RUNTIME_DIRECTORY (systemd), else /tmp/sv2rig-UID."""
    runtime = environment.get("XDG_RUNTIME_DIR")
    runtime = runtime or environment.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return Path(runtime) / "sv2rig" if runtime else Path(f"/tmp/sv2rig-{uid}")


def emulated_folder(environment: Mapping[str, str], uid: int) -> Path:
    """Where a user's emulators announce themselves."""
    return runtime_folder(environment, uid) / "emulated"
