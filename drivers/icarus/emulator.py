"""An emulated Icarus, Lancelot or Block Erupter (wire facts and sources: REFERENCE.md)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from sv2rig.emulation.emulator import Emulator, EmulatorKind, EmulatorOptions, Identity
from sv2rig.emulation.ledger import WorkReceived
from sv2rig.emulation.options import choice, whole_number
from sv2rig.emulation.search import NONCES, HeaderBase, Hit
from sv2rig.emulation.uart_board import DATA, Golden, UartBoard

BAUD = 115200
WORK_BYTES = 64
_MIDSTATE = slice(0, 32)  # h7 .. h0, each big-endian
_TAIL = slice(52, 64)  # nbits, ntime, merkle tail; what lies between the two is filler
_CHIPS = (1, 2, 4, 8)


@dataclass(frozen=True, slots=True)
class Variant:
    """A board as it is sold: its bridge's factory descriptors, its chips, its real pace."""

    vid: int
    pid: int
    manufacturer: str
    product: str
    serial: str | None
    chips: int
    ns_per_hash: float  # of all chips together


VARIANTS = {
    "icarus": Variant(
        0x067B, 0x2303, "Prolific Technology Inc.", "USB-Serial Controller", None, 2, 2.6316
    ),
    "lancelot": Variant(0x0403, 0x6001, "FTDI", "FT232R USB UART", None, 2, 2.5),
    "erupter": Variant(
        0x10C4,
        0xEA60,
        "Silicon Labs",
        "CP2102 USB to UART Bridge Controller",
        "0001",
        1,
        2.9761,
    ),
}


class IcarusBoard(UartBoard):
    """Raw 64 bytes in, 4 out, no framing: a lost byte leaves it waiting for one more.

    The chips share a work by the nonce's top bits. It stops at the first nonce that it reports, or
    at the end of the range without a word, and rests until the next 64 bytes.
    """

    def __init__(self, options: EmulatorOptions) -> None:
        name = choice(options.more, "variant", "icarus", VARIANTS)
        variant = VARIANTS[name]
        serial = options.more.get("serial", variant.serial)
        identity = Identity(
            driver="icarus",
            vid=variant.vid,
            pid=variant.pid,
            manufacturer=variant.manufacturer,
            product=variant.product,
            serial=serial,
        )
        self._chips = whole_number(options.more, "chips", variant.chips, 1, max(_CHIPS))
        if self._chips not in _CHIPS:
            raise ValueError(f"chips={self._chips}: a work is shared by 1, 2, 4 or 8 chips")
        range_bits = whole_number(options.more, "nonce_bits", 32, 3, 32)
        self._count = (1 << range_bits) // self._chips
        super().__init__(identity, options, BAUD, _GOLDEN)
        counter = int.from_bytes(_GOLDEN.nonce, "big") % (NONCES // self._chips)
        self._golden_s = (counter + 1) * self._chips * variant.ns_per_hash * 1e-9

    def pins(self) -> dict[str, float]:
        return {**super().pins(), "chips": float(self._chips)}

    def _understand(self, now: float) -> None:
        while len(self.wires.inbound[DATA].buffer) >= WORK_BYTES:
            data, work = self.wires.take_work(DATA, WORK_BYTES, now, framed=False)
            share = NONCES // self._chips
            bases = [_base(data, chip * share) for chip in range(self._chips)]
            self._begin(bases, work, now, count=self._count)
            self._expect_golden(bases[0], now, self._golden_s)

    def _found(self, hit: Hit, work: WorkReceived, now: float) -> None:
        self._reply(hit.nonce, work, now)
        self._rest(hit.due)


def _base(work: bytes, offset: int = 0) -> HeaderBase:
    words = struct.unpack(">8I", work[_MIDSTATE])[::-1]
    nbits, ntime, merkle_tail = struct.unpack("4s4s4s", work[_TAIL])
    return HeaderBase(words, merkle_tail + ntime + nbits, offset)


# Block 171874, which drivers of this family have always asked for.
_GOLDEN = Golden(
    _base(
        bytes.fromhex(
            "4679ba4ec99876bf4bfe086082b400254df6c356451471139a3afa71e48f544a"
            "000000000000000000000000000000000000000087320b1a1426674f2fa722ce"
        )
    ),
    bytes.fromhex("000187a2"),
)


def _make(options: EmulatorOptions) -> Emulator:
    return IcarusBoard(options)


EMULATOR = EmulatorKind(
    name="icarus",
    help="Icarus, Lancelot or Block Erupter: 64 bytes in, one nonce out",
    make=_make,
    more={
        "variant": f"which board: {', '.join(VARIANTS)}",
        "chips": "how many chips share a work: 1, 2, 4 or 8",
        "nonce_bits": "nonces of a work as a power of two, so that a range ends soon (32)",
        "serial": "the USB serial number it shows",
    },
)
