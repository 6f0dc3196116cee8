"""The search program itself, interpreted in Python: right, and as short as it was planned to be."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sv2rig.bitcoin.hashing import sha256d
from sv2rig.bitcoin.sha256 import midstate
from sv2rig.kernels import sha256
from sv2rig.kernels.expressions import Graph, Node, Offset, Stage
from sv2rig.kernels.llvm import VectorBody, VectorUnit, scan_source
from sv2rig.kernels.opencl import Logic, Style, kernel_source
from sv2rig.kernels.prepare import preparation, tail_words
from sv2rig.kernels.program import NONCE, Program, search_program


def run(program: Program, words: Sequence[int], index: int, nonce: int) -> int:
    """The program's result for one nonce and the midstate of the given index."""
    values = dict(zip(program.shared_words, words, strict=False))
    own = words[len(program.shared_words) + index * len(program.own_words) :]
    values.update(zip(program.own_words, own, strict=False))
    for node in (*program.shared, *program.own):
        args = [
            arg if isinstance(arg, int) else nonce if arg.op == NONCE else values[arg]
            for arg in node.args
        ]
        if node.op == "add":
            values[node] = sum(args) & sha256.MASK
        else:
            amount = [node.amount] if node.amount else []
            values[node] = getattr(sha256, node.op)(*args, *amount)
    return values[program.result]


@given(
    st.binary(min_size=76, max_size=76),
    st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=8),
    st.integers(0, 2**32 - 1),
)
def test_the_program_computes_the_hash_s_top_word(
    header: bytes, versions: list[int], nonce: int
) -> None:
    program = search_program()
    headers = [struct.pack("<I", version) + header[4:] for version in versions]
    midstates = [midstate(one[:64]) for one in headers]
    words = preparation(program)(midstates, *tail_words(headers[0]))
    for index, one in enumerate(headers):
        digest = sha256d(one + struct.pack("<I", nonce))
        assert run(program, words, index, nonce) == int.from_bytes(digest[28:], "little")


def test_a_hash_takes_no_more_operations_than_planned() -> None:
    """2,855 was the plan; what midstates share falls to an eighth of itself with eight of them."""
    program = search_program()
    assert len(program.shared) + len(program.own) <= 2849
    assert len(program.shared) / 8 + len(program.own) <= 2446
    kinds = Counter(node.op for node in (*program.shared, *program.own))
    assert kinds["rotr"] + kinds["shr"] <= 1176


def test_words_are_few_and_nothing_unread_is_prepared() -> None:
    program = search_program()
    read = {
        arg
        for node in (*program.shared, *program.own)
        for arg in node.args
        if isinstance(arg, Node) and arg.stage is Stage.UNIFORM
    }
    assert read == {*program.shared_words, *program.own_words}
    assert len(program.shared_words) <= 13
    assert len(program.own_words) <= 34


def test_sums_meet_constants_on_the_host() -> None:
    graph = Graph()
    shared = graph.input("shared", Stage.UNIFORM, False)
    own = graph.input("own", Stage.UNIFORM, True)
    x, y = (graph.input(name, Stage.VECTOR, False) for name in "xy")
    assert graph.add(2**32 - 1, 3) == 2
    assert graph.add(x, 5, 2**32 - 5) is x
    later = graph.add(x, 5)
    assert isinstance(later, Offset)
    assert later.constant == 5
    assert graph.add(later, 2**32 - 5) is x
    settled = graph.settle(later)
    assert graph.settle(graph.add(x, 5)) is settled  # each distinct operation once
    total = graph.add(later, y, shared, own)
    assert isinstance(total, Node)
    inner, constant = total.args
    assert isinstance(inner, Node)
    assert inner.args == (y, x)
    assert isinstance(constant, Node)  # 5, shared and own are one word
    assert constant.stage is Stage.UNIFORM


def test_shared_vectors_are_summed_before_those_of_a_midstate() -> None:
    graph = Graph()
    x = graph.input("x", Stage.VECTOR, False)
    own = graph.input("own", Stage.VECTOR, True)
    total = graph.add(own, x, 7)
    assert isinstance(total, Node)
    first, last = total.args
    assert last is own
    assert isinstance(first, Node)
    assert first.args == (x, 7)
    assert not first.per_midstate


@pytest.mark.parametrize("several", [False, True])
def test_sources_differ_by_style_and_are_the_same_each_time(several: bool) -> None:
    program = search_program()
    styles = [Style(), Style(lanes=4), Style(vectors=2), Style(logic=Logic.SELECT)]
    sources = [kernel_source(program, style, several) for style in styles]
    sources += [
        scan_source(VectorBody(program, VectorUnit(lanes, ternary), several), several)
        for lanes, ternary in ((16, True), (16, False), (8, False))
    ]
    assert len(set(sources)) == len(sources)
    assert kernel_source(search_program(), styles[0], several) == sources[0]
