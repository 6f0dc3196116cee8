"""What a driver is to the rest of the program, and how drivers are found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from sv2rig.devices.device import Setting
from sv2rig.devices.pattern import Pattern

if TYPE_CHECKING:
    from sv2rig.boards.board import Board, Plug

GROUP = "sv2rig.drivers"


@dataclass(frozen=True, slots=True)
class Option:
    """A word in `--device serial:PATH?driver=NAME&OPTION=VALUE`. `values`: what is allowed (empty:
    anything, as for a path, or what `check` lets pass: ValueError says why it does not)."""

    name: str
    help: str
    values: tuple[str, ...] = ()
    default: str | None = None
    check: Callable[[str], object] | None = None


@dataclass(frozen=True, slots=True)
class Driver:
    """A driver package's entry point in the group `sv2rig.drivers` names one of these.

    `patterns`: how its boards are recognised by their USB strings (none: only where the user names
    a port). `make` builds a Board, which opens nothing before start(); it raises ValueError, in
    words for the user, for options that make no sense. `transport` is "serial" or "usb".
    """

    name: str
    help: str
    make: Callable[[Plug], Board]
    patterns: tuple[Pattern, ...] = ()
    options: tuple[Option, ...] = ()
    settings: tuple[Setting, ...] = ()
    transport: str = "serial"
    watts: float = 5.0  # what a start is charged to its hub's budget

    def numbers(self, options: Mapping[str, str]) -> dict[str, float]:
        """Those of the options that are settings."""
        names = {setting.name for setting in self.settings}
        return {name: float(value) for name, value in options.items() if name in names}

    def check(self, options: Mapping[str, str]) -> None:
        """ValueError for an option this driver does not have, or a value it does not take."""
        known = {option.name: option for option in self.options}
        numbers = {setting.name: setting for setting in self.settings}
        for name, value in options.items():
            if name in numbers:
                numbers[name].check(_number(name, value))
            elif name not in known:
                names = ", ".join(sorted([*known, *numbers])) or "none"
                raise ValueError(f"{self.name} has no option {name!r}; it has: {names}")
            elif known[name].values and value not in known[name].values:
                allowed = ", ".join(known[name].values)
                raise ValueError(f"{self.name}: {name} is one of {allowed}, not {value!r}")
            elif (check := known[name].check) is not None:
                check(value)


def _number(name: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise ValueError(f"{name} is a number, not {value!r}") from None


def all_drivers() -> dict[str, Driver]:
    """Every installed driver by name, those of other packages included."""
    found = {}
    for entry in entry_points(group=GROUP):
        driver = entry.load()
        if not isinstance(driver, Driver):
            raise TypeError(f"entry point {entry.name} of {GROUP} is no Driver: {entry.value}")
        found[driver.name] = driver
    return found
