"""SHA-256d of a block header as a program over nonces, for one midstate or for several.

The header's second block holds the end of the merkle root, the time, the bits and the nonce. Its
message schedule does not depend on the version, so headers that differ in the version alone share
it: only the first block's result, the midstate, differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from sv2rig.bitcoin.sha256 import IV, K
from sv2rig.kernels.expressions import Graph, Node, Operand, Stage, Value, reachable
from sv2rig.kernels.sha256 import BIG_SIGMA0, BIG_SIGMA1, SMALL_SIGMA0, SMALL_SIGMA1

SHARED_INPUTS = ("w0", "w1", "w2")
MIDSTATE_INPUTS = tuple(f"m{i}" for i in range(8))
NONCE = "nonce"


@dataclass(frozen=True)
class Program:
    """What is left for the kernel, and the words that the host prepares for it.

    `result` is the hash's most significant word: the digest's last word with its bytes swapped.
    `shared` and `own` are the vector operations for all midstates and for each, in order;
    `shared_words` and `own_words` the host's words that these read; `host` what computes them.
    `constants` are the round constants it was made with. `big_endian`: the nonce counted is the
    header's last four bytes read big-endian, as most boards count, and not its nonce field.
    """

    constants: tuple[int, ...]
    big_endian: bool
    result: Node
    shared: tuple[Node, ...]
    own: tuple[Node, ...]
    shared_words: tuple[Node, ...]
    own_words: tuple[Node, ...]
    host: tuple[Node, ...]


@cache
def search_program(constants: tuple[int, ...] = K, big_endian: bool = False) -> Program:
    """The program for given round constants (others than FIPS 180-4's make a wrong kernel)."""
    graph = Graph()
    words: list[Value] = [graph.input(name, Stage.UNIFORM, False) for name in SHARED_INPUTS]
    midstate = [graph.input(name, Stage.UNIFORM, True) for name in MIDSTATE_INPUTS]
    nonce = graph.input(NONCE, Stage.VECTOR, False)
    words.append(nonce if big_endian else graph.bswap(nonce))
    second_block = [*words, 0x80000000, *[0] * 10, 640]  # 80 bytes end here: 640 bits
    first_hash = _compress(graph, constants, midstate, second_block)
    digest = _compress(graph, constants, IV, [*first_hash, 0x80000000, *[0] * 6, 256])
    result = graph.bswap(digest[7])
    assert isinstance(result, Node)
    return _split(constants, big_endian, result)


def _compress(
    graph: Graph, constants: Sequence[int], state: Sequence[Value], block: Sequence[Value]
) -> list[Value]:
    """FIPS 180-4 section 6.2.2 over symbols.

    The order of additions, and words scheduled a round ahead, keep a CPU's two vector ports busier.
    """
    w = list(block)
    a, b, c, d, e, f, g, h = state
    for i in range(64):
        if 16 <= i + 1 < 64:
            w.append(_scheduled(graph, w, i + 1))
        keyed = graph.add(h, constants[i], w[i])
        turned = _big_sigma(graph, e, BIG_SIGMA1)
        t = graph.add(keyed, graph.ch(e, f, g), turned)
        h, g, f, e, d = g, f, e, graph.add(d, t), c
        mixed = graph.add(graph.maj(a, b, c), _big_sigma(graph, a, BIG_SIGMA0))
        c, b, a = b, a, graph.add(t, mixed)
    return [graph.add(old, new) for old, new in zip(state, (a, b, c, d, e, f, g, h), strict=True)]


def _scheduled(graph: Graph, w: Sequence[Value], i: int) -> Value:
    return graph.add(
        _small_sigma(graph, w[i - 2], SMALL_SIGMA1),
        w[i - 7],
        _small_sigma(graph, w[i - 15], SMALL_SIGMA0),
        w[i - 16],
    )


def _big_sigma(graph: Graph, x: Value, turns: tuple[int, int, int]) -> Operand:
    first, second, third = turns
    return graph.xor3(graph.rotr(x, first), graph.rotr(x, second), graph.rotr(x, third))


def _small_sigma(graph: Graph, x: Value, turns: tuple[int, int, int]) -> Operand:
    first, second, shift = turns
    return graph.xor3(graph.rotr(x, first), graph.rotr(x, second), graph.shr(x, shift))


def _split(constants: tuple[int, ...], big_endian: bool, result: Node) -> Program:
    """Sorts what the result needs; the last rounds' unread half is not among it."""
    nodes = reachable([result])
    vectors = [n for n in nodes if n.stage is Stage.VECTOR and n.op != NONCE]
    read = {arg.serial for n in vectors for arg in n.args if isinstance(arg, Node)}
    host = [n for n in nodes if n.stage is Stage.UNIFORM]
    words = [n for n in host if n.serial in read]
    return Program(
        constants=constants,
        big_endian=big_endian,
        result=result,
        shared=tuple(n for n in vectors if not n.per_midstate),
        own=tuple(n for n in vectors if n.per_midstate),
        shared_words=tuple(n for n in words if not n.per_midstate),
        own_words=tuple(n for n in words if n.per_midstate),
        host=tuple(host),
    )
