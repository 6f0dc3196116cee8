"""`sv2rig mine`."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from enum import StrEnum
from typing import Annotated

import typer

from sv2rig.cli import rig_options
from sv2rig.cli.output import UserError, configure_log


class ChannelKind(StrEnum):
    """How the rig's devices share the pool's channels."""

    EXTENDED = "extended"
    STANDARD = "standard"


def mine(
    url: Annotated[
        str, typer.Argument(help="stratum2+tcp://HOST:PORT/AUTHORITYKEY, as the pool publishes it.")
    ],
    user: Annotated[
        str,
        typer.Option(
            "--user", "-u", help="Who is paid, in the pool's words: often ADDRESS.worker or a name."
        ),
    ],
    device: rig_options.Devices = None,
    channel: Annotated[
        ChannelKind,
        typer.Option(
            help="extended: one channel for the whole rig. standard: one channel a device, jobs "
            "with ready-made merkle roots."
        ),
    ] = ChannelKind.EXTENDED,
    payout_address: Annotated[
        str | None,
        typer.Option(
            help="Your address: the screen says what part of the block's reward each job pays to "
            "it (extended channel only). The pool does not hear of it."
        ),
    ] = None,
    insecure_no_verify: Annotated[
        bool,
        typer.Option(
            "--insecure-no-verify",
            help="Trust any server: anybody on the way can take your hashes. For tests only.",
        ),
    ] = False,
    give_up_after: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="End with status 69 when the pool has been away for so many seconds. "
            "Default: try for ever.",
        ),
    ] = None,
    start_interval: rig_options.StartInterval = 1.0,
    hub_watts: rig_options.HubWatts = None,
    latency_ms: rig_options.LatencyMs = 50.0,
    threads: rig_options.Threads = None,
    version_rolling: rig_options.VersionRolling = True,
    version_mask: rig_options.VersionMask = "1fffe000",
    duration: rig_options.Duration = None,
    headless: rig_options.Headless = False,
    json: rig_options.Json = False,
) -> None:
    """Mine on a Stratum V2 pool with this machine's devices.

    On a terminal the screen opens; q leaves it and stops the rig. When the pool is away the devices
    idle and the rig comes back by itself. A wrong key, an expired certificate or a refused channel
    ends it at once, with status 1.
    """
    from sv2rig.cli.run_rig import (
        Show,
        Starts,
        choose_boards,
        choose_devices,
        device_options,
        run_rig,
        summarise,
    )
    from sv2rig.cli.run_rig import version_mask as parse_mask
    from sv2rig.mining.failover import PoolEntry
    from sv2rig.mining.session import SessionOptions
    from sv2rig.sv2.authority import AuthorityKeyError
    from sv2rig.sv2.url import PoolUrlError, parse_pool_url

    configure_log()
    if not 0 < len(user.encode()) <= 255:
        raise UserError("--user: 1 to 255 bytes, in the pool's words who is paid")
    try:
        pool = parse_pool_url(url, insecure=insecure_no_verify)
    except (PoolUrlError, AuthorityKeyError) as error:
        raise UserError(str(error)) from error
    if insecure_no_verify:
        pool = replace(pool, authority_key=None)
    standard = channel is ChannelKind.STANDARD
    try:
        entry = PoolEntry(pool.host, pool, user, standard, payout_address=payout_address)
    except ValueError as error:
        raise UserError(f"--payout-address: {error}") from error
    options = SessionOptions(
        version_rolling_mask=parse_mask(version_mask, version_rolling),
        give_up_after_s=give_up_after,
    )
    names = device or []
    devices = choose_devices(names, device_options(latency_ms, threads, version_rolling))
    boards = choose_boards(names, Starts(start_interval, hub_watts))
    show = Show(headless, json, duration)
    summarise(asyncio.run(run_rig(devices, [entry], options, show, boards)), show)
