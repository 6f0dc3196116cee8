"""The self-test's checks of Stratum V2: keys, the Noise handshake, and frames."""

from __future__ import annotations

import csv
from collections.abc import Iterator

import msgspec

from sv2rig.rig.check import Check, CheckFailedError, expect_equal
from sv2rig.rig.known_blocks import vector
from sv2rig.sv2.authority import AuthorityKeyError, decode_authority_key, encode_authority_key
from sv2rig.sv2.certificate import Certificate
from sv2rig.sv2.frame import decode_message, encode_frame, parse_frame
from sv2rig.sv2.messages.mining import NewMiningJob, SubmitSharesStandard
from sv2rig.sv2.messages.registry import Message
from sv2rig.sv2.noise import FrameDecryptor, Initiator, KeyPair, Responder, Secured
from sv2rig.sv2.secp256k1 import schnorr_sign, schnorr_verify, xonly_public_key

# The specification's example, section 4.7.1.
_KEY_TEXT = "9bXiEd8boQVhq7WddEcERUL5tyyJVFYdU8th3HfbNXK3Yw6GRXh"
_KEY_PAYLOAD = bytes.fromhex("76637000979c1c11af0c300bcd8c7fe48610fce9b9c11e3daee35ae0b08a7455")

# Frames by hand from the tables of sections 3.2 and 5.3: header, then the fields in order.
_SHARE = (
    bytes.fromhex("00801a180000 02000000 01000000 2a000000 78563412 3cf15365 00e0ff3f"),
    SubmitSharesStandard(2, 1, 42, 0x12345678, 0x6553F13C, 0x3FFFE000),
)
_JOB = (
    bytes.fromhex("008015310000 02000000 2a000000 01 00f15365 00000020") + bytes(range(32)),
    NewMiningJob(2, 42, 0x6553F100, 0x20000000, bytes(range(32))),
)


def protocol_checks() -> Iterator[Check]:
    yield Check("BIP340 vectors", "protocol", _bip340)
    yield Check("authority key", "protocol", _authority_key)
    yield Check("frames", "protocol", _frames)
    yield Check("Noise known answer", "protocol", _noise)
    yield Check("encrypted frame each way", "protocol", _encrypted_frames)


def _bip340() -> str:
    rows = list(csv.DictReader(vector("bip340_test_vectors.csv").decode().splitlines()))
    signed = 0
    for row in rows:
        name = f"vector {row['index']}"
        key, message, signature = (
            bytes.fromhex(row[column]) for column in ("public key", "message", "signature")
        )
        valid = row["verification result"] == "TRUE"
        expect_equal(f"{name}'s validity", schnorr_verify(message, key, signature), valid)
        if row["secret key"] and len(message) == 32:
            secret, aux = bytes.fromhex(row["secret key"]), bytes.fromhex(row["aux_rand"])
            expect_equal(f"{name}'s key", xonly_public_key(secret), key)
            expect_equal(f"{name}'s signature", schnorr_sign(message, secret, aux), signature)
            signed += 1
    return f"{len(rows)} signatures judged, {signed} made"


def _authority_key() -> str:
    key = decode_authority_key(_KEY_TEXT)
    expect_equal("the key", key, _KEY_PAYLOAD)
    expect_equal("the key's text", encode_authority_key(key), _KEY_TEXT)
    try:
        decode_authority_key(_KEY_TEXT[:-1] + "i")
    except AuthorityKeyError:
        return "the specification's example there and back, and a misspelt one refused"
    raise CheckFailedError("a misspelt key was accepted")


def _frames() -> str:
    for raw, message in (_SHARE, _JOB):
        name = type(message).__name__
        expect_equal(f"the frame of {name}", encode_frame(message), raw)
        expect_equal(f"the message in {name}'s frame", decode_message(parse_frame(raw)), message)
    return "SubmitSharesStandard and NewMiningJob, against frames written by hand"


def _noise() -> str:
    client, server, known = _known_handshake()
    expect_equal("the handshake's hash", client.handshake_hash, known["h_final"])
    expect_equal("the server's handshake hash", server.handshake_hash, known["h_final"])
    plaintext = b"hhhhh"
    for name, sender, receiver in (
        ("i2r_0", client.send, server.receive),
        ("i2r_1", client.send, server.receive),
        ("r2i_0", server.send, client.receive),
        ("r2i_1", server.send, client.receive),
    ):
        expect_equal(f"ciphertext {name}", sender.encrypt(plaintext), known[name])
        expect_equal(f"plaintext {name}", receiver.decrypt(known[name]), plaintext)
    return "one handshake and two messages each way, byte for byte"


def _known_handshake() -> tuple[Secured, Secured, dict[str, bytes]]:
    """Both ends, after every byte of the handshake was found to be the known one."""
    vectors = msgspec.json.decode(vector("sv2_noise_kat.json"))
    known = {name: bytes.fromhex(value) for name, value in vectors["expected"].items()}
    inputs = vectors["inputs"]

    def repeated(name: str) -> bytes:
        byte, times = inputs[name].split("*")
        return bytes.fromhex(byte) * int(times)

    static = KeyPair.of(repeated("s"), repeated("aux_ell_s"))
    certificate = Certificate.sign(
        repeated("authority"),
        static.xonly,
        inputs["valid_from"],
        inputs["not_valid_after"],
        version=inputs["version"],
        aux=repeated("aux_sig"),
    )
    initiator = Initiator(KeyPair.of(repeated("e_i"), repeated("aux_ell_e_i")))
    responder = Responder(static, certificate, KeyPair.of(repeated("e_r"), repeated("aux_ell_e_r")))
    act_one = initiator.act_one()
    expect_equal("the client's message", act_one, known["ell_ei"])
    act_two, server = responder.answer(act_one)
    expected = known["ell_er"] + known["enc_static"] + known["enc_cert"]
    expect_equal("the server's message", act_two, expected)
    utc = float(inputs["valid_from"])
    return initiator.read_act_two(act_two, known["authority_x"], utc), server, known


def _encrypted_frames() -> str:
    client, server, _ = _known_handshake()
    for sender, receiver, (raw, message) in (
        (client, server, _SHARE),
        (server, client, _JOB),
    ):
        expect_equal("what arrived", _through(sender, receiver, raw), message)
    return "a share to the pool and a job back, through Noise"


def _through(sender: Secured, receiver: Secured, frame: bytes) -> Message | None:
    arriving = FrameDecryptor(receiver.receive)
    arriving.feed(sender.send.encrypt_frame(frame))
    found = arriving.next_frame()
    return decode_message(found) if found else None
