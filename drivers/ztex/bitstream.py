"""A bitstream file that the user supplies, made ready for the board: no I/O."""

from __future__ import annotations

from sv2rig.boards.line import BoardError

# The word by which an FPGA finds the start of its configuration (Xilinx UG380), as files have it
# and with the bits of each byte reversed, which is how the board's data pins want it.
_SYNC = bytes.fromhex("aa995566")
_LOOKED_AT = 65_536
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_SYNC_ON_PINS = _SYNC.translate(_REVERSED)


class BitstreamError(BoardError):
    """No bitstream, or a file that is none; the text says what is wanted."""


def on_pins(data: bytes, name: str) -> bytes:
    """The file's bytes in the bit order that the board takes. BitstreamError if it is none."""
    start = data[:_LOOKED_AT]
    plain, turned = start.find(_SYNC), start.find(_SYNC_ON_PINS)
    if plain < 0 and turned < 0:
        raise BitstreamError(
            f"{name} is no Xilinx bitstream: it has no sync word AA995566 in its first 64 KiB"
        )
    if plain >= 0 and (turned < 0 or plain < turned):
        return data.translate(_REVERSED)
    return data


def missing(wanted: str, where: str) -> BitstreamError:
    """What to say to a user who gave no file."""
    return BitstreamError(
        f"the board at {where} wants the bitstream {wanted}.bit; sv2rig has none, because they are "
        f"other people's work: get the file of the board's maker and give it as "
        f"bitstream=/path/to/{wanted}.bit"
    )
