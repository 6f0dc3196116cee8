"""A pool's authority key as text: base58check of `01 00` and the 32-byte x-only key (spec 4.7)."""

from __future__ import annotations

from typing import Final

from sv2rig.bitcoin.base58 import b58check_decode, b58check_encode
from sv2rig.sv2.secp256k1 import is_xonly_public_key

_PREFIX: Final = b"\x01\x00"  # U16 key version 1, little-endian


class AuthorityKeyError(ValueError):
    """The text is not an authority key; the message says what is wrong with it."""


def encode_authority_key(public_key: bytes) -> str:
    """The text of a 32-byte x-only key."""
    if len(public_key) != 32:
        raise ValueError(f"an authority key has 32 bytes, not {len(public_key)}")
    return b58check_encode(_PREFIX + public_key)


def decode_authority_key(text: str) -> bytes:
    """The 32-byte x-only key in the text."""
    try:
        payload = b58check_decode(text)
    except ValueError as error:
        raise AuthorityKeyError(
            f"{_shown(text)} is not an authority key ({error}): copy it again, whole"
        ) from error
    if payload[:2] != _PREFIX or len(payload) != 34:
        raise AuthorityKeyError(
            f"{_shown(text)} is valid base58check, but of {len(payload)} bytes that begin with "
            f"{payload[:2].hex(' ') or 'nothing'}; an authority key has 34, beginning with 01 00"
        )
    public_key = payload[2:]
    if not is_xonly_public_key(public_key):
        raise AuthorityKeyError(f"{_shown(text)} holds 32 bytes that are no point on the curve")
    return public_key


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")
