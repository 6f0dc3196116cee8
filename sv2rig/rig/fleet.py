"""The devices of a rig: which of them can take work, and those that come and go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from sv2rig.devices.device import Device, DeviceState, EndsLater
from sv2rig.devices.work import Solution
from sv2rig.mining.context import MiningContext, Report
from sv2rig.mining.scheduler import Assignment
from sv2rig.mining.session import Session
from sv2rig.rig.calibration import calibrate
from sv2rig.rig.knobs import recall
from sv2rig.rig.rig_device import ABLE, RigDevice
from sv2rig.rig.wishes import Wishes

_LEVELS = {
    DeviceState.THROTTLED: "warning",
    DeviceState.COOLDOWN: "warning",
    DeviceState.RESETTING: "warning",
    DeviceState.SICK: "error",
    DeviceState.DEAD: "error",
    DeviceState.LOST: "error",
}
# A board's fan runs for a minute at most after its end began.
ENDS_WITHIN_S = 75.0
ENDS_UNTOLD_S = 1.0
STOPS = "the rig stops"
DISABLED = "disabled"


class DeviceRefusedError(Exception):
    """The rig does not take this device, or does not have it."""


class UnknownDeviceError(DeviceRefusedError):
    """The rig has no device of this id."""


class BoardSource(Protocol):
    """Where boards come from (sv2rig.rig.hotplug)."""

    def again(self, device_id: str) -> bool:
        """Make and attach this board anew; False if it is not plugged in or cannot be used."""


class Fleet:
    """Devices by id; their sink. What they can do is kept in the context's rates and scheduler."""

    def __init__(
        self,
        context: MiningContext,
        session: Session,
        report: Report,
        utc: Callable[[], float],
        wishes: Wishes,
    ) -> None:
        self.devices: dict[str, RigDevice] = {}
        self.wishes = wishes
        self.board_source: BoardSource | None = None
        self.pauses_all = False  # those that come are paused too
        self._context = context
        self._session = session
        self._report = report
        self._utc = utc
        self._loop = asyncio.get_running_loop()
        self.runs = False  # devices are started as they come
        self._closed = False
        self._stopping: asyncio.Task[None] | None = None

    @property
    def any_left(self) -> bool:
        """Whether any device mines or may mine again by itself."""
        return bool(self._context.rates) or any(
            device.may_work_again for device in self.devices.values()
        )

    @property
    def stops(self) -> bool:
        """Nothing is started any more."""
        return self._closed

    def find(self, device_id: str) -> RigDevice:
        """UnknownDeviceError where there is none of this id."""
        device = self.devices.get(device_id)
        if device is None:
            names = ", ".join(self.devices) or "none"
            raise UnknownDeviceError(f"the rig has no device {device_id}; it has: {names}")
        return device

    # -- coming and going

    def attach(self, device: Device) -> None:
        """A device that mines from when it is READY on. One whose id is known takes over its row
        and its counts: the board may be back before the rig has heard that it was lost.
        DeviceRefusedError when the rig stops, or while it runs for a device whose rate would have
        to be measured."""
        device_id = device.info.device_id
        if self._closed:
            raise DeviceRefusedError(STOPS)
        if self.runs and device.info.rated_hs is None:
            raise DeviceRefusedError(f"{device_id} has no rated hash rate: restart the rig for it")
        known = self.devices.get(device_id)
        if known is None:
            known = RigDevice(device, self._utc(), self._loop.time)
            known.paused = self.pauses_all
            self.devices[device_id] = known
            self.heed_wishes(known)
        else:
            self._supersede(known, device)
        if self.runs and known.enabled:
            known.start(self)

    def heed_wishes(self, device: RigDevice) -> None:
        """What the user wants of a device that was not started."""
        device_id = device.info.device_id
        device.enabled = device_id not in self.wishes.disabled()
        device.state_changed(DeviceState.INIT, "" if device.enabled else DISABLED, self._utc())
        for text in recall(device.device, self.wishes.settings(device_id)):
            self._report("warning", text, device_id)

    def _supersede(self, known: RigDevice, device: Device) -> None:
        old, was_lost = known.device, known.state is DeviceState.LOST
        reason = "plugged in again" if known.enabled else DISABLED
        self.replace(known, device, reason)
        if not was_lost:
            self._loop.run_in_executor(None, old.stop)

    def replace(self, known: RigDevice, device: Device, reason: str) -> None:
        """Another Device has the row from now on; it is not started yet."""
        self.retire(device.info.device_id)
        known.replaced_by(device, self._utc(), reason)

    async def detach(self, device_id: str) -> None:
        """Stop a device and forget its row; what it has mined stays counted."""
        device = self.find(device_id)
        del self.devices[device_id]
        self.retire(device_id)
        device.assign(None)
        device.leave()
        await asyncio.to_thread(device.stop)
        await self.ended([device.device])

    def start(self) -> None:
        """Start the devices attached so far; later ones start as they come."""
        self.runs = True
        for device in list(self.devices.values()):
            if device.enabled:
                device.start(self)

    async def measure(self) -> None:
        """Measure the devices of which no rate is known, and let them mine."""
        unknown = [d for d in self.devices.values() if d.enabled and not d.is_supervised]
        if not unknown:
            return
        self._report("info", "measuring hash rates ...", None)
        await self.measure_these(unknown)

    async def measure_these(self, devices: Sequence[RigDevice]) -> None:
        rates = await calibrate(devices)
        for device in devices:
            rate = rates.get(device.info.device_id)
            if device.is_gone or self._closed:  # it said why; perhaps after it was measured
                continue
            if rate is None:
                text = "hashed nothing when measured: left out"
                self._report("error", text, device.info.device_id)
                continue
            device.is_measured = True
            self.reconsider(device)

    def close(self) -> None:
        """The rig stops: nobody gets work any more."""
        self._closed = True
        for device in self.devices.values():
            device.assign(None)

    async def stop(self) -> None:
        """Stop every device, once, however often it is asked for."""
        self._closed = True
        if self._stopping is None:
            self._stopping = self._loop.create_task(self._stop_each())
        await self._stopping

    async def _stop_each(self) -> None:
        # stop() blocks for up to a second where a device hangs, so all stop side by side.
        devices = [device.device for device in self.devices.values()]
        with ThreadPoolExecutor(max(1, len(devices)), "stop") as threads:
            await asyncio.gather(*(self._loop.run_in_executor(threads, d.stop) for d in devices))
        await self.ended(devices)

    async def ended(self, devices: Sequence[Device]) -> None:
        """Boards are safe only when their own end has come: some have to cool first."""
        ending = {
            self._loop.create_task(device.stopped()): device.info.device_id
            for device in devices
            if isinstance(device, EndsLater)
        }
        if not ending:
            return
        _, late = await asyncio.wait(ending, timeout=ENDS_UNTOLD_S)
        if late:
            names = ", ".join(sorted(ending[task] for task in late))
            text = f"waiting until {names} can be left alone: off, and cooled for a minute at most"
            self._report("info", f"{text}; Ctrl-C leaves at once, with the fan on", None)
            _, late = await asyncio.wait(late, timeout=ENDS_WITHIN_S - ENDS_UNTOLD_S)
        for task in late:
            task.cancel()

    # -- DeviceSink

    def solutions(self, device_id: str, found: Sequence[Solution]) -> None:
        device = self.devices[device_id]
        if device.is_gone or not device.enabled:
            return
        for judgement in self._session.solutions(device_id, found):
            if judgement.proves_work and judgement.work is not None:
                device.proved(judgement.work.ticket)

    def exhausted(self, device_id: str, work_id: int) -> None:
        early = self.devices[device_id].is_supervised  # boards ask while they search the last of it
        scheduler, now = self._context.scheduler, self._loop.time()
        self.carry_out(scheduler.on_exhausted(device_id, work_id, now, early=early))

    def state_changed(self, device_id: str, state: DeviceState, reason: str) -> None:
        device = self.devices[device_id]
        before, reason_before = device.state, device.reason
        device.state_changed(state, reason, self._utc())
        comes = self._follow(device)
        if comes or (state, reason) != (before, reason_before):
            self._tell(device, before, comes)

    def comm_error(self, device_id: str, text: str) -> None:
        self._context.tallies.of(device_id).comm_errors += 1
        self._report("warning", f"communication error: {text}", device_id)

    # -- work

    def carry_out(self, assignments: Iterable[Assignment]) -> None:
        """Hand Work to its devices."""
        if self._closed:
            return
        for assignment in assignments:
            self.devices[assignment.device_id].assign(assignment.work)

    def tick(self, now: float) -> None:
        """Once a second: plan with what the devices really do."""
        rates, scheduler = self._context.rates, self._context.scheduler
        for device_id, device in self.devices.items():
            if device_id not in rates:
                continue
            change = device.measure(now)
            if change is not None:
                self.state_changed(device_id, *change)
            rate = device.rate_hs
            if rate is not None and rate != rates[device_id]:
                rates[device_id] = rate
                self.carry_out(scheduler.set_hashrate(device_id, rate, now))
        self.carry_out(scheduler.on_time(now))

    def more_hashes(self) -> int:
        """How many all devices did since the last call."""
        return sum(device.more_hashes() for device in self.devices.values())

    def _follow(self, device: RigDevice) -> bool:
        """Do what the device's state asks for; whether it can take work that could not before."""
        if device.is_gone:
            self.retire(device.info.device_id)
            return False
        return self.reconsider(device)

    def reconsider(self, device: RigDevice) -> bool:
        """Give it work or take it away, as its state and the user's wishes ask together; whether
        it can take work that could not before."""
        device_id, rates = device.info.device_id, self._context.rates
        if self._closed or device.can_work == (device_id in rates):
            return False
        if not device.can_work:
            del rates[device_id]
            self.carry_out(self._context.scheduler.pause(device_id, self._loop.time()))
            return False
        rate = device.rate_hs
        assert rate is not None  # it is rated, or was measured
        self._admit(device, rate)
        return True

    def _admit(self, device: RigDevice, rate: float) -> None:
        info, now = device.info, self._loop.time()
        scheduler = self._context.scheduler
        self._context.rates[info.device_id] = rate
        if scheduler.knows(info.device_id):
            self.carry_out(scheduler.resume(info.device_id, info.capabilities, now))
        else:
            scheduler.add_device(info.device_id, info.capabilities, rate, None, now)
        self._session.device_added(info.device_id)

    def retire(self, device_id: str) -> None:
        """A device is gone: nobody waits for its work, the others go on."""
        self._context.rates.pop(device_id, None)
        self._context.scheduler.remove_device(device_id)
        self._session.device_gone(device_id)

    def _tell(self, device: RigDevice, before: DeviceState, comes: bool) -> None:
        level = _LEVELS.get(device.state)
        if level is None and (comes or before in _LEVELS) and device.state in ABLE:
            level = "info"
        if level is None:
            return
        says_more = device.reason.casefold() != device.state.casefold()
        text = f"{device.state}: {device.reason}" if says_more else str(device.state)
        line = device.lines.line(text, self._loop.time())
        if line is not None:
            self._report(level, line, device.info.device_id)
