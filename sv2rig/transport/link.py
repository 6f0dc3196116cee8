"""The thin I/O around a sans-I/O Connection: bytes in, bytes out, time-outs on time.

The event loop's clock is the monotonic `now`; `utc` is handed in, since only certificates and the
bounds of ntime need it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable

from sv2rig.sv2.connection import Connection
from sv2rig.sv2.events import ConnectionClosed, Event
from sv2rig.sv2.messages.registry import Message
from sv2rig.sv2.tlv import TLV
from sv2rig.transport.interface import ByteStream, TransportError

# A peer that takes nothing for so long is gone, whatever TCP still believes. It also bounds what
# can pile up for it.
WRITE_TIMEOUT_S = 15.0
LAST_WRITE_TIMEOUT_S = 0.5


class Link:
    """Runs one Connection over one ByteStream until either ends."""

    def __init__(
        self, stream: ByteStream, connection: Connection, utc: Callable[[], float]
    ) -> None:
        self._stream = stream
        self._connection = connection
        self._utc = utc
        self._loop = asyncio.get_running_loop()
        self._unsent = asyncio.Event()
        self._ended: asyncio.Future[ConnectionClosed] = self._loop.create_future()

    @property
    def description(self) -> str:
        """The stream's, for people."""
        return self._stream.description

    def send(self, message: Message, tlvs: Iterable[TLV] = ()) -> None:
        """Queue a message; it leaves at once. Ignored when the connection has ended."""
        if not self._ended.done():
            self._connection.send(message, tuple(tlvs))
            self._unsent.set()

    def close(self, reason: str) -> None:
        """End the connection from this side; what was queued is still sent."""
        self._finish(ConnectionClosed(None, reason, fatal=False))

    async def run(self, on_event: Callable[[Event], None]) -> ConnectionClosed:
        """Drive the connection, handing each event over, until it ends; says why it did."""
        self._unsent.set()  # a client has the handshake's first bytes to send
        writing = self._loop.create_task(self._write())
        reading = self._loop.create_task(self._stream.read())
        try:
            while not self._ended.done():
                await asyncio.wait(
                    {reading, self._ended},
                    timeout=self._until_timeout(),
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if reading.done():
                    self._hand_over(self._received(reading), on_event)
                    reading = self._loop.create_task(self._stream.read())
                self._hand_over(self._timed_out(), on_event)
            return self._ended.result()
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
        self._unsent.set()

    def _finish(self, closed: ConnectionClosed) -> None:
        if not self._ended.done():
            self._ended.set_result(closed)

    async def _write(self) -> None:
        try:
            while True:
                await self._unsent.wait()
                self._unsent.clear()
                async with asyncio.timeout(WRITE_TIMEOUT_S):
                    await self._flush()
        except TransportError as error:
            self._finish(ConnectionClosed(None, str(error), fatal=False))
        except TimeoutError:
            reason = f"the peer took no data for {WRITE_TIMEOUT_S:g} s"
            self._finish(ConnectionClosed(None, reason, fatal=False))

    async def _flush(self) -> None:
        if data := self._connection.data_to_send():
            await self._stream.write(data)


async def _cancel(*tasks: asyncio.Task[None] | asyncio.Task[bytes]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
