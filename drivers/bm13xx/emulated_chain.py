"""An emulated chain of chips of the BM1397 and later kind on one UART.

Written from REFERENCE.md. Readings of what that leaves open:
- the low byte of register 00 is the chip's address, as older chips have it;
- a hash counter counts tickets: 2**32 hashes each at a real ticket, 2**ticket_bits at an easy one;
- with `ticket_bits` under 32 the mask in register 14 changes nothing, for no software could meet
  the easiest mask; from 32 upward the mask decides;
- all chips tell their nonces apart by address (bits 24..17), BM1368 and BM1370 too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sv2rig.bitcoin.sha256 import midstate
from sv2rig.drivers.bm13xx.emulated_chip import (
    FAST_UART,
    MISC,
    PLL0,
    VERSION_MASK,
    ChipModel,
    EmulatedChip,
)
from sv2rig.drivers.bm13xx.emulated_frames import (
    Command,
    Job,
    first_frame,
    nonce_reply,
    register_reply,
)
from sv2rig.drivers.bm13xx.emulated_space import JobSpace, Lane, owner
from sv2rig.drivers.bm13xx.emulated_uart import EmulatedUart, divided_baud
from sv2rig.emulation.emulator import EmulatorOptions
from sv2rig.emulation.ledger import WorkReceived
from sv2rig.emulation.search import HeaderBase, Hit, Search, known_versions
from sv2rig.emulation.wires import Wires

DEFAULT_RATE = 100_000.0
_SET_ADDRESS, _WRITE, _READ, _INACTIVE = range(4)
_VERSION_SHIFT = 13
_REAL_TICKET = 32  # bits of difficulty 1


@dataclass(slots=True)
class _Running:
    """The job that the chips are at: its space, how far they are, and whose works it was."""

    job: Job
    work: WorkReceived
    space: JobSpace
    addresses: tuple[int, ...]
    fields: Sequence[int]  # the version field of each variant; empty with midstates
    lanes: Sequence[Lane] = ()
    passed: int = 0


class EmulatedChain:
    """The chips and their UART at one port of a board's wires; the board owns the reset line."""

    def __init__(
        self, wires: Wires, port: int, model: ChipModel, chips: int, options: EmulatorOptions
    ) -> None:
        self.model = model
        self.celsius = 25.0  # of the dies; the board's own warmth, where it has a model of it
        self.rate_hs = DEFAULT_RATE if options.rate_hs is None else options.rate_hs
        self._options = options
        self._wires = wires
        self._port = port
        self._uart = EmulatedUart()
        self._chips = [EmulatedChip(model) for _ in range(chips)]
        self._search = Search(0.0, options.ticket_bits, options.known)
        self._running: _Running | None = None
        self._wide = False
        self._held = False
        self._counted_from = 0
        for chip in self._chips:
            chip.reset()

    @property
    def mhz(self) -> float:
        """The chips' mean clock; 0 while reset is held."""
        return 0.0 if self._held else sum(chip.mhz for chip in self._chips) / len(self._chips)

    @property
    def hashing(self) -> bool:
        """Whether there is a job under way."""
        return self._running is not None

    def reset(self, held: bool, now: float) -> None:
        """The reset line falls or rises, or power comes: nothing of before is left."""
        self._held = held
        self._search.stop(now)
        self._running = None
        self._wide = False
        self._uart.reset()
        self._wires.inbound[self._port].clear()
        self._count(now)
        self._counted_from = self._wires.ledger.hashes
        for chip in self._chips:
            chip.reset()
        self._search.set_rate(self._pace(), now)

    def receive(self, data: bytes, baud: int, now: float) -> None:
        """Bytes from the host at its port's speed."""
        inbound = self._wires.inbound[self._port]
        inbound.feed(self._uart.hear(data, baud, now))
        if self._held:
            inbound.clear()
            return
        self.on_time(now)
        while found := first_frame(inbound.buffer, self.model.midstates):
            if isinstance(found.frame, Job):
                _, work = self._wires.take_work(self._port, found.size, now, framed=True)
                self._begin(found.frame, work, now)
                continue
            inbound.take(found.size)
            if found.frame is not None:
                self._obey(found.frame, now)

    def next_timeout(self) -> float | None:
        """When a hit is due, or a pass ends."""
        return self._search.next_due()

    def on_time(self, now: float) -> None:
        """Send what was found by now, and go on with the job."""
        while (due := self._search.next_due()) is not None and due <= now:
            running = self._running
            for hit in self._search.take(due):
                if running is not None:
                    self._report(running, hit, now)
            if running is not None and self._search.exhausted(due):
                self._next_pass(running, due)
        self._count(now)

    # commands

    def _obey(self, command: Command, now: float) -> None:
        if command.operation == _INACTIVE:
            for chip in self._chips:
                chip.addressed = False
        elif command.operation == _SET_ADDRESS:
            waiting = next((chip for chip in self._chips if not chip.addressed), None)
            if waiting is not None:
                waiting.address, waiting.addressed = command.address, True
        else:
            meant = [
                chip for chip in self._chips if command.to_all or chip.address == command.address
            ]
            if command.operation == _READ:
                self._answer(meant, command.register)
            else:
                self._write(meant, command.register, command.value, now)

    def _answer(self, chips: Sequence[EmulatedChip], register: int) -> None:
        counted = (self._wires.ledger.hashes - self._counted_from) // len(self._chips)
        counted >>= min(self._options.ticket_bits, _REAL_TICKET)
        for chip in chips:
            value = chip.read(register, counted, self.celsius)
            self._send(register_reply(value, chip.address, register, self._wide))

    def _write(self, chips: Sequence[EmulatedChip], register: int, value: int, now: float) -> None:
        for chip in chips:
            chip.registers[register] = value
        if register == PLL0:
            self._search.set_rate(self._pace(), now)
        elif register == VERSION_MASK and not self.model.midstates:
            self._wide = True
        elif register == (MISC if self.model.midstates else FAST_UART):
            changed = self._uart.change(divided_baud(value >> 8 & 0x1F), now)
            if changed:
                self._wires.inbound[self._port].clear()  # it was sent at the old speed

    # jobs and nonces

    def _begin(self, job: Job, work: WorkReceived, now: float) -> None:
        addresses = tuple(chip.address for chip in self._chips)
        span = self._chips[0].nonces_per_core()
        if self.model.midstates:
            tail, states = _words_reversed(job.body[5:17]), _midstates(job.body[17:])
            space = JobSpace(
                addresses, len(states), span, lambda n, offset: HeaderBase(states[n], tail, offset)
            )
            running = _Running(job, work, space, addresses, ())
        else:
            fields = _fields(self._chips[0].version_mask)
            headers = _Versions(_header(job.body))
            space = JobSpace(
                addresses, len(fields), span, lambda n, offset: headers.base(fields[n], offset)
            )
            running = _Running(job, work, space, addresses, fields)
        self._running = running
        if not (self._options.known and self._replay(running, now)):
            self._next_pass(running, now)

    def _replay(self, running: _Running, now: float) -> bool:
        """Search only the headers with a known answer, if there are any in this job."""
        if self.model.midstates:
            return False  # the search itself knows them by their midstates
        mask = self._chips[0].version_mask
        header = _header(running.job.body)
        versions = known_versions(self._options.known, header, mask << _VERSION_SHIFT)
        if not versions:
            return False
        bits = [version >> _VERSION_SHIFT & mask for version in versions]
        running.lanes = [
            Lane(chip, running.fields.index(field))
            for field in bits
            for chip in range(len(self._chips))
        ]
        headers = _Versions(header)
        bases = [
            headers.base(running.fields[lane.variant], running.addresses[lane.chip] << 17)
            for lane in running.lanes
        ]
        self._search.begin(bases, now)
        return True

    def _next_pass(self, running: _Running, now: float) -> None:
        if running.passed >= running.space.passes:
            if self.model.midstates:  # at the end of its space this chip goes quiet
                self._search.stop(now)
                return
            running.passed = 0  # and the others search the same again
        part = running.space.nth(running.passed)
        running.passed += 1
        running.lanes = part.lanes
        self._search.begin(part.bases, now, 0, part.count)

    def _report(self, running: _Running, hit: Hit, now: float) -> None:
        lane = running.lanes[hit.index]
        chip = self._chips[lane.chip]
        if owner(running.addresses, hit.nonce) != running.addresses[lane.chip]:
            return  # a known answer, which another chip of the chain gives
        zero_bits = 256 - hit.value.bit_length()
        asked = self._options.ticket_bits
        if asked >= _REAL_TICKET:
            asked = chip.ticket_bits
        if zero_bits < asked:
            return
        field = running.fields[lane.variant] if running.fields else None
        low = lane.variant if field is None else field
        id_byte = (running.job.job_id & self.model.id_bits) << self.model.id_shift
        id_byte |= low & self.model.low_bits
        nonce = self._options.faults.nonce(hit.nonce)
        frame = nonce_reply(
            nonce, min(2 * (zero_bits - asked), 0xFF), id_byte, field if self._wide else None
        )
        said = self._uart.say(frame)
        wrong = nonce != hit.nonce
        self._wires.reply(self._port, said, nonce, running.work, now, wrong)

    # what all of it needs

    def _send(self, frame: bytes) -> None:
        self._wires.send(self._port, self._uart.say(frame))

    def _pace(self) -> float:
        return self.rate_hs * self.mhz / self.model.mhz

    def _count(self, now: float) -> None:
        self._wires.ledger.hashes = self._search.hashes(now)


class _Versions:
    """A header of 76 bytes with other version bits, each midstate computed once."""

    def __init__(self, header: bytes) -> None:
        self._header = header
        self._states: dict[int, tuple[int, ...]] = {}

    def base(self, field: int, offset: int) -> HeaderBase:
        """The header with a version field set, and where in its nonces to start."""
        if field not in self._states:
            version = int.from_bytes(self._header[:4], "little") | field << _VERSION_SHIFT
            first64 = version.to_bytes(4, "little") + self._header[4:64]
            self._states[field] = midstate(first64)
        return HeaderBase(self._states[field], self._header[64:], offset)


def _midstates(data: bytes) -> list[tuple[int, ...]]:
    """From last word to first, each word big-endian, as jobs carry them."""
    return [
        tuple(int.from_bytes(data[at : at + 4], "big") for at in range(start + 28, start - 4, -4))
        for start in range(0, len(data), 32)
    ]


def _header(body: bytes) -> bytes:
    """The 76 header bytes of a full-header job, whose 32-byte fields come in reversed words."""
    nbits, ntime, merkle_root, prev_hash = body[5:9], body[9:13], body[13:45], body[45:77]
    return body[77:81] + _words_reversed(prev_hash) + _words_reversed(merkle_root) + ntime + nbits


def _words_reversed(data: bytes) -> bytes:
    return b"".join(data[at : at + 4] for at in range(len(data) - 4, -4, -4))


def _fields(mask: int) -> Sequence[int]:
    """Every setting of the mask's bits, counting up from 0."""
    if mask == 0xFFFF:
        return range(0x10000)
    fields = [0]
    for bit in (1 << place for place in range(16) if mask >> place & 1):
        fields += [field | bit for field in fields]
    return fields
