"""What the user does to the devices of a running rig: pause, disable, enable, reset."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from sv2rig.devices.device import (
    Device,
    DeviceState,
    Renewable,
    ResetRefusedError,
    Resettable,
)
from sv2rig.rig.fleet import DISABLED, ENDS_UNTOLD_S, STOPS, DeviceRefusedError, Fleet
from sv2rig.rig.rig_device import HANG_AFTER_S, RigDevice

_LOOK_AGAIN_S = 0.2


class Switching:
    """DeviceRefusedError where a wish cannot be met now, and why; UnknownDeviceError where there is
    no such device."""

    def __init__(self, fleet: Fleet, utc: Callable[[], float]) -> None:
        self._fleet = fleet
        self._utc = utc
        self._loop = asyncio.get_running_loop()
        self._under_way: set[asyncio.Task[None]] = set()

    def pause(self, device_id: str | None) -> None:
        """No work for it (None: for all, and for those that come) until resume(); its power
        stays on."""
        self._set_paused(device_id, True)

    def resume(self, device_id: str | None) -> None:
        """Work again, as soon as the device itself is fit for it."""
        self._set_paused(device_id, False)

    def _set_paused(self, device_id: str | None, paused: bool) -> None:
        fleet = self._fleet
        if device_id is None:
            fleet.pauses_all = paused
        devices = fleet.devices.values() if device_id is None else [fleet.find(device_id)]
        for device in list(devices):
            device.paused = paused
            fleet.reconsider(device)

    async def disable(self, device_id: str) -> None:
        """Stop it and make it safe; it stays off until enable(). Returns at once where it has to
        cool first."""
        device = self._fleet.find(device_id)
        if not device.enabled:
            return
        self._check_free(device)
        device.enabled = False
        self._fleet.retire(device_id)
        device.assign(None)
        if device.state is not DeviceState.LOST:
            self._say(device, DeviceState.INIT, f"{DISABLED}; it is being made safe")
        ending = self._switch(device, self._end(device))
        await asyncio.wait([ending], timeout=2 * ENDS_UNTOLD_S)

    async def _end(self, device: RigDevice) -> None:
        await asyncio.to_thread(device.stop)
        await self._fleet.ended([device.device])
        if device.state is DeviceState.INIT:  # else it said that it is not known to be safe
            self._say(device, DeviceState.INIT, DISABLED)

    async def enable(self, device_id: str) -> None:
        """Start it again."""
        device = self._fleet.find(device_id)
        if device.enabled:
            return
        self._check_free(device)
        device.enabled = True
        if not self._fleet.runs:  # it starts with the others
            device.state_changed(DeviceState.INIT, "", self._utc())
        elif isinstance(device.device, Renewable):
            await self._renew(device)
        else:
            source = self._fleet.board_source
            if source is None or not source.again(device_id):
                self._say(device, DeviceState.LOST, "enabled, but not plugged in")

    async def reset(self, device_id: str) -> None:
        """Let it start anew, be it dead, cut off or at work."""
        device = self._fleet.find(device_id)
        if not device.enabled:
            raise DeviceRefusedError(f"{device_id} is disabled: enable it")
        self._check_free(device)
        if isinstance(device.device, Resettable):
            try:
                device.device.reset()
            except ResetRefusedError as error:
                raise DeviceRefusedError(f"{device_id}: {error}") from error
        elif isinstance(device.device, Renewable):
            await self._renew(device)
        else:
            raise DeviceRefusedError(f"{device_id} cannot be reset")

    async def _renew(self, device: RigDevice) -> None:
        """Stop it and let another Device take its place, which is measured before it mines."""
        device.is_switching, device.is_measured = True, False
        try:
            new = await self._successor(device)
        finally:
            device.is_switching = False
        if self._fleet.stops:
            raise DeviceRefusedError(STOPS)
        if new is None:
            reason = "it hangs and cannot be started again: restart the rig"
            self._say(device, DeviceState.DEAD, reason)
            raise DeviceRefusedError(f"{device.info.device_id}: {reason}")
        self._fleet.replace(device, new, "starting again")
        device.start(self._fleet)
        self._switch(device, self._fleet.measure_these([device]))

    async def _successor(self, device: RigDevice) -> Device | None:
        """None if the present Device does not end."""
        old = device.device
        assert isinstance(old, Renewable)
        self._fleet.retire(device.info.device_id)
        await asyncio.to_thread(device.stop)
        for _ in range(int(HANG_AFTER_S / _LOOK_AGAIN_S)):
            new = old.anew()
            if new is not None:
                return new
            await asyncio.sleep(_LOOK_AGAIN_S)
        return None

    def _switch(self, device: RigDevice, change: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do what may take a minute; until then the device takes no other wish."""
        task = self._loop.create_task(change)
        device.is_switching = True

        def done(_task: asyncio.Task[None]) -> None:
            device.is_switching = False
            self._under_way.discard(task)

        self._under_way.add(task)
        task.add_done_callback(done)
        return task

    def _check_free(self, device: RigDevice) -> None:
        if self._fleet.stops:
            raise DeviceRefusedError(STOPS)
        if device.is_switching:
            raise DeviceRefusedError(
                f"{device.info.device_id} is being started or stopped: try again in a minute"
            )

    def _say(self, device: RigDevice, state: DeviceState, reason: str) -> None:
        self._fleet.state_changed(device.info.device_id, state, reason)
