"""Every command that a running rig takes (in the making: the shapes that the API is built on)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from sv2rig.devices.device import Device, Identifiable, Tunable
from sv2rig.rig import knobs
from sv2rig.rig.fleet import DeviceRefusedError
from sv2rig.rig.rig import Rig
from sv2rig.rig.snapshot import PoolStanding


class CommandError(Exception):
    """The rig says no, in words for the user. `kind`: "unknown" (there is no such thing),
    "refused" (not now) or "invalid" (never so); `field`: which value it is about."""

    def __init__(self, text: str, kind: str = "refused", field: str | None = None) -> None:
        super().__init__(text)
        self.kind = kind
        self.field = field


class SettingNow(msgspec.Struct, frozen=True):
    """A knob, its limits and its position."""

    name: str
    unit: str
    minimum: float
    maximum: float
    default: float
    help: str
    value: float


class ControlledDevice(msgspec.Struct, frozen=True):
    """What can be done to one device."""

    id: str
    backend: str
    name: str
    settings: tuple[SettingNow, ...]
    can_identify: bool
    can_tune: bool
    can_reset: bool = False


class PoolWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A pool to add."""

    name: str
    url: str
    user: str
    standard_channels: bool = False


class Commands:
    """What a rig can do with devices, and pools in name only."""

    def __init__(self, rig: Rig, *, pools: object, quit: Callable[[], None]) -> None:
        self._rig = rig
        self._quit = quit

    def devices(self) -> Sequence[ControlledDevice]:
        return [_described(device) for device in self._rig.devices()]

    def device(self, device_id: str) -> ControlledDevice:
        return _described(self._find(device_id))

    def pause(self, device_id: str | None) -> None:
        if device_id is not None:
            self._find(device_id)

    resume = pause

    async def disable(self, device_id: str) -> None:
        self._find(device_id)

    enable = reset = disable

    def set_values(self, device_id: str, values: Mapping[str, float]) -> dict[str, float]:
        try:
            return knobs.set_values(self._find(device_id), values)
        except knobs.KnobError as error:
            raise CommandError(str(error), "invalid", next(iter(values))) from error

    async def identify(self, device_id: str) -> None:
        try:
            await knobs.identify(self._find(device_id))
        except knobs.KnobError as error:
            raise CommandError(str(error)) from error

    def tune(self, device_id: str, goal: str, limits: Mapping[str, float]) -> None:
        try:
            knobs.tune(self._find(device_id), goal, limits)
        except knobs.KnobError as error:
            raise CommandError(str(error)) from error

    def pools(self) -> Sequence[PoolStanding]:
        return [PoolStanding("main", "stratum2+tcp://a:1/b", "u", "mining", is_active=True)]

    def switch_pool(self, name: str) -> None:
        if name != "main":
            raise CommandError(f"there is no pool {name}", "unknown", "name")

    enable_pool = disable_pool = remove_pool = switch_pool

    def order_pools(self, names: Sequence[str]) -> None:
        for name in names:
            self.switch_pool(name)

    def add_pool(self, wish: PoolWish) -> None:
        if wish.name == "main":
            raise CommandError("there is a pool main already", "refused", "name")

    def quit(self) -> None:
        self._quit()

    def _find(self, device_id: str) -> Device:
        try:
            return self._rig.device(device_id)
        except DeviceRefusedError as error:
            raise CommandError(str(error), "unknown") from error


def _described(device: Device) -> ControlledDevice:
    info, now = device.info, knobs.settings_now(device)
    return ControlledDevice(
        info.device_id,
        info.backend,
        info.name,
        tuple(
            SettingNow(s.name, s.unit, s.minimum, s.maximum, s.default, s.help, now[s.name])
            for s in info.settings
        ),
        isinstance(device, Identifiable),
        isinstance(device, Tunable),
    )
