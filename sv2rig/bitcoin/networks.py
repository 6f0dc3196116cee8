"""Bitcoin's networks and the prefixes by which their addresses and keys differ."""

from dataclasses import dataclass
from enum import StrEnum


class Network(StrEnum):
    """The networks; testnet3, testnet4 and signet cannot be told apart by an address."""

    MAINNET = "mainnet"
    TESTNET3 = "testnet3"
    TESTNET4 = "testnet4"
    SIGNET = "signet"
    REGTEST = "regtest"


@dataclass(frozen=True, slots=True)
class Prefixes:
    """Version bytes of base58check (P2PKH, P2SH, WIF, extended public key), and bech32's prefix."""

    p2pkh: bytes
    p2sh: bytes
    wif: bytes
    xpub: bytes
    hrp: str


_MAIN = Prefixes(b"\x00", b"\x05", b"\x80", bytes.fromhex("0488b21e"), "bc")
_TEST = Prefixes(b"\x6f", b"\xc4", b"\xef", bytes.fromhex("043587cf"), "tb")
_REGTEST = Prefixes(b"\x6f", b"\xc4", b"\xef", bytes.fromhex("043587cf"), "bcrt")

PREFIXES: dict[Network, Prefixes] = {
    Network.MAINNET: _MAIN,
    Network.TESTNET3: _TEST,
    Network.TESTNET4: _TEST,
    Network.SIGNET: _TEST,
    Network.REGTEST: _REGTEST,
}


def networks_with(field: str, prefix: bytes | str) -> list[Network]:
    """The networks whose Prefixes have this value in `field`."""
    return [network for network, known in PREFIXES.items() if getattr(known, field) == prefix]


def check_network(what: str, found: list[Network], wanted: Network | None) -> None:
    """ValueError where `what` is of none of Bitcoin's networks, or not of the wanted one."""
    if not found:
        raise ValueError(f"{what} is of no Bitcoin network that is known here")
    if wanted is not None and wanted not in found:
        names = " or ".join(found)
        raise ValueError(f"{what} is for {names}, but {wanted} is wanted")
