"""What a board reports, kept and checked; and what a board is given."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from memory_board import EmulatedBoard

from sv2rig.boards.board import Board, Plug
from sv2rig.devices.device import DeviceState
from sv2rig.devices.sighting import Port, Sighting
from sv2rig.devices.work import Solution, Work


def plug_of(board: EmulatedBoard, device_id: str = "test:1", **options: str) -> Plug:
    """A Plug whose ports lead to an emulator in memory."""
    emulator = board.emulator
    identity = emulator.identity
    ports = tuple(Port(f"memory:{i}", i) for i in range(len(emulator.ports)))
    sighting = Sighting(
        "1-1",
        identity.vid,
        identity.pid,
        identity.bcd,
        identity.manufacturer,
        identity.product,
        identity.serial,
        ports,
        emulator=emulator.claims,
    )
    return Plug(device_id, sighting, dict(options), open_line=board.open_line)


def random_work(seed: int, ticket: int, work_id: int = 1) -> Work:
    """Work of a random header, with the version bits that boards get."""
    source = random.Random(seed)
    return Work(
        work_id=work_id,
        channel_id=1,
        job_id=1,
        version=0x20000000,
        prev_hash=source.randbytes(32),
        merkle_root=source.randbytes(32),
        ntime=1_700_000_000,
        nbits=0x1D00FFFF,
        target=0,
        ticket=ticket,
        version_bits=0x1FFFE000,
    )


class RecordingSink:
    """sv2rig.devices.device.DeviceSink. It knows the Works that it gave."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.found: list[Solution] = []
        self.found_at: list[float] = []
        self.wrong = 0
        self.comm_errors = 0
        self.states: list[tuple[DeviceState, str]] = []
        self.exhausted_works: list[int] = []
        self.works: dict[int, Work] = {}
        self._changed = asyncio.Event()

    def give(self, work: Work) -> None:
        self.works[work.work_id] = work
        self.board.assign(work)

    def solutions(self, _device_id: str, found: Sequence[Solution]) -> None:
        for solution in found:
            work = self.works[solution.work_id]
            if work.holds(solution) and solution.hash_value(work) <= work.ticket:
                self.found.append(solution)
                self.found_at.append(self.board.now())
            else:
                self.wrong += 1
        self._changed.set()

    def comm_error(self, _device_id: str, _text: str) -> None:
        self.comm_errors += 1

    def exhausted(self, _device_id: str, work_id: int) -> None:
        self.exhausted_works.append(work_id)

    def state_changed(self, _device_id: str, state: DeviceState, reason: str) -> None:
        self.states.append((state, reason))
        self._changed.set()

    async def state(self, wanted: DeviceState, within_s: float = 7200) -> None:
        """Returns when this state is told of."""
        await self._until(lambda: any(state is wanted for state, _ in self.states), within_s)

    async def count(self, wanted: int, within_s: float = 36000) -> None:
        """Returns when so many right solutions have come."""
        await self._until(lambda: len(self.found) >= wanted, within_s)

    async def _until(self, holds: object, within_s: float) -> None:
        assert callable(holds)
        try:
            async with asyncio.timeout(within_s):
                while not holds():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"not within {within_s} s; states {self.states}") from None
