"""Three dialects of FPGA miners on a UART: what goes out for a work, and what comes back.

KC705 speaks lines of text, PyFPGA (VHDL_Xilinx_Port) bytes with a type, makomk's serial designs
(DE2-115 and others) Icarus' 64 bytes and bare nonces. REFERENCE.md. Designs report a nonce
and their pipeline's depth: PIPELINE_OFFSETS are to be tried on the golden work.

None of them stops at a nonce, so replies follow each other at any distance. Where they have no
mark, a lost byte shows only in that the nonces read are wrong and those a few bytes on are right:
wires are told how to judge a nonce.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sv2rig.boards.byte_order import mid_le, mid_rev, tail_gw, tail_rev, words_of_mid_rev
from sv2rig.boards.engine import Damaged, Nonce, RangeDone, Reply
from sv2rig.boards.push_engine import Probe, PushWire
from sv2rig.devices.slices import Slice

PING = b"\x00"
FLUSH = PING * 45  # a half-received work's rest, and one: those beyond it are pings
PIPELINE_OFFSETS = (0, *sorted({131, 133, 66, *((1 << 7 - level) + 1 for level in range(7))}))

# Block 171874, which Icarus boards are probed with too: its nonce is 000187a2.
_GOLDEN_MIDSTATE = (
    0xE48F544A, 0x9A3AFA71, 0x45147113, 0x4DF6C356, 0x82B40025, 0x4BFE0860, 0xC99876BF, 0x4679BA4E,
)  # fmt: skip
_GOLDEN_TAIL = bytes.fromhex("2fa722ce1426674f87320b1a")
_GOLDEN_HASHES = 100_258

IsRight = Callable[[bytes], bool]  # whether this nonce, as reported, solves a work that was sent


def _any(_nonce: bytes) -> bool:
    return True


def kc705_work(midstate: Sequence[int], tail: bytes) -> bytes:
    """88 hex digits and a line's end."""
    return (tail_gw(tail) + mid_le(midstate)).hex().encode() + b"\n"


def pyfpga_work(midstate: Sequence[int], tail: bytes) -> bytes:
    """45 bytes."""
    return b"\x01" + mid_rev(midstate) + tail_rev(tail)


def makomk_work(midstate: Sequence[int], tail: bytes, filler: bytes = bytes(20)) -> bytes:
    """64 bytes; the 20 of the filler are ignored."""
    return mid_rev(midstate) + filler + tail_rev(tail)


def makomk_header(frame: bytes) -> tuple[tuple[int, ...], bytes]:
    """Midstate and tail that a board searches after these 64 bytes."""
    return words_of_mid_rev(frame[:32]), tail_rev(frame[52:])


def xadc_celsius(code: int) -> float:
    """A Xilinx XADC's 16-bit temperature code."""
    return code * 503.975 / 65536 - 273.15


def _of(work: Callable[[Sequence[int], bytes], bytes], piece: Slice) -> bytes:
    return work(piece.midstates()[0], piece.header76()[64:])


class Wire(PushWire, Protocol):
    """A dialect's bytes."""

    def rest(self) -> list[Reply]:
        """Nothing follows what is pending: what is to be made of it."""


class Kc705Wire:
    """Lines of 8 digits (a nonce) or 4 (a temperature: `celsius`, the latest of `readings`); any
    other line is damage.

    Of a line that is too long, only its length is kept.
    """

    _LONGEST = 9  # 8 digits, and a carriage return that some adapters add

    def __init__(self, _is_right: IsRight = _any) -> None:
        self._kept = b""
        self._lost = 0
        self.celsius: float | None = None
        self.readings = 0

    @property
    def pending(self) -> int:
        return len(self._kept)

    def drop(self) -> None:
        self._kept = b""
        self._lost = 0

    def encode(self, piece: Slice) -> bytes:
        return _of(kc705_work, piece)

    def decode(self, data: bytes) -> list[Reply]:
        *lines, self._kept = (self._kept + data).split(b"\n")
        found = [reply for line in lines if (reply := self._reply(line)) is not None]
        if len(self._kept) > self._LONGEST:
            self._lost += len(self._kept)
            self._kept = b""
        return found

    def _reply(self, line: bytes) -> Reply | None:
        lost, self._lost = self._lost, 0
        text = line.removesuffix(b"\r")
        if lost or len(text) not in (4, 8) or not _is_hex(text):
            return Damaged(f"a line of {lost + len(line)} bytes that is no nonce")
        value = bytes.fromhex(text.decode())
        if len(value) == 4:
            return Nonce(value)
        self.celsius = xadc_celsius(int.from_bytes(value))
        self.readings += 1
        return None

    def rest(self) -> list[Reply]:
        """A line may go on after any pause."""
        return []


def _is_hex(text: bytes) -> bool:
    return all(byte in b"0123456789abcdefABCDEF" for byte in text)


class _NonceStream(ABC):
    """Nonces with no end mark: what is kept is read again with what follows, or as all there is."""

    def __init__(self, is_right: IsRight = _any) -> None:
        self._kept = b""
        self._is_right = is_right

    @property
    def pending(self) -> int:
        return len(self._kept)

    def drop(self) -> None:
        self._kept = b""

    def decode(self, data: bytes) -> list[Reply]:
        self._kept += data
        return self._read(is_all=False)

    def rest(self) -> list[Reply]:
        found = self._read(is_all=True)
        if self._kept:
            found.append(Damaged(f"{self.pending} bytes of a nonce"))
        self.drop()
        return found

    @abstractmethod
    def _read(self, is_all: bool) -> list[Reply]:
        """Takes whole replies from what is kept; `is_all`: nothing follows it."""


class PyFpgaWire(_NonceStream):
    """A type byte, and after 02 a nonce. Bytes of no type are damage.

    A nonce that is not right may have lost a byte to the frame after it: then that one, begun
    early, is right. `pongs` and `acknowledged` count what answered pings and works.
    """

    _FRAME = 5

    def __init__(self, is_right: IsRight = _any) -> None:
        super().__init__(is_right)
        self.pongs = 0
        self.acknowledged = 0

    def encode(self, piece: Slice) -> bytes:
        return _of(pyfpga_work, piece)

    def _read(self, is_all: bool) -> list[Reply]:
        found: list[Reply] = []
        buffer, at = self._kept, 0
        while at < len(buffer):
            if buffer[at] != 2:
                self._take_type(buffer[at], found)
                at += 1
                continue
            step = self._step(buffer[at : at + 2 * self._FRAME - 1], is_all)
            if step is None:
                break
            found.append(
                Nonce(buffer[at + 1 : at + 5])
                if step == self._FRAME
                else Damaged(f"a nonce that lacks {self._FRAME - step} bytes")
            )
            at += step
        self._kept = buffer[at:]
        return found

    def _step(self, window: bytes, is_all: bool) -> int | None:
        """How long the reply is that begins here; None: not to be told yet."""
        if len(window) < self._FRAME:
            return None
        if self._is_right(window[1:5]):
            return self._FRAME
        early = [at for at in range(1, self._FRAME) if window[at] == 2]
        if not is_all and early and len(window) < early[-1] + self._FRAME:
            return None
        return next(
            (
                at
                for at in early
                if len(window) >= at + self._FRAME and self._is_right(window[at + 1 : at + 5])
            ),
            self._FRAME,
        )

    def _take_type(self, kind: int, found: list[Reply]) -> None:
        if kind == 3:
            found.append(RangeDone())
        elif kind > 3:
            found.append(Damaged(f"byte {kind:02x} that begins no reply"))
        self.pongs += kind == 0
        self.acknowledged += kind == 1


class MakomkWire(_NonceStream):
    """Four bytes are a nonce, unmarked. One that is not right is judged by the four after it: if
    they are not right either, but four that begin earlier are, bytes were lost or added."""

    _FRAME = 4

    def encode(self, piece: Slice) -> bytes:
        return _of(makomk_work, piece)

    def _read(self, is_all: bool) -> list[Reply]:
        found: list[Reply] = []
        buffer, at = self._kept, 0
        while len(buffer) - at >= self._FRAME:
            step = self._step(buffer[at : at + 2 * self._FRAME], is_all)
            if step is None:
                break
            found.append(
                Nonce(buffer[at : at + self._FRAME])
                if step == self._FRAME
                else Damaged(f"{step} bytes that are no whole nonce")
            )
            at += step
        self._kept = buffer[at:]
        return found

    def _step(self, window: bytes, is_all: bool) -> int | None:
        """How long the reply is that begins here; None: not to be told yet."""
        if self._is_right(window[:4]):
            return self._FRAME
        if not is_all and len(window) < 2 * self._FRAME:
            return None
        if self._is_right_at(self._FRAME, window):
            return self._FRAME
        shifted = (at for at in range(1, self._FRAME) if self._is_right_at(at, window))
        return next(shifted, self._FRAME)

    def _is_right_at(self, at: int, window: bytes) -> bool:
        return len(window) >= at + self._FRAME and self._is_right(window[at : at + self._FRAME])


class MakeWork(Protocol):
    """The bytes of a work from the midstate and the tail (header bytes 64..75)."""

    def __call__(self, midstate: Sequence[int], tail: bytes) -> bytes: ...


class MakeWire(Protocol):
    """A new wire, as after power-up."""

    def __call__(self, is_right: IsRight = _any, /) -> Wire: ...


@dataclass(frozen=True, slots=True)
class Dialect:
    """One of the three. `frame_bytes`: a board counts to this many for a work, so that a byte lost
    on its way puts it out of step (0: works end in a mark). `flush` puts it in step again, whatever
    came before. `rate_hs` as published. `speed_test`: work from nonce 0 that takes long enough to
    tell the rate; None where the nonce does not begin at 0."""

    name: str
    work: MakeWork
    wire: MakeWire
    frame_bytes: int
    rate_hs: float
    flush: bytes = b""
    speed_test: Probe | None = None

    @property
    def golden(self) -> Probe:
        """Work whose nonce is known."""
        frame = self.work(_GOLDEN_MIDSTATE, _GOLDEN_TAIL)
        return Probe(frame, _GOLDEN_MIDSTATE, _GOLDEN_TAIL, _GOLDEN_HASHES)


def _known(work: MakeWork, midstate: tuple[int, ...], tail: str, counted: int) -> Probe:
    tail12 = bytes.fromhex(tail)
    return Probe(work(midstate, tail12), midstate, tail12, counted)


# The example of KC705_experimental's README, and the speed test of VHDL_Xilinx_Port's miner.py.
_KC705_TEST = _known(
    kc705_work,
    (
        0xAF41F790, 0xF106ABB3, 0xC8C582A5, 0x61A5E75E,
        0xA7252B91, 0x60C009CD, 0x2A3C9BA8, 0x228EA473,
    ),
    "bed171159395e64d2194261a",
    0x0E33337A,
)  # fmt: skip
_PYFPGA_TEST = _known(
    pyfpga_work,
    (
        0xF1CB2516, 0xA66BBCA5, 0x8421D148, 0x009E3841,
        0x7679DCA9, 0xF2C62F8A, 0xCF709CB7, 0xD0EB6F57,
    ),
    "49fa0a4cd837e84d2194261a",
    0x02B3C27B,
)  # fmt: skip

KC705 = Dialect("kc705", kc705_work, Kc705Wire, 0, 400e6, b"\n", _KC705_TEST)
PYFPGA = Dialect("pyfpga", pyfpga_work, PyFpgaWire, 45, 120e6, FLUSH, _PYFPGA_TEST)
MAKOMK = Dialect("makomk", makomk_work, MakomkWire, 64, 109e6)
DIALECTS = {one.name: one for one in (KC705, PYFPGA, MAKOMK)}
