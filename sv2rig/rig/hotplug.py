"""Boards come and go: each that is plugged in and wanted is attached to the rig, by its driver.

What a user set stays with the board's identity while it is away (Plug); its counts stay with the
rig's row of the same id.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

from sv2rig.boards.board import Board, Plug
from sv2rig.boards.driver import Driver
from sv2rig.boards.driver_fault import fault_text
from sv2rig.boards.line import Line, LineProfile
from sv2rig.boards.ports import Change, PortWatcher, resolve
from sv2rig.boards.serial_line import open_serial
from sv2rig.boards.turns import Turns
from sv2rig.devices.detection import Choice, Identities, OptIn, bind, choose, device_id, means
from sv2rig.devices.device import Device
from sv2rig.devices.sighting import Sighting
from sv2rig.devices.start_order import StartOrder
from sv2rig.devices.supervisor_limits import SupervisorLimits
from sv2rig.rig.board_choice import BoardChoice
from sv2rig.rig.fleet import BoardSource, DeviceRefusedError
from sv2rig.rig.tuning_records import TuningRecords

TRY_AGAIN_S = 5.0  # a board that was lost while its port stayed is opened once more after this,
LONGEST_WAIT_S = 60.0  # and after twice as long each time that it did not last, to this


class Watches(Protocol):
    """What is plugged in (PortWatcher)."""

    def changes(self) -> AsyncGenerator[Change, None]: ...

    def is_still_there(self, sighting: Sighting) -> bool: ...


class Attaches(Protocol):
    """What a rig does for boards."""

    def attach(self, device: Device) -> None: ...

    def boards_from(self, source: BoardSource) -> None: ...

    def report(self, level: str, text: str, device_id: str | None = None) -> None: ...


@dataclass(frozen=True, slots=True)
class BoardPlan:
    """Which boards to use, and how: those named, and unless `only_named` all that say what they
    are; started `start_interval_s` apart, within `hub_watts` a hub. `folder`: where emulators
    announce their boards, if not in this user's usual place. `tuning_folder`: where the records of
    tuned boards outlive the rig (None: nowhere)."""

    drivers: Mapping[str, Driver]
    named: Sequence[BoardChoice] = ()
    only_named: bool = False
    start_interval_s: float = 1.0
    hub_watts: float | None = None
    limits: SupervisorLimits = field(default_factory=SupervisorLimits)
    folder: Path | None = None
    tuning_folder: Path | None = None


class Hotplug:
    """Runs beside a rig. `plugs` are all boards ever seen, by device id."""

    def __init__(
        self,
        rig: Attaches,
        plan: BoardPlan,
        watcher: Watches | None = None,
        open_line: Callable[[str, LineProfile], Line] = open_serial,
    ) -> None:
        self._rig = rig
        self._plan = plan
        self._opt_ins: tuple[OptIn, ...] = tuple(choice.opt_in for choice in plan.named)
        self._watcher: Watches = watcher or PortWatcher(self._opt_ins, folder=plan.folder)
        self._open_line = open_line
        self._records: TuningRecords | None = None
        if plan.tuning_folder is not None:
            self._records = TuningRecords(
                plan.tuning_folder, lambda device_id, text: rig.report("warning", text, device_id)
            )
        self._turns = Turns(StartOrder(plan.start_interval_s, plan.hub_watts))
        self._options = {choice.opt_in.what: choice.options for choice in plan.named}
        self._identities = Identities()
        self._plugged: dict[str, Sighting] = {}
        self._boards: dict[str, Board] = {}
        self._minders: set[asyncio.Task[None]] = set()
        self._waits: dict[str, float] = {}  # usb_path -> how long to wait before the next try
        self.plugs: dict[str, Plug] = {}
        rig.boards_from(self)

    async def run(self) -> None:
        """Until cancelled."""
        first = True
        try:
            async for change in self._watcher.changes():
                for sighting in change.removed:
                    self._gone(sighting)
                self._plugged |= {sighting.usb_path: sighting for sighting in change.added}
                sightings = tuple(self._plugged.values())
                self._opt_ins = bind(resolve(self._opt_ins, sightings), sightings)
                for sighting in change.added:
                    self._came(sighting)
                if first:
                    self._miss_those_named(sightings)
                first = False
        finally:
            for task in self._minders:
                task.cancel()
            await asyncio.gather(*self._minders, return_exceptions=True)

    def again(self, device_id: str) -> bool:
        """Make and attach this board anew; False if it is not plugged in or cannot be used."""
        plug = self.plugs.get(device_id)
        if plug is None or self._plugged.get(plug.sighting.usb_path) != plug.sighting:
            return False
        self._boards.pop(plug.sighting.usb_path, None)
        self._came(plug.sighting)
        return plug.sighting.usb_path in self._boards

    def _miss_those_named(self, sightings: Sequence[Sighting]) -> None:
        for entry in self._opt_ins:
            if not any(means(entry, sighting) for sighting in sightings):
                what = "it is no serial port" if _exists(entry.what) else "nothing is there yet"
                self._rig.report("warning", f"{entry.what}: {what}; waiting for a board")

    def _gone(self, sighting: Sighting) -> None:
        self._plugged.pop(sighting.usb_path, None)
        self._waits.pop(sighting.usb_path, None)
        board = self._boards.pop(sighting.usb_path, None)
        if board is not None:
            board.unplugged()

    def _came(self, sighting: Sighting) -> None:
        choice = choose(sighting, self._plan.drivers.values(), self._opt_ins)
        if choice.driver is None:
            entry = self._named(sighting)
            if entry is not None:
                self._rig.report("error", f"{entry.what} is not used: {choice.reason}")
        elif choice.opted_in or not self._plan.only_named:
            self._attach(sighting, choice, self._plan.drivers[choice.driver])

    def _attach(self, sighting: Sighting, choice: Choice, driver: Driver) -> None:
        plug = self._plug(driver, sighting, choice)
        try:
            board = driver.make(plug)
            self._rig.attach(board)
        except DeviceRefusedError as error:
            self._rig.report("info", f"left alone: {error}", plug.device_id)
            return
        except ValueError as error:
            self._rig.report("error", f"not used: {error}", plug.device_id)
            return
        except Exception as error:  # one driver's fault must not end the watch for all
            self._rig.report("error", f"not used: {fault_text(error)}", plug.device_id)
            return
        self._boards[sighting.usb_path] = board
        task = asyncio.get_running_loop().create_task(self._mind(sighting, board))
        self._minders.add(task)
        task.add_done_callback(self._minders.discard)

    async def _mind(self, sighting: Sighting, board: Board) -> None:
        """A line that failed while the port stayed: try again in a while."""
        where, loop = sighting.usb_path, asyncio.get_running_loop()
        began = loop.time()
        await board.stopped()
        if not board.is_lost:
            return
        lasted = loop.time() - began > LONGEST_WAIT_S
        wait = TRY_AGAIN_S if lasted else self._waits.get(where, TRY_AGAIN_S)
        self._waits[where] = min(2 * wait, LONGEST_WAIT_S)
        await asyncio.sleep(wait)
        if self._boards.get(where) is board:
            self._came(sighting)

    def _plug(self, driver: Driver, sighting: Sighting, choice: Choice) -> Plug:
        identities = self._identities.of(tuple(self._plugged.values()))
        name = device_id(driver.name, identities[sighting.usb_path])
        plug = self.plugs.get(name)
        if plug is None:
            options = self._options_of(sighting) if choice.opted_in else {}
            plug = self.plugs[name] = Plug(
                name,
                sighting,
                options,
                driver.numbers(options),
                limits=self._plan.limits,
                turns=self._turns,
                open_line=self._open_line,
                still_there=self._watcher.is_still_there,
            )
            if self._records is not None:
                plug.tuning = self._records.load(name)
                plug.keep_tuning = partial(self._records.keep, name)
        plug.sighting = sighting
        return plug

    def _named(self, sighting: Sighting) -> OptIn | None:
        return next((entry for entry in self._opt_ins if means(entry, sighting)), None)

    def _options_of(self, sighting: Sighting) -> dict[str, str]:
        entry = self._named(sighting)
        return {} if entry is None else dict(self._options[entry.what])


def _exists(what: str) -> bool:
    return what.startswith("/") and Path(what).exists()


@asynccontextmanager
async def boards_watched(rig: Attaches, plan: BoardPlan | None) -> AsyncIterator[None]:
    """With boards that come and go, if any are wanted. The rig's other devices mine on where this
    fails."""
    if plan is None:
        yield
        return

    async def watch(plan: BoardPlan) -> None:
        try:
            await Hotplug(rig, plan).run()
        except Exception as error:
            words = f"no board that comes is seen any more: {error!r}; please report it"
            rig.report("error", words)

    watching = asyncio.create_task(watch(plan))
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
