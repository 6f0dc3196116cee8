"""The boards that are plugged in now, for commands without a rig."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sv2rig.boards.board import Plug
from sv2rig.boards.driver import Driver
from sv2rig.boards.ports import PortWatcher, resolve
from sv2rig.devices.detection import Identities, Verdict, choose, device_id, means
from sv2rig.rig.board_choice import BoardChoice
from sv2rig.rig.device_choice import DeviceChoiceError


@dataclass(frozen=True, slots=True)
class FoundBoard:
    """A board to use: `driver.make(plug)` makes it."""

    driver: Driver
    plug: Plug


def find_boards(
    named: Sequence[BoardChoice],
    drivers: Mapping[str, Driver],
    watcher: PortWatcher | None = None,
    *,
    all_must_be_there: bool = True,
) -> list[FoundBoard]:
    """Those that the user named, or with none named all whose strings say what they are.
    DeviceChoiceError where a named one is not there or has no driver; with `all_must_be_there`
    False such a one is left out."""
    opted_in = [choice.opt_in for choice in named]
    watcher = watcher or PortWatcher(opted_in)
    sightings = watcher.current()
    resolved = resolve(opted_in, sightings)
    options = {choice.opt_in.what: choice.options for choice in named}
    identities = Identities().of(sightings)
    found, met = [], set()
    for sighting in sightings:
        choice = choose(sighting, drivers.values(), resolved)
        entry = next((entry for entry in resolved if means(entry, sighting)), None)
        if entry is not None:
            met.add(entry.what)
            if choice.driver is None and all_must_be_there:
                raise DeviceChoiceError(f"--device serial:{entry.what}: {choice.reason}")
        if choice.verdict is not Verdict.USED or choice.driver is None:
            continue
        if named and entry is None:
            continue
        name = device_id(choice.driver, identities[sighting.usb_path])
        words = dict(options[entry.what]) if entry is not None else {}
        found.append(
            FoundBoard(
                drivers[choice.driver],
                Plug(
                    name,
                    sighting,
                    words,
                    drivers[choice.driver].numbers(words),
                    still_there=watcher.is_still_there,
                ),
            )
        )
    missing = [entry.what for entry in resolved if entry.what not in met]
    if missing and all_must_be_there:
        raise DeviceChoiceError(
            f"{', '.join(missing)}: nothing is there; `sv2rig devices` lists what is plugged in"
        )
    return found
