"""The checksums of the board families, each named by where it is used.

Parameters are those of each driver's REFERENCE.md; the tables are computed, not copied.
"""

from binascii import crc_hqx

_CRC5_POLYNOMIAL = 0x05 << 3  # the 5-bit register stands in the top bits of a byte
_CRC5_START = 0x1F << 3
_CRC32_POLYNOMIAL = 0x04C11DB7


def _crc5_step(register: int) -> int:
    """Eight bits through the register."""
    for _ in range(8):
        register = register << 1 ^ (_CRC5_POLYNOMIAL if register & 0x80 else 0)
    return register & 0xFF


_CRC5_TABLE = bytes(_crc5_step(value) for value in range(256))


def crc5(data: bytes) -> int:
    """CRC5 of Bitmain's chips: x^5+x^2+1 from 0x1f, most significant bit first.

    Over a whole reply after its preamble, the checksum included, it is 0.
    """
    register = _CRC5_START
    for byte in data:
        register = _CRC5_TABLE[register ^ byte]
    return register >> 3


def crc5_bits(data: bytes, bits: int) -> int:
    """CRC5 over the first `bits` bits: BM1380 and BM1384 protect 27 bits of a 4-byte command.

    Raises ValueError where the data has fewer bits.
    """
    if not 0 <= bits <= 8 * len(data):
        raise ValueError(f"crc5 over {bits} bits of {len(data)} bytes")
    register = _CRC5_START
    for index in range(bits):
        bit = data[index >> 3] >> (7 - (index & 7)) & 1
        feedback = register >> 7 ^ bit
        register = (register << 1 ^ (_CRC5_POLYNOMIAL if feedback else 0)) & 0xFF
    return register >> 3


def crc16_false(data: bytes) -> int:
    """CRC16/CCITT-FALSE (0x1021 from 0xffff): jobs of Bitmain's chips, sent big-endian."""
    return crc_hqx(data, 0xFFFF)


def crc16_xmodem(data: bytes) -> int:
    """CRC16 from 0: Avalon's USB packets, over their 32 data bytes, sent big-endian."""
    return crc_hqx(data, 0)


def crc32_uart_comm(data: bytes) -> int:
    """CRC32 of fpgaminer's uart_comm: from 0, neither reflected nor inverted, sent big-endian."""
    register = 0
    for byte in data:
        register ^= byte << 24
        for _ in range(8):
            register = register << 1 ^ (_CRC32_POLYNOMIAL if register >> 31 else 0)
            register &= 0xFFFFFFFF
    return register
