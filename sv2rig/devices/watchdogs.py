"""Is a board still hashing? Silence, bad nonces, comm errors, and a rate far under expectation."""

from __future__ import annotations

import math

from sv2rig.devices.fault import Fault, FaultKind
from sv2rig.devices.supervisor_limits import SupervisorLimits
from sv2rig.devices.window import Window
from sv2rig.units import hashrate


def luck_exponent(seen: float, expected: float) -> float:
    """-ln of an upper bound on the chance that a Poisson count of this mean is `seen` or less.

    Chernoff: P(X <= s) <= exp(-(m - s + s ln(s/m))); 0 where nothing speaks against luck.
    """
    if seen >= expected:
        return 0.0
    return expected - seen + (seen * math.log(seen / expected) if seen else 0.0)


class Watchdogs:
    """What a board owes while it has work, against what it gave.

    Only time in which the board had work counts. Every call costs the same, however many nonces
    there were. Time is monotonic seconds.
    """

    def __init__(self, limits: SupervisorLimits) -> None:
        self._limits = limits
        self._bad = Window(limits.bad_window_s)
        self._comm = Window(limits.comm_window_s)
        self._flat = Window(limits.flatline_window_s)  # proved nonces out of expected ones
        self._rate_hs: float | None = None
        self._nonces_per_s = 0.0
        self._working = False
        self._last: float | None = None
        self._silent_s = 0.0
        self._silent_nonces = 0.0
        self._worked_s = 0.0
        self._proved = False

    def clear(self, now: float) -> None:
        """The board starts anew: nothing before counts. It has no work."""
        self._working = False
        self._last = now
        self._silent_s = self._silent_nonces = self._worked_s = 0.0
        self._proved = False
        for window in (self._bad, self._comm, self._flat):
            window.clear()

    @property
    def working(self) -> bool:
        return self._working

    def set_working(self, now: float, working: bool) -> None:
        """Whether the board has work."""
        self._advance(now)
        self._working = working

    def expect(self, now: float, rate_hs: float | None, hashes_per_nonce: float) -> None:
        """What the board should do from now on: at this rate (None: unknown, so that neither
        silence nor a flatline can be seen) one nonce is due in `hashes_per_nonce` hashes."""
        if hashes_per_nonce <= 0 or (rate_hs is not None and rate_hs < 0):
            raise ValueError(f"expected {rate_hs} H/s, {hashes_per_nonce} hashes a nonce: below 0")
        self._advance(now)
        self._rate_hs = rate_hs
        self._nonces_per_s = (rate_hs or 0.0) / hashes_per_nonce

    def solution(self, now: float, valid: bool) -> None:
        """A nonce came. Any nonce ends a silence; only a valid one proves hashes."""
        self._advance(now)
        self._silent_s = self._silent_nonces = 0.0
        self._bad.add(now, not valid, 1)
        if valid:
            self._flat.add(now, 1, 0)
            self._proved = True

    def comm(self, now: float, ok: bool) -> None:
        """An answer or a frame came whole, or did not."""
        self._comm.add(now, not ok, 1)

    def check(self, now: float) -> Fault | None:
        """What is wrong, the plainest cause first."""
        self._advance(now)
        if not self._working:
            return None
        return (
            self._check_comm(now) or self._check_silence() or self._check_bad(now)
        ) or self._check_flatline()

    def healthy(self) -> bool:
        """Whether it has worked long enough since it started, proving what is expected of it."""
        if self._worked_s < self._limits.healthy_s or not self._proved:
            return False
        return self._flat.hits >= self._limits.flatline_ratio * self._flat.trials

    def _advance(self, now: float) -> None:
        passed = 0.0 if self._last is None else now - self._last
        if self._last is None or passed > 0:
            self._last = now
        if not self._working or passed <= 0:
            return
        passed = min(passed, self._limits.longest_gap_s)
        due = self._nonces_per_s * passed
        self._worked_s += passed
        self._silent_s += passed
        self._silent_nonces += due
        self._flat.add(now, 0, due)

    def _check_comm(self, now: float) -> Fault | None:
        limits, window = self._limits, self._comm
        window.expire(now)
        if window.trials < limits.comm_samples or window.ratio <= limits.comm_ratio:
            return None
        return Fault(
            FaultKind.COMMUNICATION,
            f"{window.hits:.0f} of {window.trials:.0f} answers in {limits.comm_window_s:.0f} s were"
            " damaged or missing: check the cable, the hub and its power",
        )

    def _check_silence(self) -> Fault | None:
        limits = self._limits
        if self._silent_nonces < limits.silence_nonces or self._silent_s < limits.silence_min_s:
            return None
        return Fault(
            FaultKind.SILENCE,
            f"no nonce for {self._silent_s:.0f} s of work, in which {self._silent_nonces:.0f}"
            f" were due at {hashrate(self._rate_hs)}",
        )

    def _check_bad(self, now: float) -> Fault | None:
        limits, window = self._limits, self._bad
        window.expire(now)
        if window.trials < limits.bad_samples or window.ratio <= limits.bad_ratio:
            return None
        return Fault(
            FaultKind.BAD_NONCES,
            f"{window.hits:.0f} of {window.trials:.0f} nonces in {limits.bad_window_s:.0f} s were"
            " wrong: clock too high, voltage too low, or a poor connection",
        )

    def _check_flatline(self) -> Fault | None:
        limits, window = self._limits, self._flat
        if self._worked_s < limits.flatline_min_s or window.ratio >= limits.flatline_ratio:
            return None
        if luck_exponent(window.hits, window.trials) < math.log(limits.flatline_luck):
            return None
        proved = hashrate((self._rate_hs or 0.0) * window.ratio)
        return Fault(
            FaultKind.FLATLINE,
            f"{proved} proved of {hashrate(self._rate_hs)} expected, in the last"
            f" {min(self._worked_s, limits.flatline_window_s):.0f} s of work",
        )
