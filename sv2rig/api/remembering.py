"""The routes that read what the daemon has kept of the past."""

from __future__ import annotations

from sv2rig.api.messages import AuditQuery, HistoryQuery, SharesQuery
from sv2rig.api.routes import ApiProblemError, Call, Route
from sv2rig.rig.snapshot import ShareRecord
from sv2rig.rig.store import AuditLine, FoundBlock, History, Store, Totals


def _store(call: Call) -> Store:
    if call.rig.store is None:
        raise ApiProblemError(503, "this rig keeps no history: only `sv2rig run` does")
    return call.rig.store


def _span(call: Call) -> tuple[float, float]:
    query: HistoryQuery | SharesQuery = call.query
    until = call.rig.source.snapshot().time if query.until is None else query.until
    return (until - query.hours * 3600 if query.since is None else query.since), until


async def _history(call: Call) -> History:
    store, device = _store(call), call.query.device
    kept = await store.history(device, *_span(call), call.query.points)
    if device is not None and not kept.points:
        here = {shown.id for shown in call.rig.source.snapshot().devices}
        if device not in here | (await store.totals_now()).devices.keys():
            raise ApiProblemError(404, f"no device {device!r} is here or has ever been", "device")
    return kept


async def _shares(call: Call) -> tuple[ShareRecord, ...]:
    return await _store(call).shares(call.query.device, *_span(call), call.query.limit)


async def _blocks(call: Call) -> tuple[FoundBlock, ...]:
    return await _store(call).blocks()


async def _totals(call: Call) -> Totals:
    return await _store(call).totals_now()


async def _audit(call: Call) -> tuple[AuditLine, ...]:
    return await _store(call).audit(call.query.limit)


REMEMBERING = (
    Route(
        "GET",
        "/v1/history",
        "history",
        "Hash rate, temperature, power and errors of the past, at most so many points.",
        History,
        _history,
        query=HistoryQuery,
        refusals=(404, 503),
    ),
    Route(
        "GET",
        "/v1/history/shares",
        "share_log",
        "Shares of the past, the latest first.",
        tuple[ShareRecord, ...],
        _shares,
        query=SharesQuery,
        refusals=(503,),
    ),
    Route(
        "GET",
        "/v1/history/blocks",
        "blocks",
        "Blocks that the rig has found, the latest first.",
        tuple[FoundBlock, ...],
        _blocks,
        refusals=(503,),
    ),
    Route(
        "GET",
        "/v1/history/totals",
        "totals",
        "Counts since the store was begun: of the rig, its devices and its pools.",
        Totals,
        _totals,
        refusals=(503,),
    ),
    Route(
        "GET",
        "/v1/history/audit",
        "audit",
        "Who commanded what, the latest first.",
        tuple[AuditLine, ...],
        _audit,
        query=AuditQuery,
        refusals=(503,),
    ),
)
