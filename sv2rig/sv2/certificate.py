"""The certificate by which a pool's authority vouches for a server's static key (spec 4.5.3).

On the wire it is 74 bytes, `<HII64s`: version U16, valid_from U32, not_valid_after U32 (Unix
seconds), signature. The authority signs SHA-256 of the first 10 bytes and the server's 32-byte
x-only key. Times are UTC seconds handed in by the caller: nothing here reads a clock.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Self

from sv2rig.sv2.authority import encode_authority_key
from sv2rig.sv2.errors import ProtocolError
from sv2rig.sv2.secp256k1 import schnorr_sign, schnorr_verify
from sv2rig.units import duration

# The specification numbers no version; sv2-tp takes 0 only, so 0 is what we sign. Any version is
# accepted: the signature covers it and the layout it was made for, so a later format with other
# signed fields fails as a wrong signature, and refusing a number alone would only lock pools out.
VERSION: Final = 0
LEEWAY_S: Final = 10  # as SRI allows, for clocks that differ a little
LAST_TIME: Final = 0xFFFFFFFF

_SIGNED: Final = struct.Struct("<HII")
_MESSAGE: Final = struct.Struct("<HII64s")
SIZE: Final = _MESSAGE.size


class CertificateError(ProtocolError):
    """The server could not prove that the expected authority vouches for it now."""


class UntimelyCertificateError(CertificateError):
    """By this machine's clock the certificate's time is over, or has not begun. `ahead_s`: by how
    much the clock is ahead of that time; negative where it is behind."""

    def __init__(self, reason: str, ahead_s: float) -> None:
        super().__init__(reason)
        self.ahead_s = ahead_s


class CertificateExpiredError(UntimelyCertificateError):
    """The certificate's time is over."""


class CertificateNotYetValidError(UntimelyCertificateError):
    """The certificate's time has not begun."""


class WrongAuthorityError(CertificateError):
    """The certificate is not signed by the expected authority key."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A server's certificate as it travels; its key travels beside it, in the handshake."""

    version: int
    valid_from: int
    not_valid_after: int
    signature: bytes

    @classmethod
    def sign(
        cls,
        authority_secret: bytes,
        static_xonly: bytes,
        valid_from: int,
        not_valid_after: int,
        *,
        version: int = VERSION,
        aux: bytes | None = None,
    ) -> Self:
        """A certificate for the server key `static_xonly` (32 bytes), times in Unix seconds."""
        signed = _signed_hash(version, valid_from, not_valid_after, static_xonly)
        signature = schnorr_sign(signed, authority_secret, aux)
        return cls(version, valid_from, not_valid_after, signature)

    @classmethod
    def unpack(cls, message: bytes) -> Self:
        """The certificate in 74 bytes; nothing about them is checked yet."""
        return cls(*_MESSAGE.unpack(message))

    def pack(self) -> bytes:
        """SIGNATURE_NOISE_MESSAGE, 74 bytes."""
        return _MESSAGE.pack(self.version, self.valid_from, self.not_valid_after, self.signature)

    def verify(self, authority_key: bytes, static_xonly: bytes, utc: float) -> None:
        """Check the signature first, then the times; raise a CertificateError that says why not."""
        signed = _signed_hash(self.version, self.valid_from, self.not_valid_after, static_xonly)
        if not schnorr_verify(signed, authority_key, self.signature):
            raise WrongAuthorityError(
                "the server's certificate is not signed by the expected authority key "
                f"{encode_authority_key(authority_key)}: compare it with the key that the pool "
                "publishes; if it is right, another server is answering at this address"
            )
        if utc > self.not_valid_after + LEEWAY_S:
            ago = duration(utc - self.not_valid_after)
            raise CertificateExpiredError(
                f"the server's certificate expired {ago} ago: it was valid until "
                f"{utc_text(self.not_valid_after)}, and this machine's clock says "
                f"{utc_text(utc)}; set the clock if it is wrong, else the pool must renew",
                utc - self.not_valid_after,
            )
        if utc < self.valid_from - LEEWAY_S:
            wait = duration(self.valid_from - utc)
            raise CertificateNotYetValidError(
                f"the server's certificate is not valid for another {wait}: "
                f"it is valid from {utc_text(self.valid_from)}, and this machine's clock says "
                f"{utc_text(utc)}; set the clock if it is wrong, else the server's clock is",
                utc - self.valid_from,
            )


class CertificateIssuer:
    """Certificates for one server key, signed anew when half of the last one's time is over.

    They begin `backdate_s` before they are signed, since some clients allow their clock no leeway.
    """

    def __init__(
        self,
        authority_secret: bytes,
        static_xonly: bytes,
        *,
        lifetime_s: int = 86400,
        backdate_s: int = 3600,
    ) -> None:
        if lifetime_s <= 0 or backdate_s < 0:
            raise ValueError("a certificate's lifetime must be positive, its backdating not less")
        self._authority_secret = authority_secret
        self._static_xonly = static_xonly
        self._lifetime_s = lifetime_s
        self._backdate_s = backdate_s
        self._current: Certificate | None = None
        self._fresh = (0.0, 0.0)

    def at(self, utc: float) -> Certificate:
        """The certificate to present at this time."""
        begin, end = self._fresh
        if self._current is None or not begin <= utc < end:
            # A clock stepped back also asks for a new one: the old one would start in the future.
            self._fresh = (utc - self._backdate_s / 2, utc + self._lifetime_s / 2)
            self._current = Certificate.sign(
                self._authority_secret,
                self._static_xonly,
                max(0, int(utc) - self._backdate_s),
                min(LAST_TIME, int(utc) + self._lifetime_s),
            )
        return self._current


def utc_text(utc: float) -> str:
    """Unix seconds as "2026-11-20 10:00:00 UTC"."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(utc))
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _signed_hash(version: int, valid_from: int, not_valid_after: int, static_xonly: bytes) -> bytes:
    fields = _SIGNED.pack(version, valid_from, not_valid_after)
    return hashlib.sha256(fields + static_xonly).digest()
