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


def scan_source(program: Program, unit: VectorUnit, several: bool) -> str:
    """The module's text. Unless `several`, `midstates` must be 1: its words stay in registers."""
    writer = _Writer(unit)
    writer.line("br label %next")
    writer.block("next")
    writer.line("%index = phi i32 [0, %entry], [%index_next, %tested]")
    writer.line("%count = phi i32 [0, %entry], [%count_next, %tested]")
    writer.line(f"%offset = mul i32 %index, {unit.lanes}")
    writer.line("%first = add i32 %start, %offset")
    writer.names[NONCE] = writer.value(f"add {writer.type} {writer.splat('%first')}, {writer.iota}")
    writer.load(program.shared_words, "%words", 0)
    if several:
        _several(writer, program)
    else:
        writer.load(program.own_words, "%words", len(program.shared_words))
        writer.operations(sorted(program.shared + program.own, key=lambda node: node.serial))
        _test(writer, program, "0", "%count", "tested")
        writer.line("%count_next = phi i32 [%count, %next], [%count_hit, %hit]")
    writer.line("%index_next = add i32 %index, 1")
    writer.line("%more = icmp ult i32 %index_next, %vectors")
    writer.line("br i1 %more, label %next, label %done")
    writer.block("done")
    writer.line("ret i32 %count_next")
    return writer.module()


def _several(writer: _Writer, program: Program) -> None:
    """The inner loop over midstates, with the schedule computed before it."""
    writer.operations(program.shared)
    writer.line("br label %midstate")
    writer.block("midstate")
    writer.line("%j = phi i32 [0, %next], [%j_next, %judged]")
    writer.line("%count_j = phi i32 [%count, %next], [%count_judged, %judged]")
    writer.line(f"%skip = mul i32 %j, {len(program.own_words)}")
    writer.line("%own = getelementptr i32, ptr %words, i32 %skip")
    writer.load(program.own_words, "%own", len(program.shared_words))
    writer.operations(program.own)
    _test(writer, program, "%j", "%count_j", "judged")
    writer.line("%count_judged = phi i32 [%count_j, %midstate], [%count_hit, %hit]")
    writer.line("%j_next = add i32 %j, 1")
    writer.line("%j_more = icmp ult i32 %j_next, %midstates")
    writer.line("br i1 %j_more, label %midstate, label %tested")
    writer.block("tested")
    writer.line("%count_next = phi i32 [%count_judged, %judged]")


def _test(writer: _Writer, program: Program, j: str, count: str, after: str) -> None:
    """The rare branch: appends a record where any lane's hash may meet the target."""
    lanes = writer.unit.lanes
    result = writer.names[program.result.name]
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


class _Writer:
    """Lines of one function, and the IR name of each node written so far."""

    def __init__(self, unit: VectorUnit) -> None:
        self.unit = unit
        self.type = f"<{unit.lanes} x i32>"
        self.iota = "<" + ", ".join(f"i32 {lane}" for lane in range(unit.lanes)) + ">"
        self.names: dict[str, str] = {}
        self._lines: list[str] = []
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

    def splat(self, scalar: str) -> str:
        one = self.value(f"insertelement {self.type} poison, i32 {scalar}, i32 0")
        zeros = f"<{self.unit.lanes} x i32> zeroinitializer"
        return self.value(f"shufflevector {self.type} {one}, {self.type} poison, {zeros}")

    def load(self, words: Iterable[Node], pointer: str, first: int) -> None:
        for index, node in enumerate(words, start=first):
            place = self.value(f"getelementptr i32, ptr {pointer}, i32 {index}")
            self.names[node.name] = self.splat(self.value(f"load i32, ptr {place}"))

    def operations(self, nodes: Iterable[Node]) -> None:
        for node in nodes:
            self.names[node.name] = self._operation(node, [self._operand(a) for a in node.args])

    def _operand(self, operand: Operand) -> str:
        if isinstance(operand, int):
            return self._constant(operand)
        return self.names[NONCE if operand.op == NONCE else operand.name]

    def _constant(self, value: int) -> str:
        return "<" + ", ".join([f"i32 {value}"] * self.unit.lanes) + ">"

    def _operation(self, node: Node, args: list[str]) -> str:
        kind = self.type
        match node.op:
            case "add":
                return self.value(f"add {kind} {args[0]}, {args[1]}")
            case "shr":
                return self.value(f"lshr {kind} {args[0]}, {self._constant(node.amount)}")
            case "rotr":
                turn = self._constant(node.amount)
                intrinsic = f"@llvm.fshr.v{self.unit.lanes}i32"
                operands = f"{kind} {args[0]}, {kind} {args[0]}, {kind} {turn}"
                return self.value(f"call {kind} {intrinsic}({operands})")
            case "bswap":
                intrinsic = f"@llvm.bswap.v{self.unit.lanes}i32"
                return self.value(f"call {kind} {intrinsic}({kind} {args[0]})")
            case _:
                return self._logic(node.op, *args)

    def _logic(self, op: str, a: str, b: str, c: str) -> str:
        """xor3, ch or maj; without three-operand logic in the forms with fewest operations."""
        if self.unit.ternary:
            table = _TERNARY[op]
            operands = ", ".join(f"{self.type} {x}" for x in (a, b, c))
            intrinsic = f"@llvm.x86.avx512.pternlog.d.{32 * self.unit.lanes}"
            return self.value(f"call {self.type} {intrinsic}({operands}, i32 {table})")
        if op == "xor3":
            return self._two("xor", self._two("xor", a, b), c)
        if op == "ch":
            return self._two("xor", c, self._two("and", a, self._two("xor", b, c)))
        return self._two("xor", b, self._two("and", self._two("xor", a, b), self._two("xor", b, c)))

    def _two(self, op: str, a: str, b: str) -> str:
        return self.value(f"{op} {self.type} {a}, {b}")

    def module(self) -> str:
        lanes, kind = self.unit.lanes, self.type
        declarations = [
            f"declare {kind} @llvm.fshr.v{lanes}i32({kind}, {kind}, {kind})",
            f"declare {kind} @llvm.bswap.v{lanes}i32({kind})",
        ]
        if self.unit.ternary:
            intrinsic = f"@llvm.x86.avx512.pternlog.d.{32 * lanes}"
            declarations.append(f"declare {kind} {intrinsic}({kind}, {kind}, {kind}, i32 immarg)")
        rare = '!0 = !{!"branch_weights", i32 1, i32 1000000}'
        body = [f"{SIGNATURE} {{", "entry:", *self._lines, "}"]
        return "\n".join([*declarations, *body, rare, ""])
