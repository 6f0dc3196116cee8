"""What goes over the wire to a ZTEX 1.15x/d/y board: vendor requests in bytes, no I/O.

Layouts: facts of REFERENCE.md. Integers are little-endian. A nonce here is what the FPGAs count
in: header bytes 76..79 read as a big-endian number.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from sv2rig.bitcoin.hashing import sha256d
from sv2rig.bitcoin.sha256 import IV, midstate
from sv2rig.boards.line import BoardError
from sv2rig.devices.work import NONCES

DESCRIPTOR_BYTES = 40
MINER_BYTES = 64
STATE_BYTES = 9
HIGH_SPEED_BYTES = 2
FPGAS_BYTES = 3
CHUNK_LOW_SPEED = 2048
CHUNK_HIGH_SPEED = 65536
_MODELS = {13: "1.15x/d", 15: "1.15y"}
_OFFSET_BIAS = 10_000
_SLOT = struct.Struct("<3I")
_EXTRA_BYTES = 4


class ZtexProtocolError(BoardError):
    """The board answered with something else than its protocol has; the text says with what."""


@dataclass(frozen=True, slots=True)
class Read:
    """A vendor request that asks for `length` bytes (bmRequestType 0xC0)."""

    request: int
    length: int


@dataclass(frozen=True, slots=True)
class Send:
    """A vendor request that carries `data` and a `value` to the board (bmRequestType 0x40)."""

    request: int
    data: bytes = b""
    value: int = 0


READ_DESCRIPTOR = Read(0x22, DESCRIPTOR_BYTES)
READ_STATE = Read(0x30, STATE_BYTES)
RESET_FPGA = Send(0x31)
READ_HIGH_SPEED = Read(0x33, HIGH_SPEED_BYTES)
BEGIN_HIGH_SPEED = Send(0x34)
END_HIGH_SPEED = Send(0x35)
READ_FPGAS = Read(0x50, FPGAS_BYTES)
READ_MINER = Read(0x82, MINER_BYTES)
SUSPEND = Send(0x84)


# What an FPGA is tried with before it is used: block 125552.
TEST_HEADER = bytes.fromhex(
    "0100000081cd02ab7e569e8bcd9317e2fe99f2de44d49ab2b8851ba4a308000000000000"
    "e320b6c2fffc8d750423db8b1eb942ae710e951ed797f7affc8892b0f1fc122bc7f5d74df2b9441a"
)


def low_speed_chunks(bitstream: bytes) -> Iterator[Send]:
    """A bitstream as the control endpoint takes it."""
    for start in range(0, len(bitstream), CHUNK_LOW_SPEED):
        yield Send(0x32, bitstream[start : start + CHUNK_LOW_SPEED])


def select_fpga(number: int) -> Send:
    """What follows is for this FPGA of the board, from 0."""
    return Send(0x51, value=number)


def set_clock(multiplier: int) -> Send:
    return Send(0x83, value=multiplier)


def start_job(header76: bytes) -> Send:
    """44 bytes: header bytes 64..75 as three reversed words (`TAIL_GW`), then the midstate
    (`MID_LE`). The FPGA counts from nonce 0 at once, whatever it did before."""
    tail = struct.unpack("<3I", header76[64:])
    return Send(0x80, struct.pack(">3I", *tail) + struct.pack("<8I", *midstate(header76[:64])))


def header_nonce(counter: int) -> bytes:
    """Header bytes 76..79 of what an FPGA counts in."""
    return counter.to_bytes(4, "big")


def right_hash7(header76: bytes, counter: int) -> int:
    """What an FPGA that hashes rightly says of this nonce."""
    last_word = int.from_bytes(sha256d(header76 + header_nonce(counter))[28:], "big")
    return (last_word - IV[7]) % NONCES


def solves_test(counter: int, ticket: int) -> bool:
    """Whether this nonce is one of the test's, found before other work came."""
    return int.from_bytes(sha256d(TEST_HEADER + header_nonce(counter)), "little") <= ticket


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What the board's firmware says of itself (request 0x22)."""

    product: tuple[int, int]
    firmware: int
    capabilities: int  # bits of byte 12

    @classmethod
    def decode(cls, data: bytes) -> Descriptor:
        if len(data) != DESCRIPTOR_BYTES or data[:6] != b"\x28\x01ZTEX":
            raise ZtexProtocolError(
                f"no ZTEX descriptor (request 0x22): {data[:8].hex() or 'no bytes'}; "
                "its firmware may be missing"
            )
        product = (data[6], data[7])
        if product[0] != 10 or product[1] not in _MODELS:
            raise ZtexProtocolError(
                f"ZTEX product {product[0]}.{product[1]}: only 10.13 (1.15x, 1.15d) and 10.15 "
                "(1.15y) are driven"
            )
        return cls(product, data[10], data[12])

    @property
    def model(self) -> str:
        return _MODELS[self.product[1]]

    @property
    def configures(self) -> bool:
        """Whether a bitstream can be loaded at all."""
        return bool(self.capabilities & 1 << 1)

    @property
    def high_speed(self) -> bool:
        return bool(self.capabilities & 1 << 5)

    @property
    def several_fpgas(self) -> bool:
        return bool(self.capabilities & 1 << 7)


@dataclass(frozen=True, slots=True)
class FpgaState:
    """How far an FPGA is configured (request 0x30): `checksum` and `size` of what it was sent."""

    configured: bool
    checksum: int
    size: int
    init: int

    @classmethod
    def decode(cls, data: bytes) -> FpgaState:
        _check_length(data, STATE_BYTES, "FPGA state (request 0x30)")
        unconfigured, checksum, size, init = struct.unpack("<BBIB", data[:7])
        return cls(unconfigured == 0, checksum, size, init)


def decode_high_speed(data: bytes) -> tuple[int, int]:
    """Endpoint and interface of the fast way for bitstreams (request 0x33)."""
    _check_length(data, HIGH_SPEED_BYTES, "high-speed settings (request 0x33)")
    return data[0], data[1]


def decode_fpgas(data: bytes) -> int:
    """How many FPGAs the board has (request 0x50)."""
    _check_length(data, FPGAS_BYTES, "FPGA count (request 0x50)")
    return data[0] + 1


@dataclass(frozen=True, slots=True)
class Miner:
    """What the mining firmware says (request 0x82).

    A reply has `slots` slots, one for each hash unit, with `extra` more golden nonces each.
    `offset`: by how much the nonces it reports are too high. The clock is
    `step_mhz * (multiplier + 1)`.
    """

    version: int
    slots: int
    offset: int
    step_mhz: float
    multiplier: int
    max_multiplier: int
    hashes_per_clock: float
    extra: int
    bitstream: str

    @classmethod
    def decode(cls, data: bytes) -> Miner:
        version = data[0] if data else -1
        name_at = {2: 8, 4: 10, 5: 11}.get(version)
        if name_at is None:
            raise ZtexProtocolError(
                f"mining firmware descriptor {version} (request 0x82): 2, 4 and 5 are known; "
                "the board needs its BTCMiner firmware"
            )
        if len(data) <= name_at:
            raise ZtexProtocolError(f"mining firmware descriptor of {len(data)} bytes is cut")
        slots, offset, step, multiplier, limit = struct.unpack_from("<BHHBB", data, 1)
        name = data[name_at:].partition(b"\0")[0].decode("ascii", "replace")
        hashes = _hashes_per_clock(data, version, name)
        return cls(
            version=version,
            slots=slots + 1,
            offset=offset - _OFFSET_BIAS,
            step_mhz=step * 0.01,
            multiplier=multiplier,
            max_multiplier=limit,
            hashes_per_clock=hashes,
            extra=data[10] if version > 4 else 0,
            bitstream=name,
        )

    @property
    def suspends(self) -> bool:
        return self.version == 5

    @property
    def range_per_slot(self) -> int:
        """How many nonces each hash unit counts through."""
        return NONCES // self.slots

    def mhz(self, multiplier: int) -> float:
        return self.step_mhz * (multiplier + 1)

    def rate_hs(self, multiplier: int) -> float:
        """Hashes a second of one FPGA, by its clock."""
        return self.mhz(multiplier) * 1e6 * self.hashes_per_clock

    @property
    def read_results(self) -> Read:
        return Read(0x81, self.slots * self._slot_bytes)

    @property
    def _slot_bytes(self) -> int:
        return _SLOT.size + self.extra * _EXTRA_BYTES

    def results(self, data: bytes) -> list[Slot]:
        """The slots of one reply."""
        _check_length(data, self.read_results.length, "results (request 0x81)")
        size = self._slot_bytes
        return [self._slot(data[at : at + size]) for at in range(0, len(data), size)]

    def _slot(self, data: bytes) -> Slot:
        golden, counter, hash7 = _SLOT.unpack_from(data)
        more = struct.unpack_from(f"<{self.extra}I", data, _SLOT.size)
        goldens = tuple(self._true(raw) for raw in (golden, *more) if raw)
        return Slot(goldens, self._true(counter), hash7, empty=not (counter or hash7))

    def _true(self, raw: int) -> int:
        return (raw - self.offset) % NONCES


def _hashes_per_clock(data: bytes, version: int, name: str) -> float:
    if version > 2:
        return float((int.from_bytes(data[8:10], "little") + 1) / 128)
    return 1.0 if name.startswith("ztex_ufm1_15b") else 0.5


@dataclass(frozen=True, slots=True)
class Slot:
    """One hash unit's reply: golden nonces, newest first, and where it is, with that hash.

    `hash7` is the last word of the second SHA-256 before its initial value is added. `empty`: the
    unit has not hashed anything yet.
    """

    goldens: tuple[int, ...]
    counter: int
    hash7: int
    empty: bool = False

    def is_right(self, header76: bytes) -> bool:
        """Whether it hashes this header rightly."""
        return not self.empty and self.hash7 == right_hash7(header76, self.counter)


def _check_length(data: bytes, length: int, what: str) -> None:
    if len(data) != length:
        raise ZtexProtocolError(f"{what}: {len(data)} bytes instead of {length}")
