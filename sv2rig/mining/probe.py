"""Whether a pool is there: connection, handshake and set-up, then we leave it again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sv2rig.mining.pool_connection import Connector, End, Ended, setup_request
from sv2rig.mining.pool_entry import PoolEntry
from sv2rig.sv2.client_connection import ClientConnection
from sv2rig.sv2.events import Event, SetupCompleted
from sv2rig.transport.interface import TransportError
from sv2rig.transport.link import Link

CONNECT_TIMEOUT_S = 10.0


async def probe(entry: PoolEntry, connect: Connector, utc: Callable[[], float]) -> Ended:
    """LEFT where all went well; else FAILED or REFUSED with the reason."""
    host, port = entry.url.host, entry.url.port
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            stream = await connect(host, port)
    except TransportError as error:
        return Ended(End.FAILED, str(error))
    except TimeoutError:
        return Ended(End.FAILED, f"{host}:{port}: no connection in {CONNECT_TIMEOUT_S:g} s")
    setup = setup_request(host, port, entry.standard_channels)
    link = Link(stream, ClientConnection(entry.url.authority_key, setup, now=loop.time()), utc)
    is_there = False

    def on_event(event: Event) -> None:
        nonlocal is_there
        if isinstance(event, SetupCompleted):
            is_there = True
            link.close("it is there")

    closed = await link.run(on_event)
    if is_there:
        return Ended(End.LEFT, closed.reason)
    return Ended(End.REFUSED if closed.fatal else End.FAILED, closed.reason, error=closed.error)
