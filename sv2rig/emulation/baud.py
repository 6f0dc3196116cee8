"""What a UART hears of bytes sent at another speed than its own (8 data bits, no parity)."""

from __future__ import annotations

from itertools import chain
from math import ceil

TOLERANCE = 0.02  # of the speed: ten bits drift by less than half a bit, with room for both ends
_FRAME = 10  # bits on the line for each byte: start, 8 data bits from the lowest, stop


def heard(data: bytes, sent: float, listening: float) -> bytes:
    """The bytes that a receiver at `listening` baud makes of `data` written at `sent` baud.

    The receiver begins at a falling edge and samples the middle of each of its own bits; a byte
    whose stop bit is low is lost. At speeds close enough, `data` itself.
    """
    if abs(sent - listening) <= TOLERANCE * listening:
        return data
    if sent <= 0:  # B0: the line is hung up
        return b""
    line = list(chain.from_iterable(_bits(byte) for byte in data))
    step = sent / listening
    taken = bytearray()
    start = _edge(line, 0.0)
    while start is not None:
        samples = [_level(line, start + (bit + 0.5) * step) for bit in range(_FRAME)]
        if not samples[0] and samples[-1]:
            taken.append(sum(level << bit for bit, level in enumerate(samples[1:-1])))
        start = _edge(line, start + (0.5 if samples[0] else _FRAME - 0.5) * step)
    return bytes(taken)


def _bits(byte: int) -> list[int]:
    return [0, *(byte >> bit & 1 for bit in range(8)), 1]


def _level(line: list[int], at: float) -> int:
    """The line's level at this time, in bits of the sender; it rests high."""
    return line[int(at)] if at < len(line) else 1


def _edge(line: list[int], after: float) -> int | None:
    """Where the line next goes low; None: it stays high."""
    for at in range(ceil(after), len(line)):
        if not line[at] and (at == 0 or line[at - 1]):
            return at
    return None
