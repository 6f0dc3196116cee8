"""Three dialects of FPGA miners on a UART: what goes out for a work, and what comes back.

KC705 speaks lines of text, PyFPGA (VHDL_Xilinx_Port) bytes with a type, makomk's serial designs
(DE2-115 and others) Icarus' 64 bytes and bare nonces. facts/boards.md 2.8.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sv2rig.boards.byte_order import mid_le, mid_rev, tail_gw, tail_rev

PING = b"\x00"
FLUSH = PING * 45  # a half-received job's rest and one: all become pings
PIPELINE_OFFSETS = (0, *sorted({131, 133, 66, *((1 << 7 - level) + 1 for level in range(7))}))


@dataclass(frozen=True, slots=True)
class Nonce:
    """Header bytes 76..79, as the board reports them (see `corrected`)."""

    nonce: bytes


@dataclass(frozen=True, slots=True)
class Temperature:
    celsius: float


@dataclass(frozen=True, slots=True)
class Exhausted:
    """The work's nonces are all searched."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A work was taken."""


@dataclass(frozen=True, slots=True)
class Pong:
    """A ping's answer."""


@dataclass(frozen=True, slots=True)
class CommError:
    """Bytes that say nothing in this dialect."""

    skipped: int


Event = Nonce | Temperature | Exhausted | Acknowledged | Pong | CommError


def corrected(nonce: bytes, offset: int) -> bytes:
    """The nonce found by a design that reports `offset` counts too many: its pipeline's depth."""
    return (int.from_bytes(nonce) - offset & 0xFFFFFFFF).to_bytes(4)


def kc705_work(tail: bytes, midstate: Sequence[int]) -> bytes:
    """88 hex digits and a line's end."""
    return (tail_gw(tail) + mid_le(midstate)).hex().encode() + b"\n"


def pyfpga_work(tail: bytes, midstate: Sequence[int]) -> bytes:
    return b"\x01" + mid_rev(midstate) + tail_rev(tail)


def makomk_work(tail: bytes, midstate: Sequence[int]) -> bytes:
    """64 bytes; the 20 between are ignored."""
    return mid_rev(midstate) + bytes(20) + tail_rev(tail)


def xadc_celsius(code: int) -> float:
    """A Xilinx XADC's 16-bit temperature code."""
    return code * 503.975 / 65536 - 273.15


class Kc705Decoder:
    """Lines of 8 digits (a nonce) or 4 (a temperature); any other line is one error.

    Keeps less than ten bytes: of a longer line only that it was one.
    """

    _LONGEST = 9  # 8 digits, and a carriage return that some terminals add

    def __init__(self) -> None:
        self._held = b""
        self._lost = 0
        self.errors = 0

    @property
    def waiting(self) -> int:
        return len(self._held)

    def reset(self) -> None:
        """Forget a line that did not end."""
        self._held = b""
        self._lost = 0

    def feed(self, data: bytes) -> list[Event]:
        *lines, self._held = (self._held + data).split(b"\n")
        found = [self._event(line) for line in lines]
        if len(self._held) > self._LONGEST:
            self._lost += len(self._held)
            self._held = b""
        return found

    def _event(self, line: bytes) -> Event:
        lost, self._lost = self._lost, 0
        text = line.removesuffix(b"\r")
        if not lost and len(text) in (4, 8) and _is_hex(text):
            value = bytes.fromhex(text.decode())
            return (
                Nonce(value)
                if len(value) == 4
                else Temperature(xadc_celsius(int.from_bytes(value)))
            )
        self.errors += 1
        return CommError(lost + len(line) + 1)


def _is_hex(text: bytes) -> bool:
    return all(byte in b"0123456789abcdefABCDEF" for byte in text)


class PyFpgaDecoder:
    """A type byte, and after 02 a nonce. A byte of no type is one error.

    A lost byte makes the next byte a nonce's last: after a nonce that fails its check, send FLUSH,
    drop what comes until the pongs, and `reset`.
    """

    def __init__(self) -> None:
        self._held = b""
        self.errors = 0

    @property
    def waiting(self) -> int:
        return len(self._held)

    def reset(self) -> None:
        """Forget a nonce that did not come whole."""
        self._held = b""

    def feed(self, data: bytes) -> list[Event]:
        buffer = self._held + data
        found: list[Event] = []
        at = 0
        while at < len(buffer):
            if buffer[at] == 2:
                if len(buffer) - at < 5:
                    break
                found.append(Nonce(buffer[at + 1 : at + 5]))
                at += 5
                continue
            found.append(self._event(buffer[at]))
            at += 1
        self._held = buffer[at:]
        return found

    def _event(self, kind: int) -> Event:
        match kind:
            case 0:
                return Pong()
            case 1:
                return Acknowledged()
            case 3:
                return Exhausted()
        self.errors += 1
        return CommError(1)


class MakomkDecoder:
    """Four bytes are a nonce, unmarked: `reset` at each new work and after silence."""

    def __init__(self) -> None:
        self._held = b""
        self.errors = 0

    @property
    def waiting(self) -> int:
        return len(self._held)

    def reset(self) -> None:
        """Forget a nonce that did not come whole: one error, if there was one."""
        if self._held:
            self.errors += 1
        self._held = b""

    def feed(self, data: bytes) -> list[Event]:
        buffer = self._held + data
        whole = len(buffer) // 4 * 4
        self._held = buffer[whole:]
        return [Nonce(buffer[at : at + 4]) for at in range(0, whole, 4)]


Decoder = Kc705Decoder | PyFpgaDecoder | MakomkDecoder


@dataclass(frozen=True, slots=True)
class Dialect:
    """One of the three. `acknowledges`: a work is answered; `tells_exhausted`: its end is told."""

    name: str
    work: Callable[[bytes, Sequence[int]], bytes]
    decoder: Callable[[], Decoder]
    acknowledges: bool = False
    tells_exhausted: bool = False


KC705 = Dialect("kc705", kc705_work, Kc705Decoder)
PYFPGA = Dialect("pyfpga", pyfpga_work, PyFpgaDecoder, acknowledges=True, tells_exhausted=True)
MAKOMK = Dialect("makomk", makomk_work, MakomkDecoder)
DIALECTS = {one.name: one for one in (KC705, PYFPGA, MAKOMK)}
