"""The WebSocket that shows a rig: a picture a second, encoded once for everybody who looks.

Nobody who looks can hold up the rig. A client that has not taken its last message yet is given no
new one; when it takes messages again it gets the present picture and what it missed of the numbered
events and shares, as far as the rig keeps them. One that takes nothing for too long is dropped. So
at most a message waits for each client here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NamedTuple

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from sv2rig.rig.snapshot import Event, ShareRecord, SnapshotSource

EVERY_S = 1.0
STALLED_S = 20.0
LONGEST_FROM_CLIENT = 4096
HEARTBEAT_S = 30.0
GOOD_BYE_S = 1.0


class Seen(NamedTuple):
    """Up to which numbers a client has events and shares."""

    event: int = 0
    share: int = 0


class _Frame(NamedTuple):
    """A message that leads from `before` to `after`, and the picture in it."""

    before: Seen
    after: Seen
    snapshot: msgspec.Raw
    text: bytes


class _Message(msgspec.Struct, frozen=True):
    """A messages.StreamMessage whose picture is encoded already."""

    snapshot: msgspec.Raw
    events: tuple[Event, ...]
    shares: tuple[ShareRecord, ...]


class Stream:
    """All clients of /v1/stream. `sleep` ends each second; `dropped`: how many clients stalled."""

    def __init__(
        self,
        source: SnapshotSource,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        stalled_s: float = STALLED_S,
    ) -> None:
        self._source = source
        self._sleep = sleep
        self._stalled_s = stalled_s
        self._ticking: asyncio.Task[None] | None = None
        self._next: asyncio.Future[_Frame] = asyncio.get_running_loop().create_future()
        self._lines: set[web.WebSocketResponse] = set()
        self.dropped = 0

    @property
    def clients(self) -> int:
        """How many look."""
        return len(self._lines)

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """The handler of the route."""
        line = web.WebSocketResponse(
            heartbeat=HEARTBEAT_S,
            max_msg_size=LONGEST_FROM_CLIENT,
            compress=False,
            writer_limit=0,  # ask after each message whether the client takes them
        )
        await line.prepare(request)
        self._lines.add(line)
        sending = asyncio.create_task(self._send(request, line))
        if self._ticking is None:
            self._ticking = asyncio.create_task(self._tick())
        try:
            async for _ in line:  # nothing is expected; this answers pings and sees the end
                pass
        finally:
            self._lines.discard(line)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        return line

    async def close(self) -> None:
        """Tell everybody good-bye."""
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.gather(self._ticking, return_exceptions=True)
        await asyncio.gather(*(_bye(line) for line in tuple(self._lines)))

    async def _tick(self) -> None:
        """While anybody looks."""
        seen = self._frame(Seen()).after
        while self._lines:
            await self._sleep(EVERY_S)
            frame = self._frame(seen)
            seen = frame.after
            ready, self._next = self._next, asyncio.get_running_loop().create_future()
            ready.set_result(frame)
        self._ticking = None

    async def _send(self, request: web.Request, line: web.WebSocketResponse) -> None:
        """Until the client goes, or stalls: then it is cut off."""
        seen = Seen()
        try:
            frame = self._frame(seen)
            while True:
                mine = frame if frame.before == seen else self._caught_up(seen, frame)
                async with asyncio.timeout(self._stalled_s):
                    await line.send_frame(mine.text, WSMsgType.TEXT)
                seen = mine.after
                frame = await asyncio.shield(self._next)
        except TimeoutError:
            self.dropped += 1
            if request.transport is not None:
                request.transport.abort()
        except ConnectionError:
            pass

    def _frame(self, seen: Seen) -> _Frame:
        events, shares = (
            self._source.events_after(seen.event),
            self._source.shares_after(seen.share),
        )
        snapshot = msgspec.Raw(msgspec.json.encode(self._source.snapshot()))
        return _frame(seen, snapshot, events, shares)

    def _caught_up(self, seen: Seen, frame: _Frame) -> _Frame:
        """This second's message for one that has not seen what the others have."""
        events, shares = (
            self._source.events_after(seen.event),
            self._source.shares_after(seen.share),
        )
        return _frame(
            seen,
            frame.snapshot,
            tuple(event for event in events if event.number <= frame.after.event),
            tuple(share for share in shares if share.number <= frame.after.share),
        )


def _frame(
    seen: Seen,
    snapshot: msgspec.Raw,
    events: tuple[Event, ...],
    shares: tuple[ShareRecord, ...],
) -> _Frame:
    after = Seen(
        events[-1].number if events else seen.event,
        shares[-1].number if shares else seen.share,
    )
    text = msgspec.json.encode(_Message(snapshot, events, shares))
    return _Frame(seen, after, snapshot, text)


async def _bye(line: web.WebSocketResponse) -> None:
    with suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(GOOD_BYE_S):
            await line.close(code=WSCloseCode.GOING_AWAY, message=b"the rig ends")
