"""Registers of BM1397 to BM1370: addresses, and the arithmetic of what is written to them.

REFERENCE.md, the register table; each function names its own source where that differs.
"""

from __future__ import annotations

from sv2rig.boards.pll import CRYSTAL_MHZ, PllSetting
from sv2rig.drivers.bm13xx.chips import Chip, power_of_two

CHIP_ID = 0x00
HASH_RATE = 0x04
PLL0 = 0x08
NONCE_OFFSET = 0x0C
HASH_COUNTING = 0x10
TICKET_MASK = 0x14
MISC_CONTROL = 0x18
ORDERED_CLOCK = 0x20
FAST_UART = 0x28
UART_RELAY = 0x2C
CORE_MAILBOX = 0x3C
ERROR_COUNTER = 0x4C
ANALOG_MUX = 0x54
IO_DRIVE = 0x58
PLL3 = 0x68
PLL0_DIVIDER = 0x70
CLOCK_ORDER_0 = 0x80
CLOCK_ORDER_1 = 0x84
DOMAIN_COUNTERS = (0x88, 0x89, 0x8A, 0x8B)
TOTAL_COUNTER = 0x8C
VERSION_MASK = 0xA4
SOFT_RESET = 0xA8
DIE_SENSOR_CONTROL = 0xB0
DIE_SENSOR = 0xB4
ADC_CONTROL = 0xB9

ROLLABLE_BITS = 0x1FFFE000  # BIP320's, the 16 bits that chips can roll
BASE_BITS = 32  # every reply's hash starts with this many zero bits; the ticket adds to them
MAX_TICKET_BITS = BASE_BITS + 32
COUNTER_HASHES = 1 << 32  # one count of a hash counter
DIE_SENSOR_STARTS = (0x00020000, 0x01020000, 0x10020000)  # to B0, 10 ms apart (BM1368 only)
_VALID = 1 << 31

_BIT_REVERSED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))


def ticket_mask(ticket_bits: int) -> int:
    """The register value for hashes that start with `ticket_bits` zero bits (32 to 64).

    The mask of the bits above the first 32, each byte's bits reversed: difficulty 256 is 40 bits.
    """
    if not BASE_BITS <= ticket_bits <= MAX_TICKET_BITS:
        raise ValueError(
            f"chips take tickets of {BASE_BITS} to {MAX_TICKET_BITS} bits, not {ticket_bits}"
        )
    mask = (1 << ticket_bits - BASE_BITS) - 1
    return int.from_bytes(mask.to_bytes(4).translate(_BIT_REVERSED))


def ticket_bits(mask: int) -> int:
    """How many zero bits a ticket mask register asks for in all (ticket_mask's inverse)."""
    return BASE_BITS + mask.bit_count()


def version_mask(bits: int) -> int:
    """A4's value that lets chips roll `bits` of the version; ValueError outside BIP320's bits."""
    if bits & ~ROLLABLE_BITS:
        raise ValueError(
            f"chips roll version bits {ROLLABLE_BITS:08x}; {bits & ~ROLLABLE_BITS:08x} are outside"
        )
    return 0x90000000 | bits >> 13


def hash_counting_number(chip: Chip, setting: PllSetting, chips: int) -> int:
    """Register 10: for how many crystal ticks a core searches its share of the nonces.

    2^32/cores/chips (each rounded up to a power of two) nonces at two clocks each, rounded down,
    less the ticks by which BM1370 overruns; a larger value would search nonces twice.
    """
    share = (1 << 32) // power_of_two(chip.cores) // power_of_two(chips)
    divider = setting.reference * setting.post1 * setting.post2
    return share * divider // (2 * setting.feedback) - chip.overrun_ticks


def job_seconds(chip: Chip, mhz: float, chips: int, versions: int) -> float:
    """How long a job lasts until its last header is searched; then the chip begins again.

    `versions` are those of the job: what the host sent (BM1397) or what the chip rolls.
    """
    at_once = power_of_two(chip.small_cores) / power_of_two(chip.cores)
    nonces = (1 << 32) / power_of_two(chip.cores) / power_of_two(chips)
    return versions / at_once * nonces / (mhz * 1e6)


def uart_divider(baud: float) -> int:
    """The divider whose speed is closest to `baud`; ValueError where none is."""
    divider = round(CRYSTAL_MHZ * 1e6 / 8 / baud) - 1 if baud > 0 else -1
    if not 0 <= divider <= 31:
        raise ValueError(f"chips run their line at 97656 to 3125000 baud, not {baud:g}")
    return divider


def uart_baud(divider: int) -> float:
    """25 MHz / 8 / (divider + 1)."""
    return CRYSTAL_MHZ * 1e6 / 8 / (divider + 1)


def uart_write(chip: Chip, divider: int) -> tuple[int, int]:
    """(register, value) that sets the line's speed: misc control on BM1397, fast UART later."""
    if chip.rolls_versions:
        return FAST_UART, 0x11300000 | divider << 8
    return MISC_CONTROL, 0x00006031 | divider << 8


def nonce_offset(index: int, chips: int) -> int:
    """Register 0C of a BM1370 chain's chip: where its share of the nonces starts."""
    return _VALID | (0x10000 * index // power_of_two(chips))


def counted_hashes(earlier: int, later: int) -> int:
    """Hashes between two readings of a 32-bit counter that may have wrapped once."""
    return (later - earlier & 0xFFFFFFFF) * COUNTER_HASHES


def die_celsius(value: int) -> float | None:
    """BM1368's own temperature; None where the sensor has no reading."""
    if not value & _VALID:
        return None
    return (value & 0xFFFF) * 0.171342 - 299.5144
