"""Everything plugged in that might be a board, and why each is or is not used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sv2rig.boards.port_state import Problem, problems
from sv2rig.boards.ports import resolve
from sv2rig.boards.surroundings import Surroundings
from sv2rig.devices.detection import (
    Choice,
    Described,
    Identities,
    OptIn,
    Verdict,
    choose,
    device_id,
)
from sv2rig.devices.sighting import Sighting


@dataclass(frozen=True, slots=True)
class ListedPort:
    """`name` goes to --device; `device_id` is what the rig would call the board."""

    name: str
    sighting: Sighting
    choice: Choice
    problems: tuple[Problem, ...]
    device_id: str | None

    @property
    def state(self) -> str:
        """In one or a few words: ready, blocked, or why it is not for us."""
        if any(problem.blocks for problem in self.problems):
            return "blocked"
        return "ready" if self.choice.verdict is Verdict.USED else self.choice.verdict.value

    @property
    def title(self) -> str:
        """What it says it is."""
        seen = self.sighting
        words = [word for word in (seen.manufacturer, seen.product) if word]
        text = " ".join(words) or "serial port"
        return f"emulated {text}" if seen.emulator is not None else text


class PortListing:
    """Keeps identities from one listing to the next."""

    def __init__(self, drivers: Iterable[Described], opted_in: Sequence[OptIn] = ()) -> None:
        self._drivers = tuple(drivers)
        self._opted_in = tuple(opted_in)
        self._identities = Identities()

    def of(self, sightings: Sequence[Sighting], around: Surroundings) -> list[ListedPort]:
        """One entry a sighting, without what is certainly no board, as a keyboard."""
        identities = self._identities.of(sightings)
        opted_in = resolve(self._opted_in, sightings)
        found = []
        for sighting in sightings:
            choice = choose(sighting, self._drivers, opted_in)
            if choice.verdict is not Verdict.UNKNOWN:
                identity = identities[sighting.usb_path]
                found.append(_listed(sighting, choice, identity, around))
        return found


def _listed(sighting: Sighting, choice: Choice, identity: str, around: Surroundings) -> ListedPort:
    candidate = choice.verdict in (Verdict.USED, Verdict.NEEDS_OPT_IN, Verdict.AMBIGUOUS)
    return ListedPort(
        _name(sighting, identity),
        sighting,
        choice,
        problems(sighting, around) if candidate else (),
        device_id(choice.driver, identity) if choice.driver is not None else None,
    )


def _name(sighting: Sighting, identity: str) -> str:
    """By its port where it has one, else by what stays."""
    if sighting.emulator is not None:
        return f"{'usb' if sighting.emulator.on_usb else 'serial'}:{sighting.usb_path}"
    if sighting.ports:
        return f"serial:{sighting.ports[0].path}"
    return f"usb:{identity}"
