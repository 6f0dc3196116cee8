"""A whole rig: its devices, the scheduler and the session with a pool, and the picture of it all.

Runs on one event loop; the loop's clock is the monotonic `now`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from sv2rig import __version__
from sv2rig.bitcoin.target import difficulty
from sv2rig.devices.device import Device, DeviceState
from sv2rig.devices.work import Solution
from sv2rig.mining.context import MiningContext
from sv2rig.mining.scheduler import Assignment, Scheduler
from sv2rig.mining.session import Session, SessionError
from sv2rig.mining.tally import Tally
from sv2rig.rig.calibration import calibrate
from sv2rig.rig.rig_device import RigDevice
from sv2rig.rig.snapshot import (
    SCHEMA,
    DeviceSnapshot,
    Event,
    EventRing,
    PoolSnapshot,
    RigSnapshot,
    ShareCounts,
)

TICK_S = 1.0
# Ctrl-C to exit within 2 s: late launches, then the pool's answers, then the devices' threads.
LATE_RESULTS_S = 0.15
ANSWERS_S = 0.7

MakeSession = Callable[[MiningContext], Session]


class Rig:
    """Runs devices against one pool. Readers use snapshot() and events_after() (SnapshotSource)."""

    def __init__(
        self,
        name: str,
        devices: Sequence[Device],
        make_session: MakeSession,
        version_mask: int,
        utc: Callable[[], float],
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        self._name = name
        self._utc = utc
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        self._state = "starting"
        self._sequence = 0
        self._events = EventRing()
        self._on_event = on_event
        self._devices = {d.info.device_id: RigDevice(d, utc()) for d in devices}
        self._context = MiningContext(
            Scheduler(version_mask), self._carry_out, self.report, self._utc
        )
        self._session = make_session(self._context)
        self._calibrating: asyncio.Task[dict[str, float]] | None = None
        self._stopping_devices: asyncio.Task[None] | None = None
        self._snapshot = self._picture()

    # -- SnapshotSource

    def snapshot(self) -> RigSnapshot:
        """The latest picture, at most a second old."""
        return self._snapshot

    def events_after(self, number: int) -> tuple[Event, ...]:
        """Events with a higher number, as far as they are kept."""
        return self._events.after(number)

    # -- DeviceSink

    def solutions(self, device_id: str, found: Sequence[Solution]) -> None:
        self._session.solutions(device_id, found)

    def exhausted(self, device_id: str, work_id: int) -> None:
        now = self._loop.time()
        self._carry_out(self._context.scheduler.on_exhausted(device_id, work_id, now))

    def state_changed(self, device_id: str, state: DeviceState, reason: str) -> None:
        device = self._devices[device_id]
        device.state_changed(state, reason, self._utc())
        if device.is_gone:
            self._retire(device_id)
        if state not in (DeviceState.READY, DeviceState.MINING, DeviceState.INIT):
            self.report("error", f"{state}: {reason}", device_id)

    # -- life

    async def run(self) -> None:
        """Measure, mine, until stop(); SessionError where there is no use in going on: the pool is
        lost for good, or no device hashes."""
        try:
            if self._state != "stopping":
                await self._start_devices()
            if self._state != "stopping":
                self._state = "mining"
                await self._mine()
        finally:
            await self._stop_devices()
            self._state = "stopped"
            self._publish()

    async def stop(self) -> None:
        """End in order, within about 1.5 s; run() returns then."""
        self._state = "stopping"
        if self._calibrating is not None:
            self._calibrating.cancel()
        for device in self._devices.values():
            device.assign(None)
        await asyncio.sleep(LATE_RESULTS_S)
        await asyncio.gather(self._session.stop(ANSWERS_S), self._stop_devices())

    def report(self, level: str, text: str, device_id: str | None = None) -> None:
        """Something that people should read."""
        event = self._events.add(self._utc(), level, text, device_id)
        if self._on_event is not None:
            self._on_event(event)

    async def _start_devices(self) -> None:
        for device in self._devices.values():
            device.start(self)
        self.report("info", "measuring hash rates ...")
        rates = await self._calibrate()
        now = self._loop.time()
        for device_id, device in self._devices.items():
            rate = rates.get(device_id)
            if device.is_gone:  # it said why; it may have been measured before that
                continue
            if rate is None and self._state == "stopping":
                continue
            if rate is None:
                self.report("error", "hashed nothing when measured: left out", device_id)
                continue
            self._context.rates[device_id] = rate
            self._context.scheduler.add_device(device_id, device.info.capabilities, rate, None, now)
        if not self._context.rates and self._state != "stopping":
            raise SessionError("no device hashes: see `sv2rig devices`")

    async def _calibrate(self) -> dict[str, float]:
        self._calibrating = self._loop.create_task(calibrate(list(self._devices.values())))
        try:
            return await self._calibrating
        except asyncio.CancelledError:
            if self._state != "stopping":
                raise
            return {}
        finally:
            self._calibrating = None

    async def _mine(self) -> None:
        mining = self._loop.create_task(self._session.run())
        ticking = self._loop.create_task(self._tick_for_ever())
        try:
            done, _ = await asyncio.wait({mining, ticking}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (mining, ticking):
                task.cancel()
            await asyncio.gather(mining, ticking, return_exceptions=True)

    async def _stop_devices(self) -> None:
        """Once, however often it is asked for."""
        if self._stopping_devices is None:
            self._stopping_devices = self._loop.create_task(self._stop_each_device())
        await self._stopping_devices

    async def _stop_each_device(self) -> None:
        # stop() blocks for up to a second where a device hangs, so all stop side by side.
        devices = self._devices.values()
        with ThreadPoolExecutor(max(1, len(devices)), "stop") as threads:
            await asyncio.gather(*(self._loop.run_in_executor(threads, d.stop) for d in devices))

    def _retire(self, device_id: str) -> None:
        """A device is gone: nobody waits for its work, the others go on."""
        self._context.rates.pop(device_id, None)
        self._context.scheduler.remove_device(device_id)
        self._session.device_gone(device_id)

    def _carry_out(self, assignments: Iterable[Assignment]) -> None:
        for assignment in assignments:
            if self._state != "stopping":
                self._devices[assignment.device_id].assign(assignment.work)

    async def _tick_for_ever(self) -> None:
        while True:
            self._tick(self._loop.time())
            await asyncio.sleep(TICK_S)

    def _tick(self, now: float) -> None:
        if not self._context.rates:
            raise SessionError("no device is left to mine with")
        scheduler = self._context.scheduler
        for device_id, device in self._devices.items():
            if device_id not in self._context.rates:
                continue
            change = device.measure(now)
            if change is not None:
                self.state_changed(device_id, *change)
            if device.rate_hs is not None:
                self._context.rates[device_id] = device.rate_hs
                self._carry_out(scheduler.set_hashrate(device_id, device.rate_hs, now))
        self._carry_out(scheduler.on_time(now))
        self._session.tick(now)
        self._publish()

    # -- the picture

    def _publish(self) -> None:
        self._sequence += 1
        self._snapshot = self._picture()

    def _picture(self) -> RigSnapshot:
        total = self._context.tallies.total()
        devices = tuple(self._device_picture(d) for d in self._devices.values())
        return RigSnapshot(
            schema=SCHEMA,
            sequence=self._sequence,
            time=self._utc(),
            name=self._name,
            version=__version__,
            state=self._state if self._state != "mining" else self._session.state.value,
            uptime_s=self._loop.time() - self._started,
            hashrate_hs=_sum(d.hashrate_hs for d in devices),
            hashrate_1m_hs=_sum(d.hashrate_1m_hs for d in devices),
            shares=_share_counts(total),
            blocks_found=total.blocks,
            hardware_errors=total.hardware_errors,
            best_difficulty=_difficulty(total.best_hash),
            pool=self._pool_picture(),
            devices=devices,
        )

    def _device_picture(self, device: RigDevice) -> DeviceSnapshot:
        tally = self._context.tallies.of(device.info.device_id)
        telemetry = device.telemetry()
        return DeviceSnapshot(
            id=device.info.device_id,
            backend=device.info.backend,
            name=device.info.name,
            variant=device.info.variant,
            state=device.state.value,
            reason=device.reason,
            since=device.since,
            hashrate_hs=0.0 if self._state == "mining" and device.is_idle else device.current_hs,
            hashrate_1m_hs=device.minute_hs,
            temperature_c=telemetry.temperature_c,
            fan_percent=telemetry.fan_percent,
            power_w=telemetry.power_w,
            shares=_share_counts(tally),
            hardware_errors=tally.hardware_errors,
            last_share=tally.last_share_utc,
        )

    def _pool_picture(self) -> PoolSnapshot:
        session, now = self._session, self._loop.time()
        channels = session.channels
        newest = max(channels, key=lambda c: c.job_since or 0.0, default=None)
        job = newest.job if newest else None
        since = newest.job_since if newest else None
        targets = [channel.target for channel in channels if channel.target]
        return PoolSnapshot(
            url=str(session.url),
            state=session.state.value,
            detail=session.detail,
            transport=session.transport,
            channel_kind=_kind([channel.is_extended for channel in channels]),
            difficulty=_difficulty(min(targets, default=None)),
            job_id=job.job_id if job else None,
            job_age_s=None if since is None else now - since,
            latency_ms=None if session.latency_s is None else session.latency_s * 1000,
            connected_since=self._as_utc(session.connected_since),
            reconnects=max(0, session.connections - 1),
            new_block_at=self._as_utc(session.new_block_at),
        )

    def _as_utc(self, moment: float | None) -> float | None:
        return None if moment is None else self._utc() - (self._loop.time() - moment)


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _difficulty(target: int | None) -> float | None:
    return None if not target else float(difficulty(target))


def _kind(extended: Sequence[bool]) -> str:
    if not extended:
        return ""
    return "extended" if extended[0] else f"standard x{len(extended)}"


def _share_counts(tally: Tally) -> ShareCounts:
    return ShareCounts(
        accepted=tally.accepted,
        rejected=tally.rejected,
        stale=tally.stale,
        pending=tally.pending,
        unacknowledged=tally.unacknowledged,
    )
