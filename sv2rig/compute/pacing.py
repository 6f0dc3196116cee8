"""How much each launch searches: little enough for new work to start soon, enough to be fast."""

from __future__ import annotations

from dataclasses import dataclass

from sv2rig.devices.work import Work

QUEUED = 2  # launches under way: one runs, the next waits, so the device never starves
_FIRST_HASHES = 1 << 16  # a millisecond of one CPU core's time, or less
_MARGIN = 0.9  # of the bound, for a launch slower than the last
_MAX_GROWTH = 4.0  # a launch at most so many times the last, in hashes
_WEIGHT = 0.3  # of the newest measurement


@dataclass(frozen=True, slots=True)
class Piece:
    """A range of nonces at one time."""

    ntime: int
    nonce_start: int
    nonce_count: int


class Pace:
    """Sizes launches so that QUEUED of them together last `latency_s` at most."""

    def __init__(self, latency_s: float) -> None:
        self.latency_s = latency_s
        self.speed_hs: float | None = None
        self._hashes = float(_FIRST_HASHES)

    def measured(self, hashes: int, seconds: float) -> None:
        """A launch of so many hashes ran for so long."""
        speed = hashes / max(seconds, 1e-6)
        if self.speed_hs is None or speed < self.speed_hs:
            self.speed_hs = speed  # slower: believed at once, since the bound is at stake
        else:
            self.speed_hs += _WEIGHT * (speed - self.speed_hs)
        wanted = self.speed_hs * self.latency_s * _MARGIN / QUEUED
        self._hashes = min(wanted, _MAX_GROWTH * max(hashes, self._hashes))

    def nonces(self, versions: int, granularity: int) -> int:
        """How many nonces the next launch covers: a multiple of the granularity, at least one."""
        steps = int(self._hashes / (versions * granularity))
        return max(steps, 1) * granularity


class Remaining:
    """What of a Work is not launched yet, in order: nonces first, then times."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._ntime = work.ntime
        self._nonce = work.nonce_start

    @property
    def done(self) -> bool:
        return self._ntime >= self._work.ntime + self._work.ntime_count

    def take(self, nonces: int) -> Piece:
        """The next piece, of so many nonces or what is left at its time. Only while not done."""
        end = self._work.nonce_start + self._work.nonce_count
        piece = Piece(self._ntime, self._nonce, min(nonces, end - self._nonce))
        self._nonce += piece.nonce_count
        if self._nonce == end:
            self._nonce = self._work.nonce_start
            self._ntime += 1
        return piece

    def back_to(self, piece: Piece) -> None:
        """Takes back a piece and all after it: their results were lost."""
        self._ntime, self._nonce = piece.ntime, piece.nonce_start
