"""Three dialects of FPGA miners on a UART: what goes out for a work, and what comes back.

KC705 speaks lines of text, PyFPGA (VHDL_Xilinx_Port) bytes with a type, makomk's serial designs
(DE2-115 and others) Icarus' 64 bytes and bare nonces. facts/boards.md 2.8. Designs report a nonce
and their pipeline's depth: PIPELINE_OFFSETS are to be tried on the golden work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sv2rig.boards.byte_order import mid_le, mid_rev, tail_gw, tail_rev
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


def kc705_work(midstate: Sequence[int], tail: bytes) -> bytes:
    """88 hex digits and a line's end."""
    return (tail_gw(tail) + mid_le(midstate)).hex().encode() + b"\n"


def pyfpga_work(midstate: Sequence[int], tail: bytes) -> bytes:
    """45 bytes."""
    return b"\x01" + mid_rev(midstate) + tail_rev(tail)


def makomk_work(midstate: Sequence[int], tail: bytes) -> bytes:
    """64 bytes; the 20 between are ignored."""
    return mid_rev(midstate) + bytes(20) + tail_rev(tail)


def xadc_celsius(code: int) -> float:
    """A Xilinx XADC's 16-bit temperature code."""
    return code * 503.975 / 65536 - 273.15


def _of(work: Callable[[Sequence[int], bytes], bytes], piece: Slice) -> bytes:
    return work(piece.midstates()[0], piece.header76()[64:])


class Kc705Wire:
    """Lines of 8 digits (a nonce) or 4 (a temperature, `celsius`); any other line is damage.

    Of a line that is too long, only its length is kept.
    """

    _LONGEST = 9  # 8 digits, and a carriage return that some adapters add

    def __init__(self) -> None:
        self._kept = b""
        self._lost = 0
        self.celsius: float | None = None

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
        return None


def _is_hex(text: bytes) -> bool:
    return all(byte in b"0123456789abcdefABCDEF" for byte in text)


class PyFpgaWire:
    """A type byte, and after 02 a nonce. A byte of no type is damage.

    A lost byte makes the byte that follows a nonce its last: after a nonce that fails its check
    send FLUSH and `drop`. `pongs` and `acknowledged` count what answered pings and works.
    """

    def __init__(self) -> None:
        self._kept = b""
        self.pongs = 0
        self.acknowledged = 0

    @property
    def pending(self) -> int:
        return len(self._kept)

    def drop(self) -> None:
        self._kept = b""

    def encode(self, piece: Slice) -> bytes:
        return _of(pyfpga_work, piece)

    def decode(self, data: bytes) -> list[Reply]:
        buffer = self._kept + data
        found: list[Reply] = []
        at = 0
        while at < len(buffer):
            kind = buffer[at]
            if kind == 2:
                if len(buffer) - at < 5:
                    break
                found.append(Nonce(buffer[at + 1 : at + 5]))
                at += 5
                continue
            at += 1
            if kind == 3:
                found.append(RangeDone())
            elif kind > 3:
                found.append(Damaged(f"byte {kind:02x} that begins no reply"))
            self.pongs += kind == 0
            self.acknowledged += kind == 1
        self._kept = buffer[at:]
        return found


class MakomkWire:
    """Four bytes are a nonce, unmarked: `drop` at each new work and after silence."""

    def __init__(self) -> None:
        self._kept = b""

    @property
    def pending(self) -> int:
        return len(self._kept)

    def drop(self) -> None:
        self._kept = b""

    def encode(self, piece: Slice) -> bytes:
        return _of(makomk_work, piece)

    def decode(self, data: bytes) -> list[Reply]:
        buffer = self._kept + data
        whole = len(buffer) // 4 * 4
        self._kept = buffer[whole:]
        return [Nonce(buffer[at : at + 4]) for at in range(0, whole, 4)]


class MakeWork(Protocol):
    """The bytes of a work from the midstate and the tail (header bytes 64..75)."""

    def __call__(self, midstate: Sequence[int], tail: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Dialect:
    """One of the three. `frame_bytes`: a board counts to this many for a work, so that a byte lost
    on its way puts it out of step (0: works end in a mark)."""

    name: str
    work: MakeWork
    wire: Callable[[], PushWire]
    frame_bytes: int

    @property
    def golden(self) -> Probe:
        """Work whose nonce is known."""
        frame = self.work(_GOLDEN_MIDSTATE, _GOLDEN_TAIL)
        return Probe(frame, _GOLDEN_MIDSTATE, _GOLDEN_TAIL, _GOLDEN_HASHES)


KC705 = Dialect("kc705", kc705_work, Kc705Wire, 0)
PYFPGA = Dialect("pyfpga", pyfpga_work, PyFpgaWire, 45)
MAKOMK = Dialect("makomk", makomk_work, MakomkWire, 64)
DIALECTS = {one.name: one for one in (KC705, PYFPGA, MAKOMK)}
