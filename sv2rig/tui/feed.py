"""What comes from a rig elsewhere, as a SnapshotSource: stream messages in, pictures out.

A message is one JSON object, {"snapshot": ..., "events": [...], "shares": [...]}: the picture of
that second and what is new since the last message; the first of a connection brings all that is
still kept.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from sv2rig import __version__
from sv2rig.api.messages import StreamMessage as StreamMessage
from sv2rig.rig.snapshot import SCHEMA, Event, Numbered, RigSnapshot, ShareRecord

KEPT = 2000  # events, and shares
SILENT_AFTER_S = 5.0
SAME_START_S = 10.0


class FeedError(Exception):
    """What was sent is no rig's message."""


class SchemaError(FeedError):
    """The rig speaks another schema than this screen, so that nothing it says can be shown."""


class _Heading(msgspec.Struct, frozen=True):
    schema: int
    version: str = "of unknown version"


class _Envelope(msgspec.Struct, frozen=True):
    """As much of a message as every schema has."""

    snapshot: _Heading


def decode(text: bytes | str) -> StreamMessage:
    """FeedError says what is wrong with it; SchemaError, that it is of another schema."""
    try:
        return msgspec.json.decode(text, type=StreamMessage)
    except msgspec.MsgspecError as error:
        try:
            heading = msgspec.json.decode(text, type=_Envelope).snapshot
        except msgspec.MsgspecError:
            raise FeedError(f"no message of a rig: {error}") from error
        if heading.schema != SCHEMA:
            raise SchemaError(other_schema(heading.schema, heading.version)) from error
        raise FeedError(f"no message of schema {SCHEMA}: {error}") from error


def other_schema(schema: int, version: str) -> str:
    """The words for it."""
    advice = (
        "update this sv2rig" if schema > SCHEMA else "update the rig, or use its own `sv2rig top`"
    )
    return (
        f"the rig is sv2rig {version} and sends snapshots of schema {schema}; this sv2rig "
        f"{__version__} reads schema {SCHEMA}: {advice}"
    )


def is_other_run(before: RigSnapshot, now: RigSnapshot) -> bool:
    """Whether the rig was started anew between two of its pictures. Where a screen was away for
    longer than the old run had lasted, only the moment of the start tells. A clock that is set
    while pictures keep coming is no new start."""
    if now.sequence < before.sequence:
        return True
    gone = now.uptime_s - before.uptime_s
    started_later = (now.time - now.uptime_s) - (before.time - before.uptime_s)
    return gone > SILENT_AFTER_S and started_later > SAME_START_S


class Feed:
    """The latest picture of a rig elsewhere. `lost` says why there is none, while there
    is none."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.lost = "not connected yet"
        self.rates: Sequence[tuple[float, float | None]] = ()  # from before the first picture
        self._clock = clock
        self._heard_at = clock()
        self._picture: RigSnapshot | None = None
        self._events: list[Event] = []
        self._shares: list[ShareRecord] = []
        self._change = asyncio.Event()

    # -- SnapshotSource

    def snapshot(self) -> RigSnapshot:
        """The latest picture; only to be asked for once there is one."""
        if self._picture is None:
            raise LookupError("no picture has come yet")
        return self._picture

    def events_after(self, number: int) -> tuple[Event, ...]:
        return _after(self._events, number)

    def shares_after(self, number: int) -> tuple[ShareRecord, ...]:
        return _after(self._shares, number)

    def rates_before(self, utc: float) -> Sequence[tuple[float, float | None]]:
        """Moments (UTC seconds) and hashes a second before `utc`, oldest first."""
        return [(at, rate) for at, rate in self.rates if at < utc]

    # -- what the sources tell

    @property
    def has_picture(self) -> bool:
        return self._picture is not None

    @property
    def last_event(self) -> int:
        return self._events[-1].number if self._events else 0

    @property
    def last_share(self) -> int:
        return self._shares[-1].number if self._shares else 0

    async def changed(self) -> None:
        """Wait for the next message, or for the connection to be lost."""
        await self._change.wait()

    @property
    def silent_s(self) -> float | None:
        """For how long nothing has come; None while all is well."""
        silent = self._clock() - self._heard_at
        return silent if self.lost or silent >= SILENT_AFTER_S else None

    def take(self, message: StreamMessage) -> None:
        """A rig that was started anew counts from 1 again, in pictures, events and shares."""
        if message.snapshot.schema != SCHEMA:
            raise SchemaError(other_schema(message.snapshot.schema, message.snapshot.version))
        if self._picture is not None and is_other_run(self._picture, message.snapshot):
            self._events.clear()
            self._shares.clear()
        self._picture = message.snapshot
        self._heard_at = self._clock()
        self.lost = ""
        _append(self._events, message.events)
        _append(self._shares, message.shares)
        self._tell()

    def lose(self, words: str) -> None:
        """No news from now on, because of this."""
        self.lost = words
        self._tell()

    def _tell(self) -> None:
        told, self._change = self._change, asyncio.Event()
        told.set()


T = TypeVar("T", bound=Numbered)


def _append(kept: list[T], new: tuple[T, ...]) -> None:
    last = kept[-1].number if kept else 0
    kept.extend(one for one in new if one.number > last)
    if len(kept) > 2 * KEPT:
        del kept[:-KEPT]


def _after(kept: list[T], number: int) -> tuple[T, ...]:
    """Numbers have no gaps but where a reader missed some, so look from the end."""
    start = len(kept)
    while start and kept[start - 1].number > number:
        start -= 1
    return tuple(kept[start:])


def as_line(message: StreamMessage) -> bytes:
    """One line of JSON, with its line feed."""
    return msgspec.json.encode(message) + b"\n"
