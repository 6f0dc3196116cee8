"""Jobs for BM1397 (midstates, the host rolls versions) and later chips (whole headers).

Both are 55 AA 21, a length byte that chips ignore, the job's id, and end in a big-endian CRC16.
REFERENCE.md.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from sv2rig.bitcoin.sha256 import midstate
from sv2rig.boards.byte_order import mid_rev, rev32, tail_rev
from sv2rig.boards.crc import crc16_false
from sv2rig.devices.work import Work

MAX_MIDSTATES = 4
_MIDSTATE_LENGTHS = {1: 0x36, 4: 0x96}
HEADER_LENGTH_BYTE = 0x56
_NONCE_START = bytes(4)
_JOB = 0x21


def _job(length_byte: int, body: bytes) -> bytes:
    frame = bytes((_JOB, length_byte)) + body
    return b"\x55\xaa" + frame + crc16_false(frame).to_bytes(2)


def midstate_job(id_byte: int, tail: bytes, midstates: Sequence[Sequence[int]]) -> bytes:
    """A BM1397 job: header bytes 64..75 and the midstates of 1 to 4 versions.

    The chip takes one or four: two or three are padded by repeating the first, and replies whose
    midstate index is not below the number given here are to be ignored.
    """
    if not 1 <= len(midstates) <= MAX_MIDSTATES:
        raise ValueError(f"a job has 1 to {MAX_MIDSTATES} midstates, not {len(midstates)}")
    filled = [mid_rev(one) for one in midstates]
    if len(filled) > 1:
        filled += filled[:1] * (MAX_MIDSTATES - len(filled))
    body = bytes((id_byte, len(filled))) + _NONCE_START + tail_rev(tail) + b"".join(filled)
    return _job(_MIDSTATE_LENGTHS[len(filled)], body)


def header_job(id_byte: int, header: bytes, length_byte: int = HEADER_LENGTH_BYTE) -> bytes:
    """A BM1362 to BM1370 job from a header's first 76 bytes; the version's rolled bits clear.

    Chips take 88 bytes whatever `length_byte` says; factory firmware sends 0x36.
    """
    if len(header) < 76:
        raise ValueError(f"a job needs a header's first 76 bytes, not {len(header)}")
    body = (
        bytes((id_byte, 1))
        + _NONCE_START
        + header[72:76]
        + header[68:72]
        + rev32(header[36:68])
        + rev32(header[4:36])
        + header[0:4]
    )
    return _job(length_byte, body)


def work_header(work: Work, version: int, ntime: int) -> bytes:
    """Header bytes 0..75 of one version and time of a Work."""
    return work.header(0, version, ntime)[:76]


def work_midstates(work: Work, versions: Sequence[int]) -> list[tuple[int, ...]]:
    """The midstate of each version, which all times and nonces share."""
    return [
        midstate(struct.pack("<I", one) + work.prev_hash + work.merkle_root[:28])
        for one in versions
    ]
