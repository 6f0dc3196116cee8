"""`sv2rig demo`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from sv2rig.cli import rig_options
from sv2rig.cli.output import configure_log, log_event

if TYPE_CHECKING:
    from sv2rig.cli.demo_boards import DemoBoards
    from sv2rig.cli.run_rig import Show
    from sv2rig.devices.device import Device
    from sv2rig.mining.session import SessionOptions
    from sv2rig.rig.hotplug import BoardPlan

START_INTERVAL_S = 0.15  # of boards that draw nothing

Boards = Annotated[
    bool,
    typer.Option(
        "--boards/--no-boards",
        help="Emulate one board of each family too, unless --device names boards.",
    ),
]


def demo(
    device: rig_options.Devices = None,
    boards: Boards = True,
    latency_ms: rig_options.LatencyMs = 50.0,
    threads: rig_options.Threads = None,
    version_rolling: rig_options.VersionRolling = True,
    duration: rig_options.Duration = None,
    headless: rig_options.Headless = False,
    json: rig_options.Json = False,
) -> None:
    """A pool and a rig that mines on it, on this machine.

    Everything is real but the pool's chain: the encrypted protocol, the kernels, the shares, the
    blocks. By default it mines with the OpenCL devices that `mine` would take (with cpu where there
    is none), one simulated board, and one emulated board of each family, which speaks the real
    one's bytes from a process beside this one. Each is on a standard channel. Nothing leaves this
    machine, and real boards are left alone unless --device names them.
    """
    from sv2rig.cli.run_rig import Show, choose_devices, device_options
    from sv2rig.mining.scheduler import VERSION_MASK
    from sv2rig.mining.session import SessionOptions
    from sv2rig.rig.board_choice import is_board

    configure_log()
    show = Show(headless, json, duration)
    tuning = device_options(latency_ms, threads, version_rolling)
    options = SessionOptions(
        version_rolling_mask=VERSION_MASK if version_rolling else 0,
        give_up_after_s=10.0,
    )
    names = device or []
    with contextlib.ExitStack() as stack:
        emulated = None
        if boards and not any(map(is_board, names)):
            emulated = stack.enter_context(_emulated())
        devices = choose_devices(names, tuning, beside=["simulated"])
        asyncio.run(_run(devices, options, show, _plan(names, emulated)))


def _emulated() -> DemoBoards:
    """A board of each family that has a driver."""
    from sv2rig.boards.driver import all_drivers
    from sv2rig.cli.demo_boards import DemoBoards
    from sv2rig.emulation.kinds import board_names

    drivers = all_drivers()
    return DemoBoards([name for name in board_names() if name in drivers])


def _plan(names: Sequence[str], emulated: DemoBoards | None) -> BoardPlan | None:
    """The boards to mine with: those named, or the emulated ones."""
    from sv2rig.cli.demo_boards import NoBoardsError
    from sv2rig.cli.run_rig import Starts, choose_boards

    starts = Starts(START_INTERVAL_S)
    if emulated is None:
        return choose_boards(names, starts) if names else None
    try:
        plan = choose_boards(emulated.devices(), starts)
    except NoBoardsError as error:
        log_event("warning", f"no emulated boards: {error}")
        return None
    return plan and replace(plan, folder=emulated.folder)


async def _run(
    devices: Sequence[Device], options: SessionOptions, show: Show, boards: BoardPlan | None
) -> None:
    from sv2rig.cli.pool import PoolSettings, start_pool
    from sv2rig.cli.run_rig import run_rig, summarise
    from sv2rig.mining.failover import PoolEntry
    from sv2rig.pool.keys import PoolKeys
    from sv2rig.sv2.secp256k1 import generate_secret
    from sv2rig.sv2.url import parse_pool_url

    # For runs of seconds: shares so often that every device shows some, blocks in between.
    settings = PoolSettings(
        block_interval_s=5.0, shares_per_minute=60.0, job_interval_s=10.0, ack_seconds=0.5
    )
    keys = PoolKeys(generate_secret())
    pool, url, close = await start_pool(keys, "127.0.0.1", 0, settings, _quiet)
    try:
        entry = PoolEntry("demo", parse_pool_url(url), "demo", standard_channels=True)
        snapshot = await run_rig(devices, [entry], options, show, boards)
    finally:
        await close()
    summarise(snapshot, show, chain_height=pool.counts.blocks_found)


def _quiet(level: str, text: str) -> None:
    """The rig tells the same story; of the pool only trouble is shown."""
    if level in ("warning", "error"):
        log_event(level, f"pool: {text}")
