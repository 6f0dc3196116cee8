"""The bytes of an emulated board's ports, each at its offset, so that damage can be told."""

from __future__ import annotations

from collections.abc import Sequence

from sv2rig.emulation.ledger import Ledger, Reply, WorkReceived


class Inbound:
    """What reached one port and is not understood yet: `buffer`.

    `breaks` are the offsets where bytes are not the host's own; `starts` those where a write of
    the host began. Without a faulty wire only `starts` fills.
    """

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.offset = 0  # of buffer[0] in the port's whole stream
        self._breaks: list[int] = []
        self._starts: list[int] = []

    @property
    def end(self) -> int:
        """The offset that the next byte will have."""
        return self.offset + len(self.buffer)

    def feed(self, data: bytes) -> None:
        """Bytes of one write of the host."""
        self._starts.append(self.end)
        self.buffer += data

    def broken(self, offset: int) -> None:
        """The byte to come at this offset was changed or added, or one before it was taken."""
        self._breaks.append(offset)

    def intact(self, size: int, framed: bool) -> bool:
        """Whether the first bytes are what the host wrote as one message.

        A frame that is not marked on the wire must also begin where a write began: after a lost
        byte those that follow are the host's, but not in their places.
        """
        last = self.offset + size
        if any(self.offset <= at < last for at in self._breaks):
            return False
        return framed or self.offset in self._starts

    def take(self, size: int) -> bytes:
        """Removes the first bytes and returns them."""
        taken = bytes(self.buffer[:size])
        del self.buffer[:size]
        self.offset += len(taken)
        self._breaks = [at for at in self._breaks if at >= self.offset]
        self._starts = [at for at in self._starts if at >= self.offset]
        return taken

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
        return inbound.take(size), self.ledger.work(now, intact)

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

    def power_up(self) -> None:
        """Nothing is under way on any port; offsets and the ledger go on."""
        for port in range(len(self.inbound)):
            self.inbound[port].clear()
            self.take_output(port)
