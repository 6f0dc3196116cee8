"""Public keys as descriptors write them (BIP380): hex, WIF, or an extended key with a path."""

import hashlib
import hmac
import re

from btclib_secp256k1 import keys, xonly

from sv2rig.bitcoin.base58 import b58check_decode
from sv2rig.bitcoin.networks import Network, check_network, networks_with

_ORIGIN = re.compile(r"\[[0-9a-fA-F]{8}(/[0-9]+['h]?)*\]")
_XPRV = (bytes.fromhex("0488ade4"), bytes.fromhex("04358394"))
_STEP = re.compile(r"[0-9]{1,10}")


def hash160(data: bytes) -> bytes:
    """RIPEMD-160 of SHA-256."""
    return hashlib.new("ripemd160", hashlib.sha256(data).digest()).digest()


def taproot_output_key(internal: bytes) -> bytes:
    """The 32-byte output key of an x-only internal key without scripts (BIP341, BIP86)."""
    tag = hashlib.sha256(b"TapTweak").digest()
    return bytes(xonly.tweak_add(internal, hashlib.sha256(tag + tag + internal).digest())[0])


def parse_key(text: str, network: Network | None, *, x_only: bool = False) -> bytes:
    """The public key (33 or 65 bytes; 32 where `x_only`) of a BIP380 key expression.

    ValueError in words where it is damaged, of another network, or names no single key.
    """
    key = text
    if text.startswith("["):
        origin = _ORIGIN.match(text)
        if not origin:
            raise ValueError(f"key origin in {text[:100]!r} is not [8 hex digits/step/step...]")
        key = text[origin.end() :]
    if not key:
        raise ValueError("there is no key")
    try:
        raw = bytes.fromhex(key) if re.fullmatch("[0-9a-fA-F]+", key) else None
    except ValueError:
        raw = None  # an odd number of digits
    if raw is None or len(raw) not in (32, 33, 65):
        raw = _encoded_key(key, network)
    if x_only:
        return _x_only(raw)
    if len(raw) == 32:
        raise ValueError("x-only keys (64 hex digits) are for tr() and rawtr() alone")
    _check_point(raw)
    return raw


def _check_point(raw: bytes) -> None:
    # libsecp256k1 also takes the hybrid forms 06 and 07, which Bitcoin's descriptors do not.
    if raw[0] not in (2, 3, 4) or not keys.pubkey_verify(raw):
        raise ValueError("a public key is not a point of the curve")


def _x_only(raw: bytes) -> bytes:
    if len(raw) == 65:
        raise ValueError("uncompressed keys are not allowed in tr() and rawtr()")
    if len(raw) == 33:
        _check_point(raw)
        raw = raw[1:]
    if not xonly.pubkey_verify(raw):
        raise ValueError("an x-only key is not a point of the curve")
    return raw


def _encoded_key(key: str, network: Network | None) -> bytes:
    encoded, *steps = key.split("/")
    try:
        payload = b58check_decode(encoded)
    except ValueError as error:
        # Never the key itself: it may be a private one.
        raise ValueError(f"a key is neither hex, WIF nor an extended key: {error}") from None
    if len(payload) == 78:
        return _extended_key(payload, steps, network)
    if steps:
        raise ValueError("only extended keys can have derivation steps after them")
    return _wif_key(payload, network)


def _wif_key(payload: bytes, network: Network | None) -> bytes:
    compressed = len(payload) == 34 and payload[33] == 1
    if len(payload) != 33 and not compressed:
        raise ValueError(f"a WIF key holds {len(payload)} bytes, not 33 or 34")
    check_network("a WIF key", networks_with("wif", payload[:1]), network)
    secret = payload[1:33]
    if not keys.prvkey_verify(secret):
        raise ValueError("a WIF key's number is outside the curve's order")
    return bytes(keys.pubkey_from_prvkey(secret, compressed))


def _extended_key(payload: bytes, steps: list[str], network: Network | None) -> bytes:
    if payload[:4] in _XPRV:
        raise ValueError("extended private keys are not taken here: give the xpub instead")
    check_network("an extended key", networks_with("xpub", payload[:4]), network)
    if not payload[4] and any(payload[5:13]):
        raise ValueError("an extended key claims depth 0 and a parent")
    chain_code, key = payload[13:45], payload[45:]
    _check_point(key)
    for step in steps:
        key, chain_code = _child(key, chain_code, _index(step))
    return key


def _index(step: str) -> int:
    if step.startswith("*"):
        raise ValueError(
            "'*' stands for many keys: write the index of one, such as 0, in its place"
        )
    if step.startswith("<"):
        raise ValueError("<a;b> stands for many keys: write one index in its place")
    if step.endswith(("'", "h")):
        raise ValueError(
            f"step {step} is hardened and needs the private key: derive its xpub first"
        )
    if not _STEP.fullmatch(step) or int(step) >= 1 << 31:
        raise ValueError(f"derivation step {step[:20]!r} is not a number below 2^31")
    return int(step)


def _child(key: bytes, chain_code: bytes, index: int) -> tuple[bytes, bytes]:
    """BIP32's CKDpub: the public child key and its chain code."""
    digest = hmac.digest(chain_code, key + index.to_bytes(4, "big"), "sha512")
    return bytes(keys.pubkey_tweak_add(key, digest[:32])), digest[32:]
