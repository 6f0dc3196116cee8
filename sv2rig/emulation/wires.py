"""The bytes of an emulated board's ports, each at its offset, so that damage can be told."""

from __future__ import annotations

from collections.abc import Sequence

from sv2rig.emulation.ledger import Ledger, Reply, WorkReceived


class Inbound:
    """What reached one port and is not understood yet: `buffer`.

    A faulty wire says beforehand what it does to the bytes that come next; from that, and from
    where the host's writes began, follows whether a message is the host's own.
    """

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.offset = 0  # of buffer[0] in the port's whole stream
        self._foreign: list[int] = []  # offsets of bytes changed or added
        self._gaps: list[int] = []  # offsets before which bytes are missing
        self._starts: list[int] = []  # offsets where a write of the host began
        self._headless: list[int] = []  # offsets where one began whose first byte is missing
        self._in_step_at: int | None = 0  # the end of a message that was intact

    @property
    def end(self) -> int:
        """The offset that the next byte will have."""
        return self.offset + len(self.buffer)

    def feed(self, data: bytes) -> None:
        """Bytes of one write of the host."""
        if self.end not in self._headless:
            self._starts.append(self.end)
        self.buffer += data

    def foreign(self, ahead: int) -> None:
        """The byte that comes after `ahead` others was changed or added by the wire."""
        self._foreign.append(self.end + ahead)

    def gap(self, ahead: int) -> None:
        """After `ahead` bytes more of the write to come, one is missing."""
        (self._gaps if ahead else self._headless).append(self.end + ahead)

    def intact(self, size: int, framed: bool) -> bool:
        """Whether the first `size` bytes are what the host wrote as one message.

        A message that nothing on the wire marks as one (not `framed`) must also begin where the
        host began one: bytes after a lost one are the host's, but not in their places.
        """
        first, after = self.offset, self.offset + size
        if any(first <= at < after for at in self._foreign):
            return False
        if any(first < at < after for at in self._gaps):
            return False
        in_step = first == self._in_step_at and first not in self._headless
        return framed or in_step or first in self._starts

    def take(self, size: int) -> bytes:
        """Removes the first bytes and returns them."""
        taken = bytes(self.buffer[:size])
        del self.buffer[:size]
        self.offset += len(taken)
        for marks in (self._foreign, self._gaps, self._starts, self._headless):
            marks[:] = [at for at in marks if at >= self.offset]
        return taken

    def in_step(self, intact: bool) -> None:
        """What was just taken was a message, intact or not: so is or is not known what follows."""
        self._in_step_at = self.offset if intact else None

    def clear(self) -> None:
        """Forgets what is not understood yet."""
        self.take(len(self.buffer))


class Wires:
    """A board's ports in both directions, and its ledger."""

    def __init__(self, ports: Sequence[str]) -> None:
        self.ledger = Ledger()
        self.inbound = [Inbound() for _ in ports]
        self._outgoing = [bytearray() for _ in ports]
        self._sent = [0] * len(ports)  # bytes that take_output has given away

    def take_work(
        self, port: int, size: int, now: float, framed: bool
    ) -> tuple[bytes, WorkReceived]:
        """The first `size` bytes of a port, which are one work, entered in the ledger."""
        inbound = self.inbound[port]
        intact = inbound.intact(size, framed)
        taken = inbound.take(size)
        inbound.in_step(intact)
        return taken, self.ledger.work(now, intact)

    def send(self, port: int, data: bytes) -> None:
        """Bytes that are no nonce."""
        self._outgoing[port] += data

    def reply(
        self,
        port: int,
        frame: bytes,
        nonce: bytes,
        work: WorkReceived,
        now: float,
        wrong: bool = False,
    ) -> None:
        """A frame with a nonce, entered in the ledger; `wrong` where a fault replaced the nonce."""
        start = self._sent[port] + len(self._outgoing[port])
        damaged = not work.intact
        end = start + len(frame)
        self.ledger.reply(Reply(now, port, start, end, nonce, wrong, work, damaged))
        self._outgoing[port] += frame

    def take_output(self, port: int) -> bytes:
        """What was sent since the last call."""
        taken = bytes(self._outgoing[port])
        self._sent[port] += len(taken)
        self._outgoing[port].clear()
        return taken

    def sent(self, port: int) -> int:
        """How many bytes `take_output` has given of this port since the beginning."""
        return self._sent[port]

    def power_up(self) -> None:
        """Nothing is under way on any port; offsets and the ledger go on."""
        for port in range(len(self.inbound)):
            self.inbound[port].clear()
            self.take_output(port)
