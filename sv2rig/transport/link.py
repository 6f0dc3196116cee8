"""The thin I/O around a sans-I/O Connection: bytes in, bytes out, time-outs on time.

The event loop's clock is the monotonic `now`; `utc` is handed in, since only certificates and the
bounds of ntime need it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import Any

from sv2rig.sv2.connection import Connection, State
from sv2rig.sv2.events import ConnectionClosed, Event
from sv2rig.sv2.messages.registry import Message
from sv2rig.sv2.tlv import TLV
from sv2rig.transport.interface import ByteStream, TransportError

# A peer that takes nothing for so long is gone, whatever TCP still believes.
WRITE_TIMEOUT_S = 15.0
# Bytes for a peer that reads slower than it asks, or than others are told news: above the first
# bound nothing more is read from it, above the second it is cut off.
PAUSE_READING = 256 * 1024
MOST_UNSENT = 4 * 1024 * 1024
LAST_WRITE_TIMEOUT_S = 0.3
LAST_READ_TIMEOUT_S = 0.3


class Link:
    """Runs one Connection over one ByteStream until either ends."""

    def __init__(
        self, stream: ByteStream, connection: Connection, utc: Callable[[], float]
    ) -> None:
        self._stream = stream
        self._connection = connection
        self._utc = utc
        self._loop = asyncio.get_running_loop()
        self._unsent = bytearray()
        self._to_write = asyncio.Event()
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._ended: asyncio.Future[ConnectionClosed] = self._loop.create_future()

    @property
    def description(self) -> str:
        """The stream's, for people."""
        return self._stream.description

    def send(self, message: Message, tlvs: Iterable[TLV] = ()) -> None:
        """Queue a message; it leaves at once. Ignored when the connection has ended."""
        # Its events are handed over after the fact: the connection may have ended since.
        if not self._ended.done() and self._connection.state is not State.CLOSED:
            self._connection.send(message, tuple(tlvs))
            self._collect()

    def close(self, reason: str) -> None:
        """End the connection from this side; what was queued is still sent."""
        self._finish(ConnectionClosed(None, reason, fatal=False))

    async def run(self, on_event: Callable[[Event], None]) -> ConnectionClosed:
        """Drive the connection, handing each event over, until it ends; says why it did.

        The last event is the ConnectionClosed that is returned; it comes before the stream is shut.
        What on_event raises ends the connection and is raised here.
        """
        self._collect()  # a client has the handshake's first bytes to send
        writing = self._loop.create_task(self._write())
        reading = self._loop.create_task(self._read())
        try:
            while not self._ended.done():
                either: set[asyncio.Future[Any]] = {reading, self._ended}
                delay = self._until_timeout()
                await asyncio.wait(either, timeout=delay, return_when=asyncio.FIRST_COMPLETED)
                if reading.done():
                    self._hand_over(self._received(reading), on_event)
                    reading = self._loop.create_task(self._read())
                self._hand_over(self._timed_out(), on_event)
            closed = self._ended.result()
            on_event(closed)
            return closed
        finally:
            await _cancel(writing, reading)
            with contextlib.suppress(TransportError, TimeoutError):
                async with asyncio.timeout(LAST_WRITE_TIMEOUT_S):
                    await self._flush()
            await self._stream.close()

    def _received(self, reading: asyncio.Task[bytes]) -> list[Event]:
        try:
            data = reading.result()
        except TransportError as error:
            return [ConnectionClosed(None, str(error), fatal=False)]
        if not data:
            return self._connection.peer_closed()
        return self._connection.receive(data, self._loop.time(), self._utc())

    def _timed_out(self) -> list[Event]:
        now = self._loop.time()
        deadline = self._connection.next_timeout()
        if self._ended.done() or deadline is None or deadline > now:
            return []
        return self._connection.handle_timeout(now)

    def _until_timeout(self) -> float | None:
        deadline = self._connection.next_timeout()
        return None if deadline is None else max(0.0, deadline - self._loop.time())

    def _hand_over(self, events: list[Event], on_event: Callable[[Event], None]) -> None:
        for event in events:
            if isinstance(event, ConnectionClosed):
                self._finish(event)
            elif not self._ended.done():
                on_event(event)
        self._collect()

    def _finish(self, closed: ConnectionClosed) -> None:
        if not self._ended.done():
            self._ended.set_result(closed)

    def _collect(self) -> None:
        """Take over what the connection wants sent; the writer sends it at its peer's pace."""
        self._unsent += self._connection.data_to_send()
        if self._unsent:
            self._to_write.set()
        if len(self._unsent) > PAUSE_READING:
            self._may_read.clear()
        if len(self._unsent) > MOST_UNSENT:
            reason = f"the peer reads too slowly: {len(self._unsent)} bytes wait for it"
            self._finish(ConnectionClosed(None, reason, fatal=False))

    async def _read(self) -> bytes:
        await self._may_read.wait()
        return await self._stream.read()

    async def _write(self) -> None:
        try:
            while True:
                await self._to_write.wait()
                self._to_write.clear()
                async with asyncio.timeout(WRITE_TIMEOUT_S):
                    await self._flush()
                if len(self._unsent) <= PAUSE_READING:
                    self._may_read.set()
        except TransportError as error:
            # What the peer said before it left tells more than that it did not wait for us.
            await asyncio.sleep(LAST_READ_TIMEOUT_S)
            self._finish(ConnectionClosed(None, str(error), fatal=False))
        except TimeoutError:
            reason = f"the peer took no data for {WRITE_TIMEOUT_S:g} s"
            self._finish(ConnectionClosed(None, reason, fatal=False))

    async def _flush(self) -> None:
        self._unsent += self._connection.data_to_send()
        if self._unsent:
            data = bytes(self._unsent)
            self._unsent.clear()
            await self._stream.write(data)


async def _cancel(*tasks: asyncio.Task[None] | asyncio.Task[bytes]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
