"""The routes that only read."""

from __future__ import annotations

import os
from collections.abc import Sequence

from sv2rig import __version__
from sv2rig.api.messages import After, Version
from sv2rig.api.rig import ConfigShown
from sv2rig.api.routes import ApiProblemError, Call, Route
from sv2rig.rig.commands import ControlledDevice
from sv2rig.rig.snapshot import SCHEMA, Event, PoolStanding, RigSnapshot, ShareRecord


async def _snapshot(call: Call) -> RigSnapshot:
    return call.rig.source.snapshot()


async def _events(call: Call) -> tuple[Event, ...]:
    return call.rig.source.events_after(call.query.after)


async def _shares(call: Call) -> tuple[ShareRecord, ...]:
    return call.rig.source.shares_after(call.query.after)


async def _devices(call: Call) -> Sequence[ControlledDevice]:
    return call.rig.commands.devices()


async def _device(call: Call) -> ControlledDevice:
    return call.rig.commands.device(call.device)


async def _pools(call: Call) -> Sequence[PoolStanding]:
    return call.rig.commands.pools()


async def _config(call: Call) -> ConfigShown:
    if call.rig.config is None:
        raise ApiProblemError(503, "this rig has no configuration file: only `sv2rig run` has")
    return call.rig.config()


async def _version(call: Call) -> Version:
    return Version(call.rig.name, __version__, SCHEMA, os.getpid())


READING = (
    Route("GET", "/v1/snapshot", "snapshot", "The rig as it is now.", RigSnapshot, _snapshot),
    Route(
        "GET",
        "/v1/events",
        "events",
        "What happened, oldest first, as far back as the rig keeps it.",
        tuple[Event, ...],
        _events,
        query=After,
    ),
    Route(
        "GET",
        "/v1/shares",
        "shares",
        "Shares that the pool has answered, oldest first, as far back as the rig keeps them.",
        tuple[ShareRecord, ...],
        _shares,
        query=After,
    ),
    Route(
        "GET",
        "/v1/devices",
        "devices",
        "What can be done to each device: its settings with their limits.",
        tuple[ControlledDevice, ...],
        _devices,
    ),
    Route(
        "GET",
        "/v1/devices/{id}",
        "device",
        "What can be done to one device.",
        ControlledDevice,
        _device,
        refusals=(404,),
    ),
    Route(
        "GET",
        "/v1/pools",
        "pools",
        "The pools, the preferred one first.",
        tuple[PoolStanding, ...],
        _pools,
    ),
    Route(
        "GET",
        "/v1/config",
        "config",
        "The configuration in force, without secrets.",
        ConfigShown,
        _config,
        refusals=(503,),
    ),
    Route("GET", "/v1/version", "version", "Which program answers.", Version, _version),
)
