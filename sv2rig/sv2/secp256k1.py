"""The curve under Noise and the certificates: libsecp256k1 behind seven typed functions.

Keys on the wire are x-only (BIP340, 32 bytes) or EllSwift encoded (BIP324, 64 bytes); secrets
are 32 bytes, big-endian, in 1..n-1. Lengths that cannot be right raise ValueError.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from btclib_secp256k1 import ellswift, ssa, xonly

GROUP_ORDER: Final = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
INITIATOR: Final = 0  # BIP324's party A
RESPONDER: Final = 1


def generate_secret(random_bytes: Callable[[int], bytes] = os.urandom) -> bytes:
    """A uniformly random secret key; `random_bytes(n)` must give n unpredictable bytes."""
    while True:
        secret = random_bytes(32)
        if 0 < int.from_bytes(secret, "big") < GROUP_ORDER:
            return secret


def xonly_public_key(secret: bytes) -> bytes:
    """The 32-byte x coordinate of the secret's point."""
    public_key: bytes = xonly.from_prvkey(secret)[0]
    return public_key


def is_xonly_public_key(public_key: bytes) -> bool:
    """Whether 32 bytes are the x coordinate of a point on the curve."""
    return len(public_key) == 32 and bool(xonly.pubkey_verify(public_key))


def ellswift_create(secret: bytes, aux: bytes | None = None) -> bytes:
    """One of the many 64-byte encodings of the secret's public key, chosen by `aux` (32 bytes).

    Without `aux` every call gives another encoding: keep the one that was sent.
    """
    encoding: bytes = ellswift.create(secret, aux)
    return encoding


def ellswift_xonly(encoding: bytes) -> bytes:
    """The 32-byte x coordinate that a 64-byte encoding stands for; every 64 bytes are valid."""
    compressed: bytes = ellswift.decode(encoding)
    return compressed[1:]


def ellswift_ecdh(initiator: bytes, responder: bytes, secret: bytes, party: int) -> bytes:
    """BIP324's shared secret, 32 bytes, from both encodings and the secret of `party`.

    It depends on the order of the encodings: the connection's initiator is always the first.
    """
    shared: bytes = ellswift.xdh(initiator, responder, secret, party)
    return shared


def schnorr_sign(message: bytes, secret: bytes, aux: bytes | None = None) -> bytes:
    """A 64-byte BIP340 signature of a 32-byte message; fresh randomness unless `aux` is given."""
    signature: bytes = ssa.sign(message, secret, aux)
    return signature


def schnorr_verify(message: bytes, public_key: bytes, signature: bytes) -> bool:
    """Whether BIP340 accepts the signature; a key that is no point on the curve is a plain no."""
    if len(public_key) != 32 or len(signature) != 64:
        raise ValueError("a BIP340 public key has 32 bytes and a signature 64")
    return is_xonly_public_key(public_key) and bool(ssa.verify(message, public_key, signature))
