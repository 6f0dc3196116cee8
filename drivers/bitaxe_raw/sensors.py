"""Fan controller and temperature sensors behind the control port, as I2C transfers and numbers.

EMC2101 (Bitaxe), TMP1075 and TMP451 (EmberOne), from their data sheets; addresses and settings as
REFERENCE.md and mujina have them. A reading that is none is None, never a temperature.
"""

from __future__ import annotations

from sv2rig.drivers.bitaxe_raw.protocol import Transfer

EMC2101 = 0x4C
TMP1075 = 0x4A
TMP451 = 0x49

# A diode's reading outside is nonsense: an open wire, or the half second after reset.
LOWEST_CELSIUS = 0.0
HIGHEST_CELSIUS = 120.0

EMC_EXTERNAL_HIGH, EMC_EXTERNAL_LOW = 0x01, 0x10
EMC_INTERNAL = 0x00
EMC_TACH_LOW, EMC_TACH_HIGH = 0x46, 0x47
EMC_PRODUCT, EMC_MAKER = 0xFD, 0xFE
_EMC_CONFIG, _EMC_FAN_CONFIG, _EMC_FAN = 0x03, 0x4A, 0x4C
_EMC_TACH_INPUT = 0x04
_EMC_DIRECT_DRIVE = 0x23
_EMC_FAN_FULL = 63
_EMC_RPM = 5_400_000
_EMC_FAULTS = (0x3F8, 0x3FF)  # open circuit, short

TMP_TEMPERATURE = 0x00
TMP451_REMOTE_HIGH, TMP451_REMOTE_LOW, TMP451_STATUS = 0x01, 0x10, 0x02
TMP451_LOCAL_HIGH, TMP451_LOCAL_LOW = 0x00, 0x15
_TMP451_OPEN = 0x04


def read_register(address: int, register: int, count: int = 1) -> Transfer:
    """Read a peripheral's register."""
    return Transfer(address, bytes((register,)), count)


def emc2101_start() -> tuple[Transfer, ...]:
    """Speed pulses in, fan driven by a duty that the host sets."""
    return (
        Transfer(EMC2101, bytes((_EMC_CONFIG, _EMC_TACH_INPUT))),
        Transfer(EMC2101, bytes((_EMC_FAN_CONFIG, _EMC_DIRECT_DRIVE))),
    )


def emc2101_fan(percent: float) -> Transfer:
    """Set the fan's duty, rounded up so that a small demand still turns it."""
    duty = -int(-min(max(percent, 0.0), 100.0) * _EMC_FAN_FULL // 100)
    return Transfer(EMC2101, bytes((_EMC_FAN, duty)))


def emc2101_known(maker: int, product: int) -> bool:
    """Whether the id registers are an EMC2101's."""
    return maker == 0x5D and product in (0x16, 0x28)


def emc2101_external(high: int, low: int) -> float | None:
    """The ASIC's diode, °C: 11 bits of 0.125; None for a diode that is open or shorted."""
    raw = high << 3 | low >> 5
    if raw in _EMC_FAULTS:
        return None
    return (raw - 0x800 if raw & 0x400 else raw) * 0.125


def emc2101_internal(value: int) -> float:
    """The controller's own temperature, °C."""
    return float(value - 0x100 if value & 0x80 else value)


def emc2101_rpm(low: int, high: int) -> int:
    """Turns a minute (read the low byte first: it latches the high one); 0 where it stands."""
    count = high << 8 | low
    return 0 if count in (0, 0xFFFF) else _EMC_RPM // count


def tmp1075_celsius(data: bytes) -> float:
    """Two bytes of the temperature register, °C: 12 bits of 0.0625, signed."""
    raw = int.from_bytes(data[:2], signed=True) >> 4
    return raw * 0.0625


def tmp451_celsius(high: int, low: int) -> float:
    """High and low byte of the local or remote temperature, °C: 12 bits of 0.0625."""
    return (high << 4 | low >> 4) * 0.0625


def tmp451_remote(status: int, high: int, low: int) -> float | None:
    """The remote diode, °C; None where the status says that it is open."""
    return None if status & _TMP451_OPEN else tmp451_celsius(high, low)


def plausible(celsius: float | None) -> bool:
    """Whether a reading can be believed; three in a row that cannot count as too hot."""
    return celsius is not None and LOWEST_CELSIUS <= celsius <= HIGHEST_CELSIUS
