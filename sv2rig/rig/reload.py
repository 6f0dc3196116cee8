"""Another configuration for a running rig: all that can be done now is done, what waits for a
restart is named, and one that does not hold together changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sv2rig.devices.device import Device
from sv2rig.mining.failover import PoolEntry
from sv2rig.mining.session import SessionOptions
from sv2rig.rig import knobs, logs
from sv2rig.rig.config import Loaded
from sv2rig.rig.config_diff import Change, changes
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
        tuple(changes(daemon.loaded, loaded)),
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
    told += _other_users(daemon.pools, wanted.pools)
    told += _pools(daemon, wanted.pools)
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


def _pools(daemon: Daemon, wanted: tuple[PoolEntry, ...]) -> list[str]:
    """Where commands stand above the file, in words."""
    in_force = tuple(standing.entry for standing in daemon.session.pools())
    layered = layered_pools(daemon.pools, wanted, in_force)
    daemon.pools = wanted
    if layered != in_force:
        daemon.session.replace(layered)
    return list(_by_command(wanted, layered))


def layered_pools(
    before: tuple[PoolEntry, ...], now: tuple[PoolEntry, ...], in_force: tuple[PoolEntry, ...]
) -> tuple[PoolEntry, ...]:
    """The pools of another configuration, with what commands did to those that it leaves as they
    were `before`: changed, removed, added or put into another order."""
    mine = {entry.name: entry for entry in in_force}
    names = {entry.name for entry in (*before, *now)}
    added = [entry for entry in in_force if entry.name not in names]
    kept = [mine.get(entry.name) if entry in before else entry for entry in now]
    layered = [*(entry for entry in kept if entry is not None), *added]
    if _order(before, now) == _order(now, before):
        place = {entry.name: number for number, entry in enumerate(in_force)}
        layered.sort(key=lambda entry: place.get(entry.name, len(place)))
    return tuple(layered) or now


def _order(entries: tuple[PoolEntry, ...], others: tuple[PoolEntry, ...]) -> list[str]:
    """The names of those that both have."""
    names = {entry.name for entry in others}
    return [entry.name for entry in entries if entry.name in names]


def _by_command(file: tuple[PoolEntry, ...], in_force: tuple[PoolEntry, ...]) -> Iterator[str]:
    stays = "by command, which stays until the configuration changes it"
    mine = {entry.name: entry for entry in in_force}
    for entry in file:
        now = mine.get(entry.name)
        if now is None:
            yield f"pools.{entry.name} was removed {stays}"
        elif now != entry:
            done = "changed" if now.enabled == entry.enabled else _switched(now)
            yield f"pools.{entry.name} was {done} {stays}"
    names = {entry.name for entry in file}
    for entry in in_force:
        if entry.name not in names:
            yield f"pools.{entry.name} was added by command and stays until the rig ends"
    order = _order(in_force, file)
    if order != _order(file, in_force):
        yield f"pools were put in the order {', '.join(order)} {stays}"


def _switched(entry: PoolEntry) -> str:
    return "enabled" if entry.enabled else "disabled"


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
