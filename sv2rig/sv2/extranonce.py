"""Extranonce prefixes that no two channels of a pool share (spec 5.1.2.1)."""

from __future__ import annotations

# SRI's layout: 20 bytes in all, 1 of the server, 3 of the channel, 16 of the client.
EXTRANONCE_SIZE = 20
SERVER_BYTES = 1
CHANNEL_BYTES = 3
# An aggregating translator needs its own extranonce and 2 bytes more.
MIN_CLIENT_BYTES = 6


class ExtranoncesUsedUp(Exception):  # noqa: N818 - it says what happened
    """Every channel part is held by an open channel."""


class ExtranonceAllocator:
    """Hands out extranonce prefixes; one for all connections of a pool.

    A prefix is the server's byte, the channel's unique 3 bytes and zeros up to where the client's
    part begins. A released channel part is used again only after all others were.
    """

    def __init__(self, server_id: int = 0, size: int = EXTRANONCE_SIZE) -> None:
        self.size = size
        self._server = server_id.to_bytes(SERVER_BYTES, "big")
        self._held: set[int] = set()
        self._next = 0

    @property
    def largest_client_part(self) -> int:
        """The most extranonce bytes that a client can be granted."""
        return self.size - self.unique_bytes

    @property
    def unique_bytes(self) -> int:
        """How many leading bytes of a prefix are its own."""
        return SERVER_BYTES + CHANNEL_BYTES

    @property
    def is_used_up(self) -> bool:
        """Whether allocate would fail."""
        return len(self._held) >= 1 << 8 * CHANNEL_BYTES

    def grant(self, min_extranonce_size: int) -> int | None:
        """The extranonce size for a client that asks for at least so much; None if too much."""
        if min_extranonce_size > self.largest_client_part:
            return None
        return max(min_extranonce_size, min(MIN_CLIENT_BYTES, self.largest_client_part))

    def allocate(self, client_bytes: int) -> bytes:
        """A new prefix of `size - client_bytes`; ExtranoncesUsedUp when none is free."""
        space = 1 << 8 * CHANNEL_BYTES
        if len(self._held) >= space:
            raise ExtranoncesUsedUp(f"all {space} extranonce prefixes are held by open channels")
        while self._next in self._held:
            self._next = (self._next + 1) % space
        part = self._next
        self._held.add(part)
        self._next = (part + 1) % space
        unique = self._server + part.to_bytes(CHANNEL_BYTES, "big")
        return unique.ljust(self.size - client_bytes, b"\0")

    def release(self, prefix: bytes) -> None:
        """Gives a prefix back once no valid job carries it."""
        self._held.discard(int.from_bytes(prefix[SERVER_BYTES:][:CHANNEL_BYTES], "big"))

    @property
    def held(self) -> int:
        """How many prefixes are not given back."""
        return len(self._held)
