"""A rig whose API is served: real devices on the loop, a pool that is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from loop_board import LoopBoard
from loop_device import LoopDevice
from memory_net import MemoryNet
from rig_on_pool import Clock, Run

from sv2rig.api.places import ApiOptions, Places
from sv2rig.api.rig import ApiRig, ConfigShown
from sv2rig.api.server import serve_api
from sv2rig.boards.line import BoardError
from sv2rig.rig.commands import Commands
from sv2rig.rig.config_diff import Change
from sv2rig.rig.hooks import Outcome
from sv2rig.rig.store import Store


class TunableBoard(LoopBoard):
    """Notes what it is tuned for; without a power reading, as most boards are."""

    def __init__(self, device_id: str) -> None:
        super().__init__(device_id)
        self.tuned: list[tuple[str, Mapping[str, float]]] = []

    def tune(self, goal: str, limits: Mapping[str, float]) -> None:
        if goal == "efficiency":
            raise ValueError("it has no power reading")
        self.tuned.append((goal, limits))


class DarkBoard(LoopBoard):
    """Its light is broken."""

    async def identify(self) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        raise BoardError("no answer from its light")


class ARig:
    """A rig on a pool that is away."""

    def __init__(self, first: str = "board:0", second: str = "board:1") -> None:
        self.board, self.tunable = LoopBoard(first), TunableBoard(second)
        self.dark = DarkBoard("board:2")
        devices = [self.board, self.tunable, self.dark, LoopDevice("loop:0")]
        self.run = Run(devices, MemoryNet().connect, Clock())
        self.has_quit = False
        self.api = ApiRig(
            "garage",
            self.run.rig,
            Commands(self.run.rig, pools=self.run.session, quit=self._quit),
            self.run.rig.tell,
        )

    def _quit(self) -> None:
        self.has_quit = True

    async def end(self) -> None:
        await self.run.stop()


@asynccontextmanager
async def served(folder: Path, **options: Any) -> AsyncIterator[tuple[ARig, Places]]:
    """A rig with its API; `options` are of ApiOptions."""
    a_rig = ARig()
    try:
        await asyncio.to_thread(folder.chmod, 0o700)
        async with serve_api(a_rig.api, ApiOptions(folder, **options)) as places:
            yield a_rig, places
    finally:
        await a_rig.end()


@asynccontextmanager
async def with_everything(
    folder: Path, first: str = "board:0", second: str = "board:1", **options: Any
) -> AsyncIterator[tuple[ARig, Places]]:
    """As served, with a store, a configuration and hooks."""
    a_rig = ARig(first, second)
    store = Store.open(folder / "state", a_rig.run.rig.report)

    async def reload() -> Sequence[str]:
        return [str(Change("devices.latency_ms", 50, 20, "restart"))]

    async def notify() -> str:
        return str(Outcome(None, 0.04))

    api = replace(
        a_rig.api,
        store=store,
        config=lambda: ConfigShown("rig.toml", {"name": "garage"}, {"name": "rig.toml:1"}),
        reload=reload,
        notify=notify,
        loop_lag_s=lambda: 0.002,
    )
    try:
        await asyncio.to_thread(folder.chmod, 0o700)
        async with serve_api(api, ApiOptions(folder, **options)) as places:
            yield a_rig, places
    finally:
        store.close()
        await a_rig.end()
