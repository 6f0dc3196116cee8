"""The telemetry port of the Compac A1 and A2: two bytes ask, a few bytes answer.

Written from REFERENCE.md; that a setting is answered by one byte, and the version by one
whose upper nibble counts, is read off cgminer-gekko. Which byte answers a setting nobody looks at:
here it is the setting's letter.
"""

from __future__ import annotations

from dataclasses import dataclass

_FULL_CURRENT = 2.048 * 20  # A at byte 255
_FULL_OUT = 2.048 / 2  # V at byte 255
_FULL_IN = {1: 6.0, 2: 2.048 * 12}  # V at byte 255, by version
_TACH = 30  # revolutions a minute for each step
_SETTINGS = b"VBLF"


@dataclass(slots=True)
class Telemetry:
    """What the port switches and what is measured. `version`: upper nibble the form of the
    readings (1 or 2), lower one their variant. `celsius` None: no reading."""

    version: int
    power: bool = False
    millivolts: int = 0
    fan_percent: int = 100
    led: int = 0
    input_volts: float = 5.0
    input_amps: float = 0.0
    celsius: float | None = 25.0
    rpm: float = 0.0

    def serve(self, request: bytes) -> bytes:
        """The answer to two bytes; nothing where they mean nothing."""
        if request == b"?v":
            return bytes((self.version,))
        if request == b"G.":
            return self.readings()
        if request[0] not in _SETTINGS:
            return b""
        self._set(request[:1], request[1])
        return request[:1]

    def _set(self, what: bytes, value: int) -> None:
        if what == b"V":
            self.millivolts = 5 * min(value, 100)
        elif what == b"B":
            self.power = value == ord("O")
        elif what == b"F":
            self.fan_percent = min(value, 100)
        else:
            self.led = value

    def readings(self) -> bytes:
        """Input volts and amps, output volts and amps, two temperatures, fan."""
        form, variant = self.version >> 4, self.version & 0x0F
        volts = self.millivolts / 1000 if self.power else 0.0
        amps = self.input_amps * self.input_volts / (2 * volts) if volts and not variant else 0.0
        celsius = 0 if self.celsius is None else max(1, round((self.celsius + 50) * 218 / 175))
        steps = (
            self.input_volts * 255 / _FULL_IN[form],
            self.input_amps * 255 / _FULL_CURRENT if form > 1 else 0,
            volts * 255 / _FULL_OUT,
            amps * 255 / _FULL_CURRENT if form > 1 else 0,
            celsius,
            celsius if variant else 0,
            self.rpm / _TACH if form > 1 else 0,
        )
        return bytes(min(255, round(step)) for step in steps)
