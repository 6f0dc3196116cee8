"""How fast a device is: from its own counter, or from what its solutions prove."""

from __future__ import annotations

from collections.abc import Callable

from sv2rig.mining.hashrate import WINDOWS_S, HashMeter, SolutionMeter

SHORT_WINDOW_S, LONG_WINDOW_S, _ = WINDOWS_S
PROOF_WINDOW_S = 300.0


class CountedRate:
    """The rate of a device that counts its hashes. Only time with work counts: rates are those of
    hashing, not of waiting."""

    def __init__(self) -> None:
        self._meter = HashMeter()
        self._measured_hs: float | None = None

    @property
    def planned_hs(self) -> float | None:
        """The rate to plan with: a minute's mean, before that what was measured at the start."""
        rate = self._meter.rate(LONG_WINDOW_S)
        return self._measured_hs if rate is None else rate

    @property
    def shown_hs(self) -> float | None:
        rate = self._meter.rate(SHORT_WINDOW_S)
        return self._measured_hs if rate is None else rate

    @property
    def minute_hs(self) -> float | None:
        return self._meter.rate(LONG_WINDOW_S)

    def measured(self, rate_hs: float) -> None:
        """What the first measurement showed."""
        self._measured_hs = rate_hs

    def begins_or_ends(self) -> None:
        """The device gets work, or has none any more."""
        rate = self._meter.rate(SHORT_WINDOW_S)
        if rate:  # newer than what was measured at the start
            self._measured_hs = rate
        self._meter.reset()

    def update(self, now: float, hashes: int) -> None:
        """A reading of its counter."""
        self._meter.update(now, hashes)


class ProvedRate:
    """The rate that a device's valid solutions prove over the last five minutes in which it had
    work. `clock` is monotonic."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._window = SolutionMeter(PROOF_WINDOW_S)
        self._minute = SolutionMeter(LONG_WINDOW_S)
        for meter in (self._window, self._minute):
            meter.start(0.0)
        self._worked_s = 0.0
        self._since: float | None = None

    @property
    def shown_hs(self) -> float | None:
        """None until there are solutions enough to tell."""
        return self._window.rate(self._now)

    @property
    def minute_hs(self) -> float | None:
        return self._minute.rate(self._now)

    @property
    def error(self) -> float | None:
        """The relative standard deviation of `shown_hs`."""
        return self._window.error(self._now)

    def planned_hs(self, rated_hs: float) -> float:
        """What is expected of it, unless what it proves differs by more than chance explains."""
        rate, error = self.shown_hs, self.error
        if rate is None or error is None or abs(rate - rated_hs) <= 3 * error * rated_hs:
            return rated_hs
        return rate

    def begins(self) -> None:
        """The device gets work."""
        self._since = self._clock()

    def ends(self) -> None:
        """It has none any more."""
        self._worked_s, self._since = self._now, None

    def proved(self, ticket: int) -> None:
        """A valid solution of Work with this ticket."""
        now = self._now
        self._window.add(now, ticket)
        self._minute.add(now, ticket)

    @property
    def _now(self) -> float:
        """Seconds with work."""
        return self._worked_s + (0.0 if self._since is None else self._clock() - self._since)
