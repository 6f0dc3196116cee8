"""Runs a rig under a screen or with log lines until it is told to stop, and sums it up."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
import socket
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sv2rig.cli.output import (
    EXIT_FAILED,
    EXIT_UNAVAILABLE,
    UserError,
    log_event,
    print_json,
    print_text,
)
from sv2rig.cli.signals import stop_requested
from sv2rig.units import difficulty, duration, hashrate

if TYPE_CHECKING:
    from sv2rig.devices.device import Device
    from sv2rig.mining.failover import PoolEntry
    from sv2rig.mining.session import SessionOptions
    from sv2rig.rig.hotplug import BoardPlan
    from sv2rig.rig.open_devices import DeviceOptions
    from sv2rig.rig.rig import Rig
    from sv2rig.rig.snapshot import Event, RigSnapshot

STATUS_EVERY_S = 10.0
WIDEST_MASK = 0x1FFFFFE0  # BIP323


@dataclass(frozen=True, slots=True)
class Show:
    """How to show a run and when to end it."""

    headless: bool
    json: bool
    duration_s: float | None

    @property
    def screen(self) -> bool:
        """Whether there is a terminal to draw on, and nobody said otherwise."""
        terminal = sys.stdin.isatty() and sys.stdout.isatty() and sys.stderr.isatty()
        return terminal and not self.headless and not self.json


@dataclass(frozen=True, slots=True)
class Starts:
    """How boards are started: so many seconds apart, and within a budget a hub."""

    interval_s: float = 1.0
    hub_watts: float | None = None


def device_options(latency_ms: float, threads: int | None, version_rolling: bool) -> DeviceOptions:
    """Checked options; UserError in the device's own words."""
    from sv2rig.compute.worker import LATENCY
    from sv2rig.rig.open_devices import DeviceOptions

    try:
        LATENCY.check(latency_ms)
    except ValueError as error:
        raise UserError(f"--latency-ms: {error}") from error
    return DeviceOptions(latency_ms, 3 if version_rolling else 0, threads)


def choose_devices(
    names: Sequence[str], options: DeviceOptions, beside: Sequence[str] = ()
) -> list[Device]:
    """Those of the devices named that are no boards, ready to start; where nothing is named, what
    suits this machine, and `beside`."""
    from sv2rig.rig.board_choice import is_board
    from sv2rig.rig.device_choice import DeviceChoiceError, parse_choice
    from sv2rig.rig.open_devices import default_choices, open_devices

    try:
        choices = [parse_choice(name) for name in names if not is_board(name)]
        if not names:
            choices = default_choices(log_event) + [parse_choice(name) for name in beside]
        return open_devices(choices, options, log_event)
    except DeviceChoiceError as error:
        raise UserError(str(error)) from error


def choose_boards(names: Sequence[str], starts: Starts) -> BoardPlan | None:
    """Which boards to use: those named; where nothing is named, each that says what it is. None
    where only other devices are named."""
    import platformdirs

    from sv2rig.boards.driver import all_drivers
    from sv2rig.rig.board_choice import is_board, parse_boards
    from sv2rig.rig.device_choice import DeviceChoiceError
    from sv2rig.rig.hotplug import BoardPlan

    boards = [name for name in names if is_board(name)]
    if names and not boards:
        return None
    drivers = all_drivers()
    try:
        return BoardPlan(
            drivers,
            parse_boards(boards, drivers),
            only_named=bool(names),
            start_interval_s=starts.interval_s,
            hub_watts=starts.hub_watts,
            tuning_folder=Path(platformdirs.user_state_dir("sv2rig")) / "tuning",
        )
    except DeviceChoiceError as error:
        raise UserError(str(error)) from error


def version_mask(text: str, version_rolling: bool) -> int:
    """The mask to roll within; 0 when rolling is turned off."""
    try:
        mask = int(text, 16)
    except ValueError as error:
        raise UserError(f"--version-mask {text!r} is not a hexadecimal number") from error
    if not 0 <= mask <= WIDEST_MASK or mask & ~WIDEST_MASK:
        raise UserError(f"--version-mask {text} has bits outside {WIDEST_MASK:x} (BIP323)")
    return mask if version_rolling else 0


def make_rig(
    devices: Sequence[Device],
    pools: Sequence[PoolEntry],
    options: SessionOptions,
    on_event: Any = None,
    waits_for_devices: bool = False,
) -> Rig:
    """A rig on pools over TCP, named after this host."""
    from sv2rig.mining.backoff import Backoff
    from sv2rig.mining.session import Session
    from sv2rig.rig.rig import Rig
    from sv2rig.transport.tcp import connect

    return Rig(
        socket.gethostname(),
        devices,
        lambda context: Session(pools, options, connect, context, lambda: Backoff(random.Random())),
        options.version_rolling_mask,
        time.time,
        on_event,
        waits_for_devices=waits_for_devices,
    )


async def run_rig(
    devices: Sequence[Device],
    pools: Sequence[PoolEntry],
    options: SessionOptions,
    show: Show,
    boards: BoardPlan | None = None,
) -> RigSnapshot:
    """Mine until Ctrl-C, SIGTERM, the screen's q or the duration; the last picture of the rig.

    UserError where the pool is lost for good; what was mined until then is summed up first.
    """
    from sv2rig.rig.hotplug import boards_watched

    # What is loaded by now stays: 50,000 objects that no collection need look at while jobs wait.
    gc.freeze()
    stop = stop_requested()
    waits = boards is not None and bool(boards.named)
    log = _Log(muted=show.screen)
    rig = make_rig(devices, pools, options, log.event, waits)
    async with _controlled(rig, stop) as socket_path, boards_watched(rig, boards):
        return await _run_until_stopped(rig, stop, show, log, socket_path)


@contextlib.asynccontextmanager
async def _controlled(rig: Rig, stop: asyncio.Event) -> AsyncIterator[Path | None]:
    """With the API on a socket, if one can be had: the rig mines without it too."""
    from sv2rig.api.places import ApiOptions, ApiStartError
    from sv2rig.api.rig import ApiRig
    from sv2rig.api.server import serve_api
    from sv2rig.rig.commands import Commands
    from sv2rig.rig.runtime_folder import runtime_folder

    commands = Commands(rig, pools=rig.pools, quit=stop.set)
    api = ApiRig(socket.gethostname(), rig, commands, rig.tell)
    options = ApiOptions(runtime_folder(os.environ, os.getuid()))
    async with contextlib.AsyncExitStack() as stack:
        path = None
        try:
            path = (await stack.enter_async_context(serve_api(api, options))).socket
        except ApiStartError as error:
            rig.report("warning", f"no `sv2rig set` and the like for this rig: {error}")
        yield path


class _Log:
    """What happens, in lines, unless it is `muted`: while the screen is up, which shows it."""

    def __init__(self, muted: bool) -> None:
        self.muted = muted

    def event(self, event: Event) -> None:
        if not self.muted:
            log_event(event.level, event.text, event.device)


async def _run_until_stopped(
    rig: Rig, stop: asyncio.Event, show: Show, log: _Log, socket_path: Path | None
) -> RigSnapshot:
    from sv2rig.mining.session_errors import PoolsAwayError, SessionError

    running = asyncio.create_task(rig.run())
    watching = asyncio.create_task(_until_stop(stop, show, rig, log, socket_path))
    error: SessionError | None = None
    await asyncio.wait({running, watching}, return_when=asyncio.FIRST_COMPLETED)
    stop.set()  # from now on Ctrl-C leaves at once
    if running.done():
        await asyncio.gather(watching, return_exceptions=True)  # the screen leaves the terminal
    if not running.done():
        await rig.stop()
    try:
        await running
    except SessionError as failure:
        error = failure
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    if error is not None:
        summarise(rig.snapshot(), show)
        away = isinstance(error, PoolsAwayError)
        raise UserError(str(error), EXIT_UNAVAILABLE if away else EXIT_FAILED)
    return rig.snapshot()


async def _until_stop(
    stop: asyncio.Event, show: Show, rig: Rig, log: _Log, socket_path: Path | None
) -> None:
    """Show the rig until then. A screen that fails ends nothing: log lines take its place."""
    loop = asyncio.get_running_loop()
    over = None if show.duration_s is None else loop.call_later(show.duration_s, stop.set)
    try:
        if show.screen:
            failed = await _screen(socket_path, stop)
            log.muted = False
            if failed is None:
                return
            log_event("warning", f"{failed}; the rig mines on, with log lines")
        await _log_status(rig, stop)
    finally:
        if over is not None:
            over.cancel()


async def _screen(socket_path: Path | None, stop: asyncio.Event) -> str | None:
    """Until the user leaves it; the words for it where there is none any more."""
    from sv2rig.cli.attached_screen import show_screen

    if socket_path is None:
        return "no screen, since this rig has no socket"
    return await show_screen(socket_path, stop)


async def _log_status(rig: Rig, stop: asyncio.Event) -> None:
    """A line now and then, for whoever watches a log."""
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), STATUS_EVERY_S)
            return
        picture = rig.snapshot()
        shares = picture.shares
        log_event(
            "info",
            f"{picture.state}: {hashrate(picture.hashrate_hs)}, {shares.accepted} accepted, "
            f"{shares.pending} pending, {shares.rejected} rejected, {shares.stale} stale, "
            f"{picture.blocks_found} blocks",
        )


def summarise(snapshot: RigSnapshot, show: Show, **more: Any) -> None:
    """What was mined, as one JSON object or as a few lines."""
    if show.json:
        print_json(summary(snapshot, **more))
        return
    shares = snapshot.shares
    print_text(
        f"mined {duration(snapshot.uptime_s)}: {shares.accepted} shares accepted, "
        f"{shares.rejected} rejected, {shares.stale} stale, "
        f"{shares.unacknowledged} unacknowledged, {snapshot.blocks_found} blocks, "
        f"{snapshot.hardware_errors} hardware errors"
    )
    if snapshot.best_difficulty is not None:
        print_text(f"best difficulty {difficulty(snapshot.best_difficulty)}")
    width = max((len(device.id) for device in snapshot.devices), default=0)
    for device in snapshot.devices:
        print_text(
            f"  {device.id:{width}} {hashrate(device.hashrate_hs):>12}  "
            f"accepted {device.shares.accepted:5}  hardware errors {device.hardware_errors}  "
            f"{device.variant or ''}"
        )


def summary(snapshot: RigSnapshot, **more: Any) -> dict[str, Any]:
    """The JSON object of a finished run."""
    shares = snapshot.shares
    return {
        "url": snapshot.pool.url,
        "transport": snapshot.pool.transport,
        "uptime_s": round(snapshot.uptime_s, 3),
        "hashrate_hs": snapshot.hashrate_hs,
        "shares_accepted": shares.accepted,
        "shares_rejected": shares.rejected,
        "shares_stale": shares.stale,
        "shares_unacknowledged": shares.unacknowledged,
        "blocks_found": snapshot.blocks_found,
        "hardware_errors": snapshot.hardware_errors,
        "comm_errors": snapshot.comm_errors,
        "best_difficulty": snapshot.best_difficulty,
        "reconnects": snapshot.pool.reconnects,
        "devices": [
            {
                "id": device.id,
                "backend": device.backend,
                "name": device.name,
                "variant": device.variant,
                "state": device.state,
                "hashrate_hs": device.hashrate_hs,
                "hashrate_error": device.hashrate_error,
                "shares_accepted": device.shares.accepted,
                "shares_rejected": device.shares.rejected,
                "hardware_errors": device.hardware_errors,
                "comm_errors": device.comm_errors,
                "temperature_c": device.temperature_c,
                "power_w": device.power_w,
            }
            for device in snapshot.devices
        ],
        **more,
    }
