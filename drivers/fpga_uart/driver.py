"""FPGA designs on a bare UART. No design says who it is, so a board must be named by its port.

Nothing stops these designs: one that is to cool is given no more work, and KC705's is then quiet
when its range ends. The two others go on with the last work as long as they have power.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from sv2rig.boards.board import Board, Plug
from sv2rig.boards.driver import Driver, Option
from sv2rig.boards.line import BoardError, LineProfile
from sv2rig.devices.device import Telemetry
from sv2rig.devices.thermal import ThermalLimits
from sv2rig.drivers.fpga_uart.engine import FreeRunningEngine, MakomkEngine, PyFpgaEngine
from sv2rig.drivers.fpga_uart.protocol import (
    DIALECTS,
    MAKOMK,
    PIPELINE_OFFSETS,
    PYFPGA,
    Kc705Wire,
)
from sv2rig.drivers.fpga_uart.self_test import BITS_A_BYTE, SelfTest

BAUD = 115200
SLOWEST_BAUD, FASTEST_BAUD = 300, 4_000_000
FASTEST_MHS = 1e5
SILENT_S = 13.0  # three of KC705's reports, one every 4 s, are missing
LARGEST_JUMP_C = 15.0  # a report further from the last is believed if the next one agrees
# Nothing can be throttled: it runs, or it is given no work. A Kintex-7 is made for 85 °C at most.
THERMAL_LIMITS = ThermalLimits(lowest_factor=1.0)


class FpgaBoard(Board):
    """See the module."""

    driver = "fpga_uart"
    watts = 10.0

    def __init__(self, plug: Plug) -> None:
        self._dialect = dialect = DIALECTS[plug.options.get("dialect", PYFPGA.name)]
        self._baud = _baud(plug.options)
        stated = _stated_hs(plug.options)
        known = stated or plug.found.get("rate_hs")
        name = f"FPGA ({dialect.name})"
        profile = LineProfile(baud=self._baud)
        super().__init__(plug, name, known or dialect.rate_hs, [profile])
        self._is_emulated = plug.sighting.emulator is not None
        self._is_rate_given = self._is_emulated or bool(stated) or dialect.speed_test is None
        self.engine: FreeRunningEngine = self._engine()
        self._readings = 0
        self._reported_c: float | None = None  # in the last line
        self._celsius: float | None = None  # as far as it is believed
        self._read_at = -math.inf  # or when it started

    def _engine(self) -> FreeRunningEngine:
        dialect = self._dialect
        if dialect is PYFPGA:
            byte_s = BITS_A_BYTE / self._baud
            return PyFpgaEngine(dialect, self, self.rate_hs, self.ticket, byte_s)
        kind = MakomkEngine if dialect is MAKOMK else FreeRunningEngine
        return kind(dialect, self, self.rate_hs, self.ticket)

    async def start_up(self) -> None:
        found = self.plug.found
        try:
            offset = await self._calibrate(found.get("offset"))
        except BoardError:
            found.clear()  # another design may be loaded by now: begin anew
            raise
        self.engine.offsets = PIPELINE_OFFSETS if offset is None else (offset,)
        self.thermal = self._celsius = self._reported_c = None  # what it said before says nothing
        self._read_at = self.now()

    async def _calibrate(self, known: float | None) -> int | None:
        """The offset; None: it will show when it mines."""
        offsets = PIPELINE_OFFSETS if known is None else (int(known),)
        test = SelfTest(
            self.talks[0], self._dialect, self._baud, self.ticket, offsets, self.rate_hs
        )
        if self._dialect is MAKOMK:
            if self._is_emulated:  # its answer to this work comes when a real board's would
                test.rate_hs = self._dialect.rate_hs
            if known is not None:  # 39 s to prove what was proved before
                self.talks[0].write(2 * self._dialect.golden.frame)
                return int(known)
            offset = await test.prove_makomk(self.plug.supervisor.failures)
        else:
            if self._dialect is PYFPGA:
                await test.ping()
            offset = await test.prove()
        self.engine.golden_answers += test.answered
        if offset is not None:
            self.plug.found["offset"] = offset
            await self._measure(test, offset)
        return offset

    async def _measure(self, test: SelfTest, offset: int) -> None:
        if not self._is_rate_given and "rate_hs" not in self.plug.found:
            test.offsets = (offset,)
            self.rate_hs = self.engine.rate_hs = await test.measure()
            self.plug.found["rate_hs"] = self.rate_hs

    async def poll(self) -> Telemetry:
        if len(self.engine.offsets) == 1:  # perhaps found while mining
            self.plug.found["offset"] = self.engine.offsets[0]
        wire = self.engine.wire
        if isinstance(wire, Kc705Wire):
            if not self._is_serving:  # it cools: nobody else reads
                wire.decode(await self.talks[0].read(0))
            self._read_temperature(wire)
        return Telemetry(temperature_c=self._celsius)

    def _read_temperature(self, wire: Kc705Wire) -> None:
        """Believe a report unless it is far from the last one; not every design sends them."""
        now = self.now()
        if wire.readings != self._readings and wire.celsius is not None:
            self._readings = wire.readings
            last, self._reported_c = self._reported_c, wire.celsius
            if last is None or abs(wire.celsius - last) <= LARGEST_JUMP_C:
                self._celsius, self._read_at = wire.celsius, now
            self.watch_heat(THERMAL_LIMITS)
        elif now - self._read_at > SILENT_S:
            self._celsius, self.thermal = None, self.plug.thermal


def _baud(options: Mapping[str, str]) -> int:
    text = options.get("baud", str(BAUD))
    if not text.isdecimal() or not SLOWEST_BAUD <= int(text) <= FASTEST_BAUD:
        raise ValueError(
            f"baud is a whole number from {SLOWEST_BAUD} to {FASTEST_BAUD}, not {text!r}"
        )
    return int(text)


def _stated_hs(options: Mapping[str, str]) -> float | None:
    """`rate`, in hashes a second."""
    text = options.get("rate")
    if text is None:
        return None
    try:
        rate_mhs = float(text)
    except ValueError:
        rate_mhs = math.nan
    if not 0 < rate_mhs <= FASTEST_MHS:
        raise ValueError(f"rate is a number of MH/s, up to {FASTEST_MHS:g}, not {text!r}")
    return rate_mhs * 1e6


DRIVER = Driver(
    name="fpga_uart",
    help="FPGA designs on a bare serial port: KC705's text lines, PyFPGA, makomk's DE2-115",
    make=FpgaBoard,
    options=(
        Option("dialect", "which design it is", tuple(DIALECTS), PYFPGA.name),
        Option(
            "baud",
            f"the speed it is built for ({BAUD})",
            check=lambda text: _baud({"baud": text}),
        ),
        Option(
            "rate",
            "its hash rate in MH/s; without it, measured or as the design's published",
            check=lambda text: _stated_hs({"rate": text}),
        ),
    ),
    watts=FpgaBoard.watts,
)
