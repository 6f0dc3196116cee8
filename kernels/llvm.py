"""The search program as LLVM IR for CPUs: one loop over vectors of consecutive nonces.

The function made has the C signature

    uint32_t scan(const uint32_t *words, uint32_t start, uint32_t vectors, uint32_t midstates,
                  uint32_t top, uint32_t *out, uint32_t capacity)

It tries `vectors` x `lanes` nonces from `start` with each midstate. A hit is a hash whose most
significant word is at most `top`; a vector with hits becomes a record of three words in `out`: its
first nonce, the midstate's index, one bit a lane. It returns how many records there were; only the
first `capacity` are written.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from sv2rig.kernels.expressions import Node, Operand
from sv2rig.kernels.program import NONCE, Program

RECORD_WORDS = 3
SIGNATURE = (
    "define i32 @scan(ptr noalias %words, i32 %start, i32 %vectors, i32 %midstates,"
    " i32 %top, ptr noalias %out, i32 %capacity)"
)
_TERNARY = {"xor3": 0x96, "ch": 0xCA, "maj": 0xE8}  # truth tables of vpternlog


@dataclass(frozen=True, slots=True)
class VectorUnit:
    """How wide the vectors are, and whether the CPU has three-operand logic (AVX-512)."""

    lanes: int
    ternary: bool


class Body(Protocol):
    """The computation inside the loops. Its words: `shared_words`, then `own_words` a midstate."""

    unit: VectorUnit
    shared_words: int
    own_words: int

    def shared(self, writer: Writer) -> None:
        """Writes what all midstates share, for the nonces in writer.names[NONCE]."""

    def own(self, writer: Writer, pointer: str) -> str:
        """Writes one midstate's part and names its result, a vector of hashes' top words.

        Its own words are at `pointer` plus the number of shared ones.
        """


def scan_source(body: Body, several: bool) -> str:
    """The module's text. Unless `several`, `midstates` must be 1."""
    writer = Writer(body.unit)
    writer.line("br label %next")
    writer.block("next")
    writer.line("%index = phi i32 [0, %entry], [%index_next, %tested]")
    writer.line("%count = phi i32 [0, %entry], [%count_next, %tested]")
    writer.line(f"%offset = mul i32 %index, {body.unit.lanes}")
    writer.line("%first = add i32 %start, %offset")
    writer.names[NONCE] = writer.value(f"add {writer.type} {writer.splat('%first')}, {writer.iota}")
    body.shared(writer)
    if several:
        _loop_over_midstates(writer, body)
    else:
        _test(writer, body.own(writer, "%words"), "0", "%count", "tested")
        writer.line("%count_next = phi i32 [%count, %next], [%count_hit, %hit]")
    writer.line("%index_next = add i32 %index, 1")
    writer.line("%more = icmp ult i32 %index_next, %vectors")
    writer.line("br i1 %more, label %next, label %done")
    writer.block("done")
    writer.line("ret i32 %count_next")
    return writer.module()


def _loop_over_midstates(writer: Writer, body: Body) -> None:
    writer.line("br label %midstate")
    writer.block("midstate")
    writer.line("%j = phi i32 [0, %next], [%j_next, %judged]")
    writer.line("%count_j = phi i32 [%count, %next], [%count_judged, %judged]")
    writer.line(f"%skip = mul i32 %j, {body.own_words}")
    writer.line("%own = getelementptr i32, ptr %words, i32 %skip")
    _test(writer, body.own(writer, "%own"), "%j", "%count_j", "judged")
    writer.line("%count_judged = phi i32 [%count_j, %midstate], [%count_hit, %hit]")
    writer.line("%j_next = add i32 %j, 1")
    writer.line("%j_more = icmp ult i32 %j_next, %midstates")
    writer.line("br i1 %j_more, label %midstate, label %tested")
    writer.block("tested")
    writer.line("%count_next = phi i32 [%count_judged, %judged]")


def _test(writer: Writer, result: str, j: str, count: str, after: str) -> None:
    """The rare branch: appends a record where any lane's hash may meet the target."""
    lanes = writer.unit.lanes
    found = writer.value(f"icmp ule {writer.type} {result}, {writer.splat('%top')}")
    writer.line(f"%mask = bitcast <{lanes} x i1> {found} to i{lanes}")
    writer.line(f"%any = icmp ne i{lanes} %mask, 0")
    writer.line(f"br i1 %any, label %record, label %{after}, !prof !0")
    writer.block("record")
    writer.line(f"%fits = icmp ult i32 {count}, %capacity")
    writer.line("br i1 %fits, label %write, label %hit")
    writer.block("write")
    writer.line(f"%place = mul i32 {count}, {RECORD_WORDS}")
    writer.line(f"%lanes_found = zext i{lanes} %mask to i32")
    for index, word in enumerate(("%first", j, "%lanes_found")):
        slot = writer.value(f"add i32 %place, {index}")
        pointer = writer.value(f"getelementptr i32, ptr %out, i32 {slot}")
        writer.line(f"store i32 {word}, ptr {pointer}")
    writer.line("br label %hit")
    writer.block("hit")
    writer.line(f"%count_hit = add i32 {count}, 1")
    writer.line(f"br label %{after}")
    writer.block(after)


class VectorBody:
    """The search program on vectors of nonces, for one midstate or several."""

    def __init__(self, program: Program, unit: VectorUnit, several: bool) -> None:
        self.unit = unit
        self.shared_words = len(program.shared_words)
        self.own_words = len(program.own_words)
        self._program = program
        self._several = several

    def shared(self, writer: Writer) -> None:
        writer.load(self._program.shared_words, "%words", 0)
        if self._several:
            self._operations(writer, self._program.shared)

    def own(self, writer: Writer, pointer: str) -> str:
        program = self._program
        writer.load(program.own_words, pointer, self.shared_words)
        shared = () if self._several else program.shared
        nodes = sorted(shared + program.own, key=lambda node: node.serial)
        self._operations(writer, nodes)  # in program order, where words are used soon
        return writer.names[program.result.name]

    def _operations(self, writer: Writer, nodes: Iterable[Node]) -> None:
        for node in nodes:
            args = [self._operand(writer, arg) for arg in node.args]
            writer.names[node.name] = self._operation(writer, node, args)

    def _operand(self, writer: Writer, operand: Operand) -> str:
        if isinstance(operand, int):
            return writer.constant(operand)
        return writer.names[NONCE if operand.op == NONCE else operand.name]

    def _operation(self, writer: Writer, node: Node, args: list[str]) -> str:
        match node.op:
            case "add":
                return writer.two("add", *args)
            case "shr":
                return writer.two("lshr", args[0], writer.constant(node.amount))
            case "rotr":
                turn = writer.constant(node.amount)
                return writer.call(f"llvm.fshr.v{self.unit.lanes}i32", args[0], args[0], turn)
            case "bswap":
                return writer.call(f"llvm.bswap.v{self.unit.lanes}i32", args[0])
            case _:
                return self._logic(writer, node.op, *args)

    def _logic(self, writer: Writer, op: str, a: str, b: str, c: str) -> str:
        """xor3, ch or maj; without three-operand logic in the forms with fewest operations."""
        two = writer.two
        if self.unit.ternary:
            intrinsic = f"llvm.x86.avx512.pternlog.d.{32 * self.unit.lanes}"
            return writer.call(intrinsic, a, b, c, immediate=_TERNARY[op])
        if op == "xor3":
            return two("xor", two("xor", a, b), c)
        if op == "ch":
            return two("xor", c, two("and", a, two("xor", b, c)))
        return two("xor", b, two("and", two("xor", a, b), two("xor", b, c)))


class Writer:
    """Lines of one function, and the IR name of each node written so far."""

    def __init__(self, unit: VectorUnit) -> None:
        self.unit = unit
        self.type = f"<{unit.lanes} x i32>"
        self.iota = "<" + ", ".join(f"i32 {lane}" for lane in range(unit.lanes)) + ">"
        self.names: dict[str, str] = {}
        self._lines: list[str] = []
        self._declarations: dict[str, str] = {}
        self._temporaries = 0

    def line(self, text: str) -> None:
        self._lines.append(f"  {text}")

    def block(self, label: str) -> None:
        self._lines.append(f"{label}:")

    def value(self, expression: str) -> str:
        self._temporaries += 1
        name = f"%t{self._temporaries}"
        self.line(f"{name} = {expression}")
        return name

    def two(self, op: str, a: str, b: str) -> str:
        return self.value(f"{op} {self.type} {a}, {b}")

    def call(
        self, name: str, *args: str, kind: str | None = None, immediate: int | None = None
    ) -> str:
        """An intrinsic on vectors of one type, `kind` or the writer's own."""
        kind = kind or self.type
        kinds = [kind] * len(args) + (["i32 immarg"] if immediate is not None else [])
        self._declarations[name] = f"declare {kind} @{name}({', '.join(kinds)})"
        values = [f"{kind} {arg}" for arg in args]
        values += [f"i32 {immediate}"] if immediate is not None else []
        return self.value(f"call {kind} @{name}({', '.join(values)})")

    def constant(self, value: int) -> str:
        return "<" + ", ".join([f"i32 {value}"] * self.unit.lanes) + ">"

    def splat(self, scalar: str) -> str:
        one = self.value(f"insertelement {self.type} poison, i32 {scalar}, i32 0")
        zeros = f"<{self.unit.lanes} x i32> zeroinitializer"
        return self.value(f"shufflevector {self.type} {one}, {self.type} poison, {zeros}")

    def word(self, pointer: str, index: int) -> str:
        place = self.value(f"getelementptr i32, ptr {pointer}, i32 {index}")
        return self.value(f"load i32, ptr {place}")

    def load(self, words: Iterable[Node], pointer: str, first: int) -> None:
        """One of the host's words in every lane, for each node."""
        for index, node in enumerate(words, start=first):
            self.names[node.name] = self.splat(self.word(pointer, index))

    def module(self) -> str:
        rare = '!0 = !{!"branch_weights", i32 1, i32 1000000}'
        body = [f"{SIGNATURE} {{", "entry:", *self._lines, "}"]
        return "\n".join([*self._declarations.values(), *body, rare, ""])
