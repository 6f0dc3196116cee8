"""A running rig in another process, as a SnapshotSource: what a screen attaches to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import msgspec
from aiohttp import ClientError, ClientSession, UnixConnector, WSMsgType

from sv2rig import __version__
from sv2rig.api.messages import StreamMessage
from sv2rig.rig.snapshot import SCHEMA, Event, RigSnapshot, Ring, ShareRecord

TRY_AGAIN_S = 1.0
SILENT_S = 5.0  # a message comes each second
CONNECT_S = 5.0
LONGEST_MESSAGE = 64 * 1024 * 1024


class NoRigError(Exception):
    """The rig is not there, or cannot be understood; in words."""


class RemoteSource:
    """Follows the stream of the rig at a socket while run() runs, and comes back to it by itself.

    `on_news` is called after each message, `on_lost` with the reason when the rig has gone,
    `on_back` when it is there again. Events and shares are numbered here: a rig that was started
    anew goes on in the same row, and none comes twice.
    """

    def __init__(
        self,
        path: Path,
        *,
        on_news: Callable[[], None] = lambda: None,
        on_lost: Callable[[str], None] = lambda _: None,
        on_back: Callable[[], None] = lambda: None,
        silent_s: float = SILENT_S,
    ) -> None:
        self.path = path
        self.lost: str | None = None  # why the rig is away, while it is
        self._on_news = on_news
        self._on_lost = on_lost
        self._on_back = on_back
        self._silent_s = silent_s
        self._snapshot: RigSnapshot | None = None
        self._events: _Copy[Event] = _Copy()
        self._shares: _Copy[ShareRecord] = _Copy()
        self._seen_or_lost = asyncio.Event()

    # -- SnapshotSource

    def snapshot(self) -> RigSnapshot:
        """The latest that came; NoRigError before the first."""
        if self._snapshot is None:
            raise NoRigError(self.lost or f"no rig has been seen at {self.path} yet")
        return self._snapshot

    def events_after(self, number: int) -> tuple[Event, ...]:
        """Events with a higher number, as far as they are kept."""
        return self._events.ring.after(number)

    def shares_after(self, number: int) -> tuple[ShareRecord, ...]:
        """Shares with a higher number, as far as they are kept."""
        return self._shares.ring.after(number)

    # -- life

    async def first(self) -> RigSnapshot:
        """Wait for the first picture; NoRigError if the rig cannot be reached. run() must run."""
        await self._seen_or_lost.wait()
        return self.snapshot()

    async def run(self) -> None:
        """For ever."""
        async with ClientSession(connector=UnixConnector(str(self.path))) as session:
            while True:
                try:
                    await self._follow(session)
                except (NoRigError, ClientError, OSError) as error:
                    self._lose(_words(error))
                await asyncio.sleep(TRY_AGAIN_S)

    async def _follow(self, session: ClientSession) -> None:
        """Until the rig has gone; says so by an error."""
        async with asyncio.timeout(CONNECT_S):
            line = await session.ws_connect(
                "http://localhost/v1/stream", max_msg_size=LONGEST_MESSAGE
            )
        try:
            is_first = True
            while True:
                async with asyncio.timeout(self._silent_s):
                    message = await line.receive()
                if message.type is not WSMsgType.TEXT:
                    raise NoRigError("the rig has ended the connection")
                self._take(_decoded(message.data), is_first)
                is_first = False
        finally:
            await line.close()

    def _take(self, message: StreamMessage, is_first: bool) -> None:
        self._snapshot = message.snapshot
        self._events.take(message.events, is_first)
        self._shares.take(message.shares, is_first)
        self._seen_or_lost.set()
        if self.lost is not None:
            self.lost = None
            self._on_back()
        self._on_news()

    def _lose(self, reason: str) -> None:
        is_new, self.lost = self.lost is None, reason
        self._seen_or_lost.set()
        if is_new:
            self._on_lost(reason)


T = TypeVar("T", Event, ShareRecord)


class _Copy(Generic[T]):
    """What a rig's ring holds, numbered anew."""

    def __init__(self) -> None:
        self.ring: Ring[T] = Ring()
        self._last: T | None = None

    def take(self, made: Sequence[T], is_first: bool) -> None:
        """`is_first`: of a connection; then what is still kept comes again."""
        if is_first and self._last in made:
            made = made[made.index(self._last) + 1 :]
        for one in made:
            self._last = one
            self.ring.add(msgspec.structs.replace(one, number=self.ring.next_number))


class _Said(msgspec.Struct):
    schema: int
    version: str


class _Stranger(msgspec.Struct):
    """As much as every version says."""

    snapshot: _Said


def _decoded(text: str) -> StreamMessage:
    try:
        return msgspec.json.decode(text, type=StreamMessage)
    except msgspec.MsgspecError as error:
        try:
            rig = msgspec.json.decode(text, type=_Stranger).snapshot
        except msgspec.MsgspecError:
            raise NoRigError(f"what answers is no rig: {error}") from error
        raise NoRigError(
            f"the rig is sv2rig {rig.version} with snapshots of schema {rig.schema}, this is "
            f"{__version__} with {SCHEMA}: use the same version for both"
        ) from error


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "the rig is silent"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or repr(error)
