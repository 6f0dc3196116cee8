"""The bytes between a host and BM1384 or BM1387 chips, as the chips see them.

Written from REFERENCE.md. The BM1387 has no preamble, but its commands carry their length.
BM1384 commands have four bytes and its jobs 64, with nothing to tell one from the other: what
comes at once and is not a job's size counts as commands where their check is right.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sv2rig.emulation.crc import crc5, crc16

SET_ADDRESS, WRITE, READ, INACTIVE = range(4)
PLL, TICKET, MISC = 0x0C, 0x18, 0x1C
_BM1384_JOB = 64
_BM1387 = {
    0x41: (SET_ADDRESS, 5),
    0x48: (WRITE, 9),
    0x58: (WRITE, 9),
    0x44: (READ, 5),
    0x54: (READ, 5),
    0x55: (INACTIVE, 5),
}
_BM1387_JOB = 0x21
_BM1387_JOBS = (0x36, 0x56, 0x76, 0x96)  # one to four midstates
_TO_ALL = (0x58, 0x54, 0x55, 0x84, 0x85, 0x82, 0x86)
_BM1384 = {
    0x01: SET_ADDRESS,
    0x82: WRITE,
    0x86: WRITE,
    0x04: READ,
    0x84: READ,
    0x85: INACTIVE,
}


@dataclass(frozen=True, slots=True)
class OldCommand:
    """One command; a PLL word of a BM1384 comes as a write of register 0C."""

    operation: int
    to_all: bool
    address: int
    register: int = 0
    value: int = 0


@dataclass(frozen=True, slots=True)
class OldJob:
    """One job: `tail` is header bytes 64..75; `midstates` as eight words each."""

    job_id: int
    tail: bytes
    midstates: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class OldFound:
    """The first `size` bytes are a frame, or belong to none where `frame` is None."""

    size: int
    frame: OldCommand | OldJob | None


Reader = Callable[[bytes], OldFound | None]


def first_of_bm1387(data: bytes) -> OldFound | None:
    """What stands first in these bytes; None where more have to come before it can be told."""
    if len(data) < 2:
        return None
    if data[0] == _BM1387_JOB:
        length = data[1] if data[1] in _BM1387_JOBS else 0
    else:
        length = _BM1387.get(data[0], (0, 0))[1]
        length = length if data[1] == length else 0
    if len(data) < length:
        return None
    frame = _bm1387_frame(data[:length]) if length else None
    return OldFound(length if frame else 1, frame)


def _bm1387_frame(frame: bytes) -> OldCommand | OldJob | None:
    if frame[0] == _BM1387_JOB:
        if crc16(frame[:-2]) != int.from_bytes(frame[-2:], "big"):
            return None
        states = frame[20:-2]
        midstates = tuple(_midstate(states[at : at + 32]) for at in range(0, len(states), 32))
        return OldJob(frame[2], _words_reversed(frame[8:20]), midstates)
    if crc5(frame[:-1]) != frame[-1]:
        return None
    value = int.from_bytes(frame[4:8], "big") if len(frame) == 9 else 0
    operation = _BM1387[frame[0]][0]
    return OldCommand(operation, frame[0] in _TO_ALL, frame[2], frame[3], value)


def first_of_bm1384(data: bytes) -> OldFound | None:
    """What stands first in these bytes; None where more have to come before it can be told."""
    if len(data) >= 4 and len(data) != _BM1384_JOB and (command := _bm1384_command(data[:4])):
        return OldFound(4, command)
    if len(data) < _BM1384_JOB:
        return None
    job = OldJob(data[51], _words_reversed(data[52:64]), (_midstate(data[:32]),))
    return OldFound(_BM1384_JOB, job)


def _bm1384_command(frame: bytes) -> OldCommand | None:
    if frame[0] not in _BM1384 or crc5(frame, 27) != frame[3] & 0x1F:
        return None
    operation, to_all = _BM1384[frame[0]], frame[0] in _TO_ALL
    if operation != WRITE:
        return OldCommand(operation, to_all, 0 if to_all else frame[1], frame[2])
    register = PLL if frame[0] == 0x82 else MISC
    return OldCommand(operation, to_all, 0, register, int.from_bytes(frame[1:3], "big"))


def _midstate(data: bytes) -> tuple[int, ...]:
    return tuple(int.from_bytes(data[at : at + 4], "big") for at in range(28, -4, -4))


def _words_reversed(data: bytes) -> bytes:
    return b"".join(data[at : at + 4] for at in range(len(data) - 4, -4, -4))
