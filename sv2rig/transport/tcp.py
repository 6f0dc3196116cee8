"""Stratum V2 over TCP: asyncio streams with bounded buffers, no delay and keep-alive."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Callable

from sv2rig.transport.interface import ByteStream, OnConnection, TransportError

READ_SIZE = 64 * 1024
WRITE_HIGH_WATER = 256 * 1024
CONNECT_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 0.3
# A dead path is noticed after 30 + 3 * 10 s even while the protocol above has nothing to say.
KEEPALIVE = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))


class TcpStream:
    """One TCP connection (a ByteStream)."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._name = name
        writer.transport.set_write_buffer_limits(high=WRITE_HIGH_WATER)
        _tune(writer.get_extra_info("socket"))

    @property
    def description(self) -> str:
        return f"tcp {self._name}"

    async def read(self) -> bytes:
        try:
            return await self._reader.read(READ_SIZE)
        except OSError as error:
            raise TransportError(f"{self._name}: {_reason(error)}") from error

    async def write(self, data: bytes) -> None:
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise TransportError(f"{self._name}: {_reason(error)}") from error

    async def close(self) -> None:
        # A peer that does not read must not hold us: after the time-out what is unsent is dropped.
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.wait_for(self._writer.wait_closed(), CLOSE_TIMEOUT_S)
        self._writer.transport.abort()


class TcpListener:
    """A listening TCP socket (a Listener)."""

    def __init__(self, server: asyncio.Server, running: set[asyncio.Task[None]]) -> None:
        self._server = server
        self._running = running

    @property
    def address(self) -> str:
        return _address(self._server.sockets[0].getsockname())

    async def close(self) -> None:
        self._server.close()
        # A task that has not begun yet would, cancelled now, never close its stream.
        await asyncio.sleep(0)
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)


async def connect(host: str, port: int, timeout_s: float = CONNECT_TIMEOUT_S) -> ByteStream:
    """Open a connection, or TransportError saying why not."""
    if not host.isprintable():  # a pool may send us to any string; it must not reach a terminal
        raise TransportError(f"{host!r} is not an address")
    name = _address((host, port))
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await _open_first(await _resolve(host, port), port)
    except TimeoutError as error:
        raise TransportError(f"{name}: no answer within {timeout_s:g} s") from error
    except OSError as error:
        raise TransportError(f"{name}: {_reason(error)}") from error
    except ValueError as error:  # a name that cannot be encoded
        raise TransportError(f"{name} is not an address: {error}") from error
    return TcpStream(reader, writer, name)


async def _resolve(host: str, port: int) -> list[str]:
    """The addresses of a name.

    In a thread that nobody waits for: a resolver without an answer blocks it for many seconds, and
    the event loop's own threads are waited for when the program ends.
    """
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[str]] = loop.create_future()

    def tell(addresses: list[str], error: Exception | None) -> None:
        if found.done():
            return
        if error is None:
            found.set_result(addresses)
        else:
            found.set_exception(error)

    def ask() -> None:
        addresses: list[str] = []
        failure: Exception | None = None
        try:
            entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            addresses = list(dict.fromkeys(str(entry[4][0]) for entry in entries))
        except (OSError, ValueError) as error:
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(tell, addresses, failure)

    threading.Thread(target=ask, name="resolver", daemon=True).start()
    return await found


async def _open_first(
    addresses: list[str], port: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to the first address that takes one; OSError of the last that does not."""
    for address in addresses[:-1]:
        with contextlib.suppress(OSError):
            return await asyncio.open_connection(address, port, limit=READ_SIZE)
    return await asyncio.open_connection(addresses[-1], port, limit=READ_SIZE)


async def listen(host: str, port: int, on_connection: OnConnection) -> TcpListener:
    """Accept connections; each runs on_connection in a task of its own, then is closed."""
    running: set[asyncio.Task[None]] = set()
    accept = _acceptor(on_connection, running)
    try:
        server = await asyncio.start_server(accept, host, port, limit=READ_SIZE)
    except OSError as error:
        raise TransportError(
            f"cannot listen on {_address((host, port))}: {_reason(error)}"
        ) from error
    return TcpListener(server, running)


def _acceptor(
    on_connection: OnConnection, running: set[asyncio.Task[None]]
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
    async def serve(stream: TcpStream) -> None:
        try:
            await on_connection(stream)
        finally:
            await stream.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        stream = TcpStream(reader, writer, _address(peer) if peer else "a peer already gone")
        task = asyncio.get_running_loop().create_task(serve(stream))
        running.add(task)
        task.add_done_callback(running.discard)

    return accept


def _tune(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in KEEPALIVE:
        if hasattr(socket, option):  # not every system has all three
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def _address(sockname: tuple[str, int] | tuple[str, int, int, int]) -> str:
    host, port = sockname[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _reason(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return "the host name cannot be resolved"
    # asyncio puts its own words in strerror; the errno's are plainer ("connection refused").
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()
    return str(error) or type(error).__name__
