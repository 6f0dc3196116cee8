"""A chain of BM1384 or BM1387 chips at the end of a line: start-up, clock, jobs.

The board around it owns power and reset (bm13xx on a bare UART, gekko).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable

from sv2rig.boards.board import Board
from sv2rig.boards.line import BoardError, Talk
from sv2rig.boards.ramp import STEP_SECONDS, ramp
from sv2rig.boards.table_engine import TableEngine
from sv2rig.devices.slices import Slice
from sv2rig.drivers.bm13xx import old_startup as startup
from sv2rig.drivers.bm13xx import registers as reg
from sv2rig.drivers.bm13xx.chain import ANSWER_S, LEAVE_S, START_BAUD, SWITCH_S, TRIES
from sv2rig.drivers.bm13xx.chips import addresses, power_of_two
from sv2rig.drivers.bm13xx.old_framing import BM1387, OldChip, OldDecoder
from sv2rig.drivers.bm13xx.old_wire import OldWire
from sv2rig.drivers.bm13xx.protocol import RegisterReply
from sv2rig.drivers.bm13xx.startup import COUNT_SECONDS, Step

_START_DIVIDER = 0x1A  # of the chips' line speed after a reset: 115740 baud
_HELLO_TRIES = 3
# No real job lasts as long; an emulated one, damaged on its way, must not last for hours.
_LONGEST_S = 10.0


class OldChain:
    """`chip` must answer, `count` times (None: any number). `board.engine` is set by start_up.
    `mhz` is the clock now."""

    counted_hs: float | None = None  # these chips count no hashes

    def __init__(self, board: Board, port: int, chip: OldChip, count: int | None = None) -> None:
        self._board = board
        self._port = port
        self._expected_count = count
        self.chip = chip
        self.count = 0
        self.mhz = chip.lowest_mhz
        self.wire: OldWire

    @property
    def _talk(self) -> Talk:
        return self._board.talks[self._port]

    async def start_up(self, mhz: float, fast_baud: int | None) -> None:
        """To a chain that waits for jobs at `mhz`: from one whose reset has just been released, at
        115200 baud, or where nothing resets it, from the speed that an earlier program left it at.
        `fast_baud` is for BM1387. BoardError says what did not answer."""
        if self.chip is not BM1387:
            fast_baud = None
        self.count, divider = await self._hello(fast_baud)
        self._check_count()
        bits = self._ticket_bits(mhz)
        self._make_engine()
        await self._run(startup.address(self.chip, addresses(self.count)))
        if fast_baud is not None and divider == _START_DIVIDER:
            divider = reg.uart_divider(fast_baud)
            await self._raise_speed(divider)
        if self.chip is BM1387:
            await self._run(startup.open_chain(divider, bits))
        self.mhz = self.chip.lowest_mhz
        await self._run([startup.set_clock(self.chip, self.mhz)])
        await self.set_clock(mhz)
        self._talk.forget()
        # What they answer is left for the wire, which counts it.
        await self._run(startup.open_cores(self.chip, max(self.chip.midstate_counts)))
        await self._talk.line.drain()

    async def set_clock(self, mhz: float) -> None:
        """Walk the clock to `mhz`, never jump."""
        for step in ramp(self.mhz, mhz):
            await self._run([startup.set_clock(self.chip, step)])
            self.mhz = step
            await asyncio.sleep(STEP_SECONDS)
        claims = self._board.plug.sighting.emulator
        if claims is None:
            self._board.rate_hs = self.chip.hash_rate(mhz, self.count)
        else:
            self._board.rate_hs = claims.rate_hs * mhz / self.chip.default_mhz

    def poll_counters(self) -> None:
        """Nothing to ask for."""

    # -- start-up

    async def _hello(self, fast_baud: int | None) -> tuple[int, int]:
        """How many chips answer, and the divider of the speed at which they do."""
        dividers = [_START_DIVIDER]
        if fast_baud is not None:
            dividers.append(reg.uart_divider(fast_baud))
        heard = b""
        for divider in dividers * _HELLO_TRIES:
            self._set_baud(divider)
            answer = await self._ask_ids(COUNT_SECONDS)
            if count := self._count_chips(answer):
                return count, divider
            heard += answer
        came = f"{len(heard)} bytes that are none ({heard[:16].hex()})" if heard else "nothing"
        raise BoardError(
            f"no {self.chip.name} chip answers, {came} came: check power, reset, wiring"
        )

    def _set_baud(self, divider: int) -> None:
        exact = round(reg.uart_baud(divider))
        self._talk.line.set_baud(START_BAUD if divider == _START_DIVIDER else exact)

    async def _ask_ids(self, seconds: float) -> bytes:
        self._talk.forget()
        self._talk.write(startup.hello(self.chip).frame)
        return await self._talk.listen(seconds)

    def _count_chips(self, heard: bytes) -> int:
        return sum(
            isinstance(reply, RegisterReply) and reply.value >> 16 == self.chip.chip_id
            for reply in OldDecoder(self.chip).feed(heard)
        )

    def _check_count(self) -> None:
        if self._expected_count is not None and self.count != self._expected_count:
            raise BoardError(
                f"{self.count} of {self._expected_count} chips answer: check the power of the "
                "others, and the solder joints after the last that answers"
            )

    async def _raise_speed(self, divider: int) -> None:
        """The chips switch when the frame has reached them, our side some time after it has left
        (a bridge still holds the last bytes); then they must answer. If not, it may not have
        reached them: once more from the start."""
        for _ in range(TRIES):
            self._set_baud(_START_DIVIDER)
            self._talk.write(startup.set_line_speed(divider).frame)
            await self._talk.line.drain()
            await asyncio.sleep(LEAVE_S)
            self._set_baud(divider)
            await asyncio.sleep(SWITCH_S)
            if self._count_chips(await self._ask_ids(ANSWER_S)) == self.count:
                return
        raise BoardError(
            f"the chips do not answer at {reg.uart_baud(divider):.0f} baud: set the option "
            f"baud={START_BAUD}, or check the cable"
        )

    def _ticket_bits(self, mhz: float) -> int:
        """So that each chip reports about once a second, and 32 at least; BM1384 has no other."""
        bits = reg.BASE_BITS
        if self.chip is BM1387:
            bits = max(bits, round(math.log2(self.chip.hash_rate(mhz, 1))))
        if self._board.plug.sighting.emulator is None:
            self._board.ticket = (1 << 256 - bits) - 1
        return bits

    def _make_engine(self) -> None:
        board = self._board
        self.wire = OldWire(self.chip, self.count, board.ticket, board.now)
        board.engine = TableEngine(
            self.wire, board, self._seconds_of, self.wire.rolled, board.patience_s
        )

    def _seconds_of(self, piece: Slice) -> float:
        """How long a job lasts until the chips have searched it."""
        if self._board.plug.sighting.emulator is not None:
            return min(_LONGEST_S, piece.hashes / self._board.rate_hs)
        shares = power_of_two(self.chip.cores) * power_of_two(self.count)
        return piece.hashes / shares / (self.mhz * 1e6)

    async def _run(self, steps: Iterable[Step]) -> None:
        for step in steps:
            self._talk.write(step.frame)
            if step.pause:
                await asyncio.sleep(step.pause)
