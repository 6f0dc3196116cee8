"""What people can do to one device of a running rig: set, identify, tune. Every front end refuses
with these words."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

from sv2rig.boards.line import BoardError
from sv2rig.devices.device import Adjustable, Device, Identifiable, Recalling, Setting, Tunable

GOALS = ("hashrate", "efficiency")
CLOCKS = ("frequency", "frequency_mhz")  # how drivers call the setting of it


class KnobError(Exception):
    """It was refused, and why. `field`: which of the values is wrong; None: it cannot be at all."""

    def __init__(self, text: str, field: str | None = None) -> None:
        super().__init__(text)
        self.field = field


def settings_now(device: Device) -> dict[str, float]:
    """What is set now, by name; nothing for a device that cannot be adjusted."""
    if not isinstance(device, Adjustable):
        return {}
    return {setting.name: device.setting(setting.name) for setting in device.info.settings}


def set_values(device: Device, values: Mapping[str, float]) -> dict[str, float]:
    """Set all of these or none; what is set then."""
    _adjust_all(_checked(device, values), device.info.device_id, values)
    return settings_now(device)


def _checked(device: Device, values: Mapping[str, float]) -> Adjustable:
    info = device.info
    if not isinstance(device, Adjustable) or not info.settings:
        raise KnobError(f"{info.device_id} has nothing that can be set")
    name = ""
    try:
        for name, value in values.items():
            _setting(device, name).check(value)
    except ValueError as error:
        raise KnobError(f"{info.device_id}: {error}", name) from error
    return device


def recall(device: Device, values: Mapping[str, float]) -> list[str]:
    """Set what was set in an earlier life; what of it is refused now, in words."""
    refused = []
    for name, value in values.items():
        try:
            if isinstance(device, Recalling):
                _checked(device, {name: value})
                device.recall(name, value)
            else:
                set_values(device, {name: value})
        except (KnobError, ValueError) as error:
            refused.append(f"a setting of before is left out: {error}")
    return refused


def _adjust_all(device: Adjustable, device_id: str, values: Mapping[str, float]) -> None:
    """A device may refuse more than its limits say: then those before are set back."""
    before = {name: device.setting(name) for name in values}
    done: list[str] = []
    for name, value in values.items():
        try:
            device.adjust(name, value)
        except ValueError as error:
            for changed in done:
                device.adjust(changed, before[changed])
            raise KnobError(f"{device_id}: {error}", name) from error
        done.append(name)


async def identify(device: Device) -> None:
    """Let it show where it is."""
    device_id = device.info.device_id
    if not isinstance(device, Identifiable):
        raise KnobError(f"{device_id} has nothing to show itself with")
    try:
        shown = device.identify()
        if inspect.isawaitable(shown):
            await shown
    except BoardError as error:
        raise KnobError(f"{device_id}: {error}") from error


def tune(device: Device, goal: str, limits: Mapping[str, float]) -> None:
    """Let it look for its best frequency by itself."""
    device_id = device.info.device_id
    if goal not in GOALS:
        raise KnobError(f"tune for {' or '.join(GOALS)}, not for {goal!r}", "goal")
    if not isinstance(device, Tunable):
        raise KnobError(f"{device_id} cannot be tuned: it has no frequency that can be set")
    try:
        device.tune(goal, limits)
    except ValueError as error:
        raise KnobError(f"{device_id}: {error}") from error


def _setting(device: Device, name: str) -> Setting:
    settings = {setting.name: setting for setting in device.info.settings}
    if name not in settings:
        raise ValueError(f"there is no setting {name!r}; there is: {', '.join(settings)}")
    return settings[name]
