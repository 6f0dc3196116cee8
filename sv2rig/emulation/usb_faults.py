"""A bus that is not good: what reaches an emulated USB device, and what its host gets, by plan.

A real bus protects bytes by checksums and repeats what was damaged; only whole transfers fail.
Byte faults are for the tests that every driver has to pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

from sv2rig.emulation.faults import Direction, FaultPlan
from sv2rig.emulation.usb_device import Setup, SilentError, StallError, UsbBoard

_PORT = 0


class FaultyUsb:
    """An emulated USB board whose transfers fail, by the same plans as a serial board's: `drop`
    shortens a transfer, `silence` leaves it unanswered. `stall` is the share that is refused."""

    def __init__(self, board: UsbBoard, plans: Sequence[FaultPlan], stall: float = 0.0) -> None:
        """ValueError for a plan with a delay: a bus that answers late does not answer."""
        if any(plan.delay for plan in plans):
            raise ValueError(
                "delay: a USB device that answers late is one that does not; use silence"
            )
        self.board = board
        self.plans = tuple(plans)
        self.identity = board.identity
        self.interfaces = board.interfaces
        self.ports = board.ports
        self.claims = board.claims
        self.wires = board.wires
        self.files: Mapping[str, bytes] = getattr(board, "files", {})
        self.stall = stall
        self._random = Random(f"usb {[plan.seed for plan in plans]}")
        self._since = 0.0

    # -- Emulator

    def power_up(self, now: float) -> None:
        self._since = now
        self.board.power_up(now)

    def receive(self, port: int, data: bytes, baud: int, now: float) -> None:
        self.board.receive(port, data, baud, now)

    def take_output(self, port: int) -> bytes:
        return self.board.take_output(port)

    def next_timeout(self) -> float | None:
        return self.board.next_timeout()

    def on_time(self, now: float) -> None:
        self.board.on_time(now)

    def pins(self) -> dict[str, float]:
        return self.board.pins()

    # -- UsbFunction

    def control_in(self, setup: Setup, now: float) -> bytes:
        self._may_fail(now)
        data = self.board.control_in(setup, now)
        first = self.wires.sent(_PORT) - len(data)
        return self._damaged(data, Direction.TO_HOST, first)

    def control_out(self, setup: Setup, data: bytes, now: float, intact: bool = True) -> None:
        self._may_fail(now)
        arrived = self._damaged(data, Direction.TO_BOARD)
        self.board.control_out(setup, arrived, now, intact and arrived == data)

    def read(self, endpoint: int, size: int, now: float) -> bytes:
        self._may_fail(now)
        data = self.board.read(endpoint, size, now)
        return self._damaged(data, Direction.TO_HOST, self.wires.sent(_PORT) - len(data))

    def write(self, endpoint: int, data: bytes, now: float) -> int:
        self._may_fail(now)
        self.board.write(endpoint, self._damaged(data, Direction.TO_BOARD), now)
        return len(data)

    def reset(self, now: float) -> None:
        self.board.reset(now)

    def _may_fail(self, now: float) -> None:
        if any(plan.silent(now - self._since) for plan in self.plans):
            raise SilentError
        if self._random.random() < self.stall:
            raise StallError("by plan")

    def _damaged(self, data: bytes, direction: Direction, first: int | None = None) -> bytes:
        plans = [plan for plan in self.plans if plan.hits(direction, _PORT) and plan.byte_rate]
        out = bytearray()
        for place, byte in enumerate(data):
            pieces = [self._fault(plan, byte) for plan in plans]
            hit = next((piece for piece in pieces if piece is not None), None)
            out += bytes((byte,)) if hit is None else hit
            if hit is not None and first is not None:
                self.wires.ledger.damage(_PORT, first + place)
        return bytes(out)

    def _fault(self, plan: FaultPlan, byte: int) -> bytes | None:
        """What becomes of a byte; None: nothing."""
        drawn = self._random.random()
        if drawn < plan.flip:
            return bytes((byte ^ 1 << self._random.randrange(8),))
        if drawn < plan.flip + plan.drop:
            return b""
        if drawn < plan.byte_rate:
            return bytes((byte, byte))
        return None
