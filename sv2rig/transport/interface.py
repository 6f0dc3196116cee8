"""What every transport is: ordered bytes between two peers, with back-pressure, and no more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol


class TransportError(Exception):
    """The peer could not be reached, or the connection broke. The text says where and why."""


class ByteStream(Protocol):
    """One connection. Names: `description` is for people ("tcp 127.0.0.1:34254")."""

    @property
    def description(self) -> str: ...

    async def read(self) -> bytes:
        """The next bytes, at least one; b"" when the peer has ended its side. TransportError if
        the connection broke."""

    async def write(self, data: bytes) -> None:
        """Hand over bytes; waits while the peer reads too slowly (bounded buffers)."""

    async def close(self) -> None:
        """End the connection; waits briefly for bytes in flight. Never raises."""


class Listener(Protocol):
    """A listening endpoint."""

    @property
    def address(self) -> str:
        """Where peers connect to, as it stands in a URL ("127.0.0.1:34254")."""

    async def close(self) -> None:
        """Stop listening and end every connection that was accepted."""


OnConnection = Callable[[ByteStream], Awaitable[None]]
