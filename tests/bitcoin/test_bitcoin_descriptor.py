import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sv2rig.bitcoin.address import script_to_address
from sv2rig.bitcoin.descriptor import descriptor_checksum, descriptor_to_script
from sv2rig.bitcoin.keys import parse_key, taproot_output_key
from sv2rig.bitcoin.networks import Network

VECTORS_AT = Path(__file__).parents[1] / "vectors/bitcoin"
VECTORS = json.loads((VECTORS_AT / "descriptors.json").read_text())
WIF = json.loads((VECTORS_AT / "addresses.json").read_text())["wif"]
BIPS = ["BIP381", "BIP382", "BIP383", "BIP385", "BIP386"]
VALID = [(text, scripts) for bip in BIPS for text, scripts in VECTORS[bip]["valid"]]
INVALID = [text for bip in BIPS for text in VECTORS[bip]["invalid"]]

KEY = "03a34b99f22c790c4e36b2b3c2c35a36db06226e41c692fc82b8b56ac1c540c5bd"
LONG_KEY = (
    "04a34b99f22c790c4e36b2b3c2c35a36db06226e41c692fc82b8b56ac1c540c5bd"
    "5b8dec5235a0fa8722476c7709c02559e3aa73aa03918ba2d492eea75abea235"
)
XPUB = (
    "xpub68NZiKmJWnxxS6aaHmn81bvJeTESw724CRDs6HbuccFQN9Ku14VQrADWgqbhhTHBaohPX4CjNLf9fq9MYo6oD"
    "aPPLPxSb7gwQN3ih19Zm4Y"
)


@pytest.mark.parametrize(("text", "scripts"), VALID)
def test_the_bips_descriptors(text: str, scripts: list[str]) -> None:
    if "xprv" in text:
        with pytest.raises(ValueError, match=r"give the xpub instead|with scripts is not taken"):
            descriptor_to_script(text)
        return
    if text.startswith("tr(") and "," in text:
        with pytest.raises(ValueError, match="with scripts is not taken"):
            descriptor_to_script(text)
        return
    if "*" in text:
        with pytest.raises(ValueError, match="write the index of one"):
            descriptor_to_script(text)
    for index, script in enumerate(scripts):
        fixed = text.replace("*", str(index))
        assert descriptor_to_script(fixed, Network.MAINNET).hex() == script
        checked = f"{fixed}#{descriptor_checksum(fixed)}"
        assert descriptor_to_script(checked).hex() == script


@pytest.mark.parametrize("text", INVALID)
def test_the_bips_invalid_descriptors(text: str) -> None:
    with pytest.raises(ValueError, match="descriptor: "):
        descriptor_to_script(text)


@pytest.mark.parametrize("text", VECTORS["BIP380"]["valid_keys"])
def test_the_bips_key_expressions(text: str) -> None:
    if "xprv" in text:
        words = "give the xpub instead"
    elif "h/*" in text.rpartition("]")[2]:
        words = "is hardened"
    elif "*" in text:
        words = "write the index of one"
    else:
        assert len(parse_key(text, Network.MAINNET)) in (33, 65)
        return
    with pytest.raises(ValueError, match=words):
        parse_key(text, None)


@pytest.mark.parametrize("text", VECTORS["BIP380"]["invalid_keys"])
def test_the_bips_invalid_key_expressions(text: str) -> None:
    with pytest.raises(ValueError, match=r"key|origin|extended"):
        parse_key(text, None)


def test_the_bips_checksums() -> None:
    assert descriptor_checksum("raw(deadbeef)") == "89f8spxm"
    assert descriptor_to_script("raw(deadbeef)#89f8spxm") == bytes.fromhex("deadbeef")
    # Bitcoin Core's documentation and bitcoinerlab/descriptors have this one.
    assert descriptor_checksum("addr(mkmZxiEcEd8ZqjQWVZuC6so5dFMKEFpN2j)") == "02wpgw69"


@pytest.mark.parametrize(
    "text",
    [
        "raw(deadbeef)#",
        "raw(deadbeef)#89f8spxmx",
        "raw(deadbeef)#89f8spx",
        "raw(deedbeef)#89f8spxm",
        "raw(deedbeef)##9f8spxm",
        "raw(Ü)#00000000",
    ],
)
def test_wrong_checksums_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"its checksum is|is not allowed"):
        descriptor_to_script(text)


def test_taproot_key_path_of_bip341_and_bip86() -> None:
    # BIP341, wallet-test-vectors.json, the first (no script tree).
    internal = bytes.fromhex("d6889cb081036e0faefa3a35157ad71086b123b2b144b649798b494c300a961d")
    output = "53a1f6e454df1aa2776a2814a721372d6258050de330b3c6d10ee8f4e0dda343"
    assert taproot_output_key(internal).hex() == output
    script = descriptor_to_script(f"tr({internal.hex()})")
    assert script.hex() == "5120" + output
    address = "bc1p2wsldez5mud2yam29q22wgfh9439spgduvct83k3pm50fcxa5dps59h4z5"
    assert script_to_address(script, Network.MAINNET) == address
    assert descriptor_to_script(f"rawtr({output})") == script
    assert descriptor_to_script(f"rawtr(02{output})") == script
    assert descriptor_to_script(f"addr({address})") == script


def test_the_key_of_the_genesis_reward() -> None:
    key = (
        "04678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e"
        "51ec112de5c384df7ba0b8d578a4c702b6bf11d5f"
    )
    script = descriptor_to_script(f"pkh({key})")
    assert script_to_address(script, Network.MAINNET) == "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"
    assert descriptor_to_script(f"pk({key})").hex() == f"41{key}ac"


def test_public_derivation_of_bip32() -> None:
    # BIP32's first vector: m/0H/1/2H, then its children 2 and 2/1000000000 as the BIP lists them.
    parent = (
        "xpub6D4BDPcP2GT577Vvch3R8wDkScZWzQzMMUm3PWbmWvVJrZwQY4VUNgqFJPMM3No2dFDFGTsxxpG5uJh7n7epu"
        "4trkrX7x7DogT5Uv6fcLW5"
    )
    child = (
        "xpub6FHa3pjLCk84BayeJxFW2SP4XRrFd1JYnxeLeU8EqN3vDfZmbqBqaGJAyiLjTAwm6ZLRQUMv1ZACTj37sR62c"
        "fN7fe5JnJ7dh8zL4fiyLHV"
    )
    grandchild = (
        "xpub6H1LXWLaKsWFhvm6RVpEL9P4KfRZSW7abD2ttkWP3SSQvnyA8FSVqNTEcYFgJS2UaFcxupHiYkro49S8yGasT"
        "vXEYBVPamhGW6cFJodrTHy"
    )
    key = parse_key(f"{parent}/2/1000000000", Network.MAINNET)
    assert key == parse_key(f"{child}/1000000000", None) == parse_key(grandchild, None)
    assert parse_key(f"{parent}/2", None) == parse_key(child, None) != key


@pytest.mark.parametrize(("text", "secret", "network", "compressed"), WIF)
def test_wif_keys(text: str, secret: str, network: str, compressed: bool) -> None:
    key = parse_key(text, Network(network))
    assert len(key) == (33 if compressed else 65)
    other = Network.MAINNET if network != "mainnet" else Network.SIGNET
    with pytest.raises(ValueError, match=f"but {other} is wanted") as caught:
        parse_key(text, other)
    assert text not in str(caught.value)
    assert secret not in str(caught.value)


# BIP32's fifth test vector: extended keys that are damaged though their checksums hold.
@pytest.mark.parametrize(
    ("key", "words"),
    [
        (
            "xpub661no6RGEX3uJkY4bNnPcw4URcQTrSibUZ4NqJEw5eBkv7ovTwgiT91XX27VbEXGENhYRCf7hyEbWrR3F"
            "ewATdCEebj6znwMfQkhRYHRLpJ",
            "claims depth 0 and a parent",
        ),
        (
            "xpub661MyMwAuDcm6CRQ5N4qiHKrJ39Xe1R1NyfouMKTTWcguwVcfrZJaNvhpebzGerh7gucBvzEQWRugZDuD"
            "XjNDRmXzSZe4c7mnTK97pTvGS8",
            "claims depth 0 and a parent",
        ),
        (
            "xpub661MyMwAqRbcEYS8w7XLSVeEsBXy79zSzH1J8vCdxAZningWLdN3zgtU6Txnt3siSujt9RCVYsx4qHZGc"
            "62TG4McvMGcAUjeuwZdduYEvFn",
            "not a point of the curve",
        ),
        (
            "xpub661MyMwAqRbcEYS8w7XLSVeEsBXy79zSzH1J8vCdxAZningWLdN3zgtU6"
            "N8ZMMXctdiCjxTNq964yKkwrkBJJwpzZS4HS2fxvyYUA4q2Xe4",
            "not a point of the curve",
        ),
        (
            "xpub661MyMwAqRbcEYS8w7XLSVeEsBXy79zSzH1J8vCdxAZningWLdN3zgtU6"
            "Q5JXayek4PRsn35jii4veMimro1xefsM58PgBMrvdYre8QyULY",
            "not a point of the curve",
        ),
        (
            "xpub661MyMwAqRbcEYS8w7XLSVeEsBXy79zSzH1J8vCdxAZningWLdN3zgtU6"
            "LBpB85b3D2yc8sfvZU521AAwdZafEz7mnzBBsz4wKY5fTtTQBm",
            "not a point of the curve",
        ),
    ],
)
def test_damaged_extended_keys(key: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_key(key, None)


def test_keys_of_another_network_are_named() -> None:
    with pytest.raises(ValueError, match="an extended key is for mainnet, but signet is wanted"):
        descriptor_to_script(f"wpkh({XPUB}/0)", Network.SIGNET)
    with pytest.raises(ValueError, match="is for mainnet, but regtest is wanted"):
        descriptor_to_script("addr(3PUNyaW7M55oKWJ3kDukwk9bsKvryra15j)", Network.REGTEST)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "a script expression"),
        ("wpkh", "a script expression"),
        ("wpkh(", "a script expression"),
        (f"wpkh({KEY}", "a script expression"),
        (f"combo({KEY})", "'combo' is not among addr, raw"),
        (f"wsh(and_v(v:pk({KEY}),older(10)))", "'and_v' is not among"),
        ("wpkh()", "there is no key"),
        ("wpkh([deadbeef])", "there is no key"),
        (f"wpkh({KEY}/0)", "neither hex, WIF nor an extended key"),
        (f"wpkh({'02' + 'ff' * 32})", "not a point of the curve"),
        (f"wpkh({'05' + KEY[2:]})", "not a point of the curve"),
        (f"pk({'07' + LONG_KEY[2:]})", "not a point of the curve"),
        (f"wpkh({KEY[2:]})", "x-only keys"),
        (f"tr({LONG_KEY})", "uncompressed keys are not allowed in tr"),
        (f"tr({'ff' * 32})", "not a point of the curve"),
        (f"sh(tr({KEY}))", r"tr\(\) is not allowed inside sh"),
        (f"wsh(wpkh({KEY}))", r"wpkh\(\) is not allowed inside wsh"),
        (f"wpkh({XPUB}/0h)", "step 0h is hardened"),
        (f"wpkh({XPUB}/<0;1>/0)", "write one index"),
        (f"wpkh({XPUB}/2147483648)", "not a number below"),
        (f"wpkh({XPUB}/)", "not a number below"),
        (f"wpkh({XPUB}/-1)", "not a number below"),
        (f"multi(1,{','.join([KEY] * 4)})", r"4 keys, outside 1\.\.3 at the top"),
        (f"sh(multi(1,{','.join([KEY] * 16)}))", r"16 keys, outside 1\.\.15 inside sh"),
        (f"sh(multi(1,{','.join([LONG_KEY] * 8)}))", "531 bytes, over 520"),
        (f"wsh(multi(1,{','.join([KEY] * 21)}))", r"21 keys, outside 1\.\.20 inside wsh"),
        ("wsh(multi(1))", "0 keys"),
        (f"wsh(multi(2,{KEY}))", r"threshold is 2, outside 1\.\.1"),
        (f"wsh(multi(0,{KEY}))", r"threshold is 0, outside 1\.\.1"),
        (f"wsh(multi(x,{KEY}))", "threshold 'x' is not a number"),
        ("raw(de ad)", "else than hex"),
        ("raw()", "else than hex"),
        ("a" * 10_001, "over 10000"),
    ],
)
def test_what_is_wrong_is_said(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        descriptor_to_script(text)


def test_limits_of_multi_just_reached() -> None:
    for text in (
        f"multi(3,{','.join([KEY] * 3)})",
        f"sh(multi(15,{','.join([KEY] * 15)}))",
        f"sh(multi(1,{','.join([LONG_KEY] * 7)}))",
        f"wsh(multi(20,{','.join([KEY] * 20)}))",
    ):
        assert descriptor_to_script(text)


alphabet = st.text("wpkhstrmulaw(),#[]/*'0123456789abcdef", max_size=60)


@given(alphabet | st.text(max_size=60))
def test_any_text_ends_in_a_script_or_a_value_error(text: str) -> None:
    for attempt in (text, f"wpkh({text})", f"wsh(multi({text}))", f"tr({text})"):
        with contextlib.suppress(ValueError):
            assert descriptor_to_script(attempt)
