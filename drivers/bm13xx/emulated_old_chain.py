"""An emulated chain of BM1384 or BM1387 chips on one UART.

Written from REFERENCE.md. Readings of what that leaves open:
- byte 4 of a BM1387's nonce reply is 0; in a register's reply it is the chip's address and byte 5
  the register, as later chips have them;
- a BM1384 answers a read with the register's four bytes and a CRC5 below a clear bit 7, its
  register 00 being 13 84 00 and its address;
- a BM1384 forgets a part of a job when nothing follows for 20 ms.
As with later chips, a ticket under 32 bits is the emulator's own, whatever the mask says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sv2rig.drivers.bm13xx.emulated_chain import DEFAULT_RATE
from sv2rig.drivers.bm13xx.emulated_chip import pll_mhz
from sv2rig.drivers.bm13xx.emulated_old_frames import (
    INACTIVE,
    MISC,
    PLL,
    READ,
    SET_ADDRESS,
    TICKET,
    OldCommand,
    OldJob,
    Reader,
    first_of_bm1384,
    first_of_bm1387,
)
from sv2rig.drivers.bm13xx.emulated_uart import EmulatedUart, divided_baud
from sv2rig.emulation.crc import crc5
from sv2rig.emulation.emulator import EmulatorOptions
from sv2rig.emulation.ledger import WorkReceived
from sv2rig.emulation.search import HeaderBase, Hit, Search
from sv2rig.emulation.wires import Wires

_REAL_TICKET = 32
_BURST_GAP = 0.020
_BAUD_IS_KEPT = 1 << 30


@dataclass(frozen=True, slots=True)
class OldModel:
    """A chip of this kind. `ids`: a reply's last byte carries the job's id, not a check."""

    name: str
    chip_id: int
    reset_pll: int
    mhz: float
    volts: float
    first_frame: Reader
    ids: bool = False


OLD_MODELS = {
    "BM1384": OldModel("BM1384", 0x13840000, 0x0783, 200, 0.75, first_of_bm1384, ids=True),
    "BM1387": OldModel("BM1387", 0x13879000, 0x00200241, 500, 0.8, first_of_bm1387),
}


@dataclass(slots=True)
class _OldChip:
    address: int = 0
    addressed: bool = False
    registers: dict[int, int] = field(default_factory=dict)


class EmulatedOldChain:
    """The chips and their UART at one port of a board's wires; the board owns the reset line."""

    def __init__(
        self, wires: Wires, port: int, model: OldModel, chips: int, options: EmulatorOptions
    ) -> None:
        self.model = model
        self.celsius = 25.0
        self.rate_hs = DEFAULT_RATE if options.rate_hs is None else options.rate_hs
        self._options = options
        self._wires = wires
        self._port = port
        self._uart = EmulatedUart()
        self._chips = [_OldChip() for _ in range(chips)]
        self._search = Search(0.0, options.ticket_bits, options.known)
        self._running: tuple[OldJob, WorkReceived] | None = None
        self._held = False
        self._heard = 0.0
        self._wake()

    @property
    def mhz(self) -> float:
        """The chips' mean clock; 0 while reset is held."""
        return 0.0 if self._held else sum(map(self._clock, self._chips)) / len(self._chips)

    @property
    def hashing(self) -> bool:
        """Whether there is a job under way."""
        return self._running is not None

    def reset(self, held: bool, now: float) -> None:
        """The reset line falls or rises, or power comes: nothing of before is left."""
        self._held = held
        self._search.stop(now)
        self._running = None
        self._uart.reset()
        self._wires.inbound[self._port].clear()
        self._wake()
        self._search.set_rate(self._pace(), now)

    def receive(self, data: bytes, baud: int, now: float) -> None:
        """Bytes from the host at its port's speed."""
        inbound = self._wires.inbound[self._port]
        if self.model.ids and now - self._heard > _BURST_GAP:
            inbound.clear()
        self._heard = now
        inbound.feed(self._uart.hear(data, baud, now))
        if self._held:
            inbound.clear()
            return
        self.on_time(now)
        while found := self.model.first_frame(bytes(inbound.buffer)):
            if isinstance(found.frame, OldJob):
                _, work = self._wires.take_work(
                    self._port, found.size, now, framed=not self.model.ids
                )
                self._begin(found.frame, work, now)
                continue
            inbound.take(found.size)
            if found.frame is not None:
                self._obey(found.frame, now)

    def next_timeout(self) -> float | None:
        """When the next hit is due."""
        return self._search.next_due()

    def on_time(self, now: float) -> None:
        """Send what was found by now."""
        hits = self._search.take(now)
        if self._running is not None:
            for hit in hits:
                self._report(*self._running, hit, now)
        self._wires.ledger.hashes = self._search.hashes(now)

    # commands

    def _obey(self, command: OldCommand, now: float) -> None:
        if command.operation == INACTIVE:
            for chip in self._chips:
                chip.addressed = False
        elif command.operation == SET_ADDRESS:
            waiting = next((chip for chip in self._chips if not chip.addressed), None)
            if waiting is not None:
                waiting.address, waiting.addressed = command.address, True
        else:
            meant = [
                chip for chip in self._chips if command.to_all or chip.address == command.address
            ]
            if command.operation == READ:
                self._answer(meant, command.register)
            else:
                self._write(meant, command.register, command.value, now)

    def _answer(self, chips: Sequence[_OldChip], register: int) -> None:
        for chip in chips:
            value = chip.registers.get(register, 0)
            if register == 0:
                value = self.model.chip_id | chip.address
            body = value.to_bytes(4, "big")
            if not self.model.ids:
                body += bytes((chip.address, register))
            self._wires.send(self._port, self._uart.say(body + bytes((_checked(body, 0),))))

    def _write(self, chips: Sequence[_OldChip], register: int, value: int, now: float) -> None:
        for chip in chips:
            chip.registers[register] = value
        if register == PLL:
            self._search.set_rate(self._pace(), now)
        elif register == MISC and not self.model.ids and not value & _BAUD_IS_KEPT:
            changed = self._uart.change(divided_baud(value >> 8 & 0x1F), now)
            if changed:
                self._wires.inbound[self._port].clear()  # it was sent at the old speed

    # jobs and nonces

    def _begin(self, job: OldJob, work: WorkReceived, now: float) -> None:
        self._running = job, work
        self._search.begin([HeaderBase(state, job.tail) for state in job.midstates], now)

    def _report(self, job: OldJob, work: WorkReceived, hit: Hit, now: float) -> None:
        zero_bits = 256 - hit.value.bit_length()
        if self._options.ticket_bits >= _REAL_TICKET and zero_bits < self._ticket_bits():
            return
        nonce = self._options.faults.nonce(hit.nonce)
        if self.model.ids:
            frame = nonce + bytes((0x80 | job.job_id & 0x1F,))
        else:
            frame = nonce + bytes((0, job.job_id + hit.index & 0x7F))
            frame += bytes((_checked(frame, 0x80),))
        said = self._uart.say(frame)
        self._wires.reply(self._port, said, nonce, work, now, wrong=nonce != hit.nonce)

    # what all of it needs

    def _ticket_bits(self) -> int:
        return _REAL_TICKET + self._chips[0].registers.get(TICKET, 0).bit_count()

    def _wake(self) -> None:
        for chip in self._chips:
            chip.address, chip.addressed = 0, False
            chip.registers = {PLL: self.model.reset_pll, MISC: 0x00001A80}

    def _clock(self, chip: _OldChip) -> float:
        word = chip.registers[PLL]
        return _bm1384_mhz(word) if self.model.ids else pll_mhz(word, 0)

    def _pace(self) -> float:
        return self.rate_hs * self.mhz / self.model.mhz


def _checked(body: bytes, kind: int) -> int:
    """`kind` in the upper three bits, which the CRC below them covers too."""
    return kind | crc5(body + bytes((kind,)), len(body) * 8 + 3)


def _bm1384_mhz(code: int) -> float:
    """A word `range | m 7 | n 5 | od 2` bits: twice what the same word is to a BM1380."""
    m, n, od = code >> 7 & 0x7F, code >> 2 & 0x1F, code & 0x03
    return 2 * 25 * (m + 1) / ((n + 1) << od)
