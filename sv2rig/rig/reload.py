"""Another configuration for a running rig: all that can be done now is done, what waits for a
restart is named, and one that does not hold together changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sv2rig.devices.device import Device
from sv2rig.mining.failover import PoolEntry
from sv2rig.mining.session import SessionOptions
from sv2rig.rig import knobs, logs
from sv2rig.rig.config import Loaded
from sv2rig.rig.config_diff import Change, diff
from sv2rig.rig.config_model import DeviceConfig, RigConfig
from sv2rig.rig.configured import check_usable, hook_plan, pool_entries, session_options
from sv2rig.rig.daemon import Daemon
from sv2rig.rig.fleet import DeviceRefusedError
from sv2rig.rig.hooks import HookPlan


@dataclass(frozen=True, slots=True)
class Plan:
    """A configuration that was read and found to hold together, in parts that cannot fail."""

    loaded: Loaded
    changes: tuple[Change, ...]
    pools: tuple[PoolEntry, ...]
    options: SessionOptions
    hook: HookPlan
    secrets: tuple[str, ...]


def plan(daemon: Daemon, loaded: Loaded, environment: Mapping[str, str]) -> Plan:
    """ConfigError where it does not hold together."""
    check_usable(loaded, environment)
    return Plan(
        loaded,
        tuple(diff(daemon.loaded.config, loaded.config)),
        tuple(pool_entries(loaded)),
        session_options(loaded.config, daemon.give_up_after_s),
        hook_plan(loaded.config),
        tuple(loaded.secrets()),
    )


async def carry_out(daemon: Daemon, wanted: Plan) -> list[str]:
    """What changed, a line each; each is in the log, too."""
    before, daemon.loaded = daemon.loaded, wanted.loaded
    config = wanted.loaded.config
    told = [str(change) for change in wanted.changes]
    if daemon.pools != wanted.pools:
        told += _other_users(daemon.pools, wanted.pools)
        daemon.pools = wanted.pools
        daemon.session.replace(wanted.pools)
    if before.config.failover != config.failover:
        daemon.session.limit(wanted.options)
    daemon.hooks.plan = wanted.hook
    logs.configure(logs.Form(config.log.format), config.log.level, wanted.secrets)
    told += await _devices(daemon, before.config, config)
    for text in told:
        daemon.rig.tell("info", f"configuration: {text}")
    if not told:
        daemon.rig.tell("info", "configuration: nothing changed")
    return told


def _other_users(before: tuple[PoolEntry, ...], now: tuple[PoolEntry, ...]) -> list[str]:
    """Users whose file says something else: no key changes by that."""
    users = {entry.name: entry.user for entry in before}
    return [
        f"pools.{entry.name}: another user out of its file"
        for entry in now
        if entry.hides_user and entry.user != users.get(entry.name, entry.user)
    ]


async def _devices(daemon: Daemon, before: RigConfig, now: RigConfig) -> list[str]:
    """Set and switch those that are here; the others are as they should be when they come."""
    if before.device == now.device:
        return []
    was_off = daemon.wishes.disabled()
    daemon.wishes.reconfigure(now.device)
    told = []
    for device in list(daemon.rig.devices()):
        device_id = device.info.device_id
        was, wanted = before.device.get(device_id), now.device.get(device_id)
        told += _set(device, _changed(was, wanted))
        off = device_id in daemon.wishes.disabled()
        if off != (device_id in was_off):
            told += await _switch(daemon, device_id, off)
    return told


def _set(device: Device, values: Mapping[str, float | None]) -> list[str]:
    """What is refused, in words."""
    defaults = {setting.name: setting.default for setting in device.info.settings}
    refused = []
    for name, value in values.items():
        try:
            knobs.set_values(device, {name: defaults.get(name, 0.0) if value is None else value})
        except knobs.KnobError as error:
            refused.append(str(error))
    return refused


async def _switch(daemon: Daemon, device_id: str, off: bool) -> list[str]:
    switching = daemon.rig.switching
    try:
        await (switching.disable(device_id) if off else switching.enable(device_id))
    except DeviceRefusedError as error:
        return [f"{device_id}: {error}"]
    return []


def _changed(before: DeviceConfig | None, now: DeviceConfig | None) -> dict[str, float | None]:
    """The settings whose values differ; None: no longer there."""
    old, new = (before.settings if before else {}), (now.settings if now else {})
    names = dict.fromkeys([*old, *new])
    return {name: new.get(name) for name in names if old.get(name) != new.get(name)}
