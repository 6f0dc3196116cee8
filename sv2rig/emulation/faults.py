"""What can go wrong between an emulated board and its host, repeatable from a seed.

A `FaultyBoard` is an emulator around an emulator: it damages bytes on their way, each direction
alone, and tells the board's ledger which ones.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from random import Random
from typing import Any

from sv2rig.devices.sighting import EmulatorClaims
from sv2rig.emulation.emulator import Emulator, Identity
from sv2rig.emulation.wires import Wires


class Direction(StrEnum):
    BOTH = "both"
    TO_HOST = "to-host"
    TO_BOARD = "to-board"


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """One `--fault`. Rates are the share of bytes (or of nonces) hit, 0 to 1; times are seconds.

    `flip`: one bit of the byte changed; `drop`: the byte lost; `duplicate`: the byte sent twice.
    `nonces`: well-formed replies with a wrong nonce. `delay`: every byte comes that much later.
    `silence`: from when (after power came) bytes vanish, for `lasting`. `unplug`: when the plug is
    pulled; `replug`: how long after that it is put back (infinite: never). `port`: the only port
    whose bytes are hit; None: all of them.
    """

    seed: int = 0
    direction: Direction = Direction.BOTH
    port: int | None = None
    flip: float = 0.0
    drop: float = 0.0
    duplicate: float = 0.0
    nonces: float = 0.0
    delay: float = 0.0
    silence: float = math.inf
    lasting: float = math.inf
    unplug: float = math.inf
    replug: float = math.inf

    def __post_init__(self) -> None:
        for name in ("flip", "drop", "duplicate", "nonces"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}={getattr(self, name)}: a rate is 0 to 1")
        if self.byte_rate > 1:
            raise ValueError("the rates of byte faults are over 1 together")
        for name in ("delay", "silence", "lasting", "unplug", "replug"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name}={getattr(self, name)}: seconds are 0 or more")
        if not math.isfinite(self.delay):
            raise ValueError("delay=inf: use silence=0")

    @property
    def byte_rate(self) -> float:
        """The share of bytes that something happens to."""
        return self.flip + self.drop + self.duplicate

    @property
    def on_bytes(self) -> bool:
        """Whether anything happens to bytes at all."""
        return self.byte_rate > 0 or self.delay > 0 or self.silence < math.inf

    def silent(self, up_for: float) -> bool:
        """Whether nothing passes, that long after power came."""
        return self.silence <= up_for < self.silence + self.lasting

    def hits(self, direction: Direction, port: int) -> bool:
        """Whether bytes of this direction and port are hit."""
        return self.direction in (Direction.BOTH, direction) and self.port in (None, port)


def parse_fault(text: str) -> FaultPlan:
    """A plan such as `bytes=0.01,direction=to-host,seed=7`; ValueError says what is wrong.

    `bytes` is a rate shared equally by flip, drop and duplicate; the rest is named as in FaultPlan.
    """
    values: dict[str, Any] = {}
    for item in filter(None, text.split(",")):
        name, _, value = (part.strip() for part in item.partition("="))
        if name == "bytes":
            each = _converted(name, value, float) / 3
            values |= {"flip": each, "drop": each, "duplicate": each}
        elif name in _KINDS:
            values[name] = _converted(name, value, _KINDS[name])
        else:
            known = ", ".join(["bytes", *_KINDS])
            raise ValueError(f"{name!r} is no fault; known are {known}")
    return FaultPlan(**values)


_KINDS: dict[str, Callable[[str], Any]] = {
    field.name: float for field in fields(FaultPlan) if field.type == "float"
} | {"seed": int, "port": int, "direction": Direction}


def _converted(name: str, value: str, kind: Callable[[str], Any]) -> Any:
    try:
        return kind(value)
    except ValueError:
        wanted = "/".join(Direction) if kind is Direction else "a number"
        raise ValueError(f"{name}={value}: {wanted} is wanted") from None


class WrongNonces:
    """What an emulator asks before it sends a nonce, with the plans' rates of wrong ones."""

    def __init__(self, plans: Sequence[FaultPlan]) -> None:
        self._rates = [(Random(f"nonces {plan.seed}"), plan.nonces) for plan in plans]

    def nonce(self, right: bytes) -> bytes:
        """These four bytes, or now and then others."""
        for random, rate in self._rates:
            if rate and random.random() < rate:
                wrong = int.from_bytes(right, "big") ^ random.randrange(1, 1 << 32)
                return wrong.to_bytes(4, "big")
        return right


class _Fault(StrEnum):
    FLIP = "flip"
    DROP = "drop"
    DUPLICATE = "duplicate"


@dataclass(slots=True)
class _Damaged:
    """A piece of a stream after the wire, and what to tell the ledger."""

    data: bytearray
    hit: list[int]  # offsets in the original of bytes that were flipped, dropped or doubled
    foreign: list[int]  # offsets in `data` of bytes changed or added
    gaps: list[int]  # offsets in `data` before which a byte is missing


class _Wire:
    """One direction of one port; a byte takes the fault of the first plan that hits it."""

    def __init__(self, plans: Sequence[FaultPlan], direction: Direction, port: int) -> None:
        self._plans = [plan for plan in plans if plan.hits(direction, port)]
        self._random = [Random(f"bytes {plan.seed} {direction} {port}") for plan in self._plans]
        self.delay = sum(plan.delay for plan in self._plans)

    def pass_on(self, data: bytes, up_for: float) -> _Damaged:
        if any(plan.silent(up_for) for plan in self._plans):
            return _Damaged(bytearray(), list(range(len(data))), [], [0] * bool(data))
        if not any(plan.byte_rate for plan in self._plans):
            return _Damaged(bytearray(data), [], [], [])
        out = _Damaged(bytearray(), [], [], [])
        for offset, byte in enumerate(data):
            fault = self._fault()
            if fault is not None:
                out.hit.append(offset)
            self._put(out, byte, fault)
        return out

    def _put(self, out: _Damaged, byte: int, fault: _Fault | None) -> None:
        if fault is _Fault.DROP:
            out.gaps.append(len(out.data))
            return
        if fault is _Fault.FLIP:
            out.foreign.append(len(out.data))
            byte ^= 1 << self._random[0].randrange(8)
        out.data.append(byte)
        if fault is _Fault.DUPLICATE:
            out.foreign.append(len(out.data))
            out.data.append(byte)

    def _fault(self) -> _Fault | None:
        for plan, random in zip(self._plans, self._random, strict=True):
            drawn = random.random()
            for fault in _Fault:
                rate = getattr(plan, fault)
                if drawn < rate:
                    return fault
                drawn -= rate
        return None


@dataclass(slots=True)
class _Waiting:
    due: float
    port: int
    data: bytes
    baud: int


class FaultyBoard:
    """An emulator whose wires are not good. Who hosts it pulls the plug as the plans say."""

    def __init__(self, board: Emulator, plans: Sequence[FaultPlan]) -> None:
        self.board = board
        self.plans = tuple(plans)
        self.identity: Identity = board.identity
        self.ports: tuple[str, ...] = board.ports
        self.claims: EmulatorClaims = board.claims
        self.wires: Wires = board.wires
        ports = range(len(board.ports))
        self._to_host = [_Wire(plans, Direction.TO_HOST, port) for port in ports]
        self._to_board = [_Wire(plans, Direction.TO_BOARD, port) for port in ports]
        self._ready = [bytearray() for _ in ports]
        self._outgoing: deque[_Waiting] = deque()
        self._incoming: deque[_Waiting] = deque()
        self._since = 0.0

    def power_up(self, now: float) -> None:
        self._since = now
        self._outgoing.clear()
        self._incoming.clear()
        for ready in self._ready:
            ready.clear()
        self.board.power_up(now)
        self._collect(now)

    def receive(self, port: int, data: bytes, baud: int, now: float) -> None:
        if delay := self._to_board[port].delay:
            self._incoming.append(_Waiting(now + delay, port, data, baud))
        else:
            self._deliver(port, data, baud, now)
        self._collect(now)

    def take_output(self, port: int) -> bytes:
        taken = bytes(self._ready[port])
        self._ready[port].clear()
        return taken

    def next_timeout(self) -> float | None:
        dues = [waiting.due for queue in self._queues for waiting in queue]
        own = self.board.next_timeout()
        return min(dues if own is None else [*dues, own], default=None)

    def on_time(self, now: float) -> None:
        for waiting in _due(self._incoming, now):
            self._deliver(waiting.port, waiting.data, waiting.baud, now)
        self.board.on_time(now)
        for waiting in _due(self._outgoing, now):
            self._ready[waiting.port] += waiting.data
        self._collect(now)

    def pins(self) -> dict[str, float]:
        return self.board.pins()

    @property
    def _queues(self) -> tuple[deque[_Waiting], deque[_Waiting]]:
        return self._incoming, self._outgoing

    def _deliver(self, port: int, data: bytes, baud: int, now: float) -> None:
        damaged = self._to_board[port].pass_on(data, now - self._since)
        if not damaged.data:
            return  # of a write that is lost altogether nothing is in the way
        inbound = self.wires.inbound[port]
        for at in damaged.foreign:
            inbound.foreign(at)
        for at in damaged.gaps:
            inbound.gap(at)
        self.board.receive(port, bytes(damaged.data), baud, now)

    def _collect(self, now: float) -> None:
        """Takes what the board has sent and puts it on the wire."""
        for port, wire in enumerate(self._to_host):
            data = self.board.take_output(port)
            first = self.wires.sent(port) - len(data)
            damaged = wire.pass_on(data, now - self._since)
            for at in damaged.hit:
                self.wires.ledger.damage(port, first + at)
            if damaged.data and wire.delay:
                self._outgoing.append(_Waiting(now + wire.delay, port, bytes(damaged.data), 0))
            else:
                self._ready[port] += damaged.data


def _due(queue: deque[_Waiting], now: float) -> list[_Waiting]:
    taken = [waiting for waiting in queue if waiting.due <= now]
    for waiting in taken:
        queue.remove(waiting)
    return taken
