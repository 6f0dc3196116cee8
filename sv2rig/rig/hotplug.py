"""Boards come and go: each that is plugged in and wanted is attached to the rig, by its driver.

What a user set stays with the board's identity while it is away (Plug); its counts stay with the
rig's row of the same id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sv2rig.boards.board import Board, Plug
from sv2rig.boards.driver import Driver
from sv2rig.boards.ports import PortWatcher, resolve
from sv2rig.boards.turns import Turns
from sv2rig.devices.detection import Identities, Verdict, bind, choose, device_id, means
from sv2rig.devices.device import Device
from sv2rig.devices.sighting import Sighting
from sv2rig.devices.supervisor_limits import SupervisorLimits
from sv2rig.rig.board_choice import BoardChoice

TRY_AGAIN_S = 5.0  # a board that was lost while its port stayed is opened once more after this


class Attaches(Protocol):
    """What a rig does for boards."""

    def attach(self, device: Device) -> None: ...

    def report(self, level: str, text: str, device_id: str | None = None) -> None: ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which boards to use: those named, and unless `only_named` all whose strings say what they
    are. `settings` by device id are what the user set before."""

    named: Sequence[BoardChoice] = ()
    only_named: bool = False
    limits: SupervisorLimits = field(default_factory=SupervisorLimits)


class Hotplug:
    """Runs beside a rig. `plugs` are all boards ever seen, by device id."""

    def __init__(
        self,
        rig: Attaches,
        watcher: PortWatcher,
        drivers: Mapping[str, Driver],
        wanted: Wanted,
        turns: Turns,
    ) -> None:
        self._rig = rig
        self._watcher = watcher
        self._drivers = drivers
        self._wanted = wanted
        self._turns = turns
        self._opt_ins = tuple(choice.opt_in for choice in wanted.named)
        self._options = {choice.opt_in.what: choice.options for choice in wanted.named}
        self._identities = Identities()
        self._plugged: dict[str, Sighting] = {}
        self._boards: dict[str, Board] = {}
        self._minders: set[asyncio.Task[None]] = set()
        self.plugs: dict[str, Plug] = {}

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async for change in self._watcher.changes():
                for sighting in change.removed:
                    self._gone(sighting)
                for sighting in change.added:
                    self._plugged[sighting.usb_path] = sighting
                self._look_up_names()
                for sighting in change.added:
                    self._came(sighting)
        finally:
            for task in self._minders:
                task.cancel()
            await asyncio.gather(*self._minders, return_exceptions=True)

    def _look_up_names(self) -> None:
        sightings = tuple(self._plugged.values())
        self._opt_ins = bind(resolve(self._opt_ins, sightings), sightings)

    def _gone(self, sighting: Sighting) -> None:
        self._plugged.pop(sighting.usb_path, None)
        board = self._boards.pop(sighting.usb_path, None)
        if board is not None:
            board.unplugged()

    def _came(self, sighting: Sighting) -> None:
        choice = choose(sighting, self._drivers.values(), self._opt_ins)
        if choice.verdict is not Verdict.USED or choice.driver is None:
            return
        if self._wanted.only_named and not choice.opted_in:
            return
        driver = self._drivers[choice.driver]
        plug = self._plug(driver, sighting)
        try:
            board = driver.make(plug)
        except ValueError as error:
            self._rig.report("error", f"{error}", plug.device_id)
            return
        self._boards[sighting.usb_path] = board
        self._rig.attach(board)
        task = asyncio.get_running_loop().create_task(self._mind(sighting, board))
        self._minders.add(task)
        task.add_done_callback(self._minders.discard)

    async def _mind(self, sighting: Sighting, board: Board) -> None:
        """A line that failed while the port stayed: try again in a while."""
        await board.stopped()
        if board.was_stopped:
            return
        await asyncio.sleep(TRY_AGAIN_S)
        if self._boards.get(sighting.usb_path) is board:
            self._came(sighting)

    def _plug(self, driver: Driver, sighting: Sighting) -> Plug:
        identity = self._identities.of(tuple(self._plugged.values()))[sighting.usb_path]
        name = device_id(driver.name, identity)
        plug = self.plugs.get(name)
        if plug is None:
            plug = self.plugs[name] = Plug(
                name,
                sighting,
                self._options_of(sighting),
                limits=self._wanted.limits,
                turns=self._turns,
            )
            numbers = {setting.name for setting in driver.settings}
            for word, value in list(plug.options.items()):
                if word in numbers:
                    plug.settings[word] = float(value)
        plug.sighting = sighting
        return plug

    def _options_of(self, sighting: Sighting) -> dict[str, str]:
        for entry in self._opt_ins:
            if means(entry, sighting):
                return dict(self._options[entry.what])
        return {}
