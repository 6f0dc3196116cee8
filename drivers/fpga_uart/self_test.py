"""The start-up of a design: is it there, how far does its count run ahead, how fast is it?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sv2rig.boards.engine import Nonce
from sv2rig.boards.line import BoardError, Talk
from sv2rig.boards.push_engine import Probe
from sv2rig.devices.work import NONCES
from sv2rig.drivers.fpga_uart.calibration import (
    Searched,
    Votes,
    corrected,
    make_up,
    of_whole_range,
    out_of_step,
)
from sv2rig.drivers.fpga_uart.protocol import FLUSH, Dialect, PyFpgaWire, makomk_work

BITS_A_BYTE = 10  # 8N1
PROBES = 5
ANSWER_S = 0.5
SLOWEST_HS = 1e6  # that a self-test waits for
SLOWEST_MEASURED_HS = 12e6
LONGEST_WAIT_S = 45.0  # of a start-up's 60 s


@dataclass(slots=True)
class SelfTest:
    """Of one board. `offsets`: those that its count may run ahead by; `rate_hs`: what it hashes,
    as far as is known."""

    talk: Talk
    dialect: Dialect
    baud: int
    ticket: int
    offsets: Sequence[int]
    rate_hs: float
    answered: int = 0  # right nonces of the golden work

    async def ping(self) -> None:
        """PyFPGA's: BoardError if nothing answers."""
        wire = PyFpgaWire()
        for _ in range(PROBES):
            self.talk.forget()
            self.talk.write(FLUSH)
            wire.decode(await self.talk.read(ANSWER_S + self._bytes_s(2 * len(FLUSH))))
            if wire.pongs:
                await self.talk.listen(self._bytes_s(2 * len(FLUSH)))  # the others
                return
        raise BoardError(f"it does not answer pings: {self._is_it}")

    async def prove(self) -> int:
        """The golden work, for designs that begin at nonce 0: their offset. BoardError if it is
        not answered."""
        golden = self.dialect.golden
        wait_s = ANSWER_S + 1.5 * golden.hashes / min(self.rate_hs, SLOWEST_HS)
        listener = self._listener()
        for _ in range(PROBES):
            self.talk.forget()
            self._send(golden)
            verdict = await listener.verdict([Searched(0, of_whole_range(golden))], wait_s)
            self.answered = listener.votes.given
            if verdict is not None:
                return verdict[1]
        raise BoardError(f"{listener.what_came}: {self._is_it}")

    async def prove_makomk(self, attempt: int) -> int | None:
        """The golden work, for designs whose nonce counts on and whose receiver may hold any part
        of a work. Sent twice, it is known what they search whatever they hold. They answer when
        their count comes by; None: not yet, and they are too slow to wait for. A work put together
        out of step may have no nonce at all: each `attempt` makes another one."""
        golden = self.dialect.golden
        frame = makomk_work(golden.midstate, golden.tail12, bytes([attempt % 256]) * 20)
        round_s = ANSWER_S + 1.02 * NONCES / self.rate_hs
        listener = self._listener()
        ends = listener.now() + min(round_s, LONGEST_WAIT_S)
        sent = frame
        self.talk.forget()
        self.talk.write(sent)
        while (left_s := ends - listener.now()) > 0:
            sent = (sent + frame)[-3 * len(frame) :]
            self.talk.write(frame)
            searched = [Searched(0, of_whole_range(golden)), *out_of_step(sent)]
            verdict = await listener.verdict(searched, left_s)
            self.answered = listener.votes.given
            if verdict is not None:
                slip, offset = verdict
                if slip:
                    self.talk.write(make_up(slip) + frame)
                return offset
        if round_s > LONGEST_WAIT_S and not listener.heard:
            return None
        raise BoardError(
            f"{listener.what_came} in {min(round_s, LONGEST_WAIT_S):.0f} s: {self._is_it}"
        )

    async def measure(self) -> float:
        """The rate in hashes a second, by a work whose first nonce is known. BoardError if that
        does not come."""
        test = self.dialect.speed_test
        assert test is not None
        loop = asyncio.get_running_loop()
        for _ in range(2):
            self.talk.forget()
            self._send(test)
            await self.talk.line.drain()
            since = loop.time()
            if await self._is_answered(test, since + test.hashes / SLOWEST_MEASURED_HS):
                took_s = loop.time() - since
                self.talk.write(self.dialect.golden.frame)  # what it answers to that is known
                return test.hashes / max(took_s, 1e-3)
        raise BoardError(
            f"it is slower than {SLOWEST_MEASURED_HS / 1e6:g} MH/s, which cannot be measured here: "
            "say rate=, in MH/s"
        )

    async def _is_answered(self, test: Probe, until: float) -> bool:
        loop = asyncio.get_running_loop()
        wire = self.dialect.wire()
        last = test.hashes.to_bytes(4, "big")
        while (left_s := until - loop.time()) > 0:
            for reply in wire.decode(await self.talk.read(left_s)):
                if isinstance(reply, Nonce) and corrected(reply.nonce, self.offsets[0]) == last:
                    return True
        return False

    def _send(self, known: Probe) -> None:
        if self.dialect.flush:
            self.talk.write(self.dialect.flush)
        self.talk.write(known.frame)

    def _listener(self) -> _Listener:
        hypotheses = len(self.offsets) * max(1, self.dialect.frame_bytes)
        votes = Votes(self.ticket, hypotheses)
        loop = asyncio.get_running_loop()
        return _Listener(self.talk, self.dialect, self.offsets, votes, loop.time)

    def _bytes_s(self, count: int) -> float:
        return count * BITS_A_BYTE / self.baud

    @property
    def _is_it(self) -> str:
        return (
            f"is it a {self.dialect.name} design at {self.baud} baud, with power?"
            " (options: dialect, baud, rate)"
        )


@dataclass(slots=True)
class _Listener:
    """Hears the answers to the golden work, over all tries."""

    talk: Talk
    dialect: Dialect
    offsets: Sequence[int]
    votes: Votes
    now: Callable[[], float]
    heard: int = 0
    last: bytes = b""

    async def verdict(self, searched: Sequence[Searched], wait_s: float) -> tuple[int, int] | None:
        """Slip and offset; None: not in this time, or what comes is plainly something else."""
        wire = self.dialect.wire()
        until = self.now() + wait_s
        too_many = self.votes.against + 8 * self.votes.wanted
        while (left_s := until - self.now()) > 0 and self.votes.against < too_many:
            data = await self.talk.read(left_s)
            self.heard += len(data)
            for reply in wire.decode(data):
                if isinstance(reply, Nonce):
                    self.last = reply.nonce
                    verdict = self._weigh(reply.nonce, searched)
                    if verdict is not None:
                        return verdict
        return None

    def _weigh(self, nonce: bytes, searched: Sequence[Searched]) -> tuple[int, int] | None:
        wanted = self.dialect.golden.hashes.to_bytes(4, "big")
        for offset in self.offsets:
            if corrected(nonce, offset) == wanted:  # no chance finds exactly this one
                return 0, offset
        return self.votes.add(nonce, searched, self.offsets)

    @property
    def what_came(self) -> str:
        if not self.heard:
            answer = "nothing"
        elif self.last:
            answer = self.last.hex()
        else:
            answer = f"{self.heard} bytes that are no nonce"
        return f"its self-test should have answered 000187a2 and answered {answer}"
