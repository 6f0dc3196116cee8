"""The parts on a board's I2C bus, by the registers of their data sheets.

EMC2101 (fan, diode), TMP1075 and TMP451 (temperature). A part is written `register data…` and read
from the register that was written last, which goes up by one for each byte of its one-byte kind.
"""

from __future__ import annotations

from typing import Protocol

EMC2101, TPS546, TMP1075, TMP451 = 0x4C, 0x24, 0x4A, 0x49
_OPEN_DIODE = 127.0  # code 3F8
_TACH_NUMERATOR = 5_400_000
_FULL_RPM = 6000


class Part(Protocol):
    """Something that answers to an address."""

    def write(self, data: bytes) -> None: ...

    def read(self, count: int) -> bytes: ...


class Emc2101:
    """Fan controller and remote diode. `celsius` is the die's, `settled` False while it starts."""

    def __init__(self) -> None:
        self.celsius = 25.0
        self.settled = True
        self.stuck = False  # the fan does not turn, whatever it is set to
        self._registers = {0x4A: 0x20, 0x04: 0x08, 0x17: 0x12, 0x18: 0x08, 0x4C: 0x00}
        self._pointer = 0

    @property
    def duty(self) -> float:
        """The fan's drive from 0 to 1."""
        duty = (self._registers[0x4C] & 0x3F) / 63
        return 1 - duty if self._registers[0x4A] & 0x10 else duty

    def write(self, data: bytes) -> None:
        self._pointer = data[0] if data else self._pointer
        for place, value in enumerate(data[1:]):
            self._registers[self._pointer + place & 0xFF] = value

    def read(self, count: int) -> bytes:
        return bytes(self._register(self._pointer + place & 0xFF) for place in range(count))

    def _register(self, register: int) -> int:
        eighths = round(self.celsius * 8) if self.settled else int(_OPEN_DIODE * 8)
        word = max(-512, min(eighths, 1016)) << 5 & 0xFFFF
        tach = self._tach()
        measured = {
            0x00: round(self.celsius * 0.3 + 20) & 0xFF,  # its own, far from the die
            0x01: word >> 8,
            0x10: word & 0xFF,
            0x46: tach & 0xFF,
            0x47: tach >> 8,
            0xFD: 0x16,
            0xFE: 0x5D,
            0xFF: 0x01,
        }
        return measured.get(register, self._registers.get(register, 0))

    def _tach(self) -> int:
        rpm = 0 if self.stuck else _FULL_RPM * self.duty
        if not self._registers.get(0x03, 0) & 0x04 or rpm < 100:
            return 0xFFFF  # its pin is no tachometer, or nothing turns
        return round(_TACH_NUMERATOR / rpm)


class Tmp1075:
    """Temperature beside the chips: 12 bits at the top of a 16-bit register."""

    def __init__(self) -> None:
        self.celsius = 25.0
        self._words = {0x01: 0x00FF, 0x02: 0x4B00, 0x03: 0x5000, 0x0F: 0x7500}
        self._pointer = 0

    def write(self, data: bytes) -> None:
        self._pointer = data[0] if data else self._pointer
        if len(data) == 3:
            self._words[self._pointer] = int.from_bytes(data[1:], "big")

    def read(self, count: int) -> bytes:
        word = self._words.get(self._pointer, 0)
        if self._pointer == 0:
            word = round(self.celsius * 16) << 4 & 0xFFFF
        return (word.to_bytes(2, "big") + b"\xff" * count)[:count]


class Tmp451:
    """Temperature of a remote diode, in whole degrees and sixteenths."""

    def __init__(self) -> None:
        self.celsius = 25.0
        self.settled = True
        self._registers = {0x03: 0x00, 0x04: 0x08}
        self._pointer = 0

    def write(self, data: bytes) -> None:
        self._pointer = data[0] if data else self._pointer
        for value in data[1:2]:
            self._registers[self._pointer] = value

    def read(self, count: int) -> bytes:
        sixteenths = round((self.celsius if self.settled else _OPEN_DIODE) * 16)
        sixteenths = max(0, min(sixteenths, 127 * 16 + 15))
        measured = {
            0x00: round(self.celsius * 0.7 + 7),
            0x01: sixteenths >> 4,
            0x10: sixteenths << 4 & 0xF0,
            0xFE: 0x55,
        }
        value = measured.get(self._pointer, self._registers.get(self._pointer, 0))
        return (bytes((value,)) + b"\xff" * count)[:count]
