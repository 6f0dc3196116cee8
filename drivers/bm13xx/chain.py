"""A chain of BM1397 to BM1370 chips at the end of a line: start-up, clock, counters.

The board around it owns power, reset, fan and sensors (bm13xx on a bare UART, bitaxe_raw, gekko).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Sequence

from sv2rig.boards.board import Board
from sv2rig.boards.line import BoardError, Talk
from sv2rig.boards.ramp import START_MHZ, STEP_SECONDS, ramp
from sv2rig.boards.table_engine import TableEngine
from sv2rig.devices.slices import Slice
from sv2rig.drivers.bm13xx import registers as reg
from sv2rig.drivers.bm13xx import startup
from sv2rig.drivers.bm13xx.chips import CHIPS, Chip, addresses
from sv2rig.drivers.bm13xx.protocol import (
    LONG_REPLY,
    SHORT_REPLY,
    Decoder,
    RegisterReply,
    read_register,
)
from sv2rig.drivers.bm13xx.wire import ChainWire

START_BAUD = 115_200
LEAVE_S = 0.05  # a USB bridge still holds bytes when the system thinks that they have left
SWITCH_S = 0.01  # after the last byte has left, before the line is used at its new speed
ANSWER_S = 0.5
TRIES = 3
_HELLO_TRIES = 3


class Chain:
    """`chip` and `count` are what is expected; None: whatever answers. `board.engine` is set once
    the chip is known. `mhz` is the clock now."""

    def __init__(
        self, board: Board, port: int, chip: Chip | None = None, count: int | None = None
    ) -> None:
        self._board = board
        self._port = port
        self._expected = chip
        self._expected_count = count
        self.chip: Chip
        self.count = 0
        self.mhz = START_MHZ
        self._speed = START_BAUD
        self.counted_hs: float | None = None
        self._counted: dict[int, tuple[float, int]] = {}
        self._rates: dict[int, float] = {}
        self.wire: ChainWire

    @property
    def _talk(self) -> Talk:
        return self._board.talks[self._port]

    async def start_up(self, mhz: float, fast_baud: int | None) -> None:
        """To a chain that waits for jobs at `mhz`: from one whose reset has just been released, at
        115200 baud, or where nothing resets it, from the speed that an earlier program left it at.
        BoardError says what did not answer."""
        await self.find(fast_baud)
        await self.configure(mhz, fast_baud)

    async def find(self, fast_baud: int | None) -> None:
        """The first half of start_up: which chips there are, and how many."""
        self.chip, self.count, self._speed = await self._hello(fast_baud)
        self._check_count()
        self.mhz = START_MHZ
        self._counted.clear()
        self._rates.clear()
        self.counted_hs = None

    async def configure(self, mhz: float, fast_baud: int | None) -> None:
        """The second half: the chips that were found."""
        self._make_engine()
        places = addresses(self.count)
        bits = self.ticket_bits(mhz)
        if self._board.plug.sighting.emulator is None:
            self._board.ticket = (1 << 256 - bits) - 1
        await self._run(startup.configure(self.chip, places, bits, reg.ROLLABLE_BITS))
        if fast_baud is not None and self._speed == START_BAUD:
            await self._raise_speed(fast_baud)
        await self.set_clock(mhz)
        self._talk.forget()

    def ticket_bits(self, mhz: float) -> int:
        """So that each chip reports about once a second, and 32 at least."""
        wanted = round(math.log2(max(1.0, self.chip.hash_rate(mhz, 1))))
        return max(reg.BASE_BITS, min(wanted, reg.MAX_TICKET_BITS))

    async def set_clock(self, mhz: float) -> None:
        """Walk the clock to `mhz`, never jump; then share the nonces anew."""
        for step in ramp(self.mhz, mhz):
            setting = self.chip.pll.search(step)
            await self._run(startup.set_clock(self.chip, setting))
            self.mhz = step
            await asyncio.sleep(STEP_SECONDS)
        setting = self.chip.pll.search(mhz)
        places = addresses(self.count)
        await self._run(startup.start_mining(self.chip, setting, places, reg.ROLLABLE_BITS))
        self.wire.restart_mask()
        claims = self._board.plug.sighting.emulator
        if claims is None:
            self._board.rate_hs = self.chip.hash_rate(mhz, self.count)
        else:  # what it claims is its rate at the usual clock
            self._board.rate_hs = claims.rate_hs * mhz / self.chip.default_mhz

    def poll_counters(self) -> None:
        """Ask for the chips' own hash counters; the answers come among the nonces."""
        if self.chip.rolls_versions:
            self._board.send(read_register(reg.TOTAL_COUNTER))

    # -- start-up

    async def _hello(self, fast_baud: int | None) -> tuple[Chip, int, int]:
        """Which chips answer, how many, and at which speed."""
        asked = self._expected or CHIPS[0x1370]  # those that do not roll versions ignore its mask
        speeds = [START_BAUD] if fast_baud is None else [START_BAUD, _exact(fast_baud)]
        heard = b""
        for speed in speeds * _HELLO_TRIES:
            self._talk.line.set_baud(speed)
            self._talk.forget()
            for step in startup.hello(asked):
                self._talk.write(step.frame)
            answer = await self._talk.listen(startup.COUNT_SECONDS)
            found = _count_chips(answer)
            if found is not None:
                return *found, speed
            heard += answer
        came = f"{len(heard)} bytes that are none ({heard[:16].hex()})" if heard else "nothing"
        words = " or ".join(map(str, speeds))
        raise BoardError(
            f"no BM13xx chip answers at {words} baud, {came} came: check power, reset, wiring"
        )

    def _check_count(self) -> None:
        if self._expected is not None and self.chip is not self._expected:
            raise BoardError(f"the chips are {self.chip.name}, not {self._expected.name}")
        if self._expected_count is not None and self.count != self._expected_count:
            raise BoardError(
                f"{self.count} of {self._expected_count} chips answer: check the power of the "
                "others, and the solder joints after the last that answers"
            )

    def _make_engine(self) -> None:
        self.wire = ChainWire(self.chip, self._register)
        board = self._board
        board.engine = TableEngine(
            self.wire, board, self._seconds_of, self.wire.rolled, board.patience_s
        )

    def _seconds_of(self, piece: Slice) -> float:
        """How long a job lasts until the chips begin again."""
        if self._board.plug.sighting.emulator is not None:
            return piece.hashes / self._board.rate_hs
        versions = 1 << piece.version_bits.bit_count()
        return reg.job_seconds(self.chip, self.mhz, self.count, versions)

    async def _raise_speed(self, baud: int) -> None:
        """The chips switch when the frame has reached them, our side when it has surely left; then
        they must answer. A frame that was damaged on its way is sent again at the old speed."""
        frame = startup.set_line_speed(self.chip, reg.uart_divider(baud)).frame
        for _ in range(TRIES):
            self._talk.line.set_baud(START_BAUD)
            self._talk.write(frame)
            await self._talk.line.drain()
            await asyncio.sleep(LEAVE_S)
            self._talk.line.set_baud(_exact(baud))
            if await self._answers_again() or await self._answers_again():
                return
        raise BoardError(
            f"the chips do not answer at {baud} baud: set the option baud={START_BAUD}, or check "
            "the cable"
        )

    async def _answers_again(self) -> bool:
        await asyncio.sleep(SWITCH_S)
        self._talk.forget()
        self._talk.write(read_register(reg.CHIP_ID))
        return _count_chips(await self._talk.listen(ANSWER_S)) == (self.chip, self.count)

    async def _run(self, steps: Iterable[startup.Step]) -> None:
        for step in steps:
            self._talk.write(step.frame)
            if step.pause:
                await asyncio.sleep(step.pause)

    # -- counters

    def _register(self, reply: RegisterReply) -> None:
        if reply.register != reg.TOTAL_COUNTER:
            return
        now = self._board.now()
        before = self._counted.get(reply.address)
        self._counted[reply.address] = (now, reply.value)
        if before is not None and now - before[0] >= 0.5:
            hashes = reg.counted_hashes(before[1], reply.value)
            claims = self._board.plug.sighting.emulator
            if claims is not None:  # an easy ticket is what its counter counts
                hashes >>= max(0, reg.BASE_BITS - claims.ticket_bits)
            self._rates[reply.address] = hashes / (now - before[0])
            self.counted_hs = sum(self._rates.values())


def _exact(baud: int) -> int:
    """The speed that the chips' divider makes of it."""
    return round(reg.uart_baud(reg.uart_divider(baud)))


def _count_chips(heard: bytes) -> tuple[Chip, int] | None:
    """The chips that gave their id, in long replies or in short ones."""
    for length in (LONG_REPLY, SHORT_REPLY):
        ids = [
            reply.value >> 16
            for reply in Decoder(length).feed(heard)
            if isinstance(reply, RegisterReply) and reply.register == reg.CHIP_ID
        ]
        known = [CHIPS[one] for one in ids if one in CHIPS]
        if known and len(set(ids)) == 1 and known[0].reply_length == length:
            return known[0], len(known)
    return None


def option_chip(options: dict[str, str], names: Sequence[str]) -> Chip | None:
    """The chip named by an option; None: the user leaves it to us."""
    name = options.get("chip")
    if name is None:
        return None
    return next(chip for chip in CHIPS.values() if chip.name == name and name in names)
