"""BIP340 and BIP324's published vectors through our wrap of libsecp256k1."""

import csv
from importlib.resources import files
from pathlib import Path

import pytest

from sv2rig.sv2.secp256k1 import (
    GROUP_ORDER,
    INITIATOR,
    RESPONDER,
    ellswift_create,
    ellswift_ecdh,
    ellswift_xonly,
    generate_secret,
    is_xonly_public_key,
    schnorr_sign,
    schnorr_verify,
    xonly_public_key,
)

VECTORS = Path(__file__).parent.parent / "vectors" / "noise"
BIP340 = (files("sv2rig.rig") / "vectors/bip340_test_vectors.csv").read_text()


def _rows(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader((VECTORS / name).read_text().splitlines()))


def _bip340_rows() -> list[dict[str, str]]:
    return list(csv.DictReader(BIP340.splitlines()))


@pytest.mark.parametrize("row", _bip340_rows(), ids=lambda row: row["index"])
def test_bip340(row: dict[str, str]) -> None:
    message = bytes.fromhex(row["message"])
    public_key = bytes.fromhex(row["public key"])
    signature = bytes.fromhex(row["signature"])
    expected = row["verification result"] == "TRUE"
    assert schnorr_verify(message, public_key, signature) is expected
    if row["secret key"]:
        secret = bytes.fromhex(row["secret key"])
        assert xonly_public_key(secret) == public_key
        if len(message) == 32:
            assert schnorr_sign(message, secret, bytes.fromhex(row["aux_rand"])) == signature


def test_bip340_vectors_cover_signing_and_refusal() -> None:
    rows = _bip340_rows()
    assert len(rows) == 19
    assert sum(row["verification result"] == "FALSE" for row in rows) == 10
    assert sum(bool(row["secret key"]) and len(row["message"]) == 64 for row in rows) == 4


@pytest.mark.parametrize("row", _rows("ellswift_decode_test_vectors.csv"), ids=lambda row: row["x"])
def test_ellswift_decode(row: dict[str, str]) -> None:
    assert ellswift_xonly(bytes.fromhex(row["ellswift"])).hex() == row["x"]


# The library inverts only with randomness of its own, so the inverse vectors are read forwards:
# every t listed for (u, x) must, with u, stand for x.
@pytest.mark.parametrize("row", _rows("xswiftec_inv_test_vectors.csv"), ids=lambda row: row["x"])
def test_every_listed_preimage_decodes_to_its_x(row: dict[str, str]) -> None:
    listed = [row[f"case{case}_t"] for case in range(8)]
    for t in filter(None, listed):
        assert ellswift_xonly(bytes.fromhex(row["u"] + t)).hex() == row["x"]


def test_created_encodings_differ_but_stand_for_the_same_key() -> None:
    secret = generate_secret()
    first, second = ellswift_create(secret), ellswift_create(secret)
    assert first != second
    assert ellswift_xonly(first) == ellswift_xonly(second) == xonly_public_key(secret)


def test_both_parties_agree_on_one_secret_and_roles_matter() -> None:
    a, b = generate_secret(), generate_secret()
    ell_a, ell_b = ellswift_create(a), ellswift_create(b)
    shared = ellswift_ecdh(ell_a, ell_b, a, INITIATOR)
    assert shared == ellswift_ecdh(ell_a, ell_b, b, RESPONDER)
    assert shared != ellswift_ecdh(ell_b, ell_a, b, INITIATOR)


def test_generate_secret_redraws_what_is_no_scalar() -> None:
    draws = [bytes(32), GROUP_ORDER.to_bytes(32, "big"), (GROUP_ORDER - 1).to_bytes(32, "big")]
    assert generate_secret(lambda _: draws.pop(0)) == (GROUP_ORDER - 1).to_bytes(32, "big")
    assert not draws


def test_wrong_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes and a signature 64"):
        schnorr_verify(bytes(32), bytes(33), bytes(64))
    with pytest.raises(ValueError, match="32 bytes and a signature 64"):
        schnorr_verify(bytes(32), bytes(32), bytes(63))
    with pytest.raises(ValueError, match="64"):
        ellswift_xonly(bytes(63))
    with pytest.raises(ValueError, match="32"):
        schnorr_sign(bytes(31), generate_secret())
    assert not is_xonly_public_key(bytes(31))
    assert not is_xonly_public_key(b"\xff" * 32)
