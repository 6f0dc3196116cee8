"""Emulated boards with a control port: Bitaxe under bitaxe-raw, and EmberOne 00.

Written from REFERENCE.md. Readings of what that leaves open: ADC values are millivolts;
reset is held and power is off when USB power comes; the regulator is off until OPERATION.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from sv2rig.devices.sighting import EmulatorClaims
from sv2rig.drivers.bitaxe_raw.emulated_control import ControlPort, Lines
from sv2rig.drivers.bitaxe_raw.emulated_parts import (
    EMC2101,
    TMP451,
    TMP1075,
    TPS546,
    Emc2101,
    Part,
    Tmp451,
    Tmp1075,
)
from sv2rig.drivers.bitaxe_raw.emulated_regulator import Tps546
from sv2rig.drivers.bm13xx.emulated_chain import EmulatedChain
from sv2rig.drivers.bm13xx.emulated_chip import MODELS
from sv2rig.drivers.bm13xx.emulated_warmth import Cooling, Warmth
from sv2rig.emulation.emulator import Emulator, EmulatorKind, EmulatorOptions, Identity
from sv2rig.emulation.options import choice
from sv2rig.emulation.wires import Wires

_CONTROL, _DATA = 0, 1
_RESET_PIN, _POWER_PIN, _IO_PIN = 0, 1, 2
_DIODE_STARTS = 0.5
_IDLE_WATTS = 1.5


@dataclass(frozen=True, slots=True)
class BoardModel:
    """A kind of board: `watts` at the chips' usual clock and voltage. `ember`: EmberOne's
    firmware, pins and sensors, and no fan or regulator of its own on the bus."""

    chip: str
    chips: int
    watts: float
    input_volts: float
    cooling: Cooling
    ember: bool = False


_BITAXE = Cooling(blown=1.3, still=6.0)
BOARDS = {
    "gamma": BoardModel("BM1370", 1, 17.0, 5.1, _BITAXE),
    "supra": BoardModel("BM1368", 1, 14.0, 5.1, _BITAXE),
    "ultra": BoardModel("BM1366", 1, 12.0, 5.1, _BITAXE),
    "max": BoardModel("BM1397", 1, 14.0, 5.1, _BITAXE),
    "emberone": BoardModel("BM1362", 12, 90.0, 24.0, Cooling(0.4, 0.4), ember=True),
}
SENSORS = ("ok", "absent", "wild")


class EmulatedControlBoard:
    """Chips behind a data port, and what a control port switches and measures."""

    ports = ("control", "data")

    def __init__(self, model: BoardModel, options: EmulatorOptions) -> None:
        self.identity = _identity(model, options.more.get("serial"))
        self.wires = Wires(self.ports)
        self.chain = EmulatedChain(self.wires, _DATA, MODELS[model.chip], model.chips, options)
        self.claims = EmulatorClaims(
            options.ticket_bits, self.chain.rate_hs, replay=bool(options.known)
        )
        self.led = bytes(3)
        self._model = model
        self._sensor = choice(options.more, "sensor", "ok", SENSORS)
        self._fan_stuck = choice(options.more, "fan", "ok", ("ok", "stuck")) == "stuck"
        self.ambient = float(options.more.get("ambient", "25"))
        self._start()

    def _start(self) -> None:
        """Every part as it wakes."""
        self._levels = {_RESET_PIN: 0}
        if self._model.ember:
            self._levels |= {_POWER_PIN: 0, _IO_PIN: 0}
        self._released_at = float("-inf")
        self._live = False
        self._fan = Emc2101()
        self._fan.stuck = self._fan_stuck
        self._regulator = Tps546(self._model.input_volts)
        self._near, self._die = Tmp1075(), Tmp451()
        self._warmth = Warmth(self._model.cooling, self.ambient)
        lines = Lines(
            {pin: partial(self._pin, pin) for pin in self._levels},
            {
                0x50: lambda: round(self._volts * 1000),
                0x51: lambda: round(self._model.input_volts * 1000),
            },
            self._show,
        )
        self.parts = self._parts()  # on the I2C bus, by address
        self._control = ControlPort(
            self.wires.inbound[_CONTROL], self._model.ember, self.parts, lines
        )

    def power_up(self, now: float) -> None:
        self.wires.power_up()
        self._start()
        self.chain.reset(held=True, now=now)
        self._warmth.move(now, 0.0, 0.0)

    def receive(self, port: int, data: bytes, baud: int, now: float) -> None:
        self._settle(now)
        if port == _CONTROL:
            self.wires.send(_CONTROL, self._control.receive(data, now))
        else:
            self.chain.receive(data, baud, now)
        self._settle(now)

    def take_output(self, port: int) -> bytes:
        return self.wires.take_output(port)

    def next_timeout(self) -> float | None:
        dues = (self.chain.next_timeout(), self._warmth.next_look())
        return min((due for due in dues if due is not None), default=None)

    def on_time(self, now: float) -> None:
        self.chain.on_time(now)
        self._settle(now)

    def pins(self) -> dict[str, float]:
        pins = {
            "reset_released": float(self._levels[_RESET_PIN]),
            "power_on": float(self._powered),
            "volts": self._volts,
            "mhz": self.chain.mhz,
            "temperature_c": self._warmth.celsius,
            "watts": self._watts,
        }
        return pins if self._model.ember else pins | {"fan_percent": 100 * self._fan.duty}

    # power, heat and reset

    @property
    def _powered(self) -> bool:
        if self._model.ember:
            return bool(self._levels[_POWER_PIN] and self._levels[_IO_PIN])
        return self._regulator.on

    @property
    def _volts(self) -> float:
        if not self._model.ember:
            return self._regulator.volts
        return self.chain.model.volts if self._powered else 0.0

    @property
    def _watts(self) -> float:
        if not self._powered:
            return 0.0
        if not self.chain.hashing:
            return _IDLE_WATTS
        usual = self.chain.model
        return _IDLE_WATTS + self._model.watts * (self._volts / usual.volts) ** 2 * (
            self.chain.mhz / usual.mhz
        )

    def _settle(self, now: float) -> None:
        """What has been switched takes effect, and the parts measure the present."""
        live = self._powered and bool(self._levels[_RESET_PIN])
        if live is not self._live:
            self._live = live
            self._released_at = now
            self.chain.reset(held=not live, now=now)
        self._regulator.load(self._watts / self._volts if self._volts else 0.0)
        self._warmth.ambient = self.ambient
        self._warmth.move(now, self._watts, 0.0 if self._fan.stuck else self._fan.duty)
        celsius = self._warmth.celsius
        self.chain.celsius = celsius
        settled = now - self._released_at >= _DIODE_STARTS and self._sensor != "wild"
        self._fan.celsius, self._fan.settled = celsius, settled
        self._die.celsius, self._die.settled = celsius, settled
        self._near.celsius = self.ambient + (celsius - self.ambient) * 0.7
        self._regulator.celsius = self._near.celsius

    def _pin(self, pin: int, level: int | None) -> int:
        if level is not None:
            self._levels[pin] = level
        return self._levels[pin]

    def _show(self, colour: bytes) -> None:
        self.led = colour

    def _parts(self) -> dict[int, Part]:
        if self._model.ember:
            parts: dict[int, Part] = {TMP1075: self._near, TMP451: self._die}
        else:
            parts = {EMC2101: self._fan, TPS546: self._regulator}
        if self._sensor == "absent":
            parts.pop(TMP451, None)
            parts.pop(EMC2101, None)
        return parts


def _identity(model: BoardModel, serial: str | None) -> Identity:
    if model.ember:
        return Identity("bitaxe_raw", 0x1209, 0x256F, 0x0310, "256F", "EmberOne00", serial)
    return Identity("bitaxe_raw", 0xC0DE, 0xCAFE, 0x0010, "OSMU", "Bitaxe", serial)


def make(options: EmulatorOptions) -> Emulator:
    """A board from the user's options; ValueError says what is wrong with them."""
    board = choice(options.more, "board", "gamma", BOARDS)
    return EmulatedControlBoard(BOARDS[board], options)


EMULATOR = EmulatorKind(
    "bitaxe_raw",
    "a Bitaxe or EmberOne with its control port",
    make,
    {
        "board": f"{', '.join(BOARDS)} (gamma)",
        "sensor": f"the chips' temperature sensor: {', '.join(SENSORS)} (ok)",
        "fan": "ok or stuck (ok)",
        "ambient": "the air's temperature in °C (25)",
        "serial": "the USB serial number (none)",
    },
)
