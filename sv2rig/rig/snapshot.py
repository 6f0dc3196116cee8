"""The one picture of a running rig that every reader sees: screen, JSON, and the API.

A RigSnapshot is immutable and replaced as a whole. Unknown is None, never 0. Units stand in the
names: _hs hashes a second, _c degrees Celsius, _w watts, _s seconds, _ms milliseconds; `time` is
UTC seconds since 1970.

Within a schema number fields are only added, each with a default, and readers pass over fields that
they do not know: a screen reads a newer rig's pictures.
"""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

import msgspec

SCHEMA = 2


class ShareCounts(msgspec.Struct, frozen=True):
    """What became of the shares: unacknowledged ones are neither accepted nor rejected."""

    accepted: int = 0
    rejected: int = 0
    stale: int = 0
    pending: int = 0
    unacknowledged: int = 0


class DeviceSnapshot(msgspec.Struct, frozen=True):
    """One device. `since` is when the present state began. `hashrate_error`: the relative standard
    deviation of a rate that is proved by solutions; None where the device counts its hashes.
    `comm_errors`: bytes from it that were no answer. `emulated`: no real board. `enabled` and
    `paused` are the user's wishes. `port`: where it is plugged in. `hot_c`: the temperature from
    which it is throttled."""

    id: str
    backend: str
    name: str
    variant: str | None
    state: str
    reason: str
    since: float
    hashrate_hs: float | None
    hashrate_1m_hs: float | None
    temperature_c: float | None
    fan_percent: float | None
    power_w: float | None
    shares: ShareCounts
    hardware_errors: int
    last_share: float | None
    hashrate_error: float | None = None
    comm_errors: int = 0
    emulated: bool = False
    enabled: bool = True
    paused: bool = False
    port: str | None = None
    frequency_mhz: float | None = None
    rated_hs: float | None = None
    hot_c: float | None = None
    best_difficulty: float | None = None
    blocks: int = 0

    @property
    def lately_hs(self) -> float | None:
        """The last minute's rate; the present one until that is known."""
        return self.hashrate_hs if self.hashrate_1m_hs is None else self.hashrate_1m_hs


class PoolStanding(msgspec.Struct, frozen=True):
    """One of the configured pools, in the order in which they are preferred. `state`: "mining",
    "connecting", "standby" (fit, as far as is known), "down", "refused" (trying again is of no use
    until something changes), "disabled". `since`: when that state began; `probed`: when it last
    answered while another was mined on."""

    name: str
    url: str
    user: str
    state: str
    detail: str = ""
    since: float | None = None
    probed: float | None = None
    is_active: bool = False


class PoolSnapshot(msgspec.Struct, frozen=True):
    """The pool the rig mines on. `state`: "connecting", "mining", "waiting", "closed". `height`: of
    the block that is mined. `payout_address`: the user's, as configured for this pool;
    `payout_share`: the part of the block's reward, 0 to 1, that the job's coinbase pays to it.
    Height and share show on extended channels only. A pool that pays out later: a share of 0."""

    url: str
    state: str
    detail: str
    transport: str
    channel_kind: str
    difficulty: float | None
    job_id: int | None
    job_age_s: float | None
    latency_ms: float | None
    connected_since: float | None
    reconnects: int
    new_block_at: float | None
    name: str = ""
    user: str = ""
    height: int | None = None
    payout_address: str | None = None
    payout_share: float | None = None


class LifetimeSnapshot(msgspec.Struct, frozen=True):
    """Counts over all the runs of a rig that keeps a store, this one among them."""

    accepted: int = 0
    rejected: int = 0
    stale: int = 0
    blocks: int = 0
    best_difficulty: float | None = None


class RigSnapshot(msgspec.Struct, frozen=True):
    """The rig as a whole. `sequence` grows by one with each snapshot published. `pool` is the one
    that is mined on, `pools` are all. `clock_error_s`: by how much this machine's clock is ahead of
    the true time (negative: behind), where something showed that it is off. `hashrate_1m_hs` has
    the present rate of devices that do not know a minute's yet. `lifetime`: None where nothing is
    kept. `notes`: troubles of the rig that last, in words, such as a full disk."""

    schema: int
    sequence: int
    time: float
    name: str
    version: str
    state: str
    uptime_s: float
    hashrate_hs: float | None
    hashrate_1m_hs: float | None
    shares: ShareCounts
    blocks_found: int
    hardware_errors: int
    best_difficulty: float | None
    pool: PoolSnapshot
    devices: tuple[DeviceSnapshot, ...]
    comm_errors: int = 0
    hashrate_15m_hs: float | None = None
    power_w: float | None = None
    pools: tuple[PoolStanding, ...] = ()
    clock_error_s: float | None = None
    lifetime: LifetimeSnapshot | None = None
    notes: tuple[str, ...] = ()


class Event(msgspec.Struct, frozen=True):
    """Something that happened. `level`: "info", "good", "warning" or "error"; `device`: its id."""

    number: int
    time: float
    level: str
    text: str
    device: str | None = None


class ShareRecord(msgspec.Struct, frozen=True):
    """A share and what became of it. `time`: when it was sent (where it was, else found).
    `verdict`: "accepted", "rejected", "stale" or "unacknowledged"; `difficulty` is its own,
    `wanted` what its job asked for."""

    number: int
    time: float
    device: str
    pool: str
    verdict: str
    difficulty: float
    wanted: float
    is_block: bool = False
    latency_ms: float | None = None
    reason: str = ""


class Numbered(Protocol):
    """What a Ring keeps."""

    @property
    def number(self) -> int: ...


T = TypeVar("T", bound=Numbered)


class Ring(Generic[T]):
    """The latest of something, numbered without gaps from 1, so that a slow reader knows what it
    missed."""

    def __init__(self, size: int = 1000) -> None:
        self._size = size
        self._kept: list[T] = []
        self.next_number = 1

    def add(self, made: T) -> None:
        """`made` has the number `next_number`."""
        self.next_number += 1
        self._kept.append(made)
        if len(self._kept) > 2 * self._size:
            del self._kept[: -self._size]

    def after(self, number: int) -> tuple[T, ...]:
        """Those with a higher number than this, oldest first, as many as are still kept."""
        first = self.next_number - min(len(self._kept), self._size)
        start = max(number + 1, first) - self.next_number
        return tuple(self._kept[start:]) if start < 0 else ()


class SnapshotSource(Protocol):
    """Where a reader gets pictures from: the rig in this process, a socket, a recording."""

    def snapshot(self) -> RigSnapshot: ...

    def events_after(self, number: int) -> tuple[Event, ...]: ...

    def shares_after(self, number: int) -> tuple[ShareRecord, ...]: ...
