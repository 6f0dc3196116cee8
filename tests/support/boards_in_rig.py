"""Boards that a rig of rig_on_pool.Run finds by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from rig_on_pool import Run

from sv2rig.boards.driver import all_drivers
from sv2rig.rig.board_choice import parse_boards
from sv2rig.rig.hotplug import BoardPlan, Hotplug


def plan(
    named: Sequence[str], start_interval_s: float = 1.0, folder: Path | None = None
) -> BoardPlan:
    """Only those, as `--device` names them."""
    drivers = all_drivers()
    choices = parse_boards(named, drivers)
    return BoardPlan(
        drivers, choices, only_named=True, start_interval_s=start_interval_s, folder=folder
    )


@asynccontextmanager
async def plugged(hotplug: Hotplug) -> AsyncIterator[None]:
    """While it watches."""
    watching = asyncio.create_task(hotplug.run())
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


def states(run: Run) -> set[str]:
    return {device.state for device in run.rig._picture().devices}


def all_mine(run: Run, boards: int) -> bool:
    return len(run.rig._picture().devices) == boards and states(run) == {"MINING"}
