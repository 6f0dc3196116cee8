"""The TPS546 regulator of Bitaxe Gamma over PMBus: numbers, limits, and its settings.

Formats: PMBus 1.3 part II, 7.3 and 8.4.1 (SLINEAR11, ULINEAR16); settings as ESP-Miner and mujina
have them for a 5 V board. Voltages in volts; nothing above `maximum` is ever written.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntFlag

from sv2rig.devices.voltage import VoltageError, check_voltage
from sv2rig.drivers.bitaxe_raw.protocol import Transfer

TPS546 = 0x24
KNOWN_IDS = (b"\x54\x49\x54\x6b\x24\x41", b"\x54\x49\x54\x6d\x24\x41", b"\x54\x49\x54\x6d\x24\x62")

OPERATION, ON_OFF_CONFIG, CLEAR_FAULTS, PHASE = 0x01, 0x02, 0x03, 0x04
VOUT_MODE, VOUT_COMMAND, VOUT_MAX, VOUT_MIN = 0x20, 0x21, 0x24, 0x2B
STATUS_WORD = 0x79
READ_VIN, READ_VOUT, READ_IOUT, READ_TEMPERATURE = 0x88, 0x8B, 0x8C, 0x8D
IC_DEVICE_ID = 0xAD
_OFF, _ON = 0x00, 0x80
_BOTH_SWITCHES = 0x1F  # on by command and by pin, active high, with the turn-off delay
_MANTISSA_MAX = 1023


class Status(IntFlag):
    """STATUS_WORD: why the output is off, or soon will be."""

    VOUT = 0x8000
    IOUT = 0x4000
    INPUT = 0x2000
    MANUFACTURER = 0x1000
    POWER_NOT_GOOD = 0x0800
    FANS = 0x0400
    OTHER = 0x0200
    UNKNOWN = 0x0100
    BUSY = 0x0080
    OFF = 0x0040
    VOUT_OVER = 0x0020
    IOUT_OVER = 0x0010
    VIN_UNDER = 0x0008
    TEMPERATURE = 0x0004
    COMMUNICATION = 0x0002
    NONE_OF_THESE = 0x0001


CUT_OFF = Status.VOUT_OVER | Status.IOUT_OVER | Status.VIN_UNDER | Status.TEMPERATURE


def linear11(value: float) -> int:
    """SLINEAR11: 11 bits of mantissa at the finest of 32 exponents that holds it.

    Raises ValueError beyond 1023 * 2^15.
    """
    for exponent in range(-16, 16):
        mantissa = round(value / 2.0**exponent)
        if -_MANTISSA_MAX - 1 <= mantissa <= _MANTISSA_MAX:
            return (exponent & 0x1F) << 11 | mantissa & 0x7FF
    raise ValueError(f"{value:g} does not fit into SLINEAR11")


def of_linear11(word: int) -> float:
    """The number in an SLINEAR11 word."""
    exponent, mantissa = word >> 11 & 0x1F, word & 0x7FF
    exponent -= 0x20 if exponent & 0x10 else 0
    mantissa -= 0x800 if mantissa & 0x400 else 0
    return float(mantissa * 2.0**exponent)


def _exponent(vout_mode: int) -> int:
    exponent = vout_mode & 0x1F
    return exponent - 0x20 if exponent & 0x10 else exponent


def linear16(value: float, vout_mode: int) -> int:
    """ULINEAR16 in the exponent that VOUT_MODE names, rounded down: never above what was asked."""
    mantissa = math.floor(value / 2.0 ** _exponent(vout_mode) + 1e-9)
    if not 0 <= mantissa <= 0xFFFF:
        raise ValueError(f"{value:g} does not fit into ULINEAR16 of mode {vout_mode:02x}")
    return mantissa


def of_linear16(word: int, vout_mode: int) -> float:
    """The number in a ULINEAR16 word."""
    return float(word * 2.0 ** _exponent(vout_mode))


def read_byte(command: int) -> Transfer:
    return Transfer(TPS546, bytes((command,)), 1)


def read_word(command: int) -> Transfer:
    """PMBus words come low byte first: int.from_bytes(data, "little")."""
    return Transfer(TPS546, bytes((command,)), 2)


def read_device_id() -> Transfer:
    """A block read: its length, then six bytes; see `known`."""
    return Transfer(TPS546, bytes((IC_DEVICE_ID,)), 7)


def known(block: bytes) -> bool:
    """Whether an id block is a TPS546's."""
    return block[:1] == b"\x06" and block[1:7] in KNOWN_IDS


def write_byte(command: int, value: int) -> Transfer:
    return Transfer(TPS546, bytes((command, value)))


def write_word(command: int, value: int) -> Transfer:
    return Transfer(TPS546, bytes((command,)) + value.to_bytes(2, "little"))


def clear_faults() -> Transfer:
    return Transfer(TPS546, bytes((CLEAR_FAULTS,)))


@dataclass(frozen=True, slots=True)
class RegulatorProfile:
    """One board's regulator: what it may be told, and its protection, in volts, amperes and °C.

    `words` are (command, number) written as SLINEAR11, `relative` those that are fractions of the
    output voltage (ULINEAR16), `bytes_` are written as they stand.
    """

    default: float
    minimum: float
    maximum: float
    words: tuple[tuple[int, float], ...]
    relative: tuple[tuple[int, float], ...]
    bytes_: tuple[tuple[int, int], ...]

    def check(self, volts: float, ceiling: float | None = None) -> float:
        """`volts`, if it may be set: never above the default without a ceiling that allows it."""
        allowed = check_voltage(volts, self.default, ceiling)
        if not self.minimum <= allowed <= self.maximum:
            raise VoltageError(
                f"core voltage {volts:g} V is outside what this board can have:"
                f" {self.minimum:g} to {self.maximum:g} V"
            )
        return allowed


GAMMA = RegulatorProfile(
    default=1.15,
    minimum=1.0,
    maximum=1.3,
    words=(
        (0x33, 650),  # switching frequency, kHz
        (0x35, 4.8),  # input on
        (0x36, 4.5),  # input off
        (0x55, 6.5),  # input over-voltage fault
        (0x29, 0.25),  # output scale of the loop
        (0x4A, 25),  # output current warning
        (0x46, 30),  # output current fault
        (0x51, 105),  # temperature warning
        (0x4F, 145),  # temperature fault
        (0x60, 0),  # turn-on delay, ms
        (0x61, 3),  # turn-on rise, ms
        (0x62, 0),  # turn-on time limit
        (0x64, 0),  # turn-off delay
        (0x65, 0),  # turn-off fall
    ),
    relative=(
        (0x40, 1.25),  # over-voltage fault
        (0x42, 1.16),  # over-voltage warning
        (0x25, 1.10),  # margin high
        (0x26, 0.90),  # margin low
        (0x43, 0.90),  # under-voltage warning
        (0x44, 0.75),  # under-voltage fault
    ),
    bytes_=(
        (PHASE, 0x00),
        (0x56, 0xB7),  # what an input fault does
        (0x47, 0xC0),  # what a current fault does
        (0x50, 0xFF),  # what a temperature fault does
        (0x63, 0x3B),  # what a late turn-on does
    ),
)


def configure(profile: RegulatorProfile, vout_mode: int) -> Iterator[Transfer]:
    """Output off, then every setting and protection; `vout_mode` was read from the regulator."""
    yield off()
    yield write_byte(ON_OFF_CONFIG, _BOTH_SWITCHES)
    for command, value in profile.bytes_:
        yield write_byte(command, value)
    for command, number in profile.words:
        yield write_word(command, linear11(number))
    # Limits first: whatever is commanded later cannot leave them.
    yield write_word(VOUT_MAX, linear16(profile.maximum, vout_mode))
    yield write_word(VOUT_MIN, linear16(profile.minimum, vout_mode))
    yield write_word(VOUT_COMMAND, linear16(profile.default, vout_mode))
    for command, number in profile.relative:
        yield write_word(command, linear16(number, vout_mode))
    yield clear_faults()


def set_voltage(
    profile: RegulatorProfile, volts: float, vout_mode: int, ceiling: float | None = None
) -> Transfer:
    """Command a core voltage; VoltageError outside the profile, or above its default unasked."""
    return write_word(VOUT_COMMAND, linear16(profile.check(volts, ceiling), vout_mode))


def on() -> Transfer:
    return write_byte(OPERATION, _ON)


def off() -> Transfer:
    """Output off at once."""
    return write_byte(OPERATION, _OFF)
