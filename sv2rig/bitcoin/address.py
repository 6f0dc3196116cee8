"""Addresses to output scripts and back: P2PKH, P2SH, and witness programs of versions 0 to 16.

Witness programs cover P2WPKH, P2WSH, P2TR, P2A and what later soft forks may define; today
anyone can spend what is paid to a version above 1.
"""

from sv2rig.bitcoin.base58 import b58check_decode, b58check_encode
from sv2rig.bitcoin.bech32 import check_program, segwit_decode, segwit_encode
from sv2rig.bitcoin.networks import PREFIXES, Network, check_network, networks_with

_PREFIX_ENDS = tuple(f"{prefixes.hrp}1" for prefixes in PREFIXES.values())
_LONGEST_BASE58 = 35  # an address of 25 bytes


def p2pkh_script(hash160: bytes) -> bytes:
    """Pays the key with this hash."""
    return b"\x76\xa9\x14" + hash160 + b"\x88\xac"


def p2sh_script(hash160: bytes) -> bytes:
    """Pays the script with this hash."""
    return b"\xa9\x14" + hash160 + b"\x87"


def witness_script(version: int, program: bytes) -> bytes:
    """Pays a witness program (BIP141)."""
    check_program(version, program)
    opcode = 0x50 + version if version else 0
    return bytes([opcode, len(program)]) + program


def address_to_script(address: str, network: Network | None = None) -> bytes:
    """The output script that pays `address`.

    ValueError in words where it is damaged, or of another network than `network` (None: any).
    """
    try:
        if address.lower().startswith(_PREFIX_ENDS) or len(address) > _LONGEST_BASE58:
            prefix, version, program = segwit_decode(address)
            check_network("it", networks_with("hrp", prefix), network)
            return witness_script(version, program)
        return _base58_script(b58check_decode(address), network)
    except ValueError as error:
        # Shortened: what was pasted here by mistake may be a private key.
        shown = address if len(address) <= 16 else f"{address[:8]}…{address[-6:]}"
        raise ValueError(f"address {shown!r}: {error}") from None


def _base58_script(payload: bytes, network: Network | None) -> bytes:
    if len(payload) != 21:
        raise ValueError(f"it holds {len(payload)} bytes, not a version and a hash of 20")
    version, hash160 = payload[:1], payload[1:]
    keys, scripts = networks_with("p2pkh", version), networks_with("p2sh", version)
    check_network("it", keys or scripts, network)
    return p2pkh_script(hash160) if keys else p2sh_script(hash160)


def script_to_address(script: bytes, network: Network) -> str:
    """The address on `network` that `script` pays; ValueError where it has none."""
    prefixes = PREFIXES[network]
    if len(script) == 25 and script == p2pkh_script(script[3:23]):
        return b58check_encode(prefixes.p2pkh + script[3:23])
    if len(script) == 23 and script == p2sh_script(script[2:22]):
        return b58check_encode(prefixes.p2sh + script[2:22])
    if 4 <= len(script) <= 42 and script[1] == len(script) - 2:
        opcode = script[0]
        if opcode == 0 or 0x51 <= opcode <= 0x60:
            return segwit_encode(prefixes.hrp, opcode and opcode - 0x50, script[2:])
    raise ValueError(f"output script {script[:42].hex()} has no address")
