"""Base58Check: bytes with a 4-byte double SHA-256 checksum, in 58 characters."""

from sv2rig.bitcoin.hashing import sha256d

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_VALUES = {character: value for value, character in enumerate(_ALPHABET)}
_MAX_LENGTH = 256  # over twice an extended key; decoding takes time with the square of it


def b58check_encode(payload: bytes) -> str:
    """`payload` (version bytes included) and its checksum in base58."""
    data = payload + sha256d(payload)[:4]
    number = int.from_bytes(data, "big")
    digits = []
    while number:
        number, digit = divmod(number, 58)
        digits.append(_ALPHABET[digit])
    zeros = len(data) - len(data.lstrip(b"\x00"))
    return "1" * zeros + "".join(reversed(digits))


def b58check_decode(text: str) -> bytes:
    """The payload in `text`, version bytes included; ValueError in words where it is damaged."""
    if len(text) > _MAX_LENGTH:
        raise ValueError(f"base58 text has {len(text)} characters, over {_MAX_LENGTH}")
    number = 0
    for position, character in enumerate(text):
        if character not in _VALUES:
            raise ValueError(
                f"character {character!r} at position {position + 1} is not in base58's alphabet"
            )
        number = number * 58 + _VALUES[character]
    zeros = len(text) - len(text.lstrip("1"))
    data = bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")
    if len(data) < 4:
        raise ValueError("base58 text is too short to hold a checksum")
    payload, checksum = data[:-4], data[-4:]
    if sha256d(payload)[:4] != checksum:
        raise ValueError("base58 checksum is wrong: a character is mistyped, missing or too many")
    return payload
