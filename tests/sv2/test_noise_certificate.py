"""Certificates and authority keys: times at every border, words for every refusal."""

import pytest

from sv2rig.bitcoin.base58 import b58check_encode
from sv2rig.sv2.authority import AuthorityKeyError, decode_authority_key, encode_authority_key
from sv2rig.sv2.certificate import (
    LAST_TIME,
    LEEWAY_S,
    Certificate,
    CertificateError,
    CertificateExpiredError,
    CertificateIssuer,
    CertificateNotYetValidError,
    WrongAuthorityError,
    utc_text,
)
from sv2rig.sv2.secp256k1 import xonly_public_key

AUTHORITY_SECRET = b"\x44" * 32
AUTHORITY = xonly_public_key(AUTHORITY_SECRET)
SERVER = xonly_public_key(b"\x33" * 32)
FROM, UNTIL = 1_700_000_000, 1_700_086_400
CERTIFICATE = Certificate.sign(AUTHORITY_SECRET, SERVER, FROM, UNTIL)

# Spec 4.7.1.
SPEC_RAW = bytes.fromhex("76637000979c1c11af0c300bcd8c7fe48610fce9b9c11e3daee35ae0b08a7455")
SPEC_TEXT = "9bXiEd8boQVhq7WddEcERUL5tyyJVFYdU8th3HfbNXK3Yw6GRXh"


@pytest.mark.parametrize("utc", [FROM - LEEWAY_S, FROM, UNTIL, UNTIL + LEEWAY_S])
def test_valid_with_leeway(utc: float) -> None:
    CERTIFICATE.verify(AUTHORITY, SERVER, utc)


def test_expired_says_by_how_much_and_shows_both_clocks() -> None:
    CERTIFICATE.verify(AUTHORITY, SERVER, UNTIL + LEEWAY_S)
    with pytest.raises(CertificateExpiredError):
        CERTIFICATE.verify(AUTHORITY, SERVER, UNTIL + LEEWAY_S + 0.5)
    with pytest.raises(CertificateExpiredError) as caught:
        CERTIFICATE.verify(AUTHORITY, SERVER, UNTIL + 3600)
    words = str(caught.value)
    assert "expired 1h00m ago" in words
    assert "valid until 2023-11-15 22:13:20 UTC" in words
    assert "clock says 2023-11-15 23:13:20 UTC" in words
    assert "set the clock if it is wrong" in words


def test_not_yet_valid_says_so_with_both_clocks() -> None:
    with pytest.raises(CertificateNotYetValidError):
        CERTIFICATE.verify(AUTHORITY, SERVER, FROM - LEEWAY_S - 0.5)
    with pytest.raises(CertificateNotYetValidError) as caught:
        CERTIFICATE.verify(AUTHORITY, SERVER, FROM - 3600)
    words = str(caught.value)
    assert "another 1h00m" in words
    assert "valid from 2023-11-14 22:13:20 UTC" in words
    assert "clock says 2023-11-14 21:13:20 UTC" in words


def test_wrong_authority_shows_the_expected_key_whatever_the_time() -> None:
    other = xonly_public_key(b"\x55" * 32)
    for utc in (FROM - 9999, FROM, UNTIL + 9999):
        with pytest.raises(WrongAuthorityError, match=encode_authority_key(other)):
            CERTIFICATE.verify(other, SERVER, utc)


@pytest.mark.parametrize("field", ["version", "valid_from", "not_valid_after"])
def test_every_field_is_signed(field: str) -> None:
    values = {name: getattr(CERTIFICATE, name) for name in CERTIFICATE.__dataclass_fields__}
    altered = Certificate(**{**values, field: values[field] + 1})
    with pytest.raises(WrongAuthorityError):
        altered.verify(AUTHORITY, SERVER, FROM)
    with pytest.raises(WrongAuthorityError):
        CERTIFICATE.verify(AUTHORITY, xonly_public_key(b"\x34" * 32), FROM)


def test_any_signed_version_is_accepted() -> None:
    Certificate.sign(AUTHORITY_SECRET, SERVER, FROM, UNTIL, version=7).verify(
        AUTHORITY, SERVER, FROM
    )


def test_layout_is_little_endian() -> None:
    packed = Certificate(0x0102, 0x03040506, 0x0708090A, bytes(range(64))).pack()
    assert packed.hex() == "0201" + "06050403" + "0a090807" + bytes(range(64)).hex()
    assert all(issubclass(error, CertificateError) for error in (WrongAuthorityError,))


def test_times_beyond_any_calendar_still_have_words() -> None:
    assert utc_text(0) == "1970-01-01 00:00:00 UTC"
    assert utc_text(LAST_TIME) == "2106-02-07 06:28:15 UTC"


def test_issuer_backdates_and_renews_at_half_time() -> None:
    issuer = CertificateIssuer(AUTHORITY_SECRET, SERVER, lifetime_s=1000, backdate_s=100)
    first = issuer.at(5000.0)
    assert (first.version, first.valid_from, first.not_valid_after) == (0, 4900, 6000)
    assert issuer.at(5499.9) is first
    second = issuer.at(5500.0)
    assert (second.valid_from, second.not_valid_after) == (5400, 6500)
    second.verify(AUTHORITY, SERVER, 5500.0)


def test_issuer_follows_a_clock_stepped_back() -> None:
    issuer = CertificateIssuer(AUTHORITY_SECRET, SERVER, lifetime_s=1000, backdate_s=100)
    issuer.at(9000.0)
    issuer.at(5400.0).verify(AUTHORITY, SERVER, 5400.0)


def test_issuer_stays_inside_u32() -> None:
    issuer = CertificateIssuer(AUTHORITY_SECRET, SERVER)
    assert issuer.at(60.0).valid_from == 0
    assert issuer.at(float(LAST_TIME)).not_valid_after == LAST_TIME
    with pytest.raises(ValueError, match="positive"):
        CertificateIssuer(AUTHORITY_SECRET, SERVER, lifetime_s=0)


def test_authority_text_of_the_specification() -> None:
    assert encode_authority_key(SPEC_RAW) == SPEC_TEXT
    assert decode_authority_key(SPEC_TEXT) == SPEC_RAW


OFF_CURVE = (5).to_bytes(32, "big")  # no point has x = 5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SPEC_TEXT[:-1] + "i", "is not an authority key"),
        (SPEC_TEXT[:-1], "is not an authority key"),
        ("", "is not an authority key"),
        ("0OIl", "is not an authority key"),
        (b58check_encode(b"\x00" + bytes(20)), "21 bytes that begin with 00 00"),
        (b58check_encode(b"\x02\x00" + SPEC_RAW), "begin with 02 00"),
        (b58check_encode(b"\x01\x00" + SPEC_RAW + b"\x00"), "of 35 bytes"),
        (b58check_encode(b"\x01\x00" + SPEC_RAW[:-1]), "of 33 bytes"),
        (b58check_encode(b"\x01\x00" + OFF_CURVE), "no point on the curve"),
    ],
)
def test_authority_text_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(AuthorityKeyError, match=words):
        decode_authority_key(text)


def test_authority_key_of_a_wrong_length_is_our_mistake() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        encode_authority_key(bytes(33))
