"""The search program as OpenCL C, in the styles that suit different devices.

The kernel made is

    scan(words, start, items, midstates, top, out)

Work-item i < `items` tries `lanes` x `vectors` nonces from start + i * lanes * vectors with each
midstate. A hit is a hash whose most significant word is at most `top`; a vector with hits becomes
a record of three words: its first nonce, the midstate's index, one bit a lane. `out` counts the
records in its first word; only the first CAPACITY are written behind it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from sv2rig.kernels.expressions import Node, Operand
from sv2rig.kernels.program import NONCE, Program

RECORD_WORDS = 3
CAPACITY = 255
OUT_WORDS = 1 + RECORD_WORDS * CAPACITY
ARGUMENTS = (
    "__constant const uint *words, const uint start, const uint items, const uint midstates, "
    "const uint top, __global uint *out"
)


class Logic(StrEnum):
    """How three operands are combined.

    PLAIN has the fewest two-operand steps, and compilers for NVIDIA fuse them; SELECT suits AMD's
    bitfield insert; TERNARY calls AVX-512's vpternlog through Clang's builtin, on 16 lanes.
    """

    PLAIN = "plain"
    SELECT = "select"
    TERNARY = "ternary"


@dataclass(frozen=True, slots=True)
class Style:
    """One way to write the kernel. `local_size` is part of it: some runtimes compile for each."""

    lanes: int = 1
    vectors: int = 1
    local_size: int = 64
    logic: Logic = Logic.PLAIN

    @property
    def name(self) -> str:
        width = f"uint{self.lanes}" if self.lanes > 1 else "uint"
        return f"{width}-{self.logic}-v{self.vectors}-l{self.local_size}"

    @property
    def nonces(self) -> int:
        """How many nonces a work-item tries."""
        return self.lanes * self.vectors


_PLAIN = """\
#define XOR3(a, b, c) ((a) ^ (b) ^ (c))
#define CH(e, f, g) ((g) ^ ((e) & ((f) ^ (g))))
#define MAJ(a, b, c) ((b) ^ (((a) ^ (b)) & ((b) ^ (c))))
"""
_SELECT = """\
#define XOR3(a, b, c) ((a) ^ (b) ^ (c))
#define CH(e, f, g) bitselect((g), (f), (e))
#define MAJ(a, b, c) bitselect((a), (b), (a) ^ (c))
"""
_TERNARY = """\
#define LOGIC(a, b, c, table) as_uint16(__builtin_ia32_pternlogd512_mask( \\
    as_int16(a), as_int16(b), as_int16(c), table, (ushort)0xffff))
#define XOR3(a, b, c) LOGIC(a, b, c, 0x96)
#define CH(e, f, g) LOGIC(e, f, g, 0xca)
#define MAJ(a, b, c) LOGIC(a, b, c, 0xe8)
"""
_LOGIC = {Logic.PLAIN: _PLAIN, Logic.SELECT: _SELECT, Logic.TERNARY: _TERNARY}
_BSWAP = "(rotate(x, (T)(8)) & (T)(0x00ff00ffu)) | (rotate(x, (T)(24)) & (T)(0xff00ff00u))"


def kernel_source(program: Program, style: Style, several: bool) -> str:
    """The kernel's text. Unless `several`, `midstates` must be 1."""
    lanes = ", ".join(f"{lane}u" for lane in range(style.lanes))
    lines = [
        f"typedef uint{style.lanes if style.lanes > 1 else ''} T;",
        _LOGIC[style.logic] + "#define ROTR(x, n) rotate((x), (T)(32 - (n)))",
        f"T bswap(T x) {{ return {_BSWAP}; }}",
        _record_function(style),
        f"__kernel __attribute__((reqd_work_group_size({style.local_size}, 1, 1)))",
        f"void scan({ARGUMENTS}) {{",
        "if (get_global_id(0) >= items) return;",
        f"uint first = start + (uint)get_global_id(0) * {style.nonces}u;",
        *_loads(program.shared_words, "words", 0),
        "#pragma unroll 1",
        f"for (uint vector = 0; vector < {style.vectors}u; vector++, first += {style.lanes}u) {{",
        f"const T {NONCE} = (T)(first) + (T)({lanes});",
    ]
    own_loads = _loads(program.own_words, "own", len(program.shared_words))
    own_start = f"__constant const uint *own = words + {len(program.own_words)}u * j;"
    if several:
        lines += _operations(program.shared)
        lines += ["#pragma unroll 1", "for (uint j = 0; j < midstates; j++) {"]
        lines += [own_start, *own_loads, *_operations(program.own)]
    else:
        in_order = sorted(program.shared + program.own, key=lambda node: node.serial)
        lines += ["{", "const uint j = 0;", own_start, *own_loads, *_operations(in_order)]
    compare = f"{program.result.name} <= (T)(top)"
    lines.append(f"if ({f'any({compare})' if style.lanes > 1 else compare})")
    lines.append(f"record({program.result.name}, top, first, j, out);")
    return "\n".join([*lines, "}", "}", "}", ""])


def _record_function(style: Style) -> str:
    """Appends a record; out of line, since it is rare."""
    digits = "0123456789abcdef"
    tests = (
        [f"mask |= (uint)(hash.s{digits[i]} <= top) << {i};" for i in range(style.lanes)]
        if style.lanes > 1
        else ["mask = 1u;"]
    )
    return "\n".join(
        [
            "void record(T hash, uint top, uint first, uint j, __global uint *out) {",
            "uint mask = 0;",
            *tests,
            "uint place = atomic_inc(out);",
            f"if (place >= {CAPACITY}u) return;",
            f"out += 1u + {RECORD_WORDS}u * place;",
            "out[0] = first; out[1] = j; out[2] = mask;",
            "}",
        ]
    )


def _loads(words: Iterable[Node], pointer: str, first: int) -> list[str]:
    return [
        f"const T {node.name} = (T)({pointer}[{index}]);"
        for index, node in enumerate(words, start=first)
    ]


def _operations(nodes: Iterable[Node]) -> list[str]:
    return [f"const T {node.name} = {_expression(node)};" for node in nodes]


def _expression(node: Node) -> str:
    args = [_operand(arg) for arg in node.args]
    match node.op:
        case "add":
            return f"{args[0]} + {args[1]}"
        case "shr":
            return f"{args[0]} >> {node.amount}u"
        case "rotr":
            return f"ROTR({args[0]}, {node.amount})"
        case "bswap":
            return f"bswap({args[0]})"
        case _:
            return f"{node.op.upper()}({', '.join(args)})"


def _operand(operand: Operand) -> str:
    if isinstance(operand, int):
        return f"(T)({operand:#010x}u)"
    return NONCE if operand.op == NONCE else operand.name
