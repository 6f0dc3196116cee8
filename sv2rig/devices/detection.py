"""Which driver a sighting belongs to, if any, and why: evidence is weighed, nothing is opened.

Manufacturer and product strings come first, then what the user opted in. A serial bridge whose
strings name no board is used only where the user opted it in, since the same ids stand on GPS
receivers, Zigbee sticks and CNC machines. The scores are those of mujina's board inventory
(1a69ef40).
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from sv2rig.devices.known_boards import (
    NO_DRIVER,
    ON_THE_NETWORK,
    is_generic_text,
    is_shared_id,
)
from sv2rig.devices.pattern import Pattern, score
from sv2rig.devices.sighting import Sighting


class Described(Protocol):
    """What detection needs of a driver."""

    @property
    def name(self) -> str: ...
    @property
    def patterns(self) -> tuple[Pattern, ...]: ...


class Verdict(enum.Enum):
    USED = "used"
    NEEDS_OPT_IN = "needs opt-in"
    AMBIGUOUS = "ambiguous"
    NETWORK = "mines over the network"
    NO_DRIVER = "no driver"
    UNKNOWN = "not a board"


@dataclass(frozen=True, slots=True)
class Choice:
    """`driver` is None unless the verdict is USED; `reason` says why, and what to do if not."""

    verdict: Verdict
    reason: str
    driver: str | None = None
    pattern: Pattern | None = None
    opted_in: bool = False


@dataclass(frozen=True, slots=True)
class OptIn:
    """What `--device serial:WHAT?driver=NAME` says: a port's path, a serial number or a USB path.

    `resolved` is the path behind `what` where that is a symbolic link. `bound` is filled by
    `bind`: from then on only the device that was meant is meant, whatever its tty is called.
    """

    what: str
    driver: str | None = None
    resolved: str | None = None
    bound: Sighting | None = None


@dataclass(frozen=True, slots=True)
class _Claim:
    driver: str
    pattern: Pattern
    points: int
    named: bool  # a string that a maker chose says so, or an id of its own


def choose(
    sighting: Sighting, drivers: Iterable[Described], opted_in: Sequence[OptIn] = ()
) -> Choice:
    """The driver for a sighting, or why there is none."""
    claims = _claims(sighting, drivers)
    named = [claim for claim in claims if claim.named]
    opt_in = next((entry for entry in opted_in if means(entry, sighting)), None)
    if opt_in is not None and not _belies(sighting, opt_in, named):
        return _opted_in(opt_in, named or claims)
    if sighting.emulator is not None:
        return Choice(
            Verdict.NEEDS_OPT_IN, f"an emulator; to use it: {_how(sighting, named or claims)}"
        )
    if named:
        return _by_strings(sighting, named)
    return _unclaimed(sighting, claims)


def _belies(sighting: Sighting, opt_in: OptIn, named: Sequence[_Claim]) -> bool:
    """Whether the strings name a board of another driver than a tty's path was given for: tty
    names move from device to device, serial numbers and USB paths do not."""
    return (
        sighting.emulator is None
        and opt_in.what not in (sighting.serial, sighting.usb_path)
        and opt_in.driver is not None
        and bool(named)
        and opt_in.driver not in [claim.driver for claim in named]
    )


def bind(opted_in: Sequence[OptIn], sightings: Sequence[Sighting]) -> tuple[OptIn, ...]:
    """Tie each opt-in that means a sighting to that device, so that another device which later
    gets the same tty name is not taken for it."""
    return tuple(_bound(entry, sightings) for entry in opted_in)


def _bound(entry: OptIn, sightings: Sequence[Sighting]) -> OptIn:
    if entry.bound is not None:
        return entry
    meant = next((seen for seen in sightings if means(entry, seen)), None)
    return replace(entry, bound=meant)


def means(entry: OptIn, sighting: Sighting) -> bool:
    """Whether the user meant this device."""
    if entry.bound is not None:
        return _same_device(entry.bound, sighting)
    if sighting.usb_path == entry.what or (sighting.serial and sighting.serial == entry.what):
        return True
    paths = {port.path for port in sighting.ports}
    return entry.what in paths or (entry.resolved is not None and entry.resolved in paths)


def _same_device(one: Sighting, other: Sighting) -> bool:
    if (one.vid, one.pid, one.manufacturer, one.product, one.serial) != (
        other.vid,
        other.pid,
        other.manufacturer,
        other.product,
        other.serial,
    ):
        return False
    return has_own_serial(one) or one.usb_path == other.usb_path


def has_own_serial(sighting: Sighting) -> bool:
    """Whether the serial number is more than what its chip's maker writes into every chip."""
    serial = (sighting.serial or "").strip()
    return bool(serial.strip("0 ")) and serial not in {"0001", "123456", "12345678", "1234567890"}


def _claims(sighting: Sighting, drivers: Iterable[Described]) -> list[_Claim]:
    """Each driver's best claim, best first."""
    best: list[_Claim] = []
    for driver in drivers:
        scored = [
            _Claim(driver.name, pattern, points, _names_a_board(sighting, pattern))
            for pattern in driver.patterns
            if (points := score(pattern, sighting)) is not None
        ]
        if scored:
            best.append(max(scored, key=lambda claim: (claim.named, claim.points)))
    return sorted(best, key=lambda claim: -claim.points)


def _names_a_board(sighting: Sighting, pattern: Pattern) -> bool:
    if not is_shared_id(sighting.vid, sighting.pid):
        return True
    told = (
        (pattern.manufacturer, sighting.manufacturer),
        (pattern.product, sighting.product),
    )
    return any(wanted is not None and not is_generic_text(text) for wanted, text in told)


def _opted_in(opt_in: OptIn, claims: Sequence[_Claim]) -> Choice:
    if opt_in.driver is not None:
        pattern = next((c.pattern for c in claims if c.driver == opt_in.driver), None)
        reason = f"you opted in {opt_in.what} for the driver {opt_in.driver}"
        return Choice(Verdict.USED, reason, opt_in.driver, pattern, opted_in=True)
    if len(claims) == 1 or (len(claims) > 1 and claims[0].points > claims[1].points):
        best = claims[0]
        reason = f"you opted in {opt_in.what}; it looks like {best.pattern.words()}"
        return Choice(Verdict.USED, reason, best.driver, best.pattern, opted_in=True)
    return Choice(
        Verdict.NEEDS_OPT_IN,
        f"you opted in {opt_in.what}, but nothing on it tells the driver: "
        f"--device serial:{opt_in.what}?driver={_names(claims)}",
    )


def _by_strings(sighting: Sighting, claims: Sequence[_Claim]) -> Choice:
    best = claims[0]
    rivals = [claim for claim in claims if claim.points == best.points]
    if len(rivals) > 1:
        return Choice(
            Verdict.AMBIGUOUS,
            f"{' and '.join(sorted(c.driver for c in rivals))} claim it equally well; choose: "
            f"{_how(sighting, rivals)}",
        )
    return Choice(Verdict.USED, f"it says it is {_said(sighting)}", best.driver, best.pattern)


def _unclaimed(sighting: Sighting, claims: Sequence[_Claim]) -> Choice:
    for verdict, boards in ((Verdict.NETWORK, ON_THE_NETWORK), (Verdict.NO_DRIVER, NO_DRIVER)):
        for board in boards:
            if score(board.pattern, sighting) is not None:
                return Choice(verdict, board.advice, pattern=board.pattern)
    if not (sighting.ports or claims or is_shared_id(sighting.vid, sighting.pid)):
        return Choice(Verdict.UNKNOWN, "no driver knows it")
    if is_shared_id(sighting.vid, sighting.pid) and sighting.vid is not None:
        what = "a serial bridge that does not say what is behind it"
    elif sighting.vid is None:
        what = "a serial port; nothing says what is behind it"
    else:
        what = "no driver knows it"
    return Choice(Verdict.NEEDS_OPT_IN, f"{what}; if it is your board: {_how(sighting, claims)}")


def _how(sighting: Sighting, claims: Sequence[_Claim]) -> str:
    emulator, driver = sighting.emulator, _names(claims)
    if emulator is not None:
        kind = "usb" if emulator.on_usb else "serial"
        files = "".join(f"&{option}={path}" for option, path in emulator.files)
        return f"--device '{kind}:{sighting.usb_path}?driver={emulator.driver or driver}{files}'"
    what = sighting.ports[0].path if sighting.ports else sighting.usb_path
    serial = bool(sighting.ports) or is_shared_id(sighting.vid, sighting.pid)
    return f"--device '{'serial' if serial else 'usb'}:{what}?driver={driver}'"


def _names(claims: Sequence[_Claim]) -> str:
    return claims[0].driver if len(claims) == 1 else "NAME"


def _said(sighting: Sighting) -> str:
    words = [text for text in (sighting.manufacturer, sighting.product) if text]
    return " ".join(words) or f"{sighting.vid or 0:04x}:{sighting.pid or 0:04x}"


class Identities:
    """What each device is called for as long as this program runs.

    A serial number that only one device carries is its identity, in any port; a missing, factory
    default or twice seen one gives way to the USB path. A name once given stays: neither a
    twin's arrival nor its departure renames a board.
    """

    def __init__(self) -> None:
        self._bearers: dict[str, str] = {}  # serial number -> USB path of who is called by it
        self._twins: set[str] = set()  # serial numbers seen on two devices at once

    def of(self, sightings: Sequence[Sighting]) -> dict[str, str]:
        """usb_path -> identity, for all that is plugged in."""
        serials = [s.serial for s in sightings if s.serial is not None and has_own_serial(s)]
        self._twins |= {serial for serial in serials if serials.count(serial) > 1}
        return {sighting.usb_path: self._one(sighting) for sighting in sightings}

    def _one(self, sighting: Sighting) -> str:
        serial = sighting.serial
        if serial is None or not has_own_serial(sighting):
            return sighting.usb_path
        if serial not in self._twins:
            self._bearers[serial] = sighting.usb_path
        return serial if self._bearers.get(serial) == sighting.usb_path else sighting.usb_path


_UNSAFE = re.compile(r"[^A-Za-z0-9._/-]")


def device_id(driver: str, identity: str) -> str:
    """The id of a board, stable over unplugging: what settings and --device go by."""
    return f"{driver}:{_UNSAFE.sub('_', identity)}"
