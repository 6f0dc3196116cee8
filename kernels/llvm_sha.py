"""The search with the CPU's SHA extensions (x86 SHA-NI), as LLVM IR: a few nonces side by side.

Two rounds are one instruction, so nothing is gained by folding constants: the plain schedule is
written, less what the last rounds do not need. State is in two vectors, (F, E, B, A) and
(H, G, D, C) from the lowest lane; message words are in order.
"""

from __future__ import annotations

from collections.abc import Sequence

from sv2rig.bitcoin.sha256 import IV
from sv2rig.kernels.llvm import VectorUnit, Writer
from sv2rig.kernels.prepare import Midstate
from sv2rig.kernels.program import NONCE

_FOUR = "<4 x i32>"
_SIDE_BY_SIDE = 2  # hides the round instruction's latency
_FEBA, _HGDC = (5, 4, 1, 0), (7, 6, 3, 2)  # lanes of the state vectors, as letters from A
_Rounds = list[str]  # sixteen groups of four words, their round constants added


def sha_words(midstates: Sequence[Midstate], w0: int, w1: int, w2: int) -> list[int]:
    """What the kernel reads: three words of the header, then each midstate as it is."""
    return [w0, w1, w2, *(word for midstate in midstates for word in midstate)]


class ShaBody:
    """One body of the scan for one midstate or several; see `llvm.Body`."""

    unit = VectorUnit(_SIDE_BY_SIDE, ternary=False)
    shared_words = 3
    own_words = 8

    def __init__(self, constants: Sequence[int], big_endian: bool) -> None:
        self._big_endian = big_endian
        self._constants = [constants[i : i + 4] for i in range(0, 64, 4)]
        self._first: list[_Rounds] = []

    def shared(self, writer: Writer) -> None:
        """The first hash's message, for each nonce."""
        header = [writer.word("%words", index) for index in range(3)]
        nonces = writer.names[NONCE]
        if not self._big_endian:
            nonces = writer.call(f"llvm.bswap.v{_SIDE_BY_SIDE}i32", nonces)
        for lane in range(_SIDE_BY_SIDE):
            nonce = writer.value(f"extractelement {writer.type} {nonces}, i32 {lane}")
            start = _gather(writer, [*header, nonce])
            message = [start, _vector(0x80000000, 0, 0, 0), _vector(0, 0, 0, 0)]
            groups = _schedule(writer, [*message, _vector(0, 0, 0, 640)])
            self._first.append(self._keyed(writer, groups))

    def own(self, writer: Writer, pointer: str) -> str:
        words = [writer.word(pointer, self.shared_words + index) for index in range(8)]
        midstate = [_gather(writer, [words[i] for i in order]) for order in (_FEBA, _HGDC)]
        states = self._rounds(writer, [midstate] * _SIDE_BY_SIDE, self._first, 32)
        second: list[_Rounds] = []
        for state in states:
            feba, hgdc = (_add(writer, x, y) for x, y in zip(state, midstate, strict=True))
            message = [_shuffle(writer, feba, hgdc, "3, 2, 7, 6")]
            message += [_shuffle(writer, feba, hgdc, "1, 0, 5, 4"), _vector(0x80000000, 0, 0, 0)]
            groups = _schedule(writer, [*message, _vector(0, 0, 0, 256)])
            second.append(self._keyed(writer, groups))
        start = [_vector(*(IV[i] for i in order)) for order in (_FEBA, _HGDC)]
        # F after 62 rounds is H after 64.
        states = self._rounds(writer, [start] * _SIDE_BY_SIDE, second, 31)
        result = "poison"
        for lane, (feba, _) in enumerate(states):
            word = writer.value(f"extractelement {_FOUR} {feba}, i32 0")
            result = writer.value(f"insertelement {writer.type} {result}, i32 {word}, i32 {lane}")
        last = writer.two("add", result, writer.constant(IV[7]))
        return writer.call(f"llvm.bswap.v{_SIDE_BY_SIDE}i32", last)

    def _keyed(self, writer: Writer, groups: Sequence[str]) -> _Rounds:
        return [
            _add(writer, group, _vector(*constants))
            for group, constants in zip(groups, self._constants, strict=True)
        ]

    def _rounds(
        self, writer: Writer, states: list[list[str]], keyed: Sequence[_Rounds], pairs: int
    ) -> list[list[str]]:
        """Pairs of rounds, each for all nonces in turn."""
        for pair in range(pairs):
            for lane, (feba, hgdc) in enumerate(list(states)):
                words = keyed[lane][pair // 2]
                if pair % 2:
                    words = _shuffle(writer, words, words, "2, 3, 2, 3")
                after = writer.call("llvm.x86.sha256rnds2", hgdc, feba, words, kind=_FOUR)
                states = [*states[:lane], [after, feba], *states[lane + 1 :]]
        return states


def _schedule(writer: Writer, message: list[str]) -> list[str]:
    """The sixteen groups of the message schedule (FIPS 180-4 section 6.2.2) from the first four."""
    groups = list(message)
    while len(groups) < 16:
        a, b, c, d = groups[-4:]
        old = writer.call("llvm.x86.sha256msg1", a, b, kind=_FOUR)
        middle = _shuffle(writer, c, d, "1, 2, 3, 4")
        total = _add(writer, old, middle)
        groups.append(writer.call("llvm.x86.sha256msg2", total, d, kind=_FOUR))
    return groups


def _add(writer: Writer, a: str, b: str) -> str:
    return writer.value(f"add {_FOUR} {a}, {b}")


def _shuffle(writer: Writer, a: str, b: str, lanes: str) -> str:
    mask = ", ".join(f"i32 {lane}" for lane in lanes.split(", "))
    return writer.value(f"shufflevector {_FOUR} {a}, {_FOUR} {b}, {_FOUR} <{mask}>")


def _gather(writer: Writer, words: Sequence[str]) -> str:
    vector = "poison"
    for lane, word in enumerate(words):
        vector = writer.value(f"insertelement {_FOUR} {vector}, i32 {word}, i32 {lane}")
    return vector


def _vector(*words: int) -> str:
    return "<" + ", ".join(f"i32 {word}" for word in words) + ">"
