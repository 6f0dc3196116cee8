"""Chains of BM1397, BM1362, BM1366, BM1368 and BM1370 chips on a bare UART, as hash boards have;
and of BM1387 (S9) and BM1384, where the user names the chip: their hello is another."""

from __future__ import annotations

from sv2rig.boards.clocked_board import ClockedBoard
from sv2rig.boards.driver import Driver, Option
from sv2rig.boards.line import LineProfile
from sv2rig.boards.plug import Plug
from sv2rig.devices.device import Setting, Shape, Telemetry
from sv2rig.drivers.bm13xx.chain import START_BAUD, Chain, option_chip
from sv2rig.drivers.bm13xx.chips import CHIPS, Chip
from sv2rig.drivers.bm13xx.old_chain import OldChain
from sv2rig.drivers.bm13xx.old_framing import OLD_CHIPS, OldChip

FAST_BAUD = 1_000_000
CHIP_NAMES = tuple(chip.name for chip in CHIPS.values())
OLD_NAMES = tuple(chip.name for chip in OLD_CHIPS.values())
FREQUENCY = Setting("frequency", "MHz", 50.0, 800.0, 400.0, "The chips' clock.")
OLD_FREQUENCY = {
    "BM1384": Setting("frequency", "MHz", 100.0, 500.0, 200.0, "The chips' clock."),
    "BM1387": Setting("frequency", "MHz", 50.0, 900.0, 500.0, "The chips' clock."),
}


class ChainBoard(ClockedBoard):
    """Nobody here owns power or reset: the chips run as long as their supply does."""

    driver = "bm13xx"
    shape = Shape.TABLE

    def __init__(self, plug: Plug) -> None:
        chip = _chip(plug.options)
        count = plug.options.get("chips")
        expected = None if count is None else _chips(count)
        name = f"{chip.name if chip else 'BM13xx'} chain"
        rate = chip.hash_rate(chip.default_mhz, expected or 1) if chip else 1e11
        frequency = OLD_FREQUENCY[chip.name] if isinstance(chip, OldChip) else FREQUENCY
        for value in plug.settings.values():
            frequency.check(value)
        super().__init__(plug, name, rate, [LineProfile(baud=START_BAUD)], [frequency])
        self._fast = _baud(plug.options.get("baud", str(FAST_BAUD)))
        self.chain = (
            OldChain(self, 0, chip, expected)
            if isinstance(chip, OldChip)
            else Chain(self, 0, chip, expected)
        )

    async def start_up(self) -> None:
        fast = None if self._fast == START_BAUD else self._fast
        await self.chain.start_up(self.clock_mhz, fast)
        self.name = f"{self.chain.count} x {self.chain.chip.name}"

    async def poll(self) -> Telemetry:
        self.chain.poll_counters()
        return Telemetry(counted_hs=self.chain.counted_hs)

    async def set_clock(self, mhz: float) -> None:
        await self.chain.set_clock(mhz)


def _chip(options: dict[str, str]) -> Chip | OldChip | None:
    name = options.get("chip")
    old = (chip for chip in OLD_CHIPS.values() if chip.name == name)
    return next(old, None) or option_chip(options, CHIP_NAMES)


def _whole(text: str, name: str, least: int, most: int) -> int:
    if not text.isdecimal() or not least <= int(text) <= most:
        raise ValueError(f"{name} is a whole number from {least} to {most}, not {text!r}")
    return int(text)


def _chips(text: str) -> int:
    return _whole(text, "chips", 1, 126)


def _baud(text: str) -> int:
    return _whole(text, "baud", START_BAUD, 3_125_000)


DRIVER = Driver(
    name="bm13xx",
    help="BM13xx chips on a bare UART",
    make=ChainBoard,
    options=(
        Option(
            "chip",
            f"what they are; without it, whatever answers ({' and '.join(OLD_NAMES)} do not)",
            (*CHIP_NAMES, *OLD_NAMES),
        ),
        Option("chips", "how many must answer; without it, whatever does", check=_chips),
        Option("baud", f"the line's speed after start-up ({FAST_BAUD})", check=_baud),
    ),
    settings=(FREQUENCY,),
)
