import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sv2rig.bitcoin.address import address_to_script, script_to_address
from sv2rig.bitcoin.base58 import b58check_decode, b58check_encode
from sv2rig.bitcoin.bech32 import BECH32, BECH32M, decode, encode, segwit_decode, segwit_encode
from sv2rig.bitcoin.networks import Network

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/bitcoin/addresses.json").read_text())


@pytest.mark.parametrize(("address", "script", "network"), VECTORS["valid"])
def test_cores_addresses(address: str, script: str, network: str) -> None:
    assert address_to_script(address, Network(network)).hex() == script
    assert address_to_script(address).hex() == script
    assert script_to_address(bytes.fromhex(script), Network(network)) == address


@pytest.mark.parametrize("text", VECTORS["invalid"])
def test_cores_invalid_addresses(text: str) -> None:
    with pytest.raises(ValueError, match="address "):
        address_to_script(text)


# BIP350 and, for P2A, BIP433.
@pytest.mark.parametrize(
    ("address", "script"),
    [
        (
            "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
            "0014751e76e8199196d454941c45d1b3a323f1433bd6",
        ),
        (
            "bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y",
            "5128751e76e8199196d454941c45d1b3a323f1433bd6751e76e8199196d454941c45d1b3a323f1433bd6",
        ),
        ("BC1SW50QGDZ25J", "6002751e"),
        ("bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs", "5210751e76e8199196d454941c45d1b3a323"),
        (
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
            "512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
        ),
        ("bc1pfeessrawgf", "51024e73"),
    ],
)
def test_witness_programs(address: str, script: str) -> None:
    assert address_to_script(address, Network.MAINNET).hex() == script
    assert script_to_address(bytes.fromhex(script), Network.MAINNET) == address.lower()


# BIP350's invalid addresses, each with what we say of it.
@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("tc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq5zuyut", "no Bitcoin network"),
        ("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd", "needs a bech32m"),
        ("tb1z0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqglt7rf", "needs a bech32m"),
        ("BC1S0XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ54WELL", "needs a bech32m"),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh", "needs a bech32 "),
        ("tb1q0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq24jc47", "needs a bech32 "),
        ("bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4", "'o' at position 60"),
        ("BC130XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ7ZWS8R", "version is 17"),
        ("bc1pw5dgrnzv", "has 1 bytes"),
        (
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v8n0nx0muaewav253zgeav",
            "has 41 bytes",
        ),
        ("BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P", "version 0 has 16 bytes"),
        ("tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq47Zagq", "case are mixed"),
        ("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v07qwwzcrf", "fewest zero bits"),
        ("tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vpggkg4j", "fewest zero bits"),
        ("bc1gmk9yu", "no witness version"),
        ("bc1qvyq0cc6rahyvsazfdje0twl7ez82ndmuac2lhw", "checksum is wrong"),
        ("1FsSia9rv4NeEwvJ2GvXrX7LyxYspbN2mp", "checksum is wrong"),
        ("1FsSia9rv4NeEwvJ2GvXrX7LyxYspbN20o", "'0' at position 33"),
        ("LUTGeTZnxMBhJdPHE9RSJprGVB6knGdbJv", "checksum is wrong"),
    ],
)
def test_what_is_wrong_is_said(address: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        address_to_script(address)


def test_another_coins_address_is_of_no_network() -> None:
    litecoin = b58check_encode(b"\x30" + bytes(20))
    with pytest.raises(ValueError, match="no Bitcoin network"):
        address_to_script(litecoin)


@pytest.mark.parametrize(
    ("address", "wanted", "words"),
    [
        ("1FsSia9rv4NeEwvJ2GvXrX7LyxYspbN2mo", Network.TESTNET4, "is for mainnet, but testnet4"),
        (
            "mzK2FFDEhxqHcmrJw1ysqFkVyhUULo45hZ",
            Network.MAINNET,
            "for testnet3 or testnet4 or signet or regtest, but mainnet is wanted",
        ),
        ("bc1qvyq0cc6rahyvsazfdje0twl7ez82ndmuac2lhv", Network.REGTEST, "for mainnet, but regtest"),
        (
            "tb1qcrh3yqn4nlleplcez2yndq2ry8h9ncg3qh7n54",
            Network.REGTEST,
            "for testnet3 or testnet4 or signet, but regtest is wanted",
        ),
        ("bcrt1qdavt4j2sd7dlhqsavtnfxvzppw6k7qy97tmnu9", Network.SIGNET, "is for regtest"),
    ],
)
def test_the_wrong_network_is_named(address: str, wanted: Network, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        address_to_script(address, wanted)


def test_a_pasted_private_key_is_not_repeated() -> None:
    secret = VECTORS["wif"][1][0]
    with pytest.raises(ValueError, match="address") as caught:
        address_to_script(secret)
    assert secret[8:-6] not in str(caught.value)


@pytest.mark.parametrize(
    "script", ["", "6a", "00", "51", "5100", "510100", "0003010203", "61020101", "76a91400"]
)
def test_scripts_without_an_address(script: str) -> None:
    with pytest.raises(ValueError, match=r"has no address|witness program"):
        script_to_address(bytes.fromhex(script), Network.MAINNET)


@given(st.sampled_from(Network), st.integers(0, 16), st.binary(min_size=2, max_size=40))
def test_witness_programs_round_trip(network: Network, version: int, program: bytes) -> None:
    if version == 0:
        program = program[:20].ljust(20, b"\x00")
    script = bytes([0x50 + version if version else 0, len(program)]) + program
    address = script_to_address(script, network)
    assert address_to_script(address, network) == script
    assert address_to_script(address.upper(), network) == script
    prefix, found_version, found = segwit_decode(address)
    assert segwit_encode(prefix, found_version, found) == address


@given(st.text(max_size=100) | st.text("13bctrqpz2nm0xl", max_size=60))
def test_any_text_ends_in_a_script_or_a_value_error(text: str) -> None:
    for decode_text in (address_to_script, b58check_decode, decode):
        with contextlib.suppress(ValueError):
            assert decode_text(text)


# BIP173 and BIP350.
@pytest.mark.parametrize(
    ("text", "constant"),
    [
        ("A12UEL5L", BECH32),
        (
            "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs",
            BECH32,
        ),
        ("abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw", BECH32),
        ("?1ezyfcl", BECH32),
        ("A1LQFN3A", BECH32M),
        ("abcdef1l7aum6echk45nj3s0wdvt2fg8x9yrzpqzd3ryx", BECH32M),
        ("split1checkupstagehandshakeupstreamerranterredcaperredlc445v", BECH32M),
        ("?1v759aa", BECH32M),
    ],
)
def test_valid_bech32(text: str, constant: int) -> None:
    prefix, data, found = decode(text)
    assert found == constant
    assert encode(prefix, data, constant) == text.lower()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\x201nwldj5", "position 1 is not allowed"),
        ("\x7f1axkwrx", "position 1 is not allowed"),
        ("\x801eym55h", "position 1 is not allowed"),
        (
            "an84characterslonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1569pvx",
            "over 90",
        ),
        ("pzry9x0s0muk", "no prefix"),
        ("1pzry9x0s0muk", "no prefix"),
        ("x1b4n0q5v", "'b' at position 3"),
        ("li1dgmt3", "too short"),
        ("A1G7SGD8", "checksum"),
        ("10a06t8", "no prefix"),
        ("in1muywd", "too short"),
        ("mm1crxm3i", "'i' at position 9"),
        ("M1VUXWEZ", "checksum"),
    ],
)
def test_invalid_bech32(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        decode(text)


def test_known_base58check() -> None:
    # The address of the genesis block's reward.
    payload = bytes.fromhex("0062e907b15cbf27d5425399ebf6f0fb50ebb88f18")
    assert b58check_decode("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa") == payload
    assert b58check_encode(payload) == "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"
    # The authority key of the Stratum V2 specification, section 4.7.1: version 1, then the key.
    authority = bytes.fromhex(
        "010076637000979c1c11af0c300bcd8c7fe48610fce9b9c11e3daee35ae0b08a7455"
    )
    assert b58check_decode("9bXiEd8boQVhq7WddEcERUL5tyyJVFYdU8th3HfbNXK3Yw6GRXh") == authority
    # BIP32's first test vector, an extended public key of 78 bytes.
    xpub = (
        "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD"
        "265TMg7usUDFdp6W1EGMcet8"
    )
    assert len(b58check_decode(xpub)) == 78
    assert b58check_encode(b58check_decode(xpub)) == xpub


@given(st.binary(max_size=80))
def test_base58check_round_trip(payload: bytes) -> None:
    assert b58check_decode(b58check_encode(payload)) == payload


@given(st.binary(min_size=1, max_size=40), st.data())
def test_one_mistyped_character_is_noticed(payload: bytes, data: st.DataObject) -> None:
    text = b58check_encode(payload)
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"))
    wrong = text[:place] + other + text[place + 1 :]
    if wrong != text:
        with pytest.raises(ValueError, match=r"checksum"):
            b58check_decode(wrong)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "too short"),
        ("1", "too short"),
        ("O", "'O' at position 1"),
        ("1I", "'I' at position 2"),
        ("é", "position 1"),
        ("1" * 257, "over 256"),
        ("1" * 256, "checksum is wrong"),
    ],
)
def test_damaged_base58_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        b58check_decode(text)
