"""Boards as people name them: "serial:/dev/ttyUSB0?driver=icarus", "usb:1-2.3"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from sv2rig.boards.driver import Driver
from sv2rig.devices.detection import OptIn
from sv2rig.rig.device_choice import DeviceChoiceError

BOARD_BACKENDS = ("serial", "usb")


@dataclass(frozen=True, slots=True)
class BoardChoice:
    """A board that the user named, and the driver's options for it."""

    opt_in: OptIn
    options: dict[str, str] = field(default_factory=dict)


def is_board(text: str) -> bool:
    """Whether `--device text` names a board rather than something that this machine computes on."""
    return text.partition(":")[0] in BOARD_BACKENDS


def parse_board(text: str, drivers: Mapping[str, Driver]) -> BoardChoice:
    """A board's name taken apart; DeviceChoiceError in words. The driver checks its options."""
    name, _, query = text.partition("?")
    backend, _, what = name.partition(":")
    if not what:
        raise DeviceChoiceError(
            f"--device {text!r}: name a port, a serial number or a USB path, as in "
            f"{backend}:/dev/ttyUSB0?driver=NAME; `sv2rig devices` lists what is plugged in"
        )
    options = dict(parse_qsl(query, keep_blank_values=True))
    driver = options.pop("driver", None)
    if driver is not None and driver not in drivers:
        raise DeviceChoiceError(
            f"--device {text!r}: there is no driver {driver!r}; there are "
            f"{', '.join(sorted(drivers))}"
        )
    if driver is None and options:
        raise DeviceChoiceError(f"--device {text!r}: options need ?driver=NAME, whose they are")
    if driver is not None:
        try:
            drivers[driver].check(options)
        except ValueError as error:
            raise DeviceChoiceError(f"--device {text!r}: {error}") from error
    return BoardChoice(OptIn(what, driver), options)


def parse_boards(texts: Sequence[str], drivers: Mapping[str, Driver]) -> list[BoardChoice]:
    """All of them; DeviceChoiceError for a board named twice."""
    choices = [parse_board(text, drivers) for text in texts]
    names = [choice.opt_in.what for choice in choices]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DeviceChoiceError(f"chosen twice: {', '.join(twice)}")
    return choices
