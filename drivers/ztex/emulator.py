"""A ZTEX 1.15x, 1.15d or 1.15y with its mining firmware, as REFERENCE.md has it; it really hashes.

Of a bitstream it checks what a board's FPGA would notice first: the sync word in the right bit
order, and that all bytes came which the file's own header announces. What is in it does not matter.
"""

from __future__ import annotations

import random
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from sv2rig.devices.sighting import EmulatorClaims
from sv2rig.drivers.ztex.emulated_bitstream import blank_bitstream, is_whole_on_pins
from sv2rig.emulation.emulator import EmulatorKind, EmulatorOptions, Identity, NonceFaults
from sv2rig.emulation.ledger import WorkReceived
from sv2rig.emulation.options import choice, whole_number
from sv2rig.emulation.search import NONCES, HeaderBase, Search
from sv2rig.emulation.usb_device import Endpoint, Interface, Setup, StallError
from sv2rig.emulation.wires import Wires

DEFAULT_RATE_HS = 100_000.0
_USB = 0  # the only port
_BULK_OUT = 0x02
_CHUNK = 2048
_STEP_MHZ = 4.0
_MULTIPLIER, _MAX_MULTIPLIER = 49, 74  # 200 and 300 MHz
_INITIAL_H7 = 0x5BE0CD19


@dataclass(frozen=True, slots=True)
class Model:
    fpgas: int
    product: int
    bitstream: str


MODELS = {
    "1.15x": Model(1, 13, "ztex_ufm1_15d4"),
    "1.15d": Model(1, 13, "ztex_ufm1_15d4"),
    "1.15y": Model(4, 15, "ztex_ufm1_15y1"),
}
_MORE = {
    "model": f"which board: {', '.join(MODELS)}",
    "slots": "hash units in each FPGA (1)",
    "extra": "golden nonces a unit keeps besides its newest (7)",
    "offset": "by how much its nonces are too high (0)",
    "nonce_bits": "nonces of a work as a power of two, so that a range ends soon (32)",
    "stable_mhz": "from where on an FPGA makes errors (300)",
    "broken": "which FPGA, from 0, hashes wrongly (none)",
    "high_speed": "whether it takes bitstreams over its bulk endpoint: yes, no",
    "serial": "the serial number it shows",
}


class ZtexBoard:
    """The board's controller and its FPGAs. `files`: a driver's options that take a file, each with
    one that does for this emulator."""

    ports: tuple[str, ...] = ("usb",)

    def __init__(self, options: EmulatorOptions) -> None:
        more = options.more
        name = choice(more, "model", "1.15x", MODELS)
        self.model = MODELS[name]
        self._high_speed = choice(more, "high_speed", "yes", ("yes", "no")) == "yes"
        rate_hs = DEFAULT_RATE_HS if options.rate_hs is None else options.rate_hs
        self.identity = Identity(
            "ztex",
            vid=0x221A,
            pid=0x0100,
            bcd=0,
            manufacturer="ZTEX",
            product=f"USB-FPGA Module {name} (default)",
            serial=more.get("serial", "04A32DBCFA"),
        )
        self.files = {"bitstream": blank_bitstream(self.model.bitstream)}
        self.interfaces = (Interface(0, (Endpoint(_BULK_OUT),)),)
        self.claims = EmulatorClaims(
            options.ticket_bits, rate_hs, replay=bool(options.known), driver="ztex"
        )
        self.wires = Wires(self.ports)
        self.ledger = self.wires.ledger
        design = Design(
            slots=whole_number(more, "slots", 1, 1, 4),
            extra=whole_number(more, "extra", 7, 0, 15),
            offset=whole_number(more, "offset", 0, -9999, 9999),
            nonces=1 << whole_number(more, "nonce_bits", 32, 4, 32),
            stable_mhz=whole_number(more, "stable_mhz", 300, 1, 300),
        )
        self.fpgas = [
            _Fpga(number, design, rate_hs / self.model.fpgas, options)
            for number in range(self.model.fpgas)
        ]
        broken = whole_number(more, "broken", -1, -1, self.model.fpgas - 1)
        if broken >= 0:
            self.fpgas[broken].broken = True
        self._design = design
        self._selected = 0
        self._reads: dict[int, Callable[[float], bytes]] = {
            0x22: self._descriptor,
            0x30: lambda _now: self._fpga.state(),
            0x33: lambda _now: bytes((_BULK_OUT, 0)),
            0x50: lambda _now: bytes((self.model.fpgas - 1, self._selected, 0)),
            0x81: lambda now: self._fpga.results(now, self.wires),
            0x82: self._miner,
        }

    # -- Emulator

    def power_up(self, now: float) -> None:
        self._selected = 0
        self.wires.power_up()
        for fpga in self.fpgas:
            fpga.reset(now)
            fpga.multiplier = _MULTIPLIER

    def receive(self, port: int, data: bytes, baud: int, now: float) -> None:
        """It has no UART."""

    def take_output(self, _port: int) -> bytes:
        """It has no UART."""
        return b""

    def next_timeout(self) -> float | None:
        dues = [fpga.next_due() for fpga in self.fpgas]
        return min((due for due in dues if due is not None), default=None)

    def on_time(self, now: float) -> None:
        for fpga in self.fpgas:
            fpga.on_time(now)
        self.ledger.hashes = sum(fpga.hashes(now) for fpga in self.fpgas)

    def pins(self) -> dict[str, float]:
        return {
            "power_on": 1.0,
            "configured": float(sum(fpga.configured for fpga in self.fpgas)),
            "hashing": float(sum(fpga.hashing for fpga in self.fpgas)),
            "mhz": max(fpga.mhz for fpga in self.fpgas),
        }

    # -- UsbFunction

    def control_in(self, setup: Setup, now: float) -> bytes:
        answer = self._reads.get(setup.request)
        if setup.request_type != 0xC0 or answer is None:
            raise StallError(f"no request {setup.request_type:02x}/{setup.request:02x}")
        self.on_time(now)
        data = answer(now)
        if setup.request != 0x81:
            self.wires.send(_USB, data)
        return self.wires.take_output(_USB)[: setup.length]

    def control_out(self, setup: Setup, data: bytes, now: float, intact: bool = True) -> None:
        if setup.request_type != 0x40:
            raise StallError(f"no request type {setup.request_type:02x}")
        self.on_time(now)
        fpga = self._fpga
        match setup.request:
            case 0x31:
                fpga.reset(now)
            case 0x32 if len(data) <= _CHUNK:
                fpga.load(data)
                fpga.end_loading()
            case 0x34 if self._high_speed:
                fpga.begin_fast_loading()
            case 0x35 if self._high_speed:
                fpga.end_loading()
            case 0x51 if setup.value < self.model.fpgas:
                self._selected = setup.value
            case 0x80 if len(data) == 44 and fpga.configured:
                fpga.start(data, self.ledger.work(now, intact), now)
            case 0x83 if setup.value <= _MAX_MULTIPLIER:
                fpga.set_clock(setup.value, now)
            case 0x84:
                fpga.stop(now)
            case _:
                raise StallError(f"request {setup.request:02x} refused")

    def read(self, endpoint: int, _size: int, _now: float) -> bytes:
        raise StallError(f"no endpoint {endpoint:#04x} to the host")

    def write(self, endpoint: int, data: bytes, _now: float) -> int:
        if endpoint != _BULK_OUT or not self._fpga.loads_fast:
            raise StallError("no bitstream is expected")
        self._fpga.load(data)
        return len(data)

    def reset(self, now: float) -> None:
        """A bus reset leaves the FPGAs alone."""

    @property
    def _fpga(self) -> _Fpga:
        return self.fpgas[self._selected]

    def _descriptor(self, _now: float) -> bytes:
        capabilities = 1 << 1 | self._high_speed << 5 | (self.model.fpgas > 1) << 7
        fields = bytes((40, 1)) + b"ZTEX" + bytes((10, self.model.product, 0, 0, 5, 1))
        return (fields + bytes((capabilities,))).ljust(40, b"\0")

    def _miner(self, _now: float) -> bytes:
        design = self._design
        fields = struct.pack(
            "<BBHHBBHB",
            5,
            design.slots - 1,
            design.offset + 10_000,
            round(_STEP_MHZ * 100),
            _MULTIPLIER,
            _MAX_MULTIPLIER,
            127,  # one hash a clock
            design.extra,
        )
        return (fields + self.model.bitstream.encode()).ljust(64, b"\0")


@dataclass(frozen=True, slots=True)
class Design:
    """What a bitstream makes of an FPGA. `nonces`: how many it counts through in all."""

    slots: int
    extra: int
    offset: int
    nonces: int
    stable_mhz: float


@dataclass(slots=True)
class _Golden:
    nonce: bytes
    wrong: bool
    sent: bool = False


class _Unit:
    """A hash unit: its part of the nonces, over and over, and the newest golden nonces."""

    def __init__(self, first: int, count: int, search: Search, design: Design) -> None:
        self.first = first
        self._count = count
        self._design = design
        self.search = search
        self.goldens: deque[_Golden] = deque(maxlen=1 + design.extra)
        self._base: HeaderBase | None = None
        self._before = 0  # hashes when the present round began

    def begin(self, base: HeaderBase, now: float) -> None:
        self._base = base
        self.search.begin([base], now, self.first, self._count)
        self._before = self.search.hashes(now)

    def on_time(self, now: float, faults: NonceFaults) -> None:
        for hit in self.search.take(now):
            sent = faults.nonce(hit.nonce)
            self.goldens.appendleft(_Golden(sent, sent != hit.nonce))
        if self._base is not None and self.search.exhausted(now):
            self.begin(self._base, now)

    def stop(self, now: float) -> None:
        self._base = None
        self.search.stop(now)

    def place(self, now: float) -> tuple[int, int]:
        """The counter and its hash's last word without its initial value; zeros at first."""
        done = self.search.hashes(now) - self._before
        if self._base is None or not done:
            return 0, 0
        counter = self.first + done - 1
        last = int.from_bytes(self._base.hash(counter.to_bytes(4, "big"))[28:], "big")
        return (counter + self._design.offset) % NONCES, (last - _INITIAL_H7) % NONCES

    def raw(self, golden: _Golden) -> bytes:
        value = int.from_bytes(golden.nonce, "big") + self._design.offset
        return struct.pack("<I", value % NONCES)


class _Fpga:
    def __init__(
        self, number: int, design: Design, rate_hs: float, options: EmulatorOptions
    ) -> None:
        self._design = design
        self._rate_hs = rate_hs  # at the clock it starts with
        self._faults = options.faults
        self._random = random.Random(f"errors {number}")
        size = design.nonces // design.slots
        self.units = [
            _Unit(
                i * (NONCES // design.slots),
                size,
                Search(rate_hs / design.slots, options.ticket_bits, options.known),
                design,
            )
            for i in range(design.slots)
        ]
        self._loaded = bytearray()
        self._work: WorkReceived | None = None
        self.loads_fast = self.configured = self.hashing = self.broken = False
        self.multiplier = _MULTIPLIER

    @property
    def mhz(self) -> float:
        return _STEP_MHZ * (self.multiplier + 1)

    def reset(self, now: float) -> None:
        self.stop(now)
        self._loaded.clear()
        self.configured = self.loads_fast = False
        for unit in self.units:
            unit.goldens.clear()

    # -- its bitstream

    def begin_fast_loading(self) -> None:
        self._loaded.clear()
        self.configured = False
        self.loads_fast = True

    def load(self, data: bytes) -> None:
        self._loaded += data

    def end_loading(self) -> None:
        self.loads_fast = False
        self.configured = self.configured or is_whole_on_pins(bytes(self._loaded))

    def state(self) -> bytes:
        checksum = sum(self._loaded) & 0xFF
        return struct.pack("<BBIBBB", not self.configured, checksum, len(self._loaded), 1, 0, 0)

    # -- its work

    def start(self, data: bytes, work: WorkReceived, now: float) -> None:
        tail = b"".join(data[at : at + 4][::-1] for at in range(0, 12, 4))
        base = HeaderBase(struct.unpack("<8I", data[12:]), tail)
        self._work = work
        self.hashing = True
        for unit in self.units:
            unit.begin(base, now)

    def stop(self, now: float) -> None:
        self.hashing = False
        for unit in self.units:
            unit.stop(now)

    def set_clock(self, multiplier: int, now: float) -> None:
        self.multiplier = multiplier
        rate = self._rate_hs * (multiplier + 1) / (_MULTIPLIER + 1)
        for unit in self.units:
            unit.search.set_rate(rate / len(self.units), now)

    def on_time(self, now: float) -> None:
        for unit in self.units:
            unit.on_time(now, self._faults)

    def next_due(self) -> float | None:
        dues = [unit.search.next_due() for unit in self.units]
        return min((due for due in dues if due is not None), default=None)

    def hashes(self, now: float) -> int:
        return sum(unit.search.hashes(now) for unit in self.units)

    def results(self, now: float, wires: Wires) -> bytes:
        """What 0x81 gives, entered in the ledger as it goes onto the wire."""
        for unit in self.units:
            counter, hash7 = unit.place(now)
            errors = (self.mhz - self._design.stable_mhz) / 100
            if self.broken or self._random.random() < errors:
                hash7 ^= 1 << self._random.randrange(32)
            most = 1 + self._design.extra
            kept = [*unit.goldens, *[None] * most][:most]
            self._send(unit, kept[0], wires, now)
            wires.send(_USB, struct.pack("<II", counter, hash7))
            for golden in kept[1:]:
                self._send(unit, golden, wires, now)
        return b""

    def _send(self, unit: _Unit, golden: _Golden | None, wires: Wires, now: float) -> None:
        if golden is None:
            wires.send(_USB, bytes(4))
        elif golden.sent or self._work is None:
            wires.send(_USB, unit.raw(golden))
        else:
            golden.sent = True
            raw = unit.raw(golden)
            wires.reply(_USB, raw, golden.nonce, self._work, now, golden.wrong)


EMULATOR = EmulatorKind(
    name="ztex",
    help="ZTEX 1.15x, 1.15d or 1.15y: FPGAs on USB, driven over libusb",
    make=ZtexBoard,
    more=_MORE,
)
