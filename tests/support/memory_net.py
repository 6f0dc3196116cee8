"""Loopback without sockets: in-memory ByteStreams with bounded buffers, and addresses to dial."""

from __future__ import annotations

import asyncio

from sv2rig.transport.interface import ByteStream, OnConnection, TransportError

HIGH_WATER = 64 * 1024


class _Pipe:
    """Bytes one way. `broken`: the next read or write fails, as after a reset."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.ended = False
        self.broken = False
        self.news = asyncio.Condition()

    async def tell(self) -> None:
        async with self.news:
            self.news.notify_all()


class MemoryStream:
    """One end of a connection (a ByteStream)."""

    def __init__(self, name: str, incoming: _Pipe, outgoing: _Pipe) -> None:
        self.latency_s = 0.0
        self._name = name
        self._in = incoming
        self._out = outgoing

    @property
    def description(self) -> str:
        return f"memory {self._name}"

    async def read(self) -> bytes:
        async with self._in.news:
            await self._in.news.wait_for(lambda: self._in.data or self._in.ended or self._in.broken)
        await asyncio.sleep(self.latency_s)
        async with self._in.news:
            if self._in.broken:
                raise TransportError(f"{self._name}: connection reset by peer")
            data = bytes(self._in.data)
            self._in.data.clear()
            self._in.news.notify_all()
            return data

    async def write(self, data: bytes) -> None:
        if self._out.ended or self._out.broken:
            raise TransportError(f"{self._name}: broken pipe")
        self._out.data += data
        await self._out.tell()
        async with self._out.news:
            await self._out.news.wait_for(
                lambda: len(self._out.data) < HIGH_WATER or self._out.broken
            )

    async def close(self) -> None:
        self._out.ended = True
        self._in.broken = True  # whoever writes to us from now on writes to nobody
        await self._out.tell()
        await self._in.tell()

    async def reset(self) -> None:
        """Break the connection in both directions, as a SIGKILL on a machine far away does."""
        for pipe in (self._in, self._out):
            pipe.broken = True
            await pipe.tell()


def stream_pair(name: str = "peer:1") -> tuple[MemoryStream, MemoryStream]:
    """Two ends of one connection."""
    there, back = _Pipe(), _Pipe()
    return MemoryStream(name, back, there), MemoryStream(name, there, back)


class MemoryNet:
    """Addresses and who serves them. `dialled` holds every address tried, in order; with a latency
    bytes reach the one who dialled that much later."""

    def __init__(self) -> None:
        self.latency_s = 0.0
        self.dialled: list[tuple[str, int]] = []
        self.servers: dict[tuple[str, int], OnConnection] = {}
        self.streams: list[MemoryStream] = []
        self._running: set[asyncio.Task[None]] = set()

    async def connect(self, host: str, port: int) -> ByteStream:
        self.dialled.append((host, port))
        server = self.servers.get((host, port))
        if server is None:
            raise TransportError(f"{host}:{port}: connection refused")
        ours, theirs = stream_pair(f"{host}:{port}")
        task = asyncio.get_running_loop().create_task(self._serve(server, theirs))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        ours.latency_s = self.latency_s
        self.streams.append(ours)
        return ours

    async def close(self) -> None:
        """End every server's connections, as if its process were killed."""
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _serve(self, server: OnConnection, stream: ByteStream) -> None:
        try:
            await server(stream)
        finally:
            await stream.close()
