"""A rig's life with its pools: connect to one, mine, lose it, go on with the next, come back.

Everything here runs on the event loop's thread, whose clock is the monotonic `now`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import StrEnum

from sv2rig.devices.work import Solution
from sv2rig.mining.backoff import Backoff
from sv2rig.mining.clock_check import ClockCheck
from sv2rig.mining.context import MiningContext
from sv2rig.mining.counting import Counting
from sv2rig.mining.failover import Failover, PoolEntry, Standing
from sv2rig.mining.judgement import Judgement
from sv2rig.mining.pool_channels import OpenChannel, PoolChannels
from sv2rig.mining.pool_connection import Connector, End, Ended, Place, PoolConnection
from sv2rig.mining.probe import probe
from sv2rig.mining.session_errors import PoolsAwayError, SessionError
from sv2rig.mining.session_options import SessionOptions
from sv2rig.sv2.certificate import UntimelyCertificateError
from sv2rig.sv2.job import Job
from sv2rig.units import duration

__all__ = ["PoolsAwayError", "Session", "SessionError", "SessionOptions", "SessionState"]


class SessionState(StrEnum):
    """Where the session stands, in the word that people see."""

    CONNECTING = "connecting"
    MINING = "mining"
    WAITING = "waiting"
    CLOSED = "closed"


class Session:
    """The rig's pools, from the first connection to the last. One is mined on at a time, as the
    user that is named for it; what was found for one pool is never sent to another.

    `backoff` makes one for each pool. The methods on pools raise PoolRefusedError, in words.
    """

    def __init__(
        self,
        pools: Sequence[PoolEntry],
        options: SessionOptions,
        connect: Connector,
        context: MiningContext,
        backoff: Callable[[], Backoff],
    ) -> None:
        self.state = SessionState.CONNECTING
        self.detail = ""
        self.connections = 0
        self._options = options
        self._connect = connect
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._failover = Failover(pools, backoff, options.failover, self._loop.time())
        self._entry = self._failover.entries[0]  # the active one, or the last that was
        self._connection: PoolConnection | None = None
        self._sent_to: tuple[PoolEntry, Place] | None = None
        self._probing: asyncio.Task[None] | None = None
        self._last_worked = self._loop.time()
        self._reason = ""  # why the last connection ended
        self._is_told = True
        self._counting = Counting(context)
        self._clock = ClockCheck()
        self._checked_job: Job | None = None
        self._works_before: tuple[int, str] = (0, "")  # with lower ids: found for this pool
        self._stopping = False
        self._called = asyncio.Event()  # a device has come, pools were changed, or stop()

    @property
    def entry(self) -> PoolEntry:
        """The pool that is mined on or tried; while none is, the last one."""
        return self._entry

    @property
    def transport(self) -> str:
        """How the pool is reached."""
        return "Stratum V2 over TCP, Noise NX (secp256k1, EllSwift, ChaCha20-Poly1305, SHA-256)"

    @property
    def channels(self) -> Sequence[OpenChannel]:
        """The open channels; none while the pool is away."""
        pool = self._pool
        return tuple(pool.open.values()) if pool else ()

    @property
    def latency_s(self) -> float | None:
        """From the request to open the first channel to its answer."""
        return self._pool.latency_s if self._pool else None

    @property
    def new_block_at(self) -> float | None:
        """When the pool last announced a new previous hash, on the loop's clock."""
        return self._pool.new_block_at if self._pool else None

    @property
    def connected_since(self) -> float | None:
        """When the present connection was set up, on the loop's clock."""
        return self._connection.connected_since if self._connection else None

    @property
    def clock_error_s(self) -> float | None:
        """By how much this machine's clock is ahead (negative: behind), where a pool showed it."""
        return self._clock.error_s

    @property
    def _pool(self) -> PoolChannels | None:
        return self._connection.pool if self._connection else None

    # -- the rig's life

    async def run(self) -> None:
        """Mine until stop(); SessionError where going on is pointless."""
        self._last_worked = self._loop.time()
        try:
            while await self._somebody_mines():
                entry = self._failover.start_next(self._loop.time())
                if entry is None:
                    await self._idle()
                else:
                    await self._mine_on(entry)
        finally:
            self.state = SessionState.CLOSED
            if self._probing is not None:
                self._probing.cancel()
                await asyncio.gather(self._probing, return_exceptions=True)

    async def stop(self, answer_timeout_s: float) -> None:
        """Wait briefly for the answers to shares in flight, then leave the pool."""
        pool = self._pool
        if pool and pool.unanswered:
            pool.tell_stop()
            try:
                await asyncio.wait_for(pool.all_answered.wait(), answer_timeout_s)
            except TimeoutError:
                count = pool.unanswered
                self._report("warning", f"{count} shares were not acknowledged in time")
        self._stopping = True
        self._called.set()
        if self._connection is not None:
            self._connection.leave("the rig stops")

    def solutions(self, device_id: str, found: Sequence[Solution]) -> list[Judgement]:
        """What a device reports: re-hash and judge each, submit the shares."""
        now = self._loop.time()
        pool = self._pool
        judgements = []
        for solution in found:
            judgement = self._context.scheduler.on_solution(device_id, solution, now)
            judgements.append(judgement)
            name = self._found_for(judgement)
            self._counting.count(device_id, judgement, name, pool is None)
            if judgement.share is not None and pool is not None:
                pool.submit(device_id, judgement.share, now)
        if pool is not None:
            pool.flush()
        return judgements

    def _found_for(self, judgement: Judgement) -> str:
        """The name of the pool whose job it was."""
        first_id, before = self._works_before
        is_late = judgement.work is not None and judgement.work.work_id < first_id
        return before if is_late else self._entry.name

    def device_added(self, device_id: str) -> None:
        """A device can take work: it is in the context's rates and known to the scheduler."""
        self._called.set()
        if self._connection is not None:
            self._connection.device_added(device_id)

    def device_gone(self, device_id: str) -> None:
        """A device has left the rig, for now or for good."""
        if self._pool is not None:
            self._pool.device_gone(device_id)

    def tick(self, now: float) -> None:
        """Once a second: notice a silent pool, look after the better ones, and after the clock."""
        if self._clock.was_set(self._context.utc(), now):
            self._failover.lift_refusals(now)  # certificates may be of this time now
            self._called.set()
        connection = self._connection
        if connection is None:
            return
        if connection.works(now):
            self._last_worked = now
            self._failover.proven(connection.entry.name, now)
        self._check_clock(now)
        connection.tick(now)
        if self.state is SessionState.MINING:
            self._probe_one(now)
            self._follow(now)

    async def _somebody_mines(self) -> bool:
        """Waits for a device: without one a pool is of no use, nor we to it. False: stop."""
        while not (self._context.rates or self._stopping):
            self.state, self.detail = SessionState.WAITING, "no device is ready to mine"
            self._called.clear()
            await self._called.wait()
            self._last_worked, self.detail = self._loop.time(), ""
        return not self._stopping

    async def _mine_on(self, entry: PoolEntry) -> None:
        """One connection, and what follows from its end."""
        if not self._is_told:
            self._report("warning", f"{self._reason}; trying pool {entry.name!r} now")
            self._is_told = True
        self.state, self.detail = SessionState.CONNECTING, ""
        if entry is not self._entry:
            self._works_before = (self._context.scheduler.next_work_id, self._entry.name)
            self._entry = entry
        # Where a pool has sent us is good for one try: then back to the address we were given.
        place = (entry.url.host, entry.url.port)
        if self._sent_to is not None and self._sent_to[0] == entry:
            place = self._sent_to[1]
        self._sent_to = None
        connection = self._connection = PoolConnection(
            entry,
            place,
            self._connect,
            self._context,
            self._options.version_rolling_mask,
            self._options.silence,
            self._opened,
        )
        try:
            ended = await connection.run()
        finally:
            self._connection = None
        if not self._stopping:
            self._settle(entry, ended, self._loop.time())

    def _opened(self) -> None:
        if self.state is SessionState.CONNECTING:
            self.state = SessionState.MINING
            self.connections += 1
            self._failover.mines(self._entry.name, self._loop.time())

    def _settle(self, entry: PoolEntry, ended: Ended, now: float) -> None:
        name, several = entry.name, len(self._failover.entries) > 1
        if ended.how is not End.LEFT:
            self._reason = f"pool {name!r}: {ended.reason}" if several else ended.reason
            self._is_told = False
        match ended.how:
            case End.LEFT:
                self._failover.left(name, now)
            case End.FAILED:
                self._failover.failed(name, ended.reason, now)
            case End.REDIRECTED:
                assert ended.place is not None
                self._sent_to = (entry, ended.place)
                self._failover.redirected(name, ended.reason, now)
            case End.REFUSED:
                if isinstance(ended.error, UntimelyCertificateError):
                    self._report("warning", self._clock.certificate(name, ended.error))
                if not several and not self._options.never_give_up:
                    raise SessionError(ended.reason)
                self._failover.refused(name, ended.reason, now)

    async def _idle(self) -> None:
        """No pool can be tried now: wait for the first back-off to end, or a change."""
        now = self._loop.time()
        due = self._failover.next_try()
        wait = math.inf if due is None else due - now
        limit = self._options.give_up_after_s
        is_last = False
        if limit is not None:
            outage = now - self._last_worked
            if outage >= limit:
                what = "this pool" if len(self._failover.entries) == 1 else "any pool"
                words = f"{self._reason}; giving up after {outage:.0f} s without {what}"
                raise PoolsAwayError(words)
            is_last = limit - outage <= wait  # one last try when the time is up
            wait = min(wait, limit - outage)
        wait = max(wait, 0.001)  # so that the clock has reached that time, however floats round
        self.state = SessionState.WAITING
        self.detail = self._reason if due is not None else "every pool is disabled"
        self._tell_wait(wait)
        self._called.clear()
        try:
            await asyncio.wait_for(self._called.wait(), None if wait == math.inf else wait)
        except TimeoutError:
            self.detail = ""
            if is_last:
                self._failover.hurry(self._loop.time())

    def _tell_wait(self, wait: float) -> None:
        if self._is_told:
            return
        self._is_told = True
        when = f"{wait:.1f} s" if wait < 120 else duration(wait)
        self._report("warning", f"{self._reason}; devices idle, trying again in {when}")

    # -- what pools say of the clock

    def _check_clock(self, now: float) -> None:
        newest = max(self.channels, key=lambda c: c.job_since or 0.0, default=None)
        job = newest.job if newest else None
        if job is not None and job is not self._checked_job:
            self._checked_job = job
            utc = self._context.utc()
            self._report("warning", self._clock.job(self._entry.name, job, now, utc))

    # -- better pools

    def _probe_one(self, now: float) -> None:
        if self._probing is not None and not self._probing.done():
            return
        entry = self._failover.next_probe(now)
        if entry is not None:
            self._probing = self._loop.create_task(self._probe(entry))

    async def _probe(self, entry: PoolEntry) -> None:
        end = await probe(entry, self._connect, self._context.utc)
        now = self._loop.time()
        if end.how is End.LEFT:
            self._failover.answered(entry, now)
        else:
            self._failover.unanswered(entry, end.reason, end.how is End.REFUSED, now)

    def _follow(self, now: float) -> None:
        """Leave the pool where another one is to be mined on, or it is no more to be."""
        connection = self._connection
        if connection is None or connection.is_leaving:
            return
        name, to = connection.entry.name, self._failover.leaves_for(now)
        if to is not None:
            self._report("info", f"leaving pool {name!r} for pool {to.name!r}")
            connection.leave(f"leaving for pool {to.name!r}")
        elif self._failover.active != connection.entry:
            self._report("info", f"leaving pool {name!r}: it was removed, changed or disabled")
            connection.leave("the pool was removed, changed or disabled")

    # -- what the user wishes

    def pools(self) -> tuple[Standing, ...]:
        """Where each pool stands, in the order of preference; times on the loop's clock."""
        return self._failover.standings()

    def switch(self, name: str) -> None:
        """Mine on this pool, until it fails or the user chooses again."""
        self._failover.switch(name, self._loop.time())
        self._changed()

    def enable(self, name: str) -> None:
        """Use this pool again, in its place."""
        self._failover.enable(name, self._loop.time())
        self._changed()

    def disable(self, name: str) -> None:
        """Leave this pool alone."""
        self._failover.disable(name, self._loop.time())
        self._changed()

    def order(self, names: Sequence[str]) -> None:
        """Prefer the pools in this order; it must name each of them once."""
        self._failover.order(names)
        self._changed()

    def add(self, entry: PoolEntry) -> None:
        """One more pool, the last in the order."""
        self._failover.add(entry, self._loop.time())
        self._changed()

    def remove(self, name: str) -> None:
        """Forget a pool."""
        self._failover.remove(name, self._loop.time())
        self._changed()

    def replace(self, entries: Sequence[PoolEntry]) -> None:
        """These pools, all at once, as after a reload; what has not changed mines on."""
        self._failover.replace(entries, self._loop.time())
        self._changed()

    def limit(self, options: SessionOptions) -> None:
        """Other limits from now on, of silence from the next connection on. The mask stays."""
        mask = self._options.version_rolling_mask
        self._options = replace(options, version_rolling_mask=mask)
        self._failover.limits = options.failover
        self._called.set()

    def _changed(self) -> None:
        self._follow(self._loop.time())
        self._called.set()

    def _report(self, level: str, text: str | None) -> None:
        if text is not None:
            self._context.report(level, text, None)
