"""The WebSocket: a picture a second, what was missed, clients that do not read."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
from aiohttp import ClientSession, ClientWebSocketResponse, UnixConnector, web
from api_rig import ARig

from sv2rig.api.messages import StreamMessage
from sv2rig.api.stream import Stream
from sv2rig.rig.snapshot import Event, RigSnapshot, Ring, ShareRecord

PATIENCE_S = 20.0

Connect = Callable[[], Awaitable[ClientWebSocketResponse]]


async def message(line: ClientWebSocketResponse) -> StreamMessage:
    async with asyncio.timeout(PATIENCE_S):
        return msgspec.json.decode(await line.receive_str(), type=StreamMessage)


class Seconds:
    """The stream's second ends when the test says so."""

    def __init__(self) -> None:
        self._ends = asyncio.Semaphore(0)

    async def sleep(self, _: float) -> None:
        await self._ends.acquire()

    def end(self) -> None:
        self._ends.release()


class Source:
    """A rig's pictures, large ones, with events that the test makes."""

    def __init__(self, snapshot: RigSnapshot, words: int = 0) -> None:
        self._snapshot = snapshot
        self._words = words
        self.events: Ring[Event] = Ring()
        self.asked = 0

    def happens(self, count: int = 1) -> None:
        for _ in range(count):
            text = f"event {self.events.next_number}"
            self.events.add(Event(self.events.next_number, 0.0, "info", text))

    def snapshot(self) -> RigSnapshot:
        self.asked += 1
        return msgspec.structs.replace(self._snapshot, sequence=self.asked, name="x" * self._words)

    def events_after(self, number: int) -> tuple[Event, ...]:
        return self.events.after(number)

    def shares_after(self, number: int) -> tuple[ShareRecord, ...]:
        return ()


Act = Callable[[Stream, Source, Seconds, Connect], Awaitable[None]]


def with_stream(
    folder: Path,
    act: Callable[
        [Stream, Source, Seconds, Callable[[], Awaitable[ClientWebSocketResponse]]], Awaitable[None]
    ],
    words: int = 0,
    stalled_s: float = 60.0,
) -> None:
    """A stream alone on a socket; `act` gets a way to connect."""

    async def main() -> None:
        rig = ARig()
        source, seconds = Source(rig.run.rig.snapshot(), words), Seconds()
        stream = Stream(source, seconds.sleep, stalled_s)
        app = web.Application()
        app.router.add_get("/v1/stream", stream.serve)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        path = str(folder / "s.sock")
        await web.UnixSite(runner, path).start()
        async with ClientSession(connector=UnixConnector(path)) as session:

            async def connect() -> ClientWebSocketResponse:
                return await session.ws_connect(
                    "http://rig/v1/stream", max_msg_size=1 << 26, autoping=False
                )

            await act(stream, source, seconds, connect)
            await stream.close()
        await runner.cleanup()
        await rig.end()

    asyncio.run(main())


def test_the_first_message_has_the_backlog_and_the_next_what_is_new(tmp_path: Path) -> None:
    async def act(
        stream: Stream,
        source: Source,
        seconds: Seconds,
        connect: Connect,
    ) -> None:
        source.happens(1500)
        one = await connect()
        first = await message(one)
        assert [event.number for event in first.events] == list(range(501, 1501))
        source.happens(2)
        two = await connect()
        assert len((await message(two)).events) == 1000
        source.happens()
        seconds.end()
        assert [event.number for event in (await message(one)).events] == [1501, 1502, 1503]
        assert [event.number for event in (await message(two)).events] == [1503]
        for _ in range(3):
            seconds.end()
            assert not (await message(one)).events
            assert not (await message(two)).events

    with_stream(tmp_path, act)


def test_a_picture_is_made_once_a_second_for_all(tmp_path: Path) -> None:
    async def act(
        stream: Stream,
        source: Source,
        seconds: Seconds,
        connect: Connect,
    ) -> None:
        lines = [await connect() for _ in range(10)]
        for line in lines:
            await message(line)
        before = source.asked
        for second in range(1, 4):
            source.happens()
            seconds.end()
            seen = {(await message(line)).snapshot.sequence for line in lines}
            assert seen == {before + second}
        assert source.asked == before + 3

    with_stream(tmp_path, act)


def test_a_client_that_does_not_read_costs_little_and_catches_up(tmp_path: Path) -> None:
    """Of a thousand messages of 100 kB it gets few; when it reads again it gets the present picture
    and every event that is still kept."""

    async def act(
        stream: Stream,
        source: Source,
        seconds: Seconds,
        connect: Connect,
    ) -> None:
        reader, stalled = await connect(), await connect()
        await message(reader)
        assert stalled._response.connection is not None
        transport = stalled._response.connection.transport
        assert transport is not None
        transport.pause_reading()
        tracemalloc.start()
        try:
            begun, _ = tracemalloc.get_traced_memory()
            for _ in range(1000):
                source.happens()
                seconds.end()
                last = await message(reader)
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert most - begun < 3_000_000, "a hundred megabytes were made for it"
        transport.resume_reading()
        seen: list[int] = []
        got = 0
        async with asyncio.timeout(PATIENCE_S):
            while not seen or seen[-1] < 1000:
                try:
                    text = await stalled.receive_str(timeout=0.2)
                except TimeoutError:
                    seconds.end()
                    continue
                one = msgspec.json.decode(text, type=StreamMessage)
                got += 1
                seen += [event.number for event in one.events]
        assert one.snapshot.sequence >= last.snapshot.sequence
        assert seen == list(range(1, 1001))
        assert got < 50

    with_stream(tmp_path, act, words=100_000)


def test_one_that_never_reads_is_dropped(tmp_path: Path) -> None:
    async def act(
        stream: Stream,
        source: Source,
        seconds: Seconds,
        connect: Connect,
    ) -> None:
        stalled = await connect()
        assert stalled._response.connection is not None
        transport = stalled._response.connection.transport
        assert transport is not None
        transport.pause_reading()
        async with asyncio.timeout(PATIENCE_S):
            while not stream.dropped:
                seconds.end()
                await asyncio.sleep(0.01)
            while stream.clients:
                await asyncio.sleep(0.01)
        reader = await connect()
        assert (await message(reader)).snapshot

    with_stream(tmp_path, act, words=100_000, stalled_s=0.1)
