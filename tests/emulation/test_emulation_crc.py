"""The emulators' checksums against frames of real boards (vectors/boards/crc.json's sources)."""

from __future__ import annotations

import pytest

from sv2rig.emulation.crc import crc5, crc16


@pytest.mark.parametrize(
    ("body", "checksum"),
    [
        ("52050000", 0x0A),
        ("53050000", 0x03),
        ("40050400", 0x03),
        ("510900a49000ffff", 0x1C),
        ("4109401800007a31", 0x11),
    ],
)
def test_commands(body: str, checksum: int) -> None:
    assert crc5(bytes.fromhex(body)) == checksum


@pytest.mark.parametrize(
    "frame", ["13971800000006", "97c328b601639c", "4c0352750cd205a29c", "137000000000000010"]
)
def test_the_checksum_of_a_whole_reply_is_nothing(frame: str) -> None:
    assert crc5(bytes.fromhex(frame)) == 0


@pytest.mark.parametrize(("frame", "checksum"), [("84000400", 0), ("82078200", 17)])
def test_commands_of_27_bits(frame: str, checksum: int) -> None:
    assert crc5(bytes.fromhex(frame), bits=27) == checksum


def test_jobs() -> None:
    assert crc16(b"123456789") == 0x29B1
