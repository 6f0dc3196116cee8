"""Bech32 and Bech32m (BIP173, BIP350), and witness programs in them."""

from collections.abc import Iterable, Sequence

CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
BECH32 = 1  # the constants that valid checksums come to
BECH32M = 0x2BC830A3
_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_MAX_LENGTH = 90


def _polymod(values: Iterable[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATORS):
            if top >> bit & 1:
                check ^= generator
    return check


def _expand(prefix: str) -> list[int]:
    codes = prefix.encode("ascii")
    return [code >> 5 for code in codes] + [0] + [code & 31 for code in codes]


def encode(prefix: str, data: Sequence[int], constant: int) -> str:
    """Lower-case `prefix` and 5-bit `data`, with the checksum of BECH32 or BECH32M."""
    check = _polymod([*_expand(prefix), *data, 0, 0, 0, 0, 0, 0]) ^ constant
    checksum = [check >> 5 * (5 - i) & 31 for i in range(6)]
    return prefix + "1" + "".join(CHARSET[value] for value in [*data, *checksum])


def decode(text: str) -> tuple[str, list[int], int]:
    """The lower-case prefix, the 5-bit data, and which constant the checksum came to.

    ValueError in words where the text is not valid in either encoding.
    """
    if len(text) > _MAX_LENGTH:
        raise ValueError(f"bech32 text has {len(text)} characters, over {_MAX_LENGTH}")
    for position, character in enumerate(text):
        if not "!" <= character <= "~":
            raise ValueError(f"character {character!r} at position {position + 1} is not allowed")
    if text.lower() != text and text.upper() != text:
        raise ValueError("upper and lower case are mixed")
    prefix, separator, rest = text.lower().rpartition("1")
    if not separator or not prefix:
        raise ValueError("there is no prefix before a separating '1'")
    if len(rest) < 6:
        raise ValueError("bech32 text is too short to hold a checksum")
    data = []
    for position, character in enumerate(rest, len(prefix) + 2):
        value = CHARSET.find(character)
        if value < 0:
            raise ValueError(f"character {character!r} at position {position} is not in bech32")
        data.append(value)
    constant = _polymod(_expand(prefix) + data)
    if constant not in (BECH32, BECH32M):
        raise ValueError("bech32 checksum is wrong: a character is mistyped, missing or too many")
    return prefix, data[:-6], constant


def _to_bytes(data: Sequence[int]) -> bytes:
    number = 0
    for value in data:
        number = number << 5 | value
    padding = 5 * len(data) % 8
    if padding > 4 or number & (1 << padding) - 1:
        raise ValueError("witness program is padded with other than the fewest zero bits")
    return (number >> padding).to_bytes(5 * len(data) // 8, "big")


def _to_fives(program: bytes) -> list[int]:
    bits = 8 * len(program)
    size = (bits + 4) // 5
    number = int.from_bytes(program, "big") << 5 * size - bits
    return [number >> 5 * (size - 1 - i) & 31 for i in range(size)]


def check_program(version: int, program: bytes) -> None:
    """ValueError unless BIP141 allows this witness version and program."""
    if not 0 <= version <= 16:
        raise ValueError(f"witness version is {version}, over 16")
    if not 2 <= len(program) <= 40:
        raise ValueError(f"witness program has {len(program)} bytes, outside 2..40")
    if version == 0 and len(program) not in (20, 32):
        raise ValueError(f"witness program of version 0 has {len(program)} bytes, not 20 or 32")


def segwit_encode(prefix: str, version: int, program: bytes) -> str:
    """The address of a witness program: bech32 for version 0, bech32m above."""
    check_program(version, program)
    return encode(prefix, [version, *_to_fives(program)], BECH32M if version else BECH32)


def segwit_decode(text: str) -> tuple[str, int, bytes]:
    """An address's prefix, witness version and program; ValueError in words otherwise."""
    prefix, data, constant = decode(text)
    if not data:
        raise ValueError("there is no witness version")
    version = data[0]
    program = _to_bytes(data[1:])
    check_program(version, program)
    if constant != (BECH32M if version else BECH32):
        wanted = "bech32m" if version else "bech32"
        raise ValueError(f"witness version {version} needs a {wanted} checksum, this is the other")
    return prefix, version, program
