"""Every command that a running rig takes, whatever front end it comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Literal, Protocol

import msgspec

from sv2rig.devices.device import (
    Device,
    Identifiable,
    Renewable,
    Resettable,
    Setting,
    Tunable,
)
from sv2rig.mining.failover import PoolEntry, PoolRefusedError
from sv2rig.rig import knobs
from sv2rig.rig.fleet import DeviceRefusedError, UnknownDeviceError
from sv2rig.rig.rig import Rig
from sv2rig.rig.snapshot import PoolStanding
from sv2rig.rig.wishes import Wishes as Wishes
from sv2rig.sv2.url import parse_pool_url

Kind = Literal["unknown", "refused", "invalid"]


class CommandError(Exception):
    """A command was not carried out, in words for the user. `kind`: "unknown" (there is no such
    thing), "refused" (it cannot be now, or not by this device), "invalid" (a value is not allowed);
    `field`: which value."""

    def __init__(self, text: str, kind: Kind = "refused", field: str | None = None) -> None:
        super().__init__(text)
        self.kind: Kind = kind
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


Word = Annotated[
    str, msgspec.Meta(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$(?!\n)")
]


class PoolWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A pool to add; `channel`: "extended" or "standard". `payout_address`: yours, to see whether
    jobs pay to it."""

    name: Word
    url: str
    user: Word
    channel: str = "extended"
    enabled: bool = True
    payout_address: str | None = None


class PoolControl(Protocol):
    """What can be done to the pools (sv2rig.mining.session.Session); PoolRefusedError in words."""

    def switch(self, name: str) -> None: ...

    def enable(self, name: str) -> None: ...

    def disable(self, name: str) -> None: ...

    def order(self, names: Sequence[str]) -> None: ...

    def add(self, entry: PoolEntry) -> None: ...

    def remove(self, name: str) -> None: ...


class Commands:
    """All of it on the event loop's thread. CommandError says why a command was refused. Whoever
    calls tells the log, for only he knows who asked.

    `wishes`: what the user set and disabled, kept there; give it before the rig runs (None: they
    end with the rig).
    """

    def __init__(
        self,
        rig: Rig,
        *,
        pools: PoolControl,
        quit: Callable[[], None],
        wishes: Wishes | None = None,
    ) -> None:
        self._rig = rig
        self._pools = pools
        self._quit = quit
        if wishes is not None:
            rig.heed(wishes)

    # -- devices

    def devices(self) -> tuple[ControlledDevice, ...]:
        """In the picture's order."""
        return tuple(_described(device) for device in self._rig.devices())

    def device(self, device_id: str) -> ControlledDevice:
        """What can be done to this one."""
        return _described(self._find(device_id))

    def pause(self, device_id: str | None) -> None:
        """No work for it (None: all); its power stays on. Until resume or the rig's end."""
        with _refusals():
            self._rig.switching.pause(device_id)

    def resume(self, device_id: str | None) -> None:
        """Work again, as soon as the device itself is fit for it."""
        with _refusals():
            self._rig.switching.resume(device_id)

    async def disable(self, device_id: str) -> None:
        """Stop it and make it safe; it stays off, also over a replug and a restart, until it is
        enabled."""
        self._find(device_id)
        with _refusals():
            await self._rig.switching.disable(device_id)
        self._rig.wishes.keep_disabled(device_id, True)

    async def enable(self, device_id: str) -> None:
        """Start it again; for one that is not plugged in, when it is."""
        wishes = self._rig.wishes
        is_here = any(device.info.device_id == device_id for device in self._rig.devices())
        if is_here or device_id not in wishes.disabled():
            with _refusals():
                await self._rig.switching.enable(device_id)
        wishes.keep_disabled(device_id, False)

    def set_values(self, device_id: str, values: Mapping[str, float]) -> dict[str, float]:
        """Set all of these or none, now and for its later starts; what is set then."""
        device = self._find(device_id)
        with _refusals():
            now = knobs.set_values(device, values)
        wishes = self._rig.wishes
        wishes.keep_settings(device_id, {**wishes.settings(device_id), **values})
        return now

    async def identify(self, device_id: str) -> None:
        """Let it show where it is."""
        with _refusals():
            await knobs.identify(self._find(device_id))

    async def reset(self, device_id: str) -> None:
        """Let it start anew, be it dead, cut off or at work."""
        with _refusals():
            await self._rig.switching.reset(device_id)

    def tune(self, device_id: str, goal: str, limits: Mapping[str, float]) -> None:
        """Let it look for its best clock, whose record then stands above what was set before."""
        device = self._find(device_id)
        with _refusals():
            knobs.tune(device, goal, limits)

    # -- pools

    def pools(self) -> tuple[PoolStanding, ...]:
        """In the order in which they are preferred."""
        return self._rig.pool_standings()

    def switch_pool(self, name: str) -> None:
        """Mine on this one, until it fails or the user chooses again."""
        self._to_pool(name, self._pools.switch)

    def enable_pool(self, name: str) -> None:
        """Use it again, in its place."""
        self._to_pool(name, self._pools.enable)

    def disable_pool(self, name: str) -> None:
        """Leave it alone."""
        self._to_pool(name, self._pools.disable)

    def remove_pool(self, name: str) -> None:
        """Forget it."""
        self._to_pool(name, self._pools.remove)

    def order_pools(self, names: Sequence[str]) -> None:
        """Prefer them in this order, which names each of them once."""
        with _refusals("names"):
            self._pools.order(names)

    def add_pool(self, wish: PoolWish) -> None:
        """One more, the last in the order."""
        if wish.channel not in ("extended", "standard"):
            text = f"channel: extended or standard, not {wish.channel!r}"
            raise CommandError(text, "invalid", "channel")
        try:
            url = parse_pool_url(wish.url)
        except ValueError as error:
            raise CommandError(str(error), "invalid", "url") from error
        standard = wish.channel == "standard"
        address = wish.payout_address
        try:
            entry = PoolEntry(
                wish.name, url, wish.user, standard, wish.enabled, payout_address=address
            )
        except ValueError as error:
            raise CommandError(str(error), "invalid", "payout_address") from error
        with _refusals("name"):
            self._pools.add(entry)

    def _to_pool(self, name: str, do: Callable[[str], None]) -> None:
        known = [pool.name for pool in self.pools()]
        if name not in known:
            text = f"there is no pool {name!r}; there are: {', '.join(known)}"
            raise CommandError(text, "unknown")
        with _refusals():
            do(name)

    # -- the rig

    def quit(self) -> None:
        """End in order."""
        self._quit()

    def _find(self, device_id: str) -> Device:
        with _refusals():
            return self._rig.device(device_id)


@contextmanager
def _refusals(pools_field: str | None = None) -> Iterator[None]:
    """As CommandError; `pools_field`: the value that is wrong where a pool's is."""
    try:
        yield
    except UnknownDeviceError as error:
        raise CommandError(str(error), "unknown") from error
    except DeviceRefusedError as error:
        raise CommandError(str(error)) from error
    except PoolRefusedError as error:
        pools_kind: Kind = "refused" if pools_field is None else "invalid"
        raise CommandError(str(error), pools_kind, pools_field) from error
    except knobs.KnobError as error:
        kind: Kind = "refused" if error.field is None else "invalid"
        raise CommandError(str(error), kind, error.field) from error


def _described(device: Device) -> ControlledDevice:
    info, now = device.info, knobs.settings_now(device)
    return ControlledDevice(
        id=info.device_id,
        backend=info.backend,
        name=info.name,
        settings=tuple(_setting_now(s, now[s.name]) for s in info.settings if s.name in now),
        can_identify=isinstance(device, Identifiable),
        can_tune=isinstance(device, Tunable),
        can_reset=isinstance(device, Resettable | Renewable),
    )


def _setting_now(setting: Setting, value: float) -> SettingNow:
    return SettingNow(
        name=setting.name,
        unit=setting.unit,
        minimum=setting.minimum,
        maximum=setting.maximum,
        default=setting.default,
        help=setting.help,
        value=value,
    )
