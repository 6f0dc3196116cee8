"""The bodies, queries and answers of the API that are not the rig's own structs."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from sv2rig.rig.snapshot import Event, RigSnapshot, ShareRecord
from sv2rig.rig.store_history import MOST_POINTS, MOST_SHARES

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Moment = Annotated[float, msgspec.Meta(ge=-1e11, le=1e11)]  # no NaN


class Problem(msgspec.Struct, frozen=True):
    """Why a request was not done, in words; `field`: which value of it is wrong."""

    error: str
    field: str | None = None


class Done(msgspec.Struct, frozen=True):
    """It is done."""

    ok: bool = True


class Version(msgspec.Struct, frozen=True):
    """Which program answers; `schema` is that of the snapshots."""

    name: str
    version: str
    schema: int
    pid: int


class TuneWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to tune a device for, and bounds that are never passed."""

    goal: Literal["hashrate", "efficiency"]
    limits: dict[str, float] = {}


class PoolOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every pool's name, the preferred one first."""

    names: list[Name]


class Reloaded(msgspec.Struct, frozen=True):
    """What the new configuration changed, a line each."""

    changes: tuple[str, ...]


class Notified(msgspec.Struct, frozen=True):
    """What became of a test of the hooks."""

    result: str


class After(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Those with a higher number than this."""

    after: Annotated[int, msgspec.Meta(ge=0)] = 0


class HistoryQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of one device, or of the whole rig. `since` and `until` are UTC seconds since 1970; without
    `until` it is now, without `since` so many `hours` before."""

    device: str | None = None
    since: Moment | None = None
    until: Moment | None = None
    hours: Annotated[float, msgspec.Meta(gt=0, le=24 * 3660)] = 24.0
    points: Annotated[int, msgspec.Meta(ge=1, le=MOST_POINTS)] = 300


class SharesQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As HistoryQuery, at most `limit`."""

    device: str | None = None
    since: Moment | None = None
    until: Moment | None = None
    hours: Annotated[float, msgspec.Meta(gt=0, le=24 * 3660)] = 24.0
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_SHARES)] = 100


class AuditQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """At most `limit`."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_SHARES)] = 100


class StreamMessage(msgspec.Struct, frozen=True):
    """A text message of the stream: the picture, and what is new since the message before."""

    snapshot: RigSnapshot
    events: tuple[Event, ...]
    shares: tuple[ShareRecord, ...]
