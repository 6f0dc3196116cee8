"""Bitaxe under bitaxe-raw firmware, and EmberOne 00: chips on one port, all else on another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from sv2rig.boards.clocked_board import ClockedBoard
from sv2rig.boards.driver import Driver, Option
from sv2rig.boards.line import BoardError, LineProfile
from sv2rig.boards.plug import Plug
from sv2rig.devices.device import Setting, Shape, Telemetry
from sv2rig.devices.fan import Fan, FanLimits
from sv2rig.devices.pattern import Pattern
from sv2rig.devices.thermal import ThermalLimits
from sv2rig.devices.voltage import MAXIMUM_SETTING
from sv2rig.drivers.bitaxe_raw.control import Control, RefusedError
from sv2rig.drivers.bitaxe_raw.hardware import (
    BitaxeHardware,
    EmberOneHardware,
    Hardware,
    blink,
    release_reset,
)
from sv2rig.drivers.bitaxe_raw.protocol import FirmwareVersion, Framing, emberone_framing
from sv2rig.drivers.bitaxe_raw.regulator import GAMMA
from sv2rig.drivers.bm13xx.chain import START_BAUD, Chain
from sv2rig.drivers.bm13xx.chips import BM1362, Chip

CONTROL, DATA = 0, 1
FAST_BAUD = 1_000_000
# After reset is released the chips' diode reads nonsense for 0.5 s: by the end of this and of
# counting the chips it has settled.
RELEASE_S = 0.2
HEAT = ThermalLimits(throttle_c=70, resume_c=65, cooldown_c=80, cooled_c=50, cut_off_c=95)
FAN_FULL_C = 72.0
UNANSWERED = 3  # polls in a row, then the port is opened anew and the board reset

FREQUENCY = Setting("frequency", "MHz", 50.0, 800.0, 525.0, "The chips' clock.")
CORE_VOLTAGE = Setting(
    "core_voltage",
    "V",
    GAMMA.minimum,
    GAMMA.maximum,
    GAMMA.default,
    f"The chips' supply; above its default only up to the option {MAXIMUM_SETTING}.",
)
FAN_TARGET = Setting(
    "fan_target_c", "°C", 40.0, FAN_FULL_C - 2, 60.0, "The fan keeps the chips at this."
)


def _ceiling(text: str) -> float:
    """The user's explicit maximum for one board."""
    try:
        volts = float(text)
    except ValueError:
        volts = 0.0
    if not GAMMA.minimum <= volts <= GAMMA.maximum:
        raise ValueError(
            f"{MAXIMUM_SETTING} is {GAMMA.minimum:g} to {GAMMA.maximum:g} V, not {text!r}"
        )
    return volts


MAXIMUM = Option(
    MAXIMUM_SETTING,
    f"volts that the core may be given, if more than {GAMMA.default:g}",
    check=_ceiling,
)
_NAMES = {"BM1397": "Max", "BM1366": "Ultra", "BM1368": "Supra", "BM1370": "Gamma"}


@dataclass(frozen=True, slots=True)
class Model:
    """A kind of board; `chip` None: whatever answers."""

    name: str
    hardware: Callable[[Control], Hardware]
    chips: int
    chip: Chip | None
    settings: tuple[Setting, ...]
    framing: Callable[[FirmwareVersion], Framing]

    @property
    def has_fan(self) -> bool:
        return FAN_TARGET in self.settings


BITAXE = Model(
    "Bitaxe",
    BitaxeHardware,
    1,
    None,
    (FREQUENCY, CORE_VOLTAGE, FAN_TARGET),
    lambda _version: Framing.DATA_LENGTH,
)
EMBERONE = Model("EmberOne", EmberOneHardware, 12, BM1362, (FREQUENCY,), emberone_framing)
MODELS = {"bitaxe": BITAXE, "emberone": EMBERONE}


class ControlBoard(ClockedBoard):
    """The control port is the one with the lower interface number."""

    driver = "bitaxe_raw"
    shape = Shape.TABLE
    data_port = DATA
    has_power = True
    watts = 1.0  # from USB: the chips have a supply of their own

    def __init__(self, plug: Plug, model: Model) -> None:
        profiles = [LineProfile(baud=START_BAUD)] * 2
        super().__init__(plug, model.name, 1e12, profiles, model.settings)
        self._model = model
        text = plug.options.get(MAXIMUM_SETTING)
        self._ceiling = None if text is None else _ceiling(text)  # None: the default is it
        self._hardware: Hardware
        self._hashes = False  # reset is released
        self._unanswered = 0  # polls in a row
        self.chain = Chain(self, DATA, model.chip, model.chips)
        self.watch_heat(HEAT)
        if model.has_fan:
            GAMMA.check(self.setting("core_voltage"), self._ceiling)
            self.fan = Fan(self._fan_limits())

    # -- its life

    async def make_safe(self) -> None:
        self._hashes = False
        self._unanswered = 0
        version = FirmwareVersion.of_bcd(self.plug.sighting.bcd or 0)
        control = Control(self.talks[CONTROL], self._model.framing(version), self.comm_error)
        self._hardware = self._model.hardware(control)
        await self._hardware.off()
        if self._hardware.regulated:
            self.plug.found["regulated"] = 1.0
        elif "regulated" in self.plug.found:
            raise BoardError("its regulator does not answer any more: the core may have power")

    async def start_up(self) -> None:
        volts = self.setting("core_voltage") if self._model.has_fan else 0.0
        await self._hardware.power(volts, self._ceiling)
        await release_reset(self._hardware.control)
        self._hashes = True
        await asyncio.sleep(RELEASE_S)
        await self.chain.find(None)
        self._adopt(self.chain.chip)
        await self.chain.configure(self.clock_mhz, FAST_BAUD)

    def _adopt(self, chip: Chip) -> None:
        """What follows from the chip that was found."""
        if self._model is BITAXE:
            self.name = f"Bitaxe {_NAMES.get(chip.name, chip.name)}"
        clock = replace(FREQUENCY, default=chip.default_mhz)
        others = [
            setting
            for setting in self._model.settings[1:]
            if setting is not CORE_VOLTAGE or self._hardware.regulated
        ]
        self.settings = (clock, *others)

    async def poll(self) -> Telemetry:
        if self._hashes:
            self.chain.poll_counters()
        fan = self._fan_percent
        try:
            readings = await self._hardware.read()
        except RefusedError as refused:  # three in a row count as hot
            self.comm_error(str(refused))
            return Telemetry(fan_percent=fan)
        except BoardError as error:
            self._unanswered += 1
            if error.kind is not None or self._unanswered >= UNANSWERED:
                raise
            return Telemetry(fan_percent=fan)
        self._unanswered = 0
        return Telemetry(
            readings.celsius, fan, readings.watts, self.chain.counted_hs, readings.fan_rpm
        )

    async def set_fan(self, percent: float) -> None:
        await self._hardware.set_fan(percent)

    async def set_clock(self, mhz: float) -> None:
        await self.chain.set_clock(mhz)

    async def apply(self, name: str, value: float) -> None:
        if name == CORE_VOLTAGE.name:
            await self._hardware.set_volts(value, self._ceiling)
        elif name == FAN_TARGET.name and self.fan is not None:
            self.fan.limits = self._fan_limits()
        else:
            await super().apply(name, value)

    async def show_itself(self) -> None:
        await blink(self._hardware.control)

    # -- Adjustable

    def adjust(self, name: str, value: float) -> None:
        if name == CORE_VOLTAGE.name:
            GAMMA.check(value, self._ceiling)
        super().adjust(name, value)

    def _fan_limits(self) -> FanLimits:
        return FanLimits(target_c=self.setting("fan_target_c"), full_c=FAN_FULL_C)


def make(plug: Plug) -> ControlBoard:
    """The board; its model is what the user named, or what its strings say."""
    product = (plug.sighting.product or "").lower()
    recognised = "emberone" if product.startswith("emberone") else "bitaxe"
    return ControlBoard(plug, MODELS[plug.options.get("model", recognised)])


DRIVER = Driver(
    name="bitaxe_raw",
    help="Bitaxe under bitaxe-raw firmware, and EmberOne 00",
    make=make,
    patterns=(
        Pattern(0xC0DE, 0xCAFE, "OSMU", "Bitaxe", model="Bitaxe (bitaxe-raw)"),
        Pattern(0x1209, 0x256F, "256F", "EmberOne00", model="EmberOne 00"),
    ),
    options=(Option("model", "which board it is, if it does not say", tuple(MODELS)), MAXIMUM),
    settings=(FREQUENCY, CORE_VOLTAGE, FAN_TARGET),
    watts=1.0,
)
