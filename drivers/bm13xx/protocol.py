"""Frames to and from BM1397 to BM1370 chains: commands, and the replies found in a byte stream.

To the chip: 55 AA, type and flags, length, body, CRC5 (jobs: CRC16, see jobs.py). From the chip:
AA 55, 7 or 9 bytes, the last holding CRC5 and in bit 7 whether it is a nonce. REFERENCE.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from sv2rig.boards.crc import crc5

PREAMBLE = b"\x55\xaa"
REPLY_PREAMBLE = b"\xaa\x55"
SHORT_REPLY = 9
LONG_REPLY = 11

_SET_ADDRESS, _WRITE, _READ, _INACTIVE = 0x40, 0x41, 0x42, 0x43
_ALL = 0x10
_NONCE_FLAG = 0x80


def _command(header: int, body: bytes) -> bytes:
    frame = bytes((header, len(body) + 3)) + body
    return PREAMBLE + frame + bytes((crc5(frame),))


def chain_inactive() -> bytes:
    """All chips stop passing commands on, until each has its address."""
    return _command(_INACTIVE | _ALL, b"\x00\x00")


def set_address(address: int) -> bytes:
    """The next chip without an address takes this one."""
    return _command(_SET_ADDRESS, bytes((address, 0)))


def read_register(register: int, address: int | None = None) -> bytes:
    """Ask one chip (or all: None) for a register; each answers with a RegisterReply."""
    flags = _ALL if address is None else 0
    return _command(_READ | flags, bytes((address or 0, register)))


def write_register(register: int, value: int, address: int | None = None) -> bytes:
    """Set a 32-bit register of one chip, or of all (None). Chips do not answer."""
    flags = _ALL if address is None else 0
    return _command(_WRITE | flags, bytes((address or 0, register)) + value.to_bytes(4))


@dataclass(frozen=True, slots=True)
class RegisterReply:
    """A chip's answer to a read."""

    register: int
    value: int
    address: int


@dataclass(frozen=True, slots=True)
class NonceReply:
    """A nonce that met the ticket.

    `nonce` are header bytes 76..79; `id_byte` names the job (Chip.slot_of); `version_field` the
    version bits that the chip rolled, 0 in short replies (version_bits shifts them into place).
    `excess` counts half-bits of difficulty above the ticket: a cross-check, not a proof.
    """

    nonce: bytes
    id_byte: int
    version_field: int
    excess: int

    @property
    def version_bits(self) -> int:
        """The rolled bits where they stand in a header's version."""
        return self.version_field << 13


@dataclass(frozen=True, slots=True)
class CommError:
    """Bytes in which no reply was found: about one damaged reply."""

    skipped: int


Reply = RegisterReply | NonceReply


class Damage:
    """Counts the bytes dropped between replies, and how many damaged replies they were.

    Each reply's length of them is one CommError, and so is what remains of a run if that is over
    half a reply or the run's all.
    """

    def __init__(self) -> None:
        self._run = 0  # since the last reply, or since the last error in this run
        self._told = False
        self.skipped = 0
        self.errors = 0

    def drop(self, count: int, length: int, found: list[Reply | CommError]) -> None:
        """`count` bytes held no reply of `length` bytes."""
        self.skipped += count
        self._run += count
        while self._run >= length:
            self._run -= length
            self._told = True
            self._tell(length, found)

    def end(self, length: int, found: list[Reply | CommError]) -> None:
        """A reply was found, or the line is silent: the run is over."""
        if self._run and (not self._told or 2 * self._run > length):
            self._tell(self._run, found)
        self._run = 0
        self._told = False

    def _tell(self, skipped: int, found: list[Reply | CommError]) -> None:
        found.append(CommError(skipped))
        self.errors += 1


class Decoder:
    """Finds replies of one length in a byte stream, in any pieces; never raises on what it reads.

    Where no reply starts, or a CRC is wrong, one byte is dropped and the next looked at: a reply
    after damage is found as soon as it is there whole. At most one reply less one byte is kept.
    `length` (9 or 11) may be set at any time: writing register A4 changes what chips send.
    """

    def __init__(self, length: int) -> None:
        self.length = length
        self.damage = Damage()
        self.replies = 0
        self._held = b""

    @property
    def waiting(self) -> int:
        """Bytes kept because they may be the start of a reply."""
        return len(self._held)

    def reset(self) -> None:
        """Forget what is held: after a baud switch, or a chip's reset."""
        self._held = b""
        self.damage.end(self.length, [])

    def feed(self, data: bytes) -> list[Reply | CommError]:
        """The replies completed by `data`, and the errors before each, in the stream's order."""
        buffer = self._held + data
        found: list[Reply | CommError] = []
        at = 0
        while (start := _reply_start(buffer, at)) + self.length <= len(buffer):
            self.damage.drop(start - at, self.length, found)
            body = buffer[start + 2 : start + self.length]
            if crc5(body):
                self.damage.drop(1, self.length, found)
                at = start + 1
                continue
            self.damage.end(self.length, found)
            found.append(_reply(body))
            self.replies += 1
            at = start + self.length
        self.damage.drop(start - at, self.length, found)
        self._held = buffer[start:]
        return found


def _reply_start(buffer: bytes, at: int) -> int:
    """Where the next reply may start: at its preamble, or at a last byte that may begin one."""
    start = buffer.find(REPLY_PREAMBLE, at)
    if start >= 0:
        return start
    return len(buffer) - (len(buffer) > at and buffer[-1] == REPLY_PREAMBLE[0])


def _reply(body: bytes) -> Reply:
    if not body[-1] & _NONCE_FLAG:
        return RegisterReply(body[5], int.from_bytes(body[:4]), body[4])
    field = int.from_bytes(body[6:8]) if len(body) == LONG_REPLY - 2 else 0
    return NonceReply(body[:4], body[5], field, body[4])
