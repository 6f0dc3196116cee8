"""Emulated FPGA designs that mine over a bare UART (wire facts and sources: REFERENCE.md)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from sv2rig.emulation.emulator import Emulator, EmulatorKind, EmulatorOptions, Identity
from sv2rig.emulation.ledger import WorkReceived
from sv2rig.emulation.options import choice, whole_number
from sv2rig.emulation.search import NONCES, HeaderBase
from sv2rig.emulation.uart_board import DATA, Golden, UartBoard

DEFAULT_BAUD = 115200


@dataclass(frozen=True, slots=True)
class Design:
    """What a design is built as: its bridge's factory descriptors and its real rate."""

    vid: int
    pid: int
    manufacturer: str
    product: str
    rate_hs: float


_KC705 = Design(
    0x10C4, 0xEA60, "Silicon Labs", "CP2103 USB to UART Bridge Controller", rate_hs=400e6
)
_PYFPGA = Design(0x0403, 0x6001, "FTDI", "FT232R USB UART", rate_hs=120e6)
_MAKOMK = Design(0x0403, 0x6001, "FTDI", "FT232R USB UART", rate_hs=109e6)


class FpgaBoard(UartBoard):
    """What the designs share: one chip, any baud, and a count that may run ahead of the hash.

    `offset`: a design whose pipeline is not accounted for reports N_be + offset.
    """

    def __init__(self, options: EmulatorOptions, design: Design, golden: Golden) -> None:
        identity = Identity(
            driver="fpga_uart",
            vid=design.vid,
            pid=design.pid,
            manufacturer=design.manufacturer,
            product=design.product,
            serial=options.more.get("serial"),
        )
        baud = whole_number(options.more, "baud", DEFAULT_BAUD, 300, 4_000_000)
        super().__init__(identity, options, baud, golden)
        self._offset = whole_number(options.more, "offset", 0, -NONCES, NONCES)
        self._count = 1 << whole_number(options.more, "nonce_bits", 32, 1, 32)
        self._real_rate_hs = design.rate_hs

    def _search(self, base: HeaderBase, work: WorkReceived, now: float) -> None:
        """From nonce 0, as a design does that begins anew with each work."""
        self._begin([base], work, now, count=self._count)
        trials = int.from_bytes(self._golden.nonce, "big") + 1
        self._expect_golden(base, now, trials / self._real_rate_hs)

    def _reply(self, right: bytes, work: WorkReceived, now: float) -> None:
        counted = (int.from_bytes(right, "big") + self._offset) % NONCES
        super()._reply(counted.to_bytes(4, "big"), work, now)


class Kc705(FpgaBoard):
    """Text lines: 88 hex digits are work, 8 are a nonce, 4 are the die's temperature.

    Digits shift into a register of 44 bytes in pairs, and a line feed makes work of what the
    register holds: after a line that is too short, of some older digits too. Only a line feed ends
    a pair that lacks a digit. A range goes on past a nonce and ends in silence.
    """

    DIGITS = 88
    REPORT_S = 4.0

    def __init__(self, options: EmulatorOptions) -> None:
        super().__init__(options, _KC705, _KC705_GOLDEN)
        self.celsius = float(whole_number(options.more, "celsius", 45, -40, 150))
        self._next_report: float | None = None  # none before power has come
        self._register = _HexRegister()

    def power_up(self, now: float) -> None:
        super().power_up(now)
        self._register = _HexRegister()
        self._next_report = now + self.REPORT_S

    def next_timeout(self) -> float | None:
        due, report = super().next_timeout(), self._next_report
        return report if due is None else due if report is None else min(due, report)

    def on_time(self, now: float) -> None:
        super().on_time(now)
        while self._next_report is not None and self._next_report <= now:
            self.wires.send(DATA, b"%04X\n" % self._xadc_code())
            self._next_report += self.REPORT_S

    def pins(self) -> dict[str, float]:
        return {**super().pins(), "celsius": self.celsius}

    def _understand(self, now: float) -> None:
        inbound = self.wires.inbound[DATA]
        while (length := inbound.buffer.find(b"\n") + 1) > 0:
            # What whole pairs of digits came too early are not part of the work.
            spare = max(0, length - self.DIGITS - 1)
            if spare % 2 == 0:
                for byte in inbound.take(spare):
                    self._register.shift(byte)
                length -= spare
            line, work = self.wires.take_work(DATA, length, now, framed=False)
            for byte in line[:-1]:
                self._register.shift(byte)
            base = _base_of_registers(self._register.line_feed())
            self._search(base, work, now)

    def _frame(self, nonce: bytes) -> bytes:
        return nonce.hex().upper().encode() + b"\n"

    def _xadc_code(self) -> int:
        code = round((self.celsius + 273.15) * 65536 / 503.975)
        return min(max(code, 0), 0xFFFF)


class _HexRegister:
    """The KC705 design's receiver: any byte is a digit, by its low bits; two make a byte."""

    SIZE = 44

    def __init__(self) -> None:
        self._bytes = bytearray(self.SIZE)
        self._high: int | None = None

    def shift(self, byte: int) -> None:
        letter = ord("A") <= byte <= ord("F") or ord("a") <= byte <= ord("f")
        digit = (byte - ord("A") + 10 if letter else byte - ord("0")) & 15
        if self._high is None:
            self._high = digit
        else:
            del self._bytes[0]
            self._bytes.append(self._high << 4 | digit)
            self._high = None

    def line_feed(self) -> bytes:
        """The work that the register holds; an odd digit goes in with the line feed, after it."""
        held = bytes(self._bytes)
        if self._high is not None:
            self.shift(ord("\n"))
        return held


class PyFpga(FpgaBoard):
    """Commands of one byte: 00 is answered with 00, 01 and 44 bytes with 01; others say nothing.

    Nonces come as 02 and four bytes. At the range's end it sends 03 and goes on from nonce 0.
    """

    PING, WORK = 0x00, 0x01
    PONG, ACK, NONCE, EXHAUSTED = b"\x00", b"\x01", b"\x02", b"\x03"
    WORK_BYTES = 45

    def __init__(self, options: EmulatorOptions) -> None:
        super().__init__(options, _PYFPGA, _PYFPGA_GOLDEN)
        self._base: HeaderBase | None = None

    def power_up(self, now: float) -> None:
        super().power_up(now)
        self._base = None

    def _understand(self, now: float) -> None:
        inbound = self.wires.inbound[DATA]
        while inbound.buffer:
            command = inbound.buffer[0]
            if command != self.WORK:
                intact = inbound.intact(1, framed=False)
                inbound.take(1)
                inbound.in_step(intact)
                if command == self.PING:
                    self.wires.send(DATA, self.PONG)
            elif len(inbound.buffer) >= self.WORK_BYTES:
                self._load(now)
            else:
                return

    def _load(self, now: float) -> None:
        data, work = self.wires.take_work(DATA, self.WORK_BYTES, now, framed=False)
        self.wires.send(DATA, self.ACK)
        self._base = _base_reversed(data[1:33], data[33:45])
        self._search(self._base, work, now)

    def _frame(self, nonce: bytes) -> bytes:
        return self.NONCE + nonce

    def _range_ended(self, now: float) -> None:
        self.wires.send(DATA, self.EXHAUSTED)
        if self._work and self._base:
            self._begin([self._base], self._work, now, count=self._count)


class Makomk(FpgaBoard):
    """64 bytes in the order of the Icarus, 4 bytes for each nonce found.

    Its nonce counts on from power-up, whatever work there is: new work begins where the count
    stands, a nonce does not stop it, and there is no end of the range.
    """

    WORK_BYTES = 64

    def __init__(self, options: EmulatorOptions) -> None:
        super().__init__(options, _MAKOMK, _MAKOMK_GOLDEN)
        self._base: HeaderBase | None = None
        self._powered_at = 0.0

    def power_up(self, now: float) -> None:
        super().power_up(now)
        self._base = None
        self._powered_at = now

    def _understand(self, now: float) -> None:
        while len(self.wires.inbound[DATA].buffer) >= self.WORK_BYTES:
            data, work = self.wires.take_work(DATA, self.WORK_BYTES, now, framed=False)
            self._base = _base_reversed(data[:32], data[52:])
            first = int((now - self._powered_at) * self.search.rate_hs) % self._count
            self._begin([self._base], work, now, first, self._count - first)
            self._expect_golden(self._base, now, self._golden_s(now))

    def _golden_s(self, now: float) -> float:
        """When a real board's count, which began at power-up too, comes to the known nonce."""
        counter = int((now - self._powered_at) * self._real_rate_hs)
        ahead = (int.from_bytes(self._golden.nonce, "big") - counter) % NONCES
        return (ahead + 1) / self._real_rate_hs

    def _range_ended(self, now: float) -> None:
        if self._work and self._base:
            golden = self._golden_hit
            self._begin([self._base], self._work, now, count=self._count)
            self._golden_hit = golden


def _base_reversed(midstate: bytes, tail: bytes) -> HeaderBase:
    """From h7 .. h0 big-endian, and nbits, ntime, merkle tail as they stand in the header."""
    nbits, ntime, merkle_tail = struct.unpack("4s4s4s", tail)
    return HeaderBase(struct.unpack(">8I", midstate)[::-1], merkle_tail + ntime + nbits)


def _base_of_registers(data: bytes) -> HeaderBase:
    """From merkle tail, ntime, nbits, then h0 .. h7, each word little-endian."""
    words = struct.unpack("<11I", data)
    return HeaderBase(words[3:], struct.pack(">3I", *words[:3]))


# Works whose answers the designs' own documents give.
_KC705_GOLDEN = Golden(
    _base_of_registers(
        bytes.fromhex(
            "1571d1be4de695931a26942190f741afb3ab06f1a582c5c85ee7a561912b25a7cd09c060a89b3c2a73a48e22"
        )
    ),
    bytes.fromhex("0e33337a"),
)
_PYFPGA_GOLDEN = Golden(
    _base_reversed(
        bytes.fromhex("d0eb6f57cf709cb7f2c62f8a7679dca9009e38418421d148a66bbca5f1cb2516"),
        bytes.fromhex("2194261ad837e84d49fa0a4c"),
    ),
    bytes.fromhex("02b3c27b"),
)
_MAKOMK_GOLDEN = Golden(
    _base_reversed(
        bytes.fromhex("4679ba4ec99876bf4bfe086082b400254df6c356451471139a3afa71e48f544a"),
        bytes.fromhex("87320b1a1426674f2fa722ce"),
    ),
    bytes.fromhex("000187a2"),
)

VARIANTS = {"kc705": Kc705, "pyfpga": PyFpga, "makomk": Makomk}


def _make(options: EmulatorOptions) -> Emulator:
    return VARIANTS[choice(options.more, "variant", "pyfpga", VARIANTS)](options)


EMULATOR = EmulatorKind(
    name="fpga_uart",
    help="FPGA designs on a bare UART: KC705's text lines, PyFPGA, makomk's serial port",
    make=_make,
    more={
        "variant": f"which design: {', '.join(VARIANTS)}",
        "baud": f"the speed it is built for ({DEFAULT_BAUD})",
        "offset": "how far its reported nonces run ahead of the right ones (0)",
        "celsius": "the die's temperature that kc705 reports (45)",
        "nonce_bits": "nonces of a work as a power of two, so that a range ends soon (32)",
        "serial": "the USB serial number it shows",
    },
)
