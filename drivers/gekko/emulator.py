"""Emulated GekkoScience sticks and pods: chips on a data port, a reset line, some with telemetry.

Written from REFERENCE.md and bm13xx's. The reset line (a CBUS or GPIO pin of the bridge)
is the port "reset", its line `reset`: 0 holds the chips, 1 lets them go. Readings of what the facts
leave open: bridges with a latch (CP2105) wake with the line held and core power off, the others
with it released; how many chips a board has that the facts do not say, as its maker sells it.
"""

from __future__ import annotations

from dataclasses import dataclass

from sv2rig.devices.sighting import EmulatorClaims
from sv2rig.drivers.bm13xx.emulated_chain import EmulatedChain
from sv2rig.drivers.bm13xx.emulated_chip import MODELS
from sv2rig.drivers.bm13xx.emulated_old_chain import OLD_MODELS, EmulatedOldChain
from sv2rig.drivers.bm13xx.emulated_warmth import Cooling, Warmth
from sv2rig.drivers.gekko.emulated_telemetry import Telemetry
from sv2rig.emulation.emulator import (
    Emulator,
    EmulatorKind,
    EmulatorOptions,
    Identity,
    LineChanges,
)
from sv2rig.emulation.options import choice
from sv2rig.emulation.wires import Wires

_DATA = 0
_FTDI, _CP210X, _CP2105 = (0x0403, 0x6015), (0x10C4, 0xEA60), (0x10C4, 0xEA70)
_COOLING = Cooling(blown=2.0, still=9.0)
_FULL_RPM = 3000


@dataclass(frozen=True, slots=True)
class StickModel:
    """A product. `telemetry`: the version its port tells, 0 where there is no such port; `watts`
    at the chips' usual clock and `millivolts` a chip."""

    product: str
    ids: tuple[int, int]
    chip: str
    chips: int
    telemetry: int = 0
    input_volts: float = 5.0
    watts: float = 10.0
    millivolts: int = 300


STICKS = {
    "compac": StickModel("Compac BM1384 Bitcoin Miner", _CP210X, "BM1384", 1),
    "2pac": StickModel("2Pac BM1384 Bitcoin Miner", _CP210X, "BM1384", 2),
    "r808": StickModel("Terminus BM1384 Bitcoin Miner", _CP210X, "BM1384", 8),
    "newpac": StickModel("NewPac Bitcoin Miner", _FTDI, "BM1387", 2),
    "r606": StickModel("R606 Bitcoin Miner", _FTDI, "BM1387", 12),
    "compacf": StickModel("CompacF Bitcoin Miner", _FTDI, "BM1397", 1),
    "r909": StickModel("R909 Bitcoin Miner", _FTDI, "BM1397", 6),
    "a1": StickModel("GekkoScience Compac A1", _CP2105, "BM1362", 1, telemetry=0x10),
    "a2": StickModel(
        "GekkoScience Compac A2", _CP2105, "BM1370", 1, telemetry=0x21, input_volts=12.0, watts=15.0
    ),
}


class EmulatedStick:
    """One board of the family."""

    def __init__(self, model: StickModel, options: EmulatorOptions) -> None:
        self.ports = ("data", "telemetry", "reset") if model.telemetry else ("data", "reset")
        maker = "Silicon Labs" if model.telemetry else "GekkoScience"
        vid, pid = model.ids
        serial = options.more.get("serial")
        self.identity = Identity("gekko", vid, pid, 0x0100, maker, model.product, serial)
        self.wires = Wires(self.ports)
        self.chain = _chain(self.wires, model, options)
        self.claims = EmulatorClaims(
            options.ticket_bits, self.chain.rate_hs, replay=bool(options.known)
        )
        self._model = model
        self._start()

    def _start(self) -> None:
        """As it wakes."""
        self._released = not self._model.telemetry
        self._live = False
        self._lines = LineChanges()
        self._telemetry = Telemetry(self._model.telemetry, input_volts=self._model.input_volts)
        self._warmth = Warmth(_COOLING, 25.0)

    def power_up(self, now: float) -> None:
        self.wires.power_up()
        self._start()
        self._live = self._released
        self.chain.reset(held=not self._live, now=now)
        self._warmth.move(now, 0.0, 1.0)

    def receive(self, port: int, data: bytes, baud: int, now: float) -> None:
        self._settle(now)
        if port == _DATA:
            self.chain.receive(data, baud, now)
        elif self.ports[port] == "telemetry":
            self._ask(port, data)
        else:
            for line, high in self._lines.feed(data):
                self._released = high if line == "reset" else self._released
                self._settle(now)
        self._settle(now)

    def _ask(self, port: int, data: bytes) -> None:
        inbound = self.wires.inbound[port]
        inbound.feed(data)
        while len(inbound.buffer) >= 2:
            self.wires.send(port, self._telemetry.serve(inbound.take(2)))

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
            "reset_released": float(self._released),
            "power_on": float(self._powered),
            "mhz": self.chain.mhz,
        }
        if not self._model.telemetry:
            return pins
        return pins | {
            "volts": self._telemetry.millivolts / 1000 if self._powered else 0.0,
            "fan_percent": float(self._telemetry.fan_percent),
            "temperature_c": self._warmth.celsius,
            "watts": self._watts,
        }

    @property
    def _powered(self) -> bool:
        return (
            self._telemetry.power and self._telemetry.millivolts > 0
        ) or not self._model.telemetry

    @property
    def _watts(self) -> float:
        if not (self._live and self.chain.hashing):
            return 0.5 if self._powered else 0.0
        volts = self._telemetry.millivolts / self._model.millivolts if self._model.telemetry else 1
        return 0.5 + self._model.watts * volts**2 * self.chain.mhz / self.chain.model.mhz

    def _settle(self, now: float) -> None:
        """What has been switched takes effect, and the present is measured."""
        live = self._released and self._powered
        if live is not self._live:
            self._live = live
            self.chain.reset(held=not live, now=now)
        fan = self._telemetry.fan_percent / 100
        self._warmth.move(now, self._watts, fan)
        self.chain.celsius = self._warmth.celsius
        self._telemetry.celsius = self._warmth.celsius
        self._telemetry.input_amps = self._watts / self._model.input_volts
        self._telemetry.rpm = _FULL_RPM * fan


def _chain(
    wires: Wires, model: StickModel, options: EmulatorOptions
) -> EmulatedChain | EmulatedOldChain:
    if model.chip in OLD_MODELS:
        return EmulatedOldChain(wires, _DATA, OLD_MODELS[model.chip], model.chips, options)
    return EmulatedChain(wires, _DATA, MODELS[model.chip], model.chips, options)


def make(options: EmulatorOptions) -> Emulator:
    """A board from the user's options; ValueError says what is wrong with them."""
    board = choice(options.more, "board", "compacf", STICKS)
    return EmulatedStick(STICKS[board], options)


EMULATOR = EmulatorKind(
    "gekko",
    "a GekkoScience stick or pod",
    make,
    {
        "board": f"{', '.join(STICKS)} (compacf)",
        "serial": "the USB serial number (none)",
    },
)
