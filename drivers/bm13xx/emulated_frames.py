"""The bytes between a host and chips of the BM1397 and later kind, as the chips see them.

Written from REFERENCE.md: `55 AA | header | length | body | crc`. After a bad check or a
false preamble one byte is dropped and the search goes on.
"""

from __future__ import annotations

from dataclasses import dataclass

from sv2rig.emulation.crc import crc5, crc16

_PREAMBLE = b"\x55\xaa"
_JOB = 0x21
_FULL_JOB = 88
_MIDSTATE_JOBS = (0x36, 0x56, 0x76, 0x96)  # one to four midstates
_LENGTHS = {0x40: 7, 0x41: 11, 0x51: 11, 0x42: 7, 0x52: 7, 0x43: 7, 0x53: 7}


@dataclass(frozen=True, slots=True)
class Command:
    """One command: `operation` 0 set address, 1 write, 2 read, 3 chain inactive."""

    operation: int
    to_all: bool
    address: int
    register: int
    value: int


@dataclass(frozen=True, slots=True)
class Job:
    """One job as it stands in its frame, from the id byte to before the check."""

    job_id: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Found:
    """The first `size` bytes are a frame, or belong to none where `frame` is None."""

    size: int
    frame: Command | Job | None


def first_frame(data: bytes | bytearray, midstates: bool) -> Found | None:
    """What stands first in these bytes; None where more have to come before it can be told."""
    skip = _before_preamble(data)
    if skip:
        return Found(skip, None)
    length = _length(data, midstates)
    if length is None or len(data) < length:
        return None
    frame = _frame(bytes(data[:length])) if length else None
    return Found(length if frame else 1, frame)


def _before_preamble(data: bytes | bytearray) -> int:
    at = data.find(_PREAMBLE)
    return at if at >= 0 else len(data) - (data[-1:] == _PREAMBLE[:1])


def _length(data: bytes | bytearray, midstates: bool) -> int | None:
    """A frame's whole length, 0 where no frame begins so, None where it cannot be told yet."""
    if len(data) < 4:
        return None
    if data[2] != _JOB:
        length = _LENGTHS.get(data[2], 0)
        return length if data[3] == length - 2 else 0
    if not midstates:
        return _FULL_JOB  # the chips do not look at the length byte: 36, 56 and FF are in use
    return data[3] + 2 if data[3] in _MIDSTATE_JOBS else 0


def _frame(frame: bytes) -> Command | Job | None:
    if frame[2] == _JOB:
        if crc16(frame[2:-2]) != int.from_bytes(frame[-2:], "big"):
            return None
        return Job(frame[4], frame[5:-2])
    if crc5(frame[2:-1]) != frame[-1]:
        return None
    value = int.from_bytes(frame[6:10], "big") if len(frame) == 11 else 0
    return Command(frame[2] & 0x07, bool(frame[2] & 0x10), frame[4], frame[5], value)


def register_reply(value: int, address: int, register: int, wide: bool) -> bytes:
    """A register's value as a chip sends it: 9 bytes, or 11 once version rolling is on."""
    body = value.to_bytes(4, "big") + bytes((address, register)) + bytes(2 if wide else 0)
    return b"\xaa\x55" + body + bytes((_last_byte(body, 0),))


def nonce_reply(nonce4: bytes, excess: int, id_byte: int, version: int | None) -> bytes:
    """A nonce as a chip sends it; `version` is the field of the 11-byte form."""
    body = nonce4 + bytes((excess, id_byte))
    if version is not None:
        body += version.to_bytes(2, "big")
    return b"\xaa\x55" + body + bytes((_last_byte(body, 0x80),))


def _last_byte(body: bytes, kind: int) -> int:
    """`kind` in the upper three bits, which the CRC below them covers too."""
    return kind | crc5(body + bytes((kind,)), len(body) * 8 + 3)
