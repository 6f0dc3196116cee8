"""What the host computes for a launch: the words that a kernel reads.

A kernel's words are those shared by all midstates, then those of each midstate in turn; how many
of each, `search_program()` says.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from sv2rig.kernels.expressions import Node
from sv2rig.kernels.program import MIDSTATE_INPUTS, SHARED_INPUTS, Program
from sv2rig.kernels.sha256 import MASK

Midstate = tuple[int, ...]
Prepare = Callable[[Sequence[Midstate], int, int, int], list[int]]

_TAIL = struct.Struct(">3I")


def tail_words(header: bytes) -> tuple[int, int, int]:
    """Bytes 64 to 76 of a header as big-endian words: what precedes the nonce."""
    w0, w1, w2 = _TAIL.unpack(header[64:76])
    return w0, w1, w2


def preparation(program: Program) -> Prepare:
    """The host's share of the program as a function (midstates, w0, w1, w2) -> words."""
    shared = [node for node in program.host if not node.per_midstate]
    own = [node for node in program.host if node.per_midstate]
    lines = [f"def prepare(midstates, {', '.join(SHARED_INPUTS)}):"]
    lines += [f"    {line}" for node in shared for line in _statement(node)]
    lines.append(f"    words = [{', '.join(node.name for node in program.shared_words)}]")
    lines.append(f"    for {', '.join(MIDSTATE_INPUTS)} in midstates:")
    lines += [f"        {line}" for node in own for line in _statement(node)]
    lines.append(f"        words += ({', '.join(node.name for node in program.own_words)},)")
    lines.append("    return words")
    namespace: dict[str, Prepare] = {}
    exec(compile("\n".join(lines), "<kernel preparation>", "exec"), {}, namespace)
    return namespace["prepare"]


def _statement(node: Node) -> list[str]:
    """One host operation as Python."""
    args = [arg.name if isinstance(arg, Node) else str(arg) for arg in node.args]
    match node.op, args:
        case "add", [x, y]:
            value = f"{x} + {y} & {MASK}"
        case "rotr", [x]:
            value = f"({x} >> {node.amount} | {x} << {32 - node.amount}) & {MASK}"
        case "shr", [x]:
            value = f"{x} >> {node.amount}"
        case "xor3", [x, y, z]:
            value = f"{x} ^ {y} ^ {z}"
        case "ch", [x, y, z]:
            value = f"{z} ^ {x} & ({y} ^ {z})"
        case "maj", [x, y, z]:
            value = f"{y} ^ ({x} ^ {y}) & ({y} ^ {z})"
        case _:
            value = node.op  # an input, by its own name
    return [f"{node.name} = {value}"]
