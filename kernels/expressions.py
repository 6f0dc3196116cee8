"""Partial evaluation of straight-line 32-bit arithmetic.

A value is known at one of three stages: an `int` when the code is generated; a UNIFORM node when a
launch is prepared on the host; a VECTOR node only in the kernel, for each nonce. Operations are
folded at the earliest stage that knows their operands. Each node also says whether it differs
between midstates: what does not is computed once for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum

from sv2rig.kernels import sha256
from sv2rig.kernels.sha256 import MASK


class Stage(IntEnum):
    UNIFORM = 1
    VECTOR = 2


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One operation; `serial` is its place in program order, `amount` how far a turn or shift."""

    serial: int
    op: str
    args: tuple[int | Node, ...]
    amount: int
    stage: Stage
    per_midstate: bool

    @property
    def name(self) -> str:
        return f"{'u' if self.stage is Stage.UNIFORM else 'v'}{self.serial}"


Operand = int | Node


@dataclass(frozen=True, slots=True, eq=False)
class Offset:
    """A vector and a constant not yet added to it: it may meet others that the host can add."""

    vector: Node
    constant: Operand


Value = int | Node | Offset

_FOLD: dict[str, Callable[..., int]] = {
    "rotr": sha256.rotr,
    "shr": sha256.shr,
    "xor3": sha256.xor3,
    "ch": sha256.ch,
    "maj": sha256.maj,
    "bswap": sha256.bswap,
}


class Graph:
    """Nodes in program order, each distinct operation once."""

    def __init__(self) -> None:
        self._nodes: dict[tuple[object, ...], Node] = {}

    def input(self, name: str, stage: Stage, per_midstate: bool) -> Node:
        return self._node(name, (), 0, stage, per_midstate)

    def _node(
        self, op: str, args: tuple[Operand, ...], amount: int, stage: Stage, per_midstate: bool
    ) -> Node:
        key = (op, amount, *(arg if isinstance(arg, int) else (arg.serial,) for arg in args))
        if key not in self._nodes:
            self._nodes[key] = Node(len(self._nodes), op, args, amount, stage, per_midstate)
        return self._nodes[key]

    def _apply(self, op: str, args: tuple[Operand, ...], amount: int = 0) -> Operand:
        nodes = [arg for arg in args if isinstance(arg, Node)]
        if not nodes:
            return _FOLD[op](*args, *([amount] if amount else []))
        stage = max(node.stage for node in nodes)
        return self._node(op, args, amount, stage, any(node.per_midstate for node in nodes))

    def rotr(self, x: Value, n: int) -> Operand:
        return self._apply("rotr", (self.settle(x),), n)

    def shr(self, x: Value, n: int) -> Operand:
        return self._apply("shr", (self.settle(x),), n)

    def bswap(self, x: Value) -> Operand:
        return self._apply("bswap", (self.settle(x),))

    def xor3(self, a: Value, b: Value, c: Value) -> Operand:
        return self._apply("xor3", (self.settle(a), self.settle(b), self.settle(c)))

    def ch(self, e: Value, f: Value, g: Value) -> Operand:
        return self._apply("ch", (self.settle(e), self.settle(f), self.settle(g)))

    def maj(self, a: Value, b: Value, c: Value) -> Operand:
        return self._apply("maj", (self.settle(a), self.settle(b), self.settle(c)))

    def add(self, *values: Value) -> Value:
        """The sum modulo 2**32, with everything the host can know added there."""
        offsets = [value for value in values if isinstance(value, Offset)]
        vectors = [v for v in values if isinstance(v, Node) and v.stage is Stage.VECTOR]
        rest = [v for v in values if isinstance(v, int) or _is_uniform(v)]
        if len(offsets) == 1 and vectors and not any(rest):
            vectors += [self._settled(offset) for offset in offsets]  # often made already
        else:
            vectors += [offset.vector for offset in offsets]
            rest += [offset.constant for offset in offsets]
        constant = self._add_constants(rest)
        if not vectors:
            return constant
        if len(vectors) == 1:
            return Offset(vectors[0], constant) if constant != 0 else vectors[0]
        return self._add_vectors(vectors, constant)

    def settle(self, value: Value) -> Operand:
        """The value as one node or integer, as operations other than additions need it."""
        return self._settled(value) if isinstance(value, Offset) else value

    def _settled(self, offset: Offset) -> Node:
        return self._plus(offset.vector, offset.constant)

    def _add_constants(self, parts: Iterable[Value]) -> Operand:
        """Integers first, then what all midstates share: the host adds those once a launch."""
        known = sum(part for part in parts if isinstance(part, int)) & MASK
        nodes = [part for part in parts if isinstance(part, Node)]
        total: Operand = known
        for node in sorted(nodes, key=lambda node: node.per_midstate):
            total = self._plus(node, total)
        return total

    def _add_vectors(self, vectors: list[Node], constant: Operand) -> Node:
        """Shared vectors are summed first, and take a constant that all midstates share."""
        ordered = sorted(vectors, key=lambda vector: vector.per_midstate)
        shared = sum(not vector.per_midstate for vector in vectors)
        of_midstate = isinstance(constant, Node) and constant.per_midstate
        place = max(shared, 1) if of_midstate else 1
        total = ordered[0]
        for operand in (*ordered[1:place], constant, *ordered[place:]):
            total = self._plus(total, operand)
        return total

    def _plus(self, node: Node, operand: Operand) -> Node:
        if operand == 0:
            return node
        own = node.per_midstate or (isinstance(operand, Node) and operand.per_midstate)
        stage = max(node.stage, operand.stage) if isinstance(operand, Node) else node.stage
        return self._node("add", (node, operand), 0, stage, own)


def _is_uniform(value: Value) -> bool:
    return isinstance(value, Node) and value.stage is Stage.UNIFORM


def reachable(results: Iterable[Node]) -> list[Node]:
    """Every node that the results need, in program order."""
    found: dict[int, Node] = {}
    waiting = list(results)
    while waiting:
        node = waiting.pop()
        if node.serial not in found:
            found[node.serial] = node
            waiting.extend(arg for arg in node.args if isinstance(arg, Node))
    return [found[serial] for serial in sorted(found)]
