"""Noise_NX_Secp256k1+EllSwift_ChaChaPoly_SHA256: the handshake and the encrypted frames.

Source: spec 4.3 to 4.6. Act 1 is the initiator's ephemeral key, 64 bytes. Act 2 is 234 bytes:
the responder's ephemeral key (64), its static key (64 + 16) and its certificate (74 + 16), the
latter two encrypted. Afterwards a frame's 6-byte header becomes 22 bytes, and its payload follows
in chunks of at most 65519 bytes, each 16 longer, one nonce a chunk.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from dataclasses import dataclass, field
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from sv2rig.sv2 import certificate as certificates
from sv2rig.sv2.certificate import Certificate
from sv2rig.sv2.errors import FrameTooLargeError, ProtocolError
from sv2rig.sv2.frame import HEADER_SIZE, Frame
from sv2rig.sv2.messages.registry import CHANNEL_MSG_BIT
from sv2rig.sv2.secp256k1 import (
    INITIATOR,
    RESPONDER,
    ellswift_create,
    ellswift_ecdh,
    ellswift_xonly,
    generate_secret,
)

PROTOCOL_NAME: Final = b"Noise_NX_Secp256k1+EllSwift_ChaChaPoly_SHA256"
TAG_SIZE: Final = 16
ELLSWIFT_SIZE: Final = 64
ACT_ONE_SIZE: Final = ELLSWIFT_SIZE
_STATIC_END: Final = ELLSWIFT_SIZE + ELLSWIFT_SIZE + TAG_SIZE
ACT_TWO_SIZE: Final = _STATIC_END + certificates.SIZE + TAG_SIZE

SEALED_HEADER_SIZE: Final = HEADER_SIZE + TAG_SIZE
MAX_SEALED_CHUNK: Final = 65535
MAX_CHUNK: Final = MAX_SEALED_CHUNK - TAG_SIZE
DEFAULT_MAX_PAYLOAD: Final = 1 << 20

_LAST_NONCE: Final = 2**64 - 2  # Noise reserves the very last value
_pack_nonce: Final = struct.Struct("<4xQ").pack
_chaining_key_0: Final = hashlib.sha256(PROTOCOL_NAME).digest()
_hash_0: Final = hashlib.sha256(_chaining_key_0).digest()


class NoiseError(ProtocolError):
    """The encrypted connection cannot go on."""


class HandshakeError(NoiseError):
    """The peer's side of the handshake does not fit ours."""


class WrongTagError(NoiseError):
    """A part of the encrypted stream was altered, lost or never meant for this key."""


class NonceExhaustedError(NoiseError):
    """One direction has used every nonce of its key."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A secret and the one EllSwift encoding of its public key that is sent, hashed and agreed."""

    secret: bytes = field(repr=False)
    ellswift: bytes

    @classmethod
    def generate(cls) -> Self:
        return cls.of(generate_secret())

    @classmethod
    def of(cls, secret: bytes, aux: bytes | None = None) -> Self:
        """The pair of a known secret; `aux` (32 bytes) makes the encoding reproducible."""
        return cls(secret, ellswift_create(secret, aux))

    @property
    def xonly(self) -> bytes:
        return ellswift_xonly(self.ellswift)


class CipherState:
    """One key and its nonce counter (spec 4.4.1).

    The cipher object lives as long as the key: making one for each message costs three times more.
    """

    __slots__ = ("_open", "_seal", "nonce")

    def __init__(self, key: bytes, nonce: int = 0) -> None:
        cipher = ChaCha20Poly1305(key)
        self._seal = cipher.encrypt
        self._open = cipher.decrypt
        self.nonce = nonce

    def encrypt(self, plaintext: bytes | memoryview, associated_data: bytes | None = None) -> bytes:
        nonce = self.nonce
        if nonce > _LAST_NONCE:
            raise NonceExhaustedError("every nonce of this key is used: connect again")
        sealed = self._seal(_pack_nonce(nonce), plaintext, associated_data)
        self.nonce = nonce + 1
        return sealed

    def decrypt(
        self,
        sealed: bytes | bytearray | memoryview,
        associated_data: bytes | None = None,
    ) -> bytes:
        """The plaintext, or WrongTagError, which leaves the counter as it was."""
        nonce = self.nonce
        if nonce > _LAST_NONCE:
            raise NonceExhaustedError("every nonce of this key is used: connect again")
        try:
            plaintext = self._open(_pack_nonce(nonce), sealed, associated_data)
        except InvalidTag:
            raise WrongTagError(
                "the authentication tag of an encrypted block is wrong: bytes were altered or "
                "lost on the way, or the peer uses another key"
            ) from None
        self.nonce = nonce + 1
        return plaintext

    def encrypt_frame(self, frame: bytes) -> bytes:
        """A whole frame (6-byte header and payload) as it goes on the wire (spec 4.6)."""
        nonce = self.nonce
        if HEADER_SIZE < len(frame) <= HEADER_SIZE + MAX_CHUNK and nonce < _LAST_NONCE:
            # Nearly every frame is of one chunk; written out, it costs half of the loop below.
            seal = self._seal
            self.nonce = nonce + 2
            return seal(_pack_nonce(nonce), frame[:HEADER_SIZE], None) + seal(
                _pack_nonce(nonce + 1), frame[HEADER_SIZE:], None
            )
        view = memoryview(frame)
        chunks = [view[:HEADER_SIZE]]
        chunks += [view[at : at + MAX_CHUNK] for at in range(HEADER_SIZE, len(frame), MAX_CHUNK)]
        return b"".join(map(self.encrypt, chunks))


class FrameDecryptor:
    """Encrypted bytes in pieces of any size to frames (spec 4.6).

    What is kept between calls never exceeds one frame of `max_payload` bytes: a header that
    announces more is refused before any of its payload is taken.
    """

    __slots__ = ("_buffer", "_decrypt", "_header", "_max_payload", "_offset", "_wanted")

    def __init__(self, cipher: CipherState, max_payload: int = DEFAULT_MAX_PAYLOAD) -> None:
        self._decrypt = cipher.decrypt
        self._max_payload = max_payload
        self._buffer = bytearray()
        self._offset = 0
        self._header: bytes | None = None
        self._wanted = SEALED_HEADER_SIZE  # of the part to come: a header, or a whole payload

    def feed(self, data: bytes) -> None:
        """Take bytes from the transport; call next_frame() until it has no more."""
        buffer = self._buffer
        if self._offset:
            del buffer[: self._offset]
            self._offset = 0
        buffer += data

    @property
    def missing(self) -> int:
        """How many bytes the part of a frame that has begun still wants; 0 between frames."""
        have = len(self._buffer) - self._offset
        return self._wanted - have if have or self._header is not None else 0

    def next_frame(self) -> Frame | None:
        """The next frame, or None until more bytes are fed.

        Raises WrongTagError or FrameTooLargeError, after which the stream is of no more use.
        """
        header = self._header
        if header is None:
            header = self._take()
            if header is None:
                return None
            length = header[3] | header[4] << 8 | header[5] << 16
            if length > self._max_payload:
                raise FrameTooLargeError(header[2], length, self._max_payload)
            self._wanted = sealed_size(length)
        payload = self._take()
        if payload is None:
            self._header = header
            return None
        self._header = None
        self._wanted = SEALED_HEADER_SIZE
        bits = header[0] | header[1] << 8
        return Frame(bits & ~CHANNEL_MSG_BIT, bits >= CHANNEL_MSG_BIT, header[2], payload)

    def _take(self) -> bytes | None:
        """The plaintext of the next `_wanted` bytes, if they are here."""
        start = self._offset
        end = start + self._wanted
        if end > len(self._buffer):
            return None
        self._offset = end
        if start < end <= start + MAX_SEALED_CHUNK:
            return self._decrypt(self._buffer[start:end])
        with memoryview(self._buffer) as view:
            return b"".join(
                [
                    self._decrypt(view[at : min(at + MAX_SEALED_CHUNK, end)])
                    for at in range(start, end, MAX_SEALED_CHUNK)
                ]
            )


def sealed_size(payload_size: int) -> int:
    """How many bytes a payload takes when encrypted; none for an empty one."""
    return payload_size + TAG_SIZE * -(-payload_size // MAX_CHUNK)


class SymmetricState:
    """The chaining key `ck`, the handshake hash `h` and the current cipher (spec 4.4.2)."""

    def __init__(self) -> None:
        self.ck = _chaining_key_0
        self.h = _hash_0
        self._cipher: CipherState | None = None

    def mix_hash(self, data: bytes) -> None:
        self.h = hashlib.sha256(self.h + data).digest()

    def mix_key(self, input_key_material: bytes) -> None:
        self.ck, key = _hkdf(self.ck, input_key_material)
        self._cipher = CipherState(key)

    def encrypt_and_hash(self, plaintext: bytes) -> bytes:
        sealed = plaintext if self._cipher is None else self._cipher.encrypt(plaintext, self.h)
        self.mix_hash(sealed)
        return sealed

    def decrypt_and_hash(self, sealed: bytes) -> bytes:
        plaintext = sealed if self._cipher is None else self._cipher.decrypt(sealed, self.h)
        self.mix_hash(sealed)
        return plaintext

    def split(self) -> tuple[CipherState, CipherState]:
        """The ciphers from initiator to responder, and back."""
        first, second = _hkdf(self.ck, b"")
        return CipherState(first), CipherState(second)


def _hkdf(chaining_key: bytes, input_key_material: bytes) -> tuple[bytes, bytes]:
    extracted = hmac.digest(chaining_key, input_key_material, "sha256")
    first = hmac.digest(extracted, b"\x01", "sha256")
    return first, hmac.digest(extracted, first + b"\x02", "sha256")


@dataclass(frozen=True, slots=True)
class Secured:
    """What a finished handshake leaves: a cipher a direction, and who the server is."""

    send: CipherState
    receive: CipherState
    handshake_hash: bytes
    server_xonly: bytes
    certificate: Certificate


class Initiator:
    """The client's side of one handshake."""

    def __init__(self, ephemeral: KeyPair | None = None) -> None:
        self._ephemeral = ephemeral or KeyPair.generate()
        self._state = SymmetricState()

    def act_one(self) -> bytes:
        """The 64 bytes to send first; to be called once."""
        self._state.mix_hash(self._ephemeral.ellswift)
        self._state.mix_hash(b"")  # the empty payload, in the clear since there is no key yet
        return self._ephemeral.ellswift

    def read_act_two(self, message: bytes, authority_key: bytes | None, utc: float) -> Secured:
        """Finish with the server's 234 bytes and check its certificate.

        `authority_key` is the pool's 32-byte x-only key; None trusts any server, which only a
        user can ask for. Raises HandshakeError or a CertificateError.
        """
        if len(message) != ACT_TWO_SIZE:
            raise HandshakeError(
                f"the server's handshake message has {len(message)} bytes, not {ACT_TWO_SIZE}"
            )
        state = self._state
        responder = message[:ELLSWIFT_SIZE]
        try:
            state.mix_hash(responder)
            state.mix_key(self._agree(responder))
            static = state.decrypt_and_hash(message[ELLSWIFT_SIZE:_STATIC_END])
            state.mix_key(self._agree(static))
            packed = state.decrypt_and_hash(message[_STATIC_END:])
        except WrongTagError:
            raise HandshakeError(
                "the handshake failed: the authentication tag in the server's message is wrong: it "
                "speaks another protocol, or the bytes were altered on the way"
            ) from None
        server_xonly = ellswift_xonly(static)
        certificate = Certificate.unpack(packed)
        if authority_key is not None:
            certificate.verify(authority_key, server_xonly, utc)
        send, receive = state.split()
        return Secured(send, receive, state.h, server_xonly, certificate)

    def _agree(self, responder: bytes) -> bytes:
        ephemeral = self._ephemeral
        return ellswift_ecdh(ephemeral.ellswift, responder, ephemeral.secret, INITIATOR)


class Responder:
    """The server's side of one handshake; `static` and `certificate` serve many of them."""

    def __init__(
        self, static: KeyPair, certificate: Certificate, ephemeral: KeyPair | None = None
    ) -> None:
        self._static = static
        self._certificate = certificate
        self._ephemeral = ephemeral or KeyPair.generate()

    def answer(self, act_one: bytes) -> tuple[bytes, Secured]:
        """From the client's 64 bytes: the 234 bytes to send, and the finished handshake."""
        if len(act_one) != ACT_ONE_SIZE:
            raise HandshakeError(
                f"the client's handshake message has {len(act_one)} bytes, not {ACT_ONE_SIZE}"
            )
        state = SymmetricState()
        ephemeral, static = self._ephemeral, self._static
        state.mix_hash(act_one)
        state.mix_hash(b"")
        state.mix_hash(ephemeral.ellswift)
        state.mix_key(_agree_as_responder(act_one, ephemeral))
        sealed_static = state.encrypt_and_hash(static.ellswift)
        state.mix_key(_agree_as_responder(act_one, static))
        sealed_certificate = state.encrypt_and_hash(self._certificate.pack())
        receive, send = state.split()
        message = ephemeral.ellswift + sealed_static + sealed_certificate
        return message, Secured(send, receive, state.h, static.xonly, self._certificate)


def _agree_as_responder(initiator: bytes, own: KeyPair) -> bytes:
    return ellswift_ecdh(initiator, own.ellswift, own.secret, RESPONDER)
