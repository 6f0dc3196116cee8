"""One board without a rig, to be tested (`sv2rig selftest --device`)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from sv2rig.boards.board import Board, Plug
from sv2rig.boards.driver import Driver
from sv2rig.devices.device import DeviceState
from sv2rig.devices.work import Solution, Work
from sv2rig.rig.check import CheckFailedError

READY_S = 60.0  # a long chain's start with its ramp of frequencies
SEARCH_S = 60.0
WANTED = 5  # right answers that prove a board
_FAILED = (DeviceState.SICK, DeviceState.DEAD, DeviceState.LOST)
_NTIME = 1_700_000_000
_NBITS = 0x1D00FFFF


class _Listener:
    """What a board says (sv2rig.devices.device.DeviceSink)."""

    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self.enough = asyncio.Event()
        self.trouble: str | None = None
        self.right = self.wrong = self.damaged = 0
        self._works: dict[int, Work] = {}
        self._board: Board
        self._random = random.Random(1)

    def listen(self, board: Board) -> None:
        self._board = board
        board.start(self)

    def give_work(self) -> None:
        work = _random_work(self._random, len(self._works) + 1, self._board.ticket)
        self._works[work.work_id] = work
        self._board.assign(work)

    def solutions(self, _device_id: str, found: Sequence[Solution]) -> None:
        for solution in found:
            work = self._works[solution.work_id]
            if work.holds(solution) and solution.hash_value(work) <= work.ticket:
                self.right += 1
            else:
                self.wrong += 1
        if self.right >= WANTED:
            self.enough.set()

    def exhausted(self, _device_id: str, _work_id: int) -> None:
        self.give_work()

    def comm_error(self, _device_id: str, _text: str) -> None:
        self.damaged += 1

    def state_changed(self, _device_id: str, state: DeviceState, reason: str) -> None:
        if state is DeviceState.READY:
            self.ready.set()
        if state in _FAILED:
            self.trouble = reason
            self.ready.set()
            self.enough.set()


async def run_board(driver: Driver, plug: Plug) -> str:
    """Start a board, let it find nonces in random headers and check each; what was seen, in words.
    CheckFailedError says what went wrong."""
    listener = _Listener()
    board = driver.make(plug)
    listener.listen(board)
    try:
        await _within(READY_S, listener.ready, "it does not become ready")
        _no_trouble(listener)
        listener.give_work()
        await _within(SEARCH_S, listener.enough, f"it found {listener.right} nonces")
        _no_trouble(listener)
    finally:
        board.stop()
        await board.stopped()
    if listener.wrong:
        raise CheckFailedError(f"{listener.wrong} of its nonces are wrong, {listener.right} right")
    return (
        f"{board.info.name}: {listener.right} nonces right, none wrong, "
        f"{listener.damaged} communication errors"
    )


def _no_trouble(listener: _Listener) -> None:
    if listener.trouble is not None:
        raise CheckFailedError(listener.trouble)


async def _within(seconds: float, event: asyncio.Event, otherwise: str) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        raise CheckFailedError(f"{otherwise} within {seconds:g} s") from None


def _random_work(source: random.Random, work_id: int, ticket: int) -> Work:
    return Work(
        work_id=work_id,
        channel_id=0,
        job_id=0,
        version=0x20000000,
        prev_hash=bytes(32),  # all are of one job: a board finishes each before the next
        merkle_root=source.randbytes(32),
        ntime=_NTIME,
        nbits=_NBITS,
        target=0,
        ticket=ticket,
        version_bits=0x1FFFE000,
    )
