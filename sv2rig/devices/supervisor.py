"""The life of one board: its state, why, and when it is reset, stopped or tried again."""

from __future__ import annotations

import math
from collections import Counter

from sv2rig.devices.decision import Decision
from sv2rig.devices.device import DeviceState
from sv2rig.devices.fault import Fault, FaultKind
from sv2rig.devices.supervisor_limits import SupervisorLimits
from sv2rig.devices.thermal import Heat, HeatLevel
from sv2rig.devices.watchdogs import Watchdogs

S = DeviceState

RUNNING = frozenset({S.READY, S.MINING, S.THROTTLED})
CHECK_EVERY_S = 1.0


class Supervisor:
    """Keeps one board hashing; one lives as long as its board's identity, over unplug and replug.

    Tell it what happens; then, and at `next_timeout()`, ask `on_time(now)`. Only the latest
    Decision is handed out, since it holds all that matters. Time is monotonic seconds.

    A failure waits 1, 2, 4 ... 60 s for its reset. Failures are counted until the board was
    healthy for ten minutes; when `max_resets` resets did not help it is DEAD and tried once an
    hour. After an over-temperature or over-current cut-off only `revive` starts it again. A port
    that cannot be opened is no failure of the board: it is tried again every minute.
    """

    def __init__(self, limits: SupervisorLimits | None = None) -> None:
        self._limits = limits or SupervisorLimits()
        self._watch = Watchdogs(self._limits)
        self._heat = Heat(HeatLevel.NORMAL, "")
        self._pending: Decision | None = None
        self._opened = False
        self._cut_off: Fault | None = None
        self._retry_at: float | None = None  # while SICK or DEAD, and kept while LOST
        self._start_by = math.inf
        self._last_try: float | None = None
        self._checked = 0.0
        self._last_fault = ""
        self._last_kind: FaultKind | None = None
        self.state = S.INIT
        self.reason = "not opened yet"
        self.since: float | None = None
        self.failures = 0
        self.resets = 0
        self.faults: Counter[FaultKind] = Counter()

    def opened(self, now: float) -> None:
        """The line is open, for the first time or again after `lost`; start-up may begin if the
        Decision that follows is INIT."""
        if not self._without_line():
            return
        self._opened = True
        was_dead = self.failures > self._limits.max_resets
        if was_dead and self._last_try is not None:  # a person plugged it in: no hour to wait
            self._retry_at = self._last_try + self._limits.longest_wait_s
        if self._cut_off is not None:
            self._stop_for_good(now, self._cut_off)
        elif self._heat.level >= HeatLevel.COOLDOWN:
            self._to(now, S.COOLDOWN, self._heat.reason)
        elif self._retry_at is not None and self._retry_at > now:
            words = f"failed before it was unplugged: {self._last_fault}"
            self._to(now, S.SICK, words)
        else:
            self._retry_at = None
            self._last_try = now
            self._start_by = now + self._limits.start_limit_s
            self._to(now, S.INIT, "starting up")

    def started(self, now: float) -> None:
        """Start-up is done; work may be sent."""
        reset_not_done = self._pending is not None and self._pending.state is S.RESETTING
        if self.state in (S.INIT, S.RESETTING) and not reset_not_done:
            self._retry_at = None
            self._watch.clear(now)
            self._run(now)

    def expect(self, now: float, rate_hs: float | None, hashes_per_nonce: float) -> None:
        """The rate it should have from now on (None: unknown), and how many hashes stand behind
        one nonce; each valid nonce proves that many."""
        self._watch.expect(now, rate_hs, hashes_per_nonce)

    def work_sent(self, now: float) -> None:
        """It has work to search."""
        if self.state in RUNNING and not self._watch.working:
            self._watch.set_working(now, True)
            self._run(now)

    def idle(self, now: float) -> None:
        """It has none: it owes nothing."""
        if self.state in RUNNING and self._watch.working:
            self._watch.set_working(now, False)
            self._run(now)

    def solution(self, now: float, valid: bool) -> None:
        """A nonce came and was re-hashed."""
        if self.state in RUNNING:
            self._watch.solution(now, valid)

    def comm_ok(self, now: float) -> None:
        """A frame or an answer came whole."""
        if self.state in RUNNING:
            self._watch.comm(now, True)

    def comm_error(self, now: float) -> None:
        """A frame was damaged, or an answer did not come."""
        if self.state in RUNNING:
            self._watch.comm(now, False)

    def fault(self, now: float, kind: FaultKind, reason: str) -> None:
        """The driver found something wrong. While it is off or waits already, only a cut-off
        changes anything."""
        fault = Fault(kind, reason)
        self.faults[kind] += 1
        if kind.latches:
            self._cut_off = fault
            if self.state is not S.LOST:
                self._stop_for_good(now, fault)
        elif self.state in RUNNING or self.state in (S.INIT, S.RESETTING):
            self._fail(now, fault)

    def heat(self, now: float, heat: Heat) -> None:
        """What thermal control says; to be repeated as often as it is known."""
        self._heat = heat
        if heat.level is HeatLevel.CUT_OFF:
            if self._cut_off is None:
                self.fault(now, FaultKind.OVER_TEMPERATURE, heat.reason)
        elif heat.level is HeatLevel.COOLDOWN:
            if self.state not in (S.COOLDOWN, S.DEAD) and not self._without_line():
                self._watch.clear(now)
                self._to(now, S.COOLDOWN, heat.reason)
        elif self.state is S.COOLDOWN:
            self._cooled(now)
        elif self.state in RUNNING:
            self._run(now)

    def lost(self, now: float, reason: str) -> None:
        """The line is gone. Counters and cut-offs stay; `opened` follows when it is back."""
        if self.state is not S.LOST:
            self._watch.clear(now)
            self._to(now, S.LOST, reason)

    def revive(self, now: float) -> None:
        """A person says: start it again, whatever was, and also if it runs."""
        self.failures = 0
        self._cut_off = self._retry_at = None
        if self.state in (S.DEAD, S.SICK) or self.state in RUNNING:
            self._watch.clear(now)
            self._begin_again(now, "started by hand")

    def on_time(self, now: float) -> Decision | None:
        """The latest Decision that was not handed out yet."""
        self._checked = now
        if self.state in RUNNING:
            fault = self._watch.check(now)
            if fault is not None:
                self.faults[fault.kind] += 1
                self._fail(now, fault)
            elif self.failures and self._watch.healthy():
                self.failures = 0
        elif self.state in (S.SICK, S.DEAD):
            if self._retry_at is not None and now >= self._retry_at:
                self._begin_again(now, self._again_words())
        elif self.state in (S.INIT, S.RESETTING) and now >= self._start_by:
            words = f"did not start within {self._limits.start_limit_s:.0f} s"
            self.fault(now, FaultKind.START_UP, words)
        pending, self._pending = self._pending, None
        return pending

    def next_timeout(self) -> float | None:
        """When to ask again if nothing happens before; None: not by itself."""
        if self._pending is not None:
            return self._checked
        if self.state in (S.SICK, S.DEAD):
            return self._retry_at
        if self.state in (S.INIT, S.RESETTING):
            return None if self._without_line() else self._start_by
        return self._checked + CHECK_EVERY_S if self._watch.working else None

    def _again_words(self) -> str:
        if self._last_kind is FaultKind.PORT:
            return f"once more: {self._last_fault}"
        self.resets += 1
        return f"reset {self.resets}: {self._last_fault}"

    def _without_line(self) -> bool:
        return self.state is S.LOST or (self.state is S.INIT and not self._opened)

    def _fail(self, now: float, fault: Fault) -> None:
        self._watch.clear(now)
        self._last_fault, self._last_kind = fault.reason, fault.kind
        if fault.kind is FaultKind.PORT:  # nothing was done to the board, and no reset helps
            self._retry_at = now + self._limits.longest_wait_s
            words = f"{fault.reason}; next try in {self._limits.longest_wait_s:g} s"
            self._to(now, S.SICK, words)
            return
        self.failures += 1
        if self.failures > self._limits.max_resets:
            self._die(now, fault)
            return
        wait = self._limits.wait_s(self.failures)
        words = f"{fault.reason}; reset {self.failures} of {self._limits.max_resets} in {wait:g} s"
        self._retry_at = now + wait
        self._to(now, S.SICK, words)

    def _die(self, now: float, fault: Fault) -> None:
        hourly = self._limits.dead_retry_s
        self._retry_at = now + hourly if hourly else None
        words = f"{fault.reason}; {self._limits.max_resets} resets did not help: check its power"
        words += " and cable; "
        words += f"next try in {hourly / 60:g} min" if hourly else "then plug it in anew"
        self._to(now, S.DEAD, words)

    def _stop_for_good(self, now: float, fault: Fault) -> None:
        self._watch.clear(now)
        self._retry_at = None
        words = f"cut off: {fault.reason}; find the cause, then reset it"
        self._to(now, S.DEAD, words)

    def _cooled(self, now: float) -> None:
        if self._retry_at is not None and self._retry_at > now:
            words = f"cool again; it had failed before: {self._last_fault}"
            self._to(now, S.SICK, words)
        else:
            self._begin_again(now, self._heat.reason or "cool again")

    def _begin_again(self, now: float, reason: str) -> None:
        self._retry_at = None
        if self._heat.level >= HeatLevel.COOLDOWN:
            self._to(now, S.COOLDOWN, self._heat.reason)
            return
        self._last_try = now
        self._start_by = now + self._limits.start_limit_s
        self._to(now, S.RESETTING, reason)

    def _run(self, now: float) -> None:
        """The state of a board that runs: throttled, mining or waiting for work."""
        if self._heat.level is HeatLevel.THROTTLE:
            self._to(now, S.THROTTLED, self._heat.reason)
        elif self._watch.working:
            self._to(now, S.MINING, "mining")
        else:
            self._to(now, S.READY, "waiting for work")

    def _to(self, now: float, state: DeviceState, reason: str) -> None:
        if state is self.state and reason == self.reason:
            return
        if state is not self.state:
            self.since = now
        self.state, self.reason = state, reason
        self._pending = Decision(state, reason)
