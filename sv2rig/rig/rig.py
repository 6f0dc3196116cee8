"""A whole rig: its devices, the scheduler and the session with a pool, and the picture of it all.

Runs on one event loop; the loop's clock is the monotonic `now`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from sv2rig import __version__
from sv2rig.devices.device import Device
from sv2rig.mining.context import MiningContext, ShareDone
from sv2rig.mining.hashrate import WINDOWS_S, HashMeter
from sv2rig.mining.scheduler import Assignment, Scheduler
from sv2rig.mining.session import Session, SessionError
from sv2rig.rig.fleet import BoardSource, Fleet
from sv2rig.rig.picture import (
    device_picture,
    difficulty_of,
    lifetime,
    pool_picture,
    share_counts,
    share_record,
    standings,
    sum_of_known,
)
from sv2rig.rig.repeats import Line, Repeats
from sv2rig.rig.snapshot import (
    SCHEMA,
    Event,
    LifetimeSnapshot,
    PoolStanding,
    RigSnapshot,
    Ring,
    ShareRecord,
)
from sv2rig.rig.switching import Switching
from sv2rig.rig.wishes import PassingWishes, Wishes

TICK_S = 1.0
_QUARTER_HOUR_S = WINDOWS_S[-1]
# Ctrl-C to exit within 2 s: late launches, then the pool's answers, then the devices' threads.
LATE_RESULTS_S = 0.15
ANSWERS_S = 0.7

MakeSession = Callable[[MiningContext], Session]


class Rig:
    """Runs devices against one pool. Readers use snapshot() and events_after() (SnapshotSource).

    `waits_for_devices`: devices may be attached later; without any the rig waits for one.
    `notes` says what else stands in the pictures.
    """

    def __init__(
        self,
        name: str,
        devices: Sequence[Device],
        make_session: MakeSession,
        version_mask: int,
        utc: Callable[[], float],
        on_event: Callable[[Event], None] | None = None,
        *,
        waits_for_devices: bool = False,
    ) -> None:
        self._name = name
        self._utc = utc
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        self._state = "starting"
        self.before: LifetimeSnapshot | None = None  # what earlier runs came to, where it is kept
        self._sequence = 0
        self._events: Ring[Event] = Ring()
        self._shares: Ring[ShareRecord] = Ring()
        self._repeats = Repeats()
        self._event_hearers: list[Callable[[Event], None]] = []
        self._share_hearers: list[Callable[[ShareRecord], None]] = []
        if on_event is not None:
            self.hear_events(on_event)
        self.notes: Callable[[], tuple[str, ...]] = tuple
        self._hashes = 0
        self._meter = HashMeter([_QUARTER_HOUR_S])
        self._waits_for_devices = waits_for_devices
        self._context = MiningContext(
            Scheduler(version_mask),
            self._carry_out,
            self.report,
            self._utc,
            share_done=self.share_done,
        )
        self._session = make_session(self._context)
        self._fleet = Fleet(self._context, self._session, self.report, utc, PassingWishes())
        self.switching = Switching(self._fleet, utc)
        for device in devices:
            self._fleet.attach(device)
        self._measuring: asyncio.Task[None] | None = None
        self._snapshot = self._picture()

    # -- SnapshotSource

    def snapshot(self) -> RigSnapshot:
        """The latest picture, at most a second old."""
        return self._snapshot

    def events_after(self, number: int) -> tuple[Event, ...]:
        """Events with a higher number, as far as they are kept."""
        return self._events.after(number)

    def shares_after(self, number: int) -> tuple[ShareRecord, ...]:
        """Shares with a higher number, as far as they are kept."""
        return self._shares.after(number)

    # -- who hears at once what comes next; they may not raise

    def hear_events(self, hear: Callable[[Event], None]) -> None:
        """`hear` is called with each event from now on."""
        self._event_hearers.append(hear)

    def hear_shares(self, hear: Callable[[ShareRecord], None]) -> None:
        """`hear` is called with each share whose fate is known."""
        self._share_hearers.append(hear)

    # -- what outlives it

    @property
    def wishes(self) -> Wishes:
        """What the user set and disabled."""
        return self._fleet.wishes

    def heed(self, wishes: Wishes) -> None:
        """Keep to these wishes, and keep new ones there. Before run()."""
        self._fleet.wishes = wishes
        for device in self._fleet.devices.values():
            self._fleet.heed_wishes(device)

    # -- pools

    @property
    def pools(self) -> Session:
        """The pools, to be switched and changed."""
        return self._session

    def pool_standings(self) -> tuple[PoolStanding, ...]:
        """As they are now."""
        return standings(self._session, self._as_utc)

    # -- devices that come and go

    def boards_from(self, source: BoardSource) -> None:
        """Where a board is to come from that is enabled again."""
        self._fleet.board_source = source

    def attach(self, device: Device) -> None:
        """Start this device; it mines from when it says that it is READY. A board that comes back
        is a new Device of the same id, which takes over the row and the counts.

        DeviceRefusedError when the rig stops, and while it runs for a device without a rated hash
        rate.
        """
        self._fleet.attach(device)

    async def detach(self, device_id: str) -> None:
        """Stop a device and take it out of the picture; DeviceRefusedError if it is not there."""
        await self._fleet.detach(device_id)

    def devices(self) -> Sequence[Device]:
        """The devices of the picture, in its order."""
        return [device.device for device in self._fleet.devices.values()]

    def device(self, device_id: str) -> Device:
        """The device of this id; UnknownDeviceError if there is none."""
        return self._fleet.find(device_id).device

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
            publishing = self._loop.create_task(self._publish_for_ever())
            try:
                await self._fleet.stop()
            finally:
                publishing.cancel()
            self._state = "stopped"
            self._tell_repeats(float("inf"))
            self._publish()

    async def stop(self) -> None:
        """End in order; run() returns then. 1.5 s, but a board that has to cool takes its time."""
        self._state = "stopping"
        if self._measuring is not None:
            self._measuring.cancel()
        self._fleet.close()
        await asyncio.sleep(LATE_RESULTS_S)
        await asyncio.gather(self._session.stop(ANSWERS_S), self._fleet.stop())

    def report(self, level: str, text: str, device_id: str | None = None) -> None:
        """Something that people should read; what repeats within a minute is told with its count
        when that is over."""
        line = Line(level, text, device_id)
        if self._repeats.is_new(line, self._loop.time()):
            self._tell(line)

    def tell(self, level: str, text: str, device_id: str | None = None) -> None:
        """The same, however often it repeats: what a person did."""
        self._tell(Line(level, text, device_id))

    def _tell(self, line: Line) -> None:
        event = Event(self._events.next_number, self._utc(), line.level, line.text, line.device_id)
        self._events.add(event)
        for hear in self._event_hearers:
            hear(event)

    def _tell_repeats(self, now: float) -> None:
        for line in self._repeats.due(now):
            self._tell(line)

    def share_done(self, done: ShareDone) -> None:
        """A share's fate is known."""
        record = share_record(self._shares.next_number, done)
        self._shares.add(record)
        for hear in self._share_hearers:
            hear(record)

    async def _start_devices(self) -> None:
        self._fleet.start()
        self._measuring = self._loop.create_task(self._fleet.measure())
        try:
            await self._measuring
        except asyncio.CancelledError:
            if self._state != "stopping":
                raise
            return
        finally:
            self._measuring = None
        if not self._has_devices:
            raise SessionError("no device hashes: see `sv2rig devices`")

    @property
    def _has_devices(self) -> bool:
        return self._waits_for_devices or self._fleet.any_left

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

    def _carry_out(self, assignments: Iterable[Assignment]) -> None:
        self._fleet.carry_out(assignments)

    async def _tick_for_ever(self) -> None:
        while True:
            self._tick(self._loop.time())
            await asyncio.sleep(TICK_S)

    def _tick(self, now: float) -> None:
        if not self._has_devices:
            raise SessionError("no device is left to mine with")
        self._fleet.tick(now)
        self._session.tick(now)
        self._tell_repeats(now)
        self._hashes += self._fleet.more_hashes()
        self._meter.update(now, self._hashes)
        self._publish()

    # -- the picture

    async def _publish_for_ever(self) -> None:
        """While boards cool, which may take a minute, people see it."""
        while True:
            self._publish()
            await asyncio.sleep(TICK_S)

    def _publish(self) -> None:
        self._sequence += 1
        self._snapshot = self._picture()

    def _picture(self) -> RigSnapshot:
        tallies = self._context.tallies
        total, mines = tallies.total(), self._state == "mining"
        devices = tuple(
            device_picture(device, tallies.of(device_id), mines)
            for device_id, device in self._fleet.devices.items()
        )
        return RigSnapshot(
            schema=SCHEMA,
            sequence=self._sequence,
            time=self._utc(),
            name=self._name,
            version=__version__,
            state=self._session.state.value if mines else self._state,
            uptime_s=self._loop.time() - self._started,
            hashrate_hs=sum_of_known(d.hashrate_hs for d in devices),
            hashrate_1m_hs=sum_of_known(d.lately_hs for d in devices),
            shares=share_counts(total),
            blocks_found=total.blocks,
            hardware_errors=total.hardware_errors,
            comm_errors=total.comm_errors,
            best_difficulty=difficulty_of(total.best_hash),
            pool=pool_picture(self._session, self._loop.time(), self._as_utc),
            devices=devices,
            hashrate_15m_hs=self._meter.rate(_QUARTER_HOUR_S),
            power_w=sum_of_known(d.power_w for d in devices),
            pools=self.pool_standings(),
            clock_error_s=self._session.clock_error_s,
            lifetime=lifetime(self.before, total),
            notes=self.notes(),
        )

    def _as_utc(self, moment: float | None) -> float | None:
        return None if moment is None else self._utc() - (self._loop.time() - moment)
