"""A configured rig and what runs beside it: hooks, the store's samples, the service manager.

Built on a running event loop, from a configuration that holds together; the API is served by
whoever runs it.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Sequence

from sv2rig.devices.device import Device
from sv2rig.mining.backoff import Backoff
from sv2rig.mining.context import MiningContext
from sv2rig.mining.session import Session
from sv2rig.rig import logs
from sv2rig.rig.commands import Commands
from sv2rig.rig.config import Loaded
from sv2rig.rig.configured import (
    boards_of,
    hook_plan,
    pool_entries,
    session_options,
    version_mask,
)
from sv2rig.rig.happenings import Watch
from sv2rig.rig.hooks import Hooks
from sv2rig.rig.hotplug import boards_watched
from sv2rig.rig.layered_wishes import LayeredWishes
from sv2rig.rig.rig import Rig
from sv2rig.rig.snapshot import Event, LifetimeSnapshot, RigSnapshot
from sv2rig.rig.store import Store
from sv2rig.rig.store_history import Lifetime
from sv2rig.rig.systemd import Notifier, pinging, watchdog_interval_s
from sv2rig.rig.wishes import PassingWishes
from sv2rig.transport.tcp import connect
from sv2rig.units import hashrate

TICK_S = 1.0
SAMPLE_EVERY_S = 60.0
STATUS_EVERY_S = 10.0
LINE_EVERY_S = 600.0  # that it lives, in the log
# While boards cool, systemd is told again and again that the end may take so much longer.
STOP_GRACE_S = 20.0


class Daemon:
    """Runs until `stop` is set. `store` None: nothing is kept. `give_up_after_s`: in place of the
    configuration's. DeviceChoiceError where boards that are named mean nothing."""

    def __init__(
        self,
        loaded: Loaded,
        devices: Sequence[Device],
        store: Store | None,
        notifier: Notifier,
        give_up_after_s: float | None = None,
    ) -> None:
        config = loaded.config
        self.loaded = self.started_with = loaded
        self.store = store
        self.notifier = notifier
        self.stop = asyncio.Event()
        self.loop_lag_s: float | None = None
        self.give_up_after_s = give_up_after_s
        self.pools = tuple(pool_entries(loaded))
        self._boards = boards_of(config)
        self._loop = asyncio.get_running_loop()
        self.rig = Rig(
            config.name,
            devices,
            self._session_of,
            version_mask(config),
            time.time,
            _log,
            waits_for_devices=True,
        )
        self.wishes = LayeredWishes(config.device, PassingWishes() if store is None else store)
        self.hooks = Hooks(hook_plan(config), config.name, self.rig.report)
        self.commands = Commands(
            self.rig, pools=self.session, quit=self.stop.set, wishes=self.wishes
        )
        self.rig.notes = self._notes
        if store is not None:
            self.rig.hear_shares(store.add_share)
            self.rig.before = _before(store.totals().rig)

    def _session_of(self, context: MiningContext) -> Session:
        self.session = Session(
            self.pools,
            session_options(self.loaded.config, self.give_up_after_s),
            connect,
            context,
            lambda: Backoff(random.Random()),
        )
        return self.session

    def _notes(self) -> tuple[str, ...]:
        if self.store is None:
            return ("no store could be opened: shares, history and settings are kept nowhere",)
        return (self.store.trouble,) if self.store.trouble else ()

    def report_from_thread(self, level: str, text: str) -> None:
        """As rig.report, from any thread."""
        self._loop.call_soon_threadsafe(self.rig.report, level, text)

    async def run(self) -> None:
        """Mine until `stop` is set, then end in order. PoolsAwayError where no pool was there
        for as long as the configuration allows."""
        for device_id, text in self.wishes.differences():
            self.rig.report("warning", text, device_id)
        interval_s = watchdog_interval_s(os.environ, os.getpid())
        async with (
            pinging(self.notifier, interval_s),
            boards_watched(self.rig, self._boards),
        ):
            running = asyncio.create_task(self.rig.run())
            beside = asyncio.create_task(self._tick_for_ever())
            stopping = asyncio.create_task(self.stop.wait())
            self.notifier.ready(_status(self.rig.snapshot()))
            try:
                await asyncio.wait({running, beside, stopping}, return_when=asyncio.FIRST_COMPLETED)
                await self._end(running)
                if beside.done():
                    beside.result()
            finally:
                await _cancelled(beside, stopping)
                await self.hooks.close()

    async def _end(self, running: asyncio.Task[None]) -> None:
        self.notifier.stopping("ending: boards are made safe")
        waiting = asyncio.create_task(self._ask_for_time())
        try:
            if not running.done():
                await self.rig.stop()
            await running
        finally:
            await _cancelled(waiting)

    async def _ask_for_time(self) -> None:
        while True:
            self.notifier.extend_timeout(STOP_GRACE_S)
            await asyncio.sleep(STOP_GRACE_S / 4)

    async def _tick_for_ever(self) -> None:
        earlier = None if self.store is None else self.store.totals().rig.blocks
        watch = Watch(self.rig.snapshot(), earlier)
        due = {self._sample: SAMPLE_EVERY_S, self._tell: STATUS_EVERY_S, self._line: LINE_EVERY_S}
        nexts = {act: self._loop.time() + every for act, every in due.items()}
        while True:
            began = self._loop.time()
            await asyncio.sleep(TICK_S)
            now = self._loop.time()
            self.loop_lag_s = max(0.0, now - began - TICK_S)
            picture = self.rig.snapshot()
            for happening in watch.seen(picture):
                self.hooks.tell(happening)
            for act, every in due.items():
                if now >= nexts[act]:
                    nexts[act] += every * (1 + (now - nexts[act]) // every)
                    act(picture)

    def _sample(self, picture: RigSnapshot) -> None:
        if self.store is not None:
            self.store.add_samples(picture.time, picture.devices, picture)

    def _tell(self, picture: RigSnapshot) -> None:
        self.notifier.status(_status(picture))

    def _line(self, picture: RigSnapshot) -> None:
        logs.log_event("info", _status(picture))


def _before(kept: Lifetime) -> LifetimeSnapshot:
    return LifetimeSnapshot(
        kept.accepted, kept.rejected, kept.stale, kept.blocks, kept.best_difficulty
    )


def _log(event: Event) -> None:
    logs.log_event(event.level, event.text, device=event.device)


def _status(picture: RigSnapshot) -> str:
    shares = picture.shares
    return (
        f"{picture.state}: {hashrate(picture.hashrate_hs)}, {len(picture.devices)} devices, "
        f"{shares.accepted} shares accepted, {shares.rejected} rejected, {shares.stale} stale, "
        f"{picture.blocks_found} blocks"
    )


async def _cancelled(*tasks: asyncio.Task[object]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
