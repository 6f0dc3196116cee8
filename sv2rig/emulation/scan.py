"""Native search from a midstate, counting the nonce's bytes big-endian as boards do."""

from __future__ import annotations

import ctypes
import struct
from dataclasses import dataclass
from functools import cache

from sv2rig.bitcoin.sha256 import header_hash, midstate
from sv2rig.compute.engine import in_halves
from sv2rig.compute.native import NativeScan, build_scan, native_preparation, usable_variants
from sv2rig.kernels.llvm import RECORD_WORDS
from sv2rig.kernels.prepare import Prepare
from sv2rig.kernels.program import search_program

NONCES = 1 << 32
_RECORDS = 256
_TAIL = struct.Struct(">3I")


@dataclass(frozen=True, slots=True)
class HeaderBase:
    """All of a header but its nonce: 8 state words after bytes 0..63, then bytes 64..75.

    `offset`: where in its nonces this one starts, added to the common counter modulo 2**32; chips
    that share one work by the nonce's high bits each have theirs.
    """

    midstate: tuple[int, ...]
    tail: bytes
    offset: int = 0

    @classmethod
    def of_header(cls, header: bytes, offset: int = 0) -> HeaderBase:
        """From a header's first 76 bytes, or all 80 (the nonce is left out)."""
        if len(header) not in (76, 80):
            raise ValueError(f"a header has 76 or 80 bytes, not {len(header)}")
        return cls(midstate(header[:64]), header[64:76], offset)

    def __post_init__(self) -> None:
        if len(self.midstate) != 8 or len(self.tail) != 12:
            raise ValueError(
                f"a header's base is 8 words and 12 bytes, "
                f"not {len(self.midstate)} words and {len(self.tail)} bytes"
            )

    def hash(self, nonce: bytes) -> bytes:
        """SHA-256d of the header with these bytes 76..79, raw."""
        return header_hash(self.midstate, self.tail + nonce)


class Scan:
    """Looks through ranges of one header's nonces for hashes whose top word is at most `top`.

    The code is compiled once in a process, in a tenth of a second.
    """

    def __init__(self, base: HeaderBase, top: int) -> None:
        self._native, prepare = _native()
        words = prepare([base.midstate], *_TAIL.unpack(base.tail))
        self._words = (ctypes.c_uint32 * len(words))(*words)
        self._top = top
        self._offset = base.offset

    def find(self, first: int, count: int) -> list[int]:
        """Which of `count` counters from `first` hit, in order; counters may pass 2**32."""
        steps = -(-count // self._native.lanes)
        found = in_halves(lambda step, steps: self._attempt(first, step, steps), 0, steps)
        return [counter for counter in found if counter < first + count]

    def _attempt(self, first: int, step: int, steps: int) -> list[int] | None:
        lanes = self._native.lanes
        records = _records()
        begin = first + step * lanes
        start = (begin + self._offset) % NONCES
        held = self._native.call(self._words, start, steps, 1, self._top, records, _RECORDS)
        if held > _RECORDS:
            return None
        return [
            begin + (records[place] - start) % NONCES + lane
            for place in range(0, held * RECORD_WORDS, RECORD_WORDS)
            for lane in range(lanes)
            if records[place + 2] >> lane & 1
        ]


def compile_now() -> None:
    """So that no board waits for it later."""
    _native()


@cache
def _native() -> tuple[NativeScan, Prepare]:
    variant = usable_variants()[0]
    program = search_program(big_endian=True)
    return build_scan(program, variant, several=False), native_preparation(program, variant)


@cache
def _records() -> ctypes.Array[ctypes.c_uint32]:
    return (ctypes.c_uint32 * (RECORD_WORDS * _RECORDS))()
