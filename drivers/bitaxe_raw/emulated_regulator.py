"""A TPS546D24 regulator on PMBus: its data sheet's commands as far as a board uses them.

Voltages are ULINEAR16 with the exponent in VOUT_MODE (2**-9), other readings LINEAR11, all with
the low byte first.
"""

from __future__ import annotations

import math

_OPERATION, _CLEAR_FAULTS, _VOUT_MODE, _VOUT_COMMAND = 0x01, 0x03, 0x20, 0x21
_VOUT_MAX, _VOUT_MIN, _OC_FAULT = 0x24, 0x2B, 0x46
_STATUS_BYTE, _STATUS_WORD, _STATUS_VOUT, _STATUS_IOUT, _STATUS_CML = 0x78, 0x79, 0x7A, 0x7B, 0x7E
_READ_VIN, _READ_VOUT, _READ_IOUT, _READ_TEMPERATURE, _DEVICE_ID = 0x88, 0x8B, 0x8C, 0x8D, 0xAD
_EXPONENT = -9
_ONE_BYTE = {_OPERATION: 0x00, 0x02: 0x17, 0x10: 0x00, 0x19: 0xD0, 0x98: 0x33}
_ID = bytes.fromhex("5449546d2441")
_OUT_OF_LIMITS, _OVER_CURRENT, _UNKNOWN = 0x08, 0x80, 0x80


def linear11(value: float) -> int:
    """The word: five bits of exponent, eleven of mantissa, both signed; value is 0 or more."""
    exponent = max(-16, math.ceil(math.log2(value / 1023))) if value > 0 else 0
    return (exponent & 0x1F) << 11 | round(value / 2.0**exponent) & 0x7FF


def of_linear11(word: int) -> float:
    """What such a word says."""
    exponent = (word >> 11 ^ 0x10) - 0x10
    mantissa = (word & 0x7FF ^ 0x400) - 0x400
    return float(mantissa * 2.0**exponent)


def _volts(value: float) -> int:
    return round(value / 2.0**_EXPONENT)


class Tps546:
    """Off until OPERATION says on. The board sets `amps`, `input_volts` and `celsius`."""

    def __init__(self, input_volts: float) -> None:
        self.input_volts = input_volts
        self.celsius = 25.0
        self.amps = 0.0
        self._bytes = dict(_ONE_BYTE)
        self._words = {_VOUT_COMMAND: _volts(1.0), _VOUT_MAX: _volts(3.0), _VOUT_MIN: _volts(0.25)}
        self._status = {_STATUS_VOUT: 0, _STATUS_IOUT: 0, _STATUS_CML: 0}
        self._command = 0

    @property
    def on(self) -> bool:
        """Whether it gives power."""
        return bool(self._bytes[_OPERATION] & 0x80) and not self._status[_STATUS_IOUT]

    @property
    def volts(self) -> float:
        """What it gives now."""
        return self._words[_VOUT_COMMAND] * 2.0**_EXPONENT if self.on else 0.0

    def load(self, amps: float) -> None:
        """What is drawn; over its fault limit it shuts down until the fault is cleared."""
        self.amps = amps
        limit = of_linear11(self._words.get(_OC_FAULT, 0))
        if 0 < limit < amps:
            self._status[_STATUS_IOUT] |= _OVER_CURRENT
            self.amps = 0.0

    def write(self, data: bytes) -> None:
        if not data:
            return
        self._command = data[0]
        if data[0] == _CLEAR_FAULTS:
            self._status = dict.fromkeys(self._status, 0)
        elif len(data) == 2 and data[0] in self._bytes:
            self._bytes[data[0]] = data[1]
        elif len(data) == 3:
            self._set_word(data[0], int.from_bytes(data[1:], "little"))

    def _set_word(self, command: int, word: int) -> None:
        if command == _VOUT_COMMAND:
            kept = max(self._words[_VOUT_MIN], min(word, self._words[_VOUT_MAX]))
            if kept != word:
                self._status[_STATUS_VOUT] |= _OUT_OF_LIMITS
            word = kept
        self._words[command] = word

    def read(self, count: int) -> bytes:
        return (self._answer() + b"\xff" * count)[:count]

    def _answer(self) -> bytes:
        command = self._command
        if command == _VOUT_MODE:
            return bytes((0x80 | _EXPONENT & 0x1F,))
        if command == _DEVICE_ID:
            return bytes((len(_ID),)) + _ID
        if command in self._bytes:
            return bytes((self._bytes[command],))
        if command in self._status:
            return bytes((self._status[command],))
        words = self._words | {
            _READ_VIN: linear11(self.input_volts),
            _READ_VOUT: _volts(self.volts),
            _READ_IOUT: linear11(self.amps),
            _READ_TEMPERATURE: linear11(max(0.0, self.celsius)),
            _STATUS_WORD: self._status_word(),
            _STATUS_BYTE: self._status_word() & 0xFF,
        }
        if command not in words:
            self._status[_STATUS_CML] |= _UNKNOWN
            return b"\xff\xff"
        return words[command].to_bytes(2, "little")

    def _status_word(self) -> int:
        word = 0 if self.on else 0x0840  # power not good, off
        word |= 0x8000 if self._status[_STATUS_VOUT] else 0
        word |= 0x4010 if self._status[_STATUS_IOUT] else 0
        return word | (0x0002 if self._status[_STATUS_CML] else 0)
