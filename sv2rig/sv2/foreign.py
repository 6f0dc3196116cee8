"""Telling a peer that speaks another protocol by its first bytes, to say so in words.

Both messages of the handshake begin with 64 bytes that look random, so printable text of some
length cannot be one of them.
"""

from __future__ import annotations

from typing import Final

# Random bytes are all printable with a chance of 1e-10 at this length.
SURE_LENGTH: Final = 24

_PRINTABLE: Final = bytes(range(0x20, 0x7F)) + b"\t\r\n"
_TLS_RECORDS: Final = (b"\x15\x03", b"\x16\x03")  # alert and handshake, any TLS version
_SHOWN: Final = 48


def is_surely_text(first_bytes: bytes) -> bool:
    """Whether so many of the first bytes are printable that they are no handshake."""
    return len(first_bytes) >= SURE_LENGTH and _is_text(first_bytes)


def guess_protocol(first_bytes: bytes) -> str | None:
    """What the bytes seem to be, as the end of a sentence about the peer; None if unknown."""
    if first_bytes.startswith(_TLS_RECORDS):
        return "speaks TLS, which Stratum V2 does not use"
    if not first_bytes or not _is_text(first_bytes):
        return None
    text = first_bytes[:_SHOWN].decode("latin-1")
    if text.startswith(("HTTP/", "GET ", "POST ", "HEAD ")):
        return f"speaks HTTP ({text!r}): is this the right port?"
    return f"speaks in plain text ({text!r}): it may speak Stratum V1"


def _is_text(first_bytes: bytes) -> bool:
    return not first_bytes[:SURE_LENGTH].translate(None, _PRINTABLE)
