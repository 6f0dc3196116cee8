"""An emulator's own book: what reached it, what it answered, and what the wire damaged."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

KEPT = 100_000  # works and replies remembered one by one; the counts go on


@dataclass(slots=True)
class WorkReceived:
    """`serial` counts from 0. Not `intact`: some of its bytes were not what the host wrote."""

    serial: int
    at: float
    intact: bool


@dataclass(slots=True)
class Reply:
    """A nonce sent. `nonce` as it went out, `wrong` where that is not what was found.

    `start` and `end` bound its frame in its port's outgoing stream. `damaged`: the wire changed,
    took or added a byte of it, or it answers work that was damaged on its way.
    """

    at: float
    port: int
    start: int
    end: int
    nonce: bytes
    wrong: bool
    work: WorkReceived
    damaged: bool


@dataclass(slots=True)
class Ledger:
    """Counts since power first came, and the latest works and replies.

    `stray_damage` counts damage to outgoing bytes that belong to no nonce.
    """

    hashes: int = 0
    works_received: int = 0
    works_damaged: int = 0
    replies_sent: int = 0
    replies_damaged: int = 0
    replies_wrong: int = 0
    stray_damage: int = 0
    works: deque[WorkReceived] = field(default_factory=lambda: deque(maxlen=KEPT))
    replies: deque[Reply] = field(default_factory=lambda: deque(maxlen=KEPT))

    def work(self, at: float, intact: bool = True) -> WorkReceived:
        """A work has been understood; whether its bytes are the host's own."""
        received = WorkReceived(self.works_received, at, intact)
        self.works_received += 1
        self.works_damaged += not intact
        self.works.append(received)
        return received

    def reply(self, reply: Reply) -> None:
        """A nonce goes out."""
        self.replies_sent += 1
        self.replies_wrong += reply.wrong
        self.replies_damaged += reply.damaged
        self.replies.append(reply)

    def damage(self, port: int, offset: int) -> None:
        """The wire damaged the byte at this offset of a port's outgoing stream."""
        for reply in self._latest(port):
            if reply.end <= offset:
                break
            if reply.start <= offset:
                self.replies_damaged += not reply.damaged
                reply.damaged = True
                return
        self.stray_damage += 1

    def _latest(self, port: int) -> Iterator[Reply]:
        return (reply for reply in reversed(self.replies) if reply.port == port)
