"""Whether each configured pool is there and is who it says: connection, handshake, certificate,
set-up. Nothing is mined, and no user is told to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from sv2rig.mining.pool_connection import Connector, End
from sv2rig.mining.pool_entry import PoolEntry
from sv2rig.mining.probe import probe
from sv2rig.rig.finding import Finding, Level


async def pools(
    entries: Sequence[PoolEntry], connect: Connector, utc: Callable[[], float]
) -> list[Finding]:
    """All are tried side by side; a pool that is away while another answers is a warning."""
    found = await asyncio.gather(*(_pool(entry, connect, utc) for entry in entries))
    if any(finding.level is Level.OK for finding in found):
        return list(found)
    return [
        Finding(each.check, Level.ERROR, each.text, each.mend)
        if each.level is Level.WARNING
        else each
        for each in found
    ]


async def _pool(entry: PoolEntry, connect: Connector, utc: Callable[[], float]) -> Finding:
    place = f"{entry.url.host}:{entry.url.port}"
    name = place if entry.name == entry.url.host else f"{entry.name} ({place})"
    if not entry.enabled:
        return Finding("pool", Level.NOTE, f"{name} is disabled")
    started = asyncio.get_running_loop().time()
    ended = await probe(entry, connect, utc)
    took_ms = (asyncio.get_running_loop().time() - started) * 1000
    if ended.how is End.LEFT:
        key = "its key is right" if entry.url.authority_key else "its key was NOT checked"
        return Finding("pool", Level.OK, f"{name} answers in {took_ms:.0f} ms, {key}")
    way = "correct the pool's url in the configuration, or ask the pool"
    if ended.how is End.FAILED:
        way = "check the address and the network; the rig tries again by itself"
    reason = ended.reason.removeprefix(f"{place}: ")
    return Finding("pool", Level.WARNING, f"{name}: {reason}", way)
