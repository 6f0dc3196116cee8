"""A device of sysfs as udev rules see it: its attributes, and the devices above it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sv2rig.boards.usb_tree import read_text


@dataclass(frozen=True, slots=True)
class SysfsDevice:
    """`path` is the device's own folder; `properties` are what its uevent file says, and more."""

    path: Path
    properties: Mapping[str, str] = field(default_factory=dict)

    @property
    def kernel(self) -> str:
        return self.path.name

    @property
    def subsystem(self) -> str:
        return _link_name(self.path / "subsystem")

    @property
    def driver(self) -> str:
        return _link_name(self.path / "driver")

    @property
    def parent(self) -> SysfsDevice | None:
        for above in self.path.parents:
            if above.name == "devices":
                return None
            if (above / "uevent").exists():
                return sysfs_device(above)
        return None

    def attribute(self, name: str) -> str | None:
        return read_text(self.path / name)


def sysfs_device(path: Path, more: Mapping[str, str] | None = None) -> SysfsDevice:
    """The device at a path or link. `more`: properties that udev's own rules would have set."""
    lines = (read_text(path / "uevent") or "").splitlines()
    told = dict(line.split("=", 1) for line in lines if "=" in line)
    return SysfsDevice(Path(os.path.realpath(path)), told | dict(more or {}))


def _link_name(path: Path) -> str:
    try:
        return path.readlink().name
    except OSError:
        return ""
