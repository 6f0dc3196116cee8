"""GekkoScience sticks and pods: Compac, 2Pac, Terminus, NewPac, R606, Compac F, R909, A1, A2."""

from __future__ import annotations

import asyncio

from sv2rig.boards.board import NO_LIGHT, Board
from sv2rig.boards.clocked_board import ClockedBoard
from sv2rig.boards.driver import Driver, Option
from sv2rig.boards.line import BoardError, LineError, LineLostError, LineProfile
from sv2rig.boards.plug import Plug
from sv2rig.boards.reset_line import GpioReset, ResetLine, TextReset, gpio_chip
from sv2rig.devices.device import Setting, Shape, Telemetry
from sv2rig.devices.fan import Fan, FanLimits
from sv2rig.devices.thermal import ThermalLimits
from sv2rig.drivers.bm13xx import registers as reg
from sv2rig.drivers.bm13xx.chain import START_BAUD, Chain
from sv2rig.drivers.bm13xx.chips import CHIPS, Chip
from sv2rig.drivers.bm13xx.old_chain import OldChain
from sv2rig.drivers.bm13xx.old_framing import OLD_CHIPS, OldChip
from sv2rig.drivers.gekko import protocol
from sv2rig.drivers.gekko.protocol import BOARDS, PATTERNS
from sv2rig.drivers.gekko.protocol import Board as Product
from sv2rig.drivers.gekko.telemetry_port import TelemetryPort

_DATA, _TELEMETRY = 0, 1
_CBUS1 = (1,)
# cgminer-gekko stops them at 110 °C.
_HEAT = ThermalLimits(throttle_c=85, resume_c=80, cooldown_c=95, cooled_c=60, cut_off_c=110)
_AFTER_POWER_S = 0.1
_AFTER_RELEASE_S = 0.2
_BLINKS = 10
_BLINK_S = 0.25
_CHIPS: dict[str, Chip | OldChip] = {
    chip.name: chip for chips in (CHIPS, OLD_CHIPS) for chip in chips.values()
}


class GekkoBoard(ClockedBoard):
    """One of BOARDS. Its reset line hangs on the USB bridge; where that cannot be driven, the chips
    are tried as they are, and at the end said to be powered."""

    driver = "gekko"
    shape = Shape.TABLE
    has_power = True
    watts = 10.0

    def __init__(self, plug: Plug, product: Product) -> None:
        frequency = Setting(
            "frequency",
            "MHz",
            product.lowest_mhz,
            product.highest_mhz,
            product.default_mhz,
            "The chips' clock.",
        )
        for value in plug.settings.values():
            frequency.check(value)
        chip = _CHIPS[product.chip]
        rate = chip.hash_rate(product.default_mhz, product.chips or 1)
        self._product = product
        self._is_emulated = plug.sighting.emulator is not None
        super().__init__(plug, product.name, rate, self._port_profiles(), [frequency])
        self.chain = (
            OldChain(self, _DATA, chip, product.chips)
            if isinstance(chip, OldChip)
            else Chain(self, _DATA, chip, product.chips)
        )
        self._gpio: ResetLine | None = None
        self._cannot_hold: str | None = None  # why its reset line cannot be driven
        self._telemetry_port = TelemetryPort(lambda: self.talks[_TELEMETRY], self.comm_error)
        if product.telemetry:
            self.watch_heat(_HEAT)
        if product.has_fan:
            self.fan = Fan(FanLimits())

    def _port_profiles(self) -> list[LineProfile]:
        profiles = [LineProfile(START_BAUD, mark_parity=self._product.mark_parity)]
        if self._product.telemetry:
            profiles.append(LineProfile(START_BAUD))
        if self._is_emulated:
            profiles.append(LineProfile())  # its reset line, as text
        return profiles

    # -- its life

    async def make_safe(self) -> None:
        await self._hold_reset(True)
        if self._product.telemetry:
            await self._telemetry_port.set(protocol.REGULATOR_OFF)
        if self._product.has_fan:
            await self.set_fan(100.0)

    async def start_up(self) -> None:
        is_1397 = self._product.chip == "BM1397"
        await asyncio.sleep(
            protocol.RESET_SECONDS_BM1397 if is_1397 else protocol.RESET_SECONDS_OLD
        )
        if self._product.telemetry:
            await self._power_up()
        await self._hold_reset(False)
        await asyncio.sleep(_AFTER_RELEASE_S)
        try:
            await self.chain.start_up(self.clock_mhz, self._fast_baud)
        except BoardError as error:
            if self._cannot_hold is None:
                raise
            raise BoardError(f"{error}; its reset was not driven: {self._cannot_hold}") from error
        self.name = f"{self._product.name} ({self.chain.count} x {self.chain.chip.name})"

    async def shut_down(self) -> None:
        await super().shut_down()
        self._check_held()

    async def secure(self) -> None:
        await super().secure()
        self._check_held()

    async def poll(self) -> Telemetry:
        if not self._product.telemetry:
            return Telemetry(counted_hs=self.chain.counted_hs)
        read = await self._telemetry_port.read()
        if read is None:
            return Telemetry(counted_hs=self.chain.counted_hs)
        heats = [heat for heat in (read.celsius, read.second_celsius) if heat is not None]
        amperes = read.input_amperes
        return Telemetry(
            temperature_c=max(heats, default=None),
            fan_percent=self._fan_percent,
            power_w=None if amperes is None else read.input_volts * amperes,
            counted_hs=self.chain.counted_hs,
            fan_rpm=read.fan_rpm,
        )

    async def each_second(self) -> None:
        await super().each_second()
        self.chain.poll_counters()

    async def set_clock(self, mhz: float) -> None:
        await self.chain.set_clock(mhz)

    async def set_fan(self, percent: float) -> None:
        await self._telemetry_port.set(protocol.fan(round(percent)))

    def identify(self) -> None:
        if not self._product.telemetry:
            raise BoardError(NO_LIGHT)
        super().identify()

    async def show_itself(self) -> None:
        for _ in range(_BLINKS):
            for state in (protocol.LED_ON, protocol.LED_OFF):
                await self._telemetry_port.set(state)
                await asyncio.sleep(_BLINK_S)
        await self._telemetry_port.set(protocol.LED_WORK)

    @property
    def _fast_baud(self) -> int | None:
        divider = self._product.divider
        if divider is None or self.plug.options.get("baud") == str(START_BAUD):
            return None
        return round(reg.uart_baud(divider))

    # -- reset and power

    async def _power_up(self) -> None:
        await self._telemetry_port.begin()
        millivolt = self._product.millivolt
        if millivolt is not None:
            await self._telemetry_port.set(protocol.core_voltage(millivolt))
        await self._telemetry_port.set(protocol.REGULATOR_ON)
        await asyncio.sleep(_AFTER_POWER_S)

    async def _hold_reset(self, held: bool) -> None:
        try:
            await self._reset_line().hold(held)
            self._cannot_hold = None
        except LineLostError:
            raise
        except LineError as error:
            self._cannot_hold = str(error)

    def _reset_line(self) -> ResetLine:
        """LineError where the kernel gives none."""
        if self._is_emulated:
            return TextReset(self.talks[-1])
        if self._gpio is None:
            self._gpio = self._find_gpio()
        return self._gpio

    def _find_gpio(self) -> ResetLine:
        path = gpio_chip(self.plug.sighting.usb_path)
        if path is None or self._product.bridge == "CP210x":
            raise LineError("the kernel gives no pins of its USB bridge (/dev/gpiochip...)")
        if self._product.bridge == "FT230X":
            return GpioReset(path, _CBUS1, held_high=False)
        return GpioReset(path, None, held_high=True)

    def _check_held(self) -> None:
        if self._cannot_hold is not None and self._product.bridge == "FT230X":
            raise BoardError(
                f"its chips have no work, but power: its reset cannot be held: {self._cannot_hold}"
            )


def make(plug: Plug) -> Board:
    """The board that its USB strings name, or the option `board`."""
    chosen = plug.options.get("board")
    seen = plug.sighting.product
    for product in BOARDS:
        if (_word(product) == chosen) if chosen else (product.product == seen):
            return GekkoBoard(plug, product)
    words = ", ".join(map(_word, BOARDS))
    raise ValueError(f"{seen!r} is no GekkoScience board: name it with board=, one of {words}")


def _word(product: Product) -> str:
    return product.name.lower().replace(" ", "-")


DRIVER = Driver(
    name="gekko",
    help="GekkoScience sticks and pods: Compac to Compac F, A1 and A2",
    make=make,
    patterns=PATTERNS,
    options=(
        Option("board", "which one, if its USB strings do not say", tuple(map(_word, BOARDS))),
        Option("baud", f"{START_BAUD}: leave the line at this speed", (str(START_BAUD),)),
    ),
    settings=(
        Setting(
            "frequency",
            "MHz",
            min(product.lowest_mhz for product in BOARDS),
            max(product.highest_mhz for product in BOARDS),
            BOARDS[0].default_mhz,
            "The chips' clock, as far as the board allows.",
        ),
    ),
    watts=GekkoBoard.watts,
)
