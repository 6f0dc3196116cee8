"""One FPGA as the host knows it: its job, what it has reported, whether it hashes rightly."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from sv2rig.devices.dynamic_clock import DynamicClock
from sv2rig.devices.slices import Slice
from sv2rig.drivers.ztex.protocol import Miner, Slot, header_nonce

POLL_S = 0.25
_BEFORE = 2  # jobs remembered that a late reading may belong to
_WRONG_TOO_LONG = 8  # readings without one right slot: its job may have been damaged on its way
_OVERDUE = 1.25  # of a range's time: then its counters cannot be believed


class Fpga:
    """`rate_hs`: at the clock that the board starts it with."""

    def __init__(self, number: int, miner: Miner, rate_hs: float, clock: DynamicClock) -> None:
        self.number = number
        self.clock = clock
        self.multiplier = miner.multiplier
        self.job: Slice | None = None
        self.stopped: str | None = None  # why it is not used any more
        self.needs_clock = True  # it has none after a reset, and while it is suspended
        self.is_read = False  # a reading is under way
        self.is_done = False  # it wants another job
        self.barren_jobs = 0  # in a row: not one reading of them was right
        self._miner = miner
        self._rate_hs = rate_hs
        self._before: deque[Slice] = deque(maxlen=_BEFORE)
        self._positions = [0] * miner.slots
        self._wrong_readings = 0
        self._was_right = True  # a reading of the job in hand
        self._overdue = 0.0
        self._known: frozenset[int] = frozenset()  # golden nonces of the last reading
        self._reported: deque[tuple[Slice, set[int]]] = deque(maxlen=_BEFORE + 1)

    @property
    def rate_hs(self) -> float:
        """By its clock."""
        if self.stopped is not None:
            return 0.0
        return self._rate_hs * (self.multiplier + 1) / (self._miner.multiplier + 1)

    def begin(self, job: Slice, now: float) -> None:
        """A job is on its way to it."""
        self.barren_jobs = 0 if self._was_right else self.barren_jobs + 1
        self.set_aside()
        self.job = job
        self._reported.appendleft((job, set()))
        self._positions = [0] * self._miner.slots
        self._wrong_readings = 0
        self._was_right = self.is_done = False
        self._overdue = now + _OVERDUE * self._miner.range_per_slot / self._slot_rate_hs

    def set_aside(self) -> None:
        """It has no job, but may still have something to tell of this one."""
        if self.job is not None:
            self._before.appendleft(self.job)
        self.job = None

    def forget(self) -> None:
        """It was reset."""
        self.job = None
        self._before.clear()
        self._reported.clear()
        self._known = frozenset()
        self.is_read = self.is_done = False
        self.needs_clock = True
        self._was_right = True
        self.barren_jobs = 0

    def checks(self, job: Slice, slots: Sequence[Slot], now: float) -> list[bool]:
        """Whether its hash units hash rightly, as this reading of `job` shows.

        Empty until one was right: a job that was damaged on its way is no fault of the clock's.
        Sets `is_done`.
        """
        header = job.header76()
        right = [None if slot.empty else slot.is_right(header) for slot in slots]
        if job is not self.job:
            return []
        self._was_right |= True in right
        self._wrong_readings = 0 if True in right else self._wrong_readings + (False in right)
        ended = [self._is_at_end(i, slot) for i, slot in enumerate(slots) if right[i]]
        too_long = now >= self._overdue or self._wrong_readings >= _WRONG_TOO_LONG
        self.is_done = too_long or any(ended)
        return [valid for valid in right if valid is not None] if self._was_right else []

    def new_goldens(self, slots: Sequence[Slot]) -> list[int]:
        """Nonces that the reading before did not have."""
        goldens = frozenset(golden for slot in slots for golden in slot.goldens)
        fresh, self._known = goldens - self._known, goldens
        return sorted(fresh)

    def job_of(self, golden: int, job: Slice) -> Slice | None:
        """Which job this nonce, from a reading of `job`, is a solution of."""
        for piece in (job, *self._before):
            if piece.is_met(piece.solution(header_nonce(golden))):
                return piece
        return None

    def is_first(self, golden: int, job: Slice) -> bool:
        """Whether this nonce of this job was not reported before."""
        for piece, reported in self._reported:
            if piece is job:
                is_new = golden not in reported
                reported.add(golden)
                return is_new
        return False

    @property
    def _slot_rate_hs(self) -> float:
        return self.rate_hs / self._miner.slots

    def _is_at_end(self, index: int, slot: Slot) -> bool:
        """Whether this unit's counter is at its range's end, or has passed it and begun again."""
        size = self._miner.range_per_slot
        position = slot.counter % size
        passed = position < self._positions[index]
        self._positions[index] = position
        return passed or position + self._slot_rate_hs * POLL_S >= size
