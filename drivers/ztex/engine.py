"""The work of a ZTEX board's FPGAs: jobs out, results read four times a second, checked. No I/O.

Each FPGA searches a job of its own and goes on after what it finds, until its counters come to the
end of their range. A reply names a nonce with its hash for each hash unit, so that every reading
shows whether the unit hashes rightly: from that its clock is set, without waiting for shares.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sv2rig.boards.engine import Host, SliceFeed
from sv2rig.devices.dynamic_clock import ClockLimits, DynamicClock
from sv2rig.devices.fault import FaultKind
from sv2rig.devices.slices import Slice
from sv2rig.devices.work import Work
from sv2rig.drivers.ztex.fpga import POLL_S, Fpga
from sv2rig.drivers.ztex.protocol import (
    RESET_FPGA,
    SUSPEND,
    Miner,
    Read,
    Send,
    ZtexProtocolError,
    header_nonce,
    set_clock,
    solves_test,
    start_job,
)
from sv2rig.drivers.ztex.session import Found

_LOWEST = 0.5  # of the board's own clock
_BARREN_TOO_OFTEN = 10  # jobs

Done = Callable[[list[bytes], float], None]


class ZtexHost(Host, Protocol):
    """Whom the engine speaks to."""

    def transfer(self, transfers: Sequence[Read | Send], done: Done | None = None) -> None:
        """Do these in order, after those asked for before; `done` is told what the Reads gave,
        and the time. A failure is the host's to deal with; it says `failed` then."""

    def fault(self, kind: FaultKind, reason: str) -> None:
        """The board is no use as it is."""

    def rate_changed(self, rate_hs: float) -> None:
        """What it hashes by its clocks from now on."""


@dataclass(frozen=True, slots=True)
class Clocking:
    """`highest_mhz`: what the user allows. `dynamic`: moved by the errors seen."""

    highest_mhz: float
    dynamic: bool = True


class ZtexEngine:
    """See the module. `rate_hs`: of all FPGAs together at the board's own clock."""

    def __init__(
        self, host: ZtexHost, found: Found, rate_hs: float, clocking: Clocking, now: float
    ) -> None:
        self._host = host
        self._found = found
        self._miner = found.miner
        self._clocking = clocking
        self._feed = SliceFeed(lambda _work: 0, host.exhausted)
        self._poll_at: float | None = None
        self.fpgas = [
            self._fpga(number, rate_hs / found.fpgas, now) for number in range(found.fpgas)
        ]

    @property
    def rate_hs(self) -> float:
        return sum(fpga.rate_hs for fpga in self.fpgas)

    # -- Engine (sv2rig.boards.engine)

    def assign(self, work: Work | None, now: float) -> None:
        is_new = self._feed.assign(work)
        if work is None:
            if is_new:
                self._pause()
            return
        for fpga in self._usable():
            if is_new or (fpga.job is None and not self._feed.is_asking):
                self._give(fpga, now)
        if self._poll_at is None:
            self._poll_at = now + POLL_S

    def received(self, data: bytes, now: float) -> None:
        """Nothing comes unasked over USB."""

    def next_timeout(self) -> float | None:
        return self._poll_at

    def on_time(self, now: float) -> None:
        if self._poll_at is None or now < self._poll_at:
            return
        self._poll_at = now + POLL_S
        for fpga in self._usable():
            if fpga.job is not None and not fpga.is_read:
                self._read(fpga, fpga.job)

    def reset(self) -> None:
        self._poll_at = None
        for fpga in self.fpgas:
            fpga.forget()

    def failed(self) -> None:
        """Transfers failed: readings under way do not come."""
        for fpga in self.fpgas:
            fpga.is_read = False

    def leave_out(self, number: int, reason: str) -> None:
        """This FPGA is of no use."""
        self._stop(self.fpgas[number], reason)

    def limit_clock(self, highest_mhz: float, now: float) -> None:
        """The user allows another clock."""
        self._clocking = Clocking(highest_mhz, self._clocking.dynamic)
        for fpga in self._usable():
            fpga.clock = DynamicClock(self._clock_limits(), now)
            self._set_clock(fpga, _multiplier(self._miner, fpga.clock.mhz))
        self._host.rate_changed(self.rate_hs)

    # -- jobs

    def _fpga(self, number: int, rate_hs: float, now: float) -> Fpga:
        clock = DynamicClock(self._clock_limits(), now)
        fpga = Fpga(number, self._miner, rate_hs, clock)
        fpga.multiplier = _multiplier(self._miner, clock.mhz)
        return fpga

    def _usable(self) -> list[Fpga]:
        return [fpga for fpga in self.fpgas if fpga.stopped is None]

    def _transfer(
        self, fpga: Fpga, transfers: Sequence[Read | Send], done: Done | None = None
    ) -> None:
        self._host.transfer(self._found.on(fpga.number, *transfers), done)

    def _give(self, fpga: Fpga, now: float) -> None:
        """The next job, if there is one. What it has found until then is read first."""
        piece = self._feed.next()
        if piece is None:
            return
        if fpga.job is not None:
            self._read(fpga, fpga.job)
        fpga.begin(piece, now)
        if fpga.barren_jobs >= _BARREN_TOO_OFTEN:
            self._stop(fpga, f"none of its last {fpga.barren_jobs} jobs was hashed rightly")
            return
        transfers: list[Read | Send] = [start_job(piece.header76())]
        if fpga.needs_clock:
            fpga.needs_clock = False
            transfers.insert(0, set_clock(fpga.multiplier))
        self._transfer(fpga, transfers)

    def _pause(self) -> None:
        self._poll_at = None
        for fpga in self._usable():
            fpga.set_aside()
            if self._miner.suspends and not fpga.needs_clock:
                fpga.needs_clock = True
                self._transfer(fpga, [SUSPEND])

    # -- results

    def _read(self, fpga: Fpga, job: Slice) -> None:
        fpga.is_read = True

        def done(answers: list[bytes], now: float) -> None:
            fpga.is_read = False
            self._was_read(fpga, job, answers[-1], now)

        self._transfer(fpga, [self._miner.read_results], done)

    def _was_read(self, fpga: Fpga, job: Slice, data: bytes, now: float) -> None:
        try:
            slots = self._miner.results(data)
        except ZtexProtocolError as error:
            self._host.comm_error(str(error))
            return
        for golden in fpga.new_goldens(slots):
            self._found_golden(fpga, job, golden)
        for valid in fpga.checks(job, slots, now):
            self._judge_clock(fpga, valid, now)
        if fpga.stopped is None and job is fpga.job and fpga.is_done:
            self._give(fpga, now)

    def _found_golden(self, fpga: Fpga, job: Slice, golden: int) -> None:
        nonce = header_nonce(golden)
        right = fpga.job_of(golden, job)
        if right is None and solves_test(golden, job.work.ticket):
            return
        if right is None:
            self._host.solution(job.solution(nonce), False)
        elif fpga.is_first(golden, right):
            self._host.solution(right.solution(nonce), True)

    # -- clocks

    def _clock_limits(self) -> ClockLimits:
        miner = self._miner
        allowed = min(self._clocking.highest_mhz, miner.mhz(miner.max_multiplier))
        highest = max(miner.mhz(_multiplier(miner, allowed)), miner.mhz(0))
        start = min(miner.mhz(miner.multiplier), highest)
        lowest = min(max(miner.mhz(miner.multiplier) * _LOWEST, miner.mhz(0)), start)
        return ClockLimits(lowest, highest, start, step_mhz=miner.step_mhz)

    def _judge_clock(self, fpga: Fpga, valid: bool, now: float) -> None:
        if fpga.stopped is not None or not self._clocking.dynamic:
            return
        step = fpga.clock.nonce(now, valid)
        if step is None:
            return
        if step.give_up:
            self._stop(fpga, step.reason)
            return
        self._set_clock(fpga, _multiplier(self._miner, step.mhz))
        self._host.rate_changed(self.rate_hs)

    def _set_clock(self, fpga: Fpga, multiplier: int) -> None:
        fpga.multiplier = multiplier
        self._transfer(fpga, [set_clock(multiplier)])

    def _stop(self, fpga: Fpga, reason: str) -> None:
        """Without its configuration it draws next to nothing; the others go on."""
        fpga.stopped = reason
        fpga.set_aside()
        self._transfer(fpga, [RESET_FPGA])
        self._host.rate_changed(self.rate_hs)
        if not self._usable():
            reasons = "; ".join(f"FPGA {fpga.number}: {fpga.stopped}" for fpga in self.fpgas)
            self._host.fault(FaultKind.OVER_TEMPERATURE, reasons)


def _multiplier(miner: Miner, mhz: float) -> int:
    """The one whose clock is nearest below, at least 0."""
    return max(0, int(mhz / miner.step_mhz + 1e-6) - 1)
