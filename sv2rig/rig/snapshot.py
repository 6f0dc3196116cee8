"""The one picture of a running rig that every reader sees: screen, JSON, and later the API.

A RigSnapshot is immutable and replaced as a whole. Unknown is None, never 0. Units stand in the
names: _hs hashes a second, _c degrees Celsius, _w watts, _s seconds, _ms milliseconds; `time` is
UTC seconds since 1970.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

SCHEMA = 1


class ShareCounts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What became of the shares: unacknowledged ones are neither accepted nor rejected."""

    accepted: int = 0
    rejected: int = 0
    stale: int = 0
    pending: int = 0
    unacknowledged: int = 0


class DeviceSnapshot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One device. `since` is when the present state began. `hashrate_error`: the relative standard
    deviation of a rate that is proved by solutions; None where the device counts its hashes.
    `comm_errors`: bytes from it that were no answer. `emulated`: no real board."""

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


class PoolSnapshot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The pool the rig mines on. `state`: "connecting", "mining", "waiting", "closed"."""

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


class RigSnapshot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rig as a whole. `sequence` grows by one with each snapshot published."""

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


class Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that happened. `level`: "info", "good", "warning" or "error"; `device`: its id."""

    number: int
    time: float
    level: str
    text: str
    device: str | None = None


class EventRing:
    """The latest events, numbered without gaps, so that a slow reader knows what it missed."""

    def __init__(self, size: int = 1000) -> None:
        self._size = size
        self._events: list[Event] = []
        self._next = 1

    def add(self, time: float, level: str, text: str, device: str | None = None) -> Event:
        event = Event(self._next, time, level, text, device)
        self._next += 1
        self._events.append(event)
        if len(self._events) > 2 * self._size:
            del self._events[: -self._size]
        return event

    def after(self, number: int) -> tuple[Event, ...]:
        """Events with a higher number than this, oldest first, as many as are still kept."""
        first = self._next - min(len(self._events), self._size)
        start = max(number + 1, first) - self._next
        return tuple(self._events[start:]) if start < 0 else ()


class SnapshotSource(Protocol):
    """Where a reader gets pictures from: the rig in this process, a socket, a recording."""

    def snapshot(self) -> RigSnapshot: ...

    def events_after(self, number: int) -> tuple[Event, ...]: ...
