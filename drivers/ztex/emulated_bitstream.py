"""What the emulated FPGAs take for a bitstream, and the smallest file that they do."""

from __future__ import annotations

import struct

# How the tools' .bit files begin; then come fields a to d (name, part, date, time), e the data.
_BIT_HEADER = bytes.fromhex("00090ff00ff00ff00ff0000001")
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def blank_bitstream(name: str, size: int = 5000) -> bytes:
    """A file with a bitstream's header and sync word and nothing else: for this emulator."""
    fields = b""
    for letter, text in zip("abcd", (name, "6slx150", "2012/01/01", "00:00:00"), strict=True):
        value = text.encode() + b"\0"
        fields += letter.encode() + struct.pack(">H", len(value)) + value
    data = b"\xff" * 16 + bytes.fromhex("aa995566")
    data += bytes(size - len(data))
    return _BIT_HEADER + fields + b"e" + struct.pack(">I", len(data)) + data


def is_whole_on_pins(turned: bytes) -> bool:
    """Whether these bytes, as the pins get them, are a bitstream as long as its header says."""
    data = turned.translate(_REVERSED)
    if bytes.fromhex("aa995566") not in data[:65_536]:
        return False
    if not data.startswith(_BIT_HEADER):
        return True  # a file without a header says nothing of its length
    at = len(_BIT_HEADER)
    while data[at : at + 1] != b"e":
        (size,) = struct.unpack(">H", data[at + 1 : at + 3])
        at += 3 + size
    (size,) = struct.unpack(">I", data[at + 1 : at + 5])
    return len(data) == at + 5 + int(size)
