"""Which of several pools to mine on, when to try the next one, and when to go back. Pure: time is
passed in, as monotonic seconds.

The pools stand in the order in which they are preferred. When the active one fails, the next that
is fit is tried at once; each has a back-off of its own, so that none is tried in a hot loop. While
a worse placed pool is mined on, the better ones are probed, and one that has answered for
`steady_s` without a break is gone back to. One that fails again soon after has to be steady twice
as long the next time. A pool that the user switched to stays until it fails or the user chooses
again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sv2rig.mining.backoff import Backoff
from sv2rig.mining.pool_entry import PoolEntry, PoolRefusedError, PoolState, Standing

__all__ = [
    "Failover",
    "FailoverLimits",
    "PoolEntry",
    "PoolRefusedError",
    "PoolState",
    "Standing",
]

MOST_STEADY_S = 3600.0  # unless the limit itself is longer
_MOST_TIMES_STEADY = 1 << 16
# A pool may send us on to another of its servers, and that one too; beyond that it leads us astray.
MOST_REDIRECTS = 3
_PROBES_MISSED = 3  # between two answers so far apart nobody knows whether it was steady


@dataclass(frozen=True, slots=True)
class FailoverLimits:
    """In seconds. `steady_s`: how long a better pool must have answered before it is gone back to;
    `probe_s`: how often it is asked; `refused_s`: when a pool that refused us is tried again."""

    steady_s: float = 120.0
    probe_s: float = 20.0
    refused_s: float = 600.0

    def __post_init__(self) -> None:
        if not (self.steady_s >= 0 and self.probe_s > 0 and self.refused_s > 0):
            raise ValueError("steady_s must not be negative, probe_s and refused_s be above 0 s")


@dataclass(slots=True)
class _Pool:
    entry: PoolEntry
    backoff: Backoff
    since: float
    times_steady: int = 1  # how many times `steady_s` it has to be steady
    state: PoolState = PoolState.STANDBY
    detail: str = ""
    retry_at: float = float("-inf")
    probe_at: float = float("-inf")
    probed: float | None = None
    steady_since: float | None = None
    mining_since: float | None = None
    redirects: int = 0
    was_gone_back_to: bool = False

    def turn(self, state: PoolState, now: float, detail: str = "") -> None:
        if state is not self.state:
            self.state, self.since = state, now
        self.detail = detail

    @property
    def seems_down(self) -> bool:
        return self.state in (PoolState.DOWN, PoolState.REFUSED)


class Failover:
    """Decides; the session connects, mines and probes, and tells what came of it. What it tells of
    a pool that is no more the active one is ignored."""

    def __init__(
        self,
        entries: Sequence[PoolEntry],
        backoff: Callable[[], Backoff],
        limits: FailoverLimits,
        now: float,
    ) -> None:
        self.limits = limits
        self._backoff = backoff
        self._pools: list[_Pool] = []
        self._active: _Pool | None = None
        self._wanted: _Pool | None = None  # to be started next: by the user, or to fail back
        self._chosen: _Pool | None = None  # by the user: no failing back while it works
        self._held: _Pool | None = None  # it has sent us to another of its servers
        self.replace(entries, now)

    @property
    def entries(self) -> tuple[PoolEntry, ...]:
        """In the order in which they are preferred."""
        return tuple(pool.entry for pool in self._pools)

    @property
    def active(self) -> PoolEntry | None:
        """The pool that is mined on or connected to."""
        return self._active.entry if self._active else None

    def standings(self) -> tuple[Standing, ...]:
        """All pools, in their order."""
        return tuple(
            Standing(
                pool.entry,
                pool.state if pool.entry.enabled else PoolState.DISABLED,
                pool.detail,
                pool.since,
                pool.probed,
                pool is self._active,
            )
            for pool in self._pools
        )

    # -- which pool

    def start_next(self, now: float) -> PoolEntry | None:
        """The pool to connect to now, which is the active one from here on; None: wait until
        next_try(), or for the user."""
        ready = [p for p in self._pools if p.entry.enabled and p.retry_at <= now]
        if self._wanted not in ready:  # it has refused a probe since
            self._wanted = None
        first = self._first
        if first is not None:
            ready = [pool for pool in ready if pool is first]
        if not ready:
            return None
        # What answered last is tried before what is known to be down; sorting keeps the order.
        pool = min(ready, key=lambda p: p.seems_down)
        pool.was_gone_back_to = pool is self._wanted and pool is not self._chosen
        self._wanted = self._held = None
        self._active = pool
        pool.turn(PoolState.CONNECTING, now)
        return pool.entry

    @property
    def _first(self) -> _Pool | None:
        """The only one to be started next. The chosen one, if it was left and chosen once more."""
        return self._wanted or self._held or self._chosen

    def next_try(self) -> float | None:
        """When start_next() will give a pool; None: every pool is disabled."""
        if self._first is not None:
            return self._first.retry_at
        return min((p.retry_at for p in self._pools if p.entry.enabled), default=None)

    def hurry(self, now: float) -> None:
        """Each pool that is down may be tried now, whatever its back-off."""
        for pool in self._pools:
            if pool.state is not PoolState.REFUSED:
                pool.retry_at = min(pool.retry_at, now)

    def leaves_for(self, now: float) -> PoolEntry | None:
        """The pool for which the active one is to be left now: the user's choice, or a better
        placed one that has been steady. The session then ends the connection and says left()."""
        if self._wanted is None and self._active is not None and self._chosen is None:
            self._wanted = next((p for p in self._better() if self._is_steady(p, now)), None)
            if self._wanted is not None:
                self._wanted.retry_at = now
        return self._wanted.entry if self._wanted else None

    def _better(self) -> list[_Pool]:
        """The enabled pools that stand before the active one."""
        if self._active is None:
            return []
        before = self._pools[: self._pools.index(self._active)]
        return [pool for pool in before if pool.entry.enabled]

    def _is_steady(self, pool: _Pool, now: float) -> bool:
        since, probed = pool.steady_since, pool.probed
        if since is None or probed is None or now - probed > _PROBES_MISSED * self.limits.probe_s:
            return False
        wanted = self.limits.steady_s
        return probed - since >= max(wanted, min(pool.times_steady * wanted, MOST_STEADY_S))

    # -- what came of it

    def mines(self, name: str, now: float) -> None:
        """The pool has opened a channel."""
        pool = self._if_active(name)
        if pool is not None:
            pool.turn(PoolState.MINING, now)
            pool.mining_since = now

    def proven(self, name: str, now: float) -> None:
        """The pool works: its back-off begins anew."""
        pool = self._if_active(name)
        if pool is not None:
            pool.backoff.reset()
            pool.redirects = 0
            since = pool.mining_since
            if since is not None and now - since >= self.limits.steady_s:
                pool.was_gone_back_to = False
                pool.times_steady = 1

    def left(self, name: str, now: float) -> None:
        """The connection was ended from this side, not for any fault of the pool's."""
        pool = self._if_active(name)
        if pool is not None:
            self._end(pool, PoolState.STANDBY, "", now)
            pool.retry_at = now

    def failed(self, name: str, reason: str, now: float) -> None:
        """The pool could not be reached, or the connection ended."""
        pool = self._if_active(name)
        if pool is not None:
            self._end(pool, PoolState.DOWN, reason, now)
            pool.retry_at = now + pool.backoff.next_wait()

    def refused(self, name: str, reason: str, now: float) -> None:
        """The pool failed in a way that trying again cannot mend."""
        pool = self._if_active(name)
        if pool is not None:
            self._end(pool, PoolState.REFUSED, reason, now)
            pool.retry_at = now + self.limits.refused_s

    def redirected(self, name: str, reason: str, now: float) -> None:
        """The pool sends us to another of its servers: no failure, unless it goes on so."""
        pool = self._if_active(name)
        if pool is None:
            return
        pool.redirects += 1
        if pool.redirects > MOST_REDIRECTS:
            self.failed(name, reason, now)
            return
        self._active, self._held = None, pool
        pool.turn(PoolState.CONNECTING, now, reason)
        pool.retry_at = now + pool.backoff.next_wait()

    def _end(self, pool: _Pool, state: PoolState, detail: str, now: float) -> None:
        if pool.was_gone_back_to and state is not PoolState.STANDBY:
            pool.times_steady = min(2 * pool.times_steady, _MOST_TIMES_STEADY)
        pool.turn(state, now, detail)
        pool.mining_since = pool.steady_since = None
        pool.probe_at = now + self.limits.probe_s
        self._active = None
        if pool is self._chosen and state is not PoolState.STANDBY:
            self._chosen = None

    def _if_active(self, name: str) -> _Pool | None:
        pool = self._active
        return pool if pool is not None and pool.entry.name == name else None

    # -- probes

    def next_probe(self, now: float) -> PoolEntry | None:
        """A better placed pool that is to be probed now; its turn comes again after `probe_s`."""
        if self._chosen is not None:
            return None
        for pool in self._better():
            waits = pool.state is PoolState.REFUSED and pool.retry_at > now
            if pool.probe_at <= now and not waits:
                pool.probe_at = now + self.limits.probe_s
                return pool.entry
        return None

    def answered(self, entry: PoolEntry, now: float) -> None:
        """A probe got through: connection, handshake and set-up."""
        pool = self._probed(entry)
        if pool is None:
            return
        gap = None if pool.probed is None else now - pool.probed
        if pool.steady_since is None or gap is None or gap > _PROBES_MISSED * self.limits.probe_s:
            pool.steady_since = now
        pool.probed = now
        pool.turn(PoolState.STANDBY, now, "answers again" if pool.seems_down else pool.detail)

    def unanswered(self, entry: PoolEntry, reason: str, refused: bool, now: float) -> None:
        """A probe did not get through, or was `refused` for good."""
        pool = self._probed(entry)
        if pool is None:
            return
        pool.steady_since = None
        pool.turn(PoolState.REFUSED if refused else PoolState.DOWN, now, reason)
        if refused:
            pool.retry_at = now + self.limits.refused_s
            self._chosen = None if pool is self._chosen else self._chosen

    def _probed(self, entry: PoolEntry) -> _Pool | None:
        """Unless it was changed, disabled or begun with while it was probed."""
        for pool in self._pools:
            if pool.entry == entry and entry.enabled and pool is not self._active:
                return pool
        return None

    # -- what the user wishes

    def switch(self, name: str, now: float) -> None:
        """Mine on this pool, until it fails or the user chooses again."""
        pool = self._find(name)
        if not pool.entry.enabled:
            raise PoolRefusedError(f"pool {name!r} is disabled: enable it first")
        self._chosen = pool
        self._held = None
        self._wanted = None if pool is self._active else pool
        self._lift(pool, now)

    def enable(self, name: str, now: float) -> None:
        """Use this pool again, in its place."""
        pool = self._find(name)
        if not pool.entry.enabled:
            pool.entry = replace(pool.entry, enabled=True)
            pool.turn(PoolState.STANDBY, now)
        self._lift(pool, now)

    def disable(self, name: str, now: float) -> None:
        """Leave this pool alone; if it is the active one, the rig moves on."""
        pool = self._find(name)
        if pool.entry.enabled:
            self._forget(pool)
            pool.entry = replace(pool.entry, enabled=False)
            pool.turn(PoolState.STANDBY, now)
            pool.since = now
            pool.mining_since = pool.steady_since = None

    def order(self, names: Sequence[str]) -> None:
        """Prefer the pools in this order; it must name each of them once."""
        known = [entry.name for entry in self.entries]
        if sorted(names) != sorted(known):
            raise PoolRefusedError(f"the order must name each pool once: {', '.join(known)}")
        self._pools = [self._find(name) for name in names]

    def add(self, entry: PoolEntry, now: float) -> None:
        """One more pool, the last in the order."""
        self.replace((*self.entries, entry), now)

    def remove(self, name: str, now: float) -> None:
        """Forget a pool; if it is the active one, the rig moves on."""
        pool = self._find(name)
        self.replace([entry for entry in self.entries if entry is not pool.entry], now)

    def replace(self, entries: Sequence[PoolEntry], now: float) -> None:
        """These pools, all at once, as after a reload. Pools that have not changed keep their
        standing; one that was refused is tried again. PoolRefusedError, and nothing is changed."""
        names = [entry.name for entry in entries]
        if not entries:
            raise PoolRefusedError("a rig needs one pool at least: add another one first")
        for name in names:
            if names.count(name) > 1:
                raise PoolRefusedError(f"there are two pools called {name!r}")
        kept = {pool.entry: pool for pool in self._pools}
        for pool in self._pools:
            if pool.entry not in entries:
                self._forget(pool)
        self._pools = [kept.get(entry) or self._new(entry, now) for entry in entries]
        self.lift_refusals(now)

    def lift_refusals(self, now: float) -> None:
        """Something has changed: pools that refused us may be tried again."""
        for pool in self._pools:
            if pool.state is PoolState.REFUSED:
                self._lift(pool, now)

    def _new(self, entry: PoolEntry, now: float) -> _Pool:
        return _Pool(entry, self._backoff(), now)

    def _find(self, name: str) -> _Pool:
        for pool in self._pools:
            if pool.entry.name == name:
                return pool
        known = ", ".join(entry.name for entry in self.entries)
        raise PoolRefusedError(f"there is no pool {name!r}; there are: {known}")

    def _lift(self, pool: _Pool, now: float) -> None:
        pool.retry_at = min(pool.retry_at, now)
        pool.probe_at = min(pool.probe_at, now)
        if pool.seems_down:
            pool.turn(PoolState.STANDBY, now, pool.detail)

    def _forget(self, pool: _Pool) -> None:
        self._active = None if self._active is pool else self._active
        self._wanted = None if self._wanted is pool else self._wanted
        self._chosen = None if self._chosen is pool else self._chosen
        self._held = None if self._held is pool else self._held
