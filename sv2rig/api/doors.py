"""Where clients come in: listening sockets, and how many may be in at a time.

Accepts by itself: asyncio's own servers can lose a connection that comes as they end (Python
3.11), and with it the file descriptor.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable

MOST_CLIENTS = 64
ACCEPT_AGAIN_S = 1.0  # when there were too many open files
FIRST_REQUEST_S = 10.0  # also for the handshake of TLS

Factory = Callable[[], asyncio.Protocol]


class Doors:
    """Hands connections of all its sockets to one factory of protocols, at most MOST_CLIENTS of
    each, so that a crowd on TCP does not lock this machine's users out."""

    def __init__(self, factory: Factory) -> None:
        self._factory = factory
        self._loop = asyncio.get_running_loop()
        self._sockets: list[socket.socket] = []
        self._pauses: dict[socket.socket, asyncio.TimerHandle] = {}
        # By listener; with those that have been closed since.
        self._inside: dict[socket.socket, set[socket.socket]] = {}
        self._entering: dict[asyncio.Task[None], socket.socket] = {}

    def open(self, listener: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Take a listening socket's clients from now on; it is closed by close()."""
        self._sockets.append(listener)
        self._loop.add_reader(listener, self._accept, listener, tls)

    async def close(self) -> None:
        """No new clients."""
        for pause in self._pauses.values():
            pause.cancel()
        for listener in self._sockets:
            self._loop.remove_reader(listener)
            listener.close()
        entering = dict(self._entering)
        for task in entering:
            task.cancel()
        await asyncio.gather(*entering, return_exceptions=True)
        for line in entering.values():
            line.close()  # of a task that had not begun nobody else would

    def _accept(self, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        try:
            line, _ = listener.accept()
        except (BlockingIOError, ConnectionError):  # it has gone already
            return
        except OSError:  # too many open files: the listener stays readable, so look away a while
            self._loop.remove_reader(listener)
            self._pauses[listener] = self._loop.call_later(
                ACCEPT_AGAIN_S, self._loop.add_reader, listener, self._accept, listener, tls
            )
            return
        inside = {known for known in self._inside.get(listener, ()) if known.fileno() >= 0}
        self._inside[listener] = inside
        if len(inside) >= MOST_CLIENTS:
            line.close()
            return
        inside.add(line)
        line.setblocking(False)
        task = self._loop.create_task(self._enter(line, tls))
        self._entering[task] = line
        task.add_done_callback(lambda done: self._entering.pop(done, None))

    async def _enter(self, line: socket.socket, tls: ssl.SSLContext | None) -> None:
        try:
            await self._loop.connect_accepted_socket(
                self._factory,
                line,
                ssl=tls,
                ssl_handshake_timeout=FIRST_REQUEST_S if tls else None,
            )
        except OSError:  # also ssl.SSLError: no TLS spoken there
            line.close()
