"""The handshake: a known answer made with sv2-tp's classes, and our two sides together."""

import hashlib
import json
from importlib.resources import files

import pytest

from sv2rig.sv2.certificate import Certificate, WrongAuthorityError
from sv2rig.sv2.noise import (
    ACT_ONE_SIZE,
    ACT_TWO_SIZE,
    HandshakeError,
    Initiator,
    KeyPair,
    Responder,
    SymmetricState,
)
from sv2rig.sv2.secp256k1 import (
    INITIATOR,
    RESPONDER,
    ellswift_ecdh,
    generate_secret,
    xonly_public_key,
)

KAT = json.loads((files("sv2rig.rig") / "vectors/sv2_noise_kat.json").read_text())
EXPECTED: dict[str, bytes] = {name: bytes.fromhex(value) for name, value in KAT["expected"].items()}
INPUTS = KAT["inputs"]
UTC = 1_750_000_000.0


def _repeated(name: str) -> bytes:
    byte, times = INPUTS[name].split("*")
    return bytes.fromhex(byte) * int(times)


E_I = KeyPair.of(_repeated("e_i"), _repeated("aux_ell_e_i"))
E_R = KeyPair.of(_repeated("e_r"), _repeated("aux_ell_e_r"))
STATIC = KeyPair.of(_repeated("s"), _repeated("aux_ell_s"))
AUTHORITY = _repeated("authority")
CERTIFICATE = Certificate.sign(
    AUTHORITY,
    STATIC.xonly,
    INPUTS["valid_from"],
    INPUTS["not_valid_after"],
    version=INPUTS["version"],
    aux=_repeated("aux_sig"),
)


def test_known_keys_and_certificate() -> None:
    assert E_I.ellswift == EXPECTED["ell_ei"]
    assert E_R.ellswift == EXPECTED["ell_er"]
    assert STATIC.ellswift == EXPECTED["ell_s"]
    assert STATIC.xonly == EXPECTED["static_x"]
    assert xonly_public_key(AUTHORITY) == EXPECTED["authority_x"]
    packed = CERTIFICATE.pack()
    assert packed == EXPECTED["signature_noise_message"]
    assert hashlib.sha256(packed[:10] + STATIC.xonly).digest() == EXPECTED["cert_hash"]
    assert Certificate.unpack(packed) == CERTIFICATE


def test_known_answer_step_by_step() -> None:
    state = SymmetricState()
    state.mix_hash(EXPECTED["ell_ei"])
    state.mix_hash(b"")
    assert state.h == EXPECTED["h_after_act1"]

    state.mix_hash(EXPECTED["ell_er"])
    ee = ellswift_ecdh(EXPECTED["ell_ei"], EXPECTED["ell_er"], E_R.secret, RESPONDER)
    assert ee == EXPECTED["ee"]
    assert ee == ellswift_ecdh(EXPECTED["ell_ei"], EXPECTED["ell_er"], E_I.secret, INITIATOR)
    state.mix_key(ee)
    assert state.ck == EXPECTED["ck_ee"]
    assert state.encrypt_and_hash(EXPECTED["ell_s"]) == EXPECTED["enc_static"]

    es = ellswift_ecdh(EXPECTED["ell_ei"], EXPECTED["ell_s"], STATIC.secret, RESPONDER)
    assert es == EXPECTED["es"]
    state.mix_key(es)
    assert state.ck == EXPECTED["ck_es"]
    assert state.encrypt_and_hash(EXPECTED["signature_noise_message"]) == EXPECTED["enc_cert"]
    assert state.h == EXPECTED["h_final"]

    to_responder, to_initiator = state.split()
    plaintext = bytes.fromhex(INPUTS["transport_plaintext"])
    assert to_responder.encrypt(plaintext) == EXPECTED["i2r_0"]
    assert to_responder.encrypt(plaintext) == EXPECTED["i2r_1"]
    assert to_initiator.encrypt(plaintext) == EXPECTED["r2i_0"]
    assert to_initiator.encrypt(plaintext) == EXPECTED["r2i_1"]


def test_known_answer_through_both_sides() -> None:
    initiator = Initiator(E_I)
    act_one = initiator.act_one()
    assert act_one == EXPECTED["ell_ei"]
    act_two, server = Responder(STATIC, CERTIFICATE, E_R).answer(act_one)
    assert act_two == EXPECTED["ell_er"] + EXPECTED["enc_static"] + EXPECTED["enc_cert"]
    client = initiator.read_act_two(act_two, EXPECTED["authority_x"], UTC)
    assert client.handshake_hash == server.handshake_hash == EXPECTED["h_final"]
    assert client.server_xonly == EXPECTED["static_x"]
    assert client.certificate == CERTIFICATE
    plaintext = bytes.fromhex(INPUTS["transport_plaintext"])
    for name in ("i2r_0", "i2r_1"):
        assert client.send.encrypt(plaintext) == EXPECTED[name]
        assert server.receive.decrypt(EXPECTED[name]) == plaintext
    for name in ("r2i_0", "r2i_1"):
        assert server.send.encrypt(plaintext) == EXPECTED[name]
        assert client.receive.decrypt(EXPECTED[name]) == plaintext


def test_two_handshakes_share_nothing() -> None:
    first, second = Initiator(), Initiator()
    assert first.act_one() != second.act_one()


@pytest.mark.parametrize("position", [0, 63, 64, 143, 144, ACT_TWO_SIZE - 1])
def test_an_altered_byte_anywhere_fails(position: int) -> None:
    initiator = Initiator()
    act_two, _ = Responder(STATIC, CERTIFICATE).answer(initiator.act_one())
    altered = bytearray(act_two)
    altered[position] ^= 1
    with pytest.raises(HandshakeError, match="authentication tag"):
        initiator.read_act_two(bytes(altered), EXPECTED["authority_x"], UTC)


def test_an_answer_to_another_client_fails() -> None:
    act_two, _ = Responder(STATIC, CERTIFICATE).answer(Initiator().act_one())
    initiator = Initiator()
    initiator.act_one()
    with pytest.raises(HandshakeError):
        initiator.read_act_two(act_two, EXPECTED["authority_x"], UTC)


def test_wrong_sizes_fail() -> None:
    with pytest.raises(HandshakeError, match="63 bytes, not 64"):
        Responder(STATIC, CERTIFICATE).answer(bytes(ACT_ONE_SIZE - 1))
    with pytest.raises(HandshakeError, match="235 bytes, not 234"):
        Initiator().read_act_two(bytes(ACT_TWO_SIZE + 1), None, UTC)


def test_another_authority_is_refused_unless_nobody_is_expected() -> None:
    initiator = Initiator()
    act_two, server = Responder(STATIC, CERTIFICATE).answer(initiator.act_one())
    other = xonly_public_key(generate_secret())
    unverified = Initiator(E_I)
    answer, _ = Responder(STATIC, CERTIFICATE).answer(unverified.act_one())
    assert unverified.read_act_two(answer, None, UTC).server_xonly == server.server_xonly
    with pytest.raises(WrongAuthorityError):
        initiator.read_act_two(act_two, other, UTC)


def test_secrets_do_not_show() -> None:
    assert E_I.secret.hex() not in repr(E_I)
    assert repr(E_I.secret) not in repr(E_I)
