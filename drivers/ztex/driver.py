"""ZTEX 1.15x, 1.15d and 1.15y: FPGA boards driven over libusb, with a bitstream of the user's."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from sv2rig.boards.board import Plug
from sv2rig.boards.driver import Driver, Option
from sv2rig.boards.line import BoardError, LineError
from sv2rig.boards.usb_board import UsbBoard
from sv2rig.devices.device import Setting
from sv2rig.devices.fault import FaultKind
from sv2rig.devices.pattern import Contains, Pattern
from sv2rig.drivers.ztex.bitstream import BitstreamError, missing, on_pins
from sv2rig.drivers.ztex.engine import Clocking, Done, ZtexEngine
from sv2rig.drivers.ztex.protocol import Read, Send
from sv2rig.drivers.ztex.session import (
    Found,
    configure,
    identify,
    perform,
    read_test,
    reset_all,
    start_test,
)

VID, PID = 0x221A, 0x0100
SETTLE_S = 0.2  # after a bitstream was loaded
TEST_S = 0.5
_TYPICAL_HS = 200e6  # of one FPGA, until the board has said more

HIGHEST = Setting(
    name="max_mhz",
    unit="MHz",
    minimum=4,
    maximum=400,
    default=400,
    help="the highest clock that each FPGA may be given",
)


class ZtexBoard(UsbBoard):
    """See the module."""

    driver = "ztex"

    def __init__(self, plug: Plug) -> None:
        fpgas = 4 if "1.15y" in (plug.sighting.product or "") else 1
        super().__init__(plug, "ZTEX 1.15", fpgas * _TYPICAL_HS, (HIGHEST,))
        self.watts = 10.0 * fpgas
        self._found: Found | None = None

    async def make_safe(self) -> None:
        """FPGAs without a configuration hash nothing and draw next to nothing."""
        await self.usb.do(partial(reset_all, found=await self._identified()))

    async def start_up(self) -> None:
        """Its bitstream into every FPGA, and known work, which shows who hashes rightly."""
        found = await self._identified()
        data = await self._bitstream(found.miner.bitstream)
        for fpga in range(found.fpgas):
            await self.usb.do(partial(configure, found=found, fpga=fpga, bitstream=data))
        await asyncio.sleep(SETTLE_S)
        right = await self._tested(found)
        claims = self.plug.sighting.emulator
        miner = found.miner
        rate_hs = claims.rate_hs if claims else found.fpgas * miner.rate_hs(miner.multiplier)
        clocking = Clocking(
            self.setting(HIGHEST.name), self.plug.options.get("clock", "auto") == "auto"
        )
        self._ztex = ZtexEngine(self, found, rate_hs, clocking, self._loop.time())
        self.engine = self._ztex
        for fpga, is_right in enumerate(right):
            if not is_right:
                self._ztex.leave_out(fpga, "it hashed its self-test wrongly")
        self.rate_hs = self._ztex.rate_hs

    async def apply(self, name: str, value: float) -> None:
        if name == HIGHEST.name:
            self._ztex.limit_clock(value, self._loop.time())

    # -- the engine's host

    def transfer(self, transfers: Sequence[Read | Send], done: Done | None = None) -> None:
        def told(answers: list[bytes]) -> None:
            if done is not None:
                done(answers, self._loop.time())

        self.begin(partial(perform, transfers=transfers), told)

    def transfer_failed(self, error: LineError) -> None:
        super().transfer_failed(error)
        self._ztex.failed()

    def fault(self, kind: FaultKind, reason: str) -> None:
        self._fail(kind, BoardError(reason))
        self._wake.set()

    def rate_changed(self, rate_hs: float) -> None:
        self.rate_hs = rate_hs
        self.plug.supervisor.expect(self._loop.time(), rate_hs, self._reply_hashes)

    # -- start-up

    async def _identified(self) -> Found:
        if self._found is None:
            self._found = await self.usb.do(identify)
            self.name = f"ZTEX {self._found.descriptor.model}"
        return self._found

    async def _tested(self, found: Found) -> list[bool]:
        """Whether each FPGA hashes rightly; BoardError if none does."""
        await self.usb.do(partial(start_test, found=found))
        await asyncio.sleep(TEST_S)
        right = await self.usb.do(partial(read_test, found=found))
        if not any(right):
            raise BoardError(
                f"its self-test was hashed wrongly by all of its FPGAs ({found.fpgas}): is the "
                f"bitstream the one for {found.miner.bitstream}, and is there a fan on them?"
            )
        return right

    async def _bitstream(self, wanted: str) -> bytes:
        given = self.plug.options.get("bitstream")
        if not given:
            raise missing(wanted, self.plug.sighting.usb_path)
        return await self.usb.do(lambda _line: _read_bitstream(given, wanted))


def _read_bitstream(given: str, wanted: str) -> bytes:
    try:
        data = Path(given).expanduser().read_bytes()
    except OSError as error:
        raise BitstreamError(
            f"the bitstream {given} cannot be read: {error.strerror}; {wanted}.bit is wanted"
        ) from error
    return on_pins(data, given)


DRIVER = Driver(
    name="ztex",
    help="ZTEX 1.15x, 1.15d, 1.15y: FPGA boards on USB; they need a bitstream of yours",
    make=ZtexBoard,
    patterns=(
        Pattern(VID, PID, "ZTEX", Contains("1.15y"), "ZTEX 1.15y"),
        Pattern(VID, PID, "ZTEX", Contains("1.15"), "ZTEX 1.15x/d"),
    ),
    options=(
        Option("bitstream", "the file to load into its FPGAs"),
        Option("clock", "auto: moved by the errors it makes", ("auto", "fixed"), "auto"),
    ),
    settings=(HIGHEST,),
    transport="usb",
    watts=40.0,
)
