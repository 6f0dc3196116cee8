"""Output script descriptors (BIP380 to BIP386, and rawtr) to the one output script of a payout.

Taken: addr, raw, pk, pkh, wpkh, sh, wsh, multi, sortedmulti, tr (key path) and rawtr. Refused, in
words: ranges, script trees, miniscript and private extended keys.
"""

import hashlib
import re
from collections.abc import Callable

from sv2rig.bitcoin.address import (
    address_to_script,
    p2pkh_script,
    p2sh_script,
    witness_script,
)
from sv2rig.bitcoin.bech32 import CHARSET
from sv2rig.bitcoin.keys import hash160, parse_key, taproot_output_key
from sv2rig.bitcoin.networks import Network

_INPUT = (
    "0123456789()[],'/*abcdefgh@:$%{}"
    "IJKLMNOPQRSTUVWXYZ&+-.;<=>?!^_|~"
    'ijklmnopqrstuvwxyzABCDEFGH`#"\\ '
)
_GENERATORS = (0xF5DEE51989, 0xA9FDCA3312, 0x1BAB10E32D, 0x3706B1677A, 0x644D626FFD)
_MAX_LENGTH = 10_000
_MAX_P2SH_SCRIPT = 520
_MAX_KEYS = {"top": 3, "sh": 15, "wsh": 20}  # of multi(), by where it stands (BIP383)


def descriptor_checksum(text: str) -> str:
    """The 8 characters that follow '#' behind the descriptor `text` (BIP380)."""
    positions = []
    for place, character in enumerate(text):
        position = _INPUT.find(character)
        if position < 0:
            raise ValueError(f"character {character!r} at position {place + 1} is not allowed")
        positions.append(position)
    symbols = []
    for start in range(0, len(positions), 3):
        three = positions[start : start + 3]
        symbols += [position & 31 for position in three]
        group = 0
        for position in three:
            group = 3 * group + (position >> 5)
        symbols.append(group)
    check = 1
    for symbol in [*symbols, 0, 0, 0, 0, 0, 0, 0, 0]:
        top = check >> 35
        check = (check & 0x7FFFFFFFF) << 5 ^ symbol
        for bit, generator in enumerate(_GENERATORS):
            if top >> bit & 1:
                check ^= generator
    check ^= 1
    return "".join(CHARSET[check >> 5 * (7 - i) & 31] for i in range(8))


def descriptor_to_script(text: str, network: Network | None = None) -> bytes:
    """The output script of a descriptor, its '#' checksum verified where there is one.

    ValueError in words where it is damaged, of another network than `network` (None: any), names
    many scripts, or is of a kind not taken here.
    """
    if len(text) > _MAX_LENGTH:
        raise ValueError(f"descriptor has {len(text)} characters, over {_MAX_LENGTH}")
    body, mark, given = text.partition("#")
    try:
        wanted = descriptor_checksum(body)
        if mark and given != wanted:
            raise ValueError(f"its checksum is {given[:20]!r}, its text makes {wanted!r}")
        return _script(body, "top", network)
    except ValueError as error:
        # The text is not quoted: it may hold a private key.
        raise ValueError(f"descriptor: {error}") from None


def _script(text: str, context: str, network: Network | None) -> bytes:
    name, parenthesis, rest = text.partition("(")
    if not parenthesis or not rest.endswith(")"):
        raise ValueError("a script expression such as wpkh(KEY) is wanted")
    if name not in _FRAGMENTS:
        raise ValueError(f"{name[:20]!r} is not among {', '.join(_FRAGMENTS)}")
    contexts, build = _FRAGMENTS[name]
    if context not in contexts:
        raise ValueError(f"{name}() is not allowed {_place(context)}")
    return build(rest[:-1], context, network)


def _place(context: str) -> str:
    return "at the top" if context == "top" else f"inside {context}()"


def _key(text: str, context: str, network: Network | None) -> bytes:
    key = parse_key(text, network)
    if len(key) == 65 and context == "wsh":
        raise ValueError("uncompressed keys are not allowed inside wpkh() and wsh()")
    return key


def _raw(text: str, _context: str, _network: Network | None) -> bytes:
    if not re.fullmatch("([0-9a-fA-F]{2})+", text):
        raise ValueError("raw() holds something else than hex")
    return bytes.fromhex(text)


def _addr(text: str, _context: str, network: Network | None) -> bytes:
    return address_to_script(text, network)


def _pk(text: str, context: str, network: Network | None) -> bytes:
    key = _key(text, context, network)
    return bytes([len(key)]) + key + b"\xac"


def _pkh(text: str, context: str, network: Network | None) -> bytes:
    return p2pkh_script(hash160(_key(text, context, network)))


def _wpkh(text: str, _context: str, network: Network | None) -> bytes:
    return witness_script(0, hash160(_key(text, "wsh", network)))


def _sh(text: str, _context: str, network: Network | None) -> bytes:
    redeem = _script(text, "sh", network)
    if len(redeem) > _MAX_P2SH_SCRIPT:
        raise ValueError(f"the script inside sh() has {len(redeem)} bytes, over {_MAX_P2SH_SCRIPT}")
    return p2sh_script(hash160(redeem))


def _wsh(text: str, _context: str, network: Network | None) -> bytes:
    return witness_script(0, hashlib.sha256(_script(text, "wsh", network)).digest())


def _small_number(value: int) -> bytes:
    return bytes([0x50 + value]) if value <= 16 else bytes([1, value])


def _multi(text: str, context: str, network: Network | None, *, ordered: bool = False) -> bytes:
    threshold, *texts = text.split(",")
    most = _MAX_KEYS[context]
    if not 1 <= len(texts) <= most:
        raise ValueError(f"multi() has {len(texts)} keys, outside 1..{most} {_place(context)}")
    if not re.fullmatch("[0-9]{1,9}", threshold):
        raise ValueError(f"multi()'s threshold {threshold[:20]!r} is not a number")
    needed = int(threshold)
    if not 1 <= needed <= len(texts):
        raise ValueError(f"multi()'s threshold is {needed}, outside 1..{len(texts)}")
    parsed = [_key(item, context, network) for item in texts]
    if ordered:
        parsed.sort()
    pushed = b"".join(bytes([len(key)]) + key for key in parsed)
    return _small_number(needed) + pushed + _small_number(len(parsed)) + b"\xae"


def _sortedmulti(text: str, context: str, network: Network | None) -> bytes:
    return _multi(text, context, network, ordered=True)


def _tr(text: str, _context: str, network: Network | None) -> bytes:
    if "," in text:
        raise ValueError("tr() with scripts is not taken here: give its address as addr(...)")
    return witness_script(1, taproot_output_key(parse_key(text, network, x_only=True)))


def _rawtr(text: str, _context: str, network: Network | None) -> bytes:
    return witness_script(1, parse_key(text, network, x_only=True))


_Build = Callable[[str, str, Network | None], bytes]
# Each fragment, and where it may stand.
_FRAGMENTS: dict[str, tuple[frozenset[str], _Build]] = {
    "addr": (frozenset({"top"}), _addr),
    "raw": (frozenset({"top"}), _raw),
    "pk": (frozenset({"top", "sh", "wsh"}), _pk),
    "pkh": (frozenset({"top", "sh", "wsh"}), _pkh),
    "wpkh": (frozenset({"top", "sh"}), _wpkh),
    "sh": (frozenset({"top"}), _sh),
    "wsh": (frozenset({"top", "sh"}), _wsh),
    "multi": (frozenset({"top", "sh", "wsh"}), _multi),
    "sortedmulti": (frozenset({"top", "sh", "wsh"}), _sortedmulti),
    "tr": (frozenset({"top"}), _tr),
    "rawtr": (frozenset({"top"}), _rawtr),
}
