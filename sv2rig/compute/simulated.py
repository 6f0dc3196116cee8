"""The `simulated` back end: a board for demos and tests that really hashes, at a chosen rate.

It gets warm as a board does, and misbehaves on demand, from a seed.
"""

from __future__ import annotations

import math
import random
import threading
import time
from dataclasses import dataclass
from enum import StrEnum

from sv2rig.compute.cpu import CpuEngine
from sv2rig.compute.engine import Engine, EngineInfo, EngineLostError, Launch, Loaded
from sv2rig.compute.hashlib_engine import HashlibEngine
from sv2rig.devices.device import Telemetry
from sv2rig.devices.work import NONCES, Solution, Work

DEFAULT_RATE_HS = 200_000.0
# Above this hashlib would need a core for itself; native code does it in passing.
HASHLIB_LIMIT_HS = 100_000.0
_FAULTY_SHARE = 0.1  # of the launches, for faults that come now and then


class Fault(StrEnum):
    """What goes wrong after a while."""

    HANG = "hang"  # a launch never ends
    WRONG = "wrong"  # some of the nonces reported do not meet the ticket
    GARBAGE = "garbage"  # some reports are of no work and out of every range
    UNPLUG = "unplug"  # the board is gone


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a simulated board behaves. `fault_after_s` counts from its start."""

    rate_hs: float = DEFAULT_RATE_HS
    fault: Fault | None = None
    fault_after_s: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.rate_hs) and self.rate_hs > 0):
            raise ValueError(f"a simulated board's rate must be above 0 H/s, not {self.rate_hs:g}")
        if self.fault_after_s < 0:
            raise ValueError("a fault cannot come before the start")


class SimulatedEngine:
    """Hashes with another engine and holds its results back to keep the pace."""

    def __init__(self, behaviour: Behaviour, heat: ThermalModel) -> None:
        slow = behaviour.rate_hs <= HASHLIB_LIMIT_HS
        self._inner: Engine = HashlibEngine() if slow else CpuEngine(threads=1)
        self._behaviour = behaviour
        self._heat = heat
        self._rng = random.Random(behaviour.seed)
        self._closed = threading.Event()
        self._started = time.monotonic()
        self._busy_until = 0.0
        inner = self._inner.info
        self.info = EngineInfo(
            "simulated board", f"simulated, {inner.variant}", granularity=inner.granularity
        )

    def load(self, work: Work) -> Loaded:
        return self._inner.load(work)

    def launch(
        self, loaded: Loaded, ntime: int, nonce_start: int, nonce_count: int
    ) -> SimulatedLaunch:
        seconds = nonce_count * len(loaded.versions) / self._behaviour.rate_hs
        self._busy_until = max(self._busy_until, time.monotonic()) + seconds
        inner = self._inner.launch(loaded, ntime, nonce_start, nonce_count)
        return SimulatedLaunch(self, inner, loaded.work, self._busy_until, seconds)

    def close(self) -> None:
        self._closed.set()
        self._inner.close()

    def finish(
        self, found: list[Solution], work: Work, due: float, seconds: float
    ) -> list[Solution]:
        """Wait for the time at which a board of this rate would be done; then, perhaps, a fault."""
        self._closed.wait(max(0.0, due - time.monotonic()))
        self._heat.worked(seconds, time.monotonic())
        if time.monotonic() - self._started < self._behaviour.fault_after_s:
            return found
        match self._behaviour.fault:
            case Fault.HANG:
                self._closed.wait()
            case Fault.UNPLUG:
                raise EngineLostError("the board was unplugged (simulated)")
            case Fault.WRONG if self._rng.random() < _FAULTY_SHARE:
                nonce = work.nonce_start + self._rng.randrange(work.nonce_count)
                return [*found, Solution(work.work_id, nonce, work.version, work.ntime)]
            case Fault.GARBAGE if self._rng.random() < _FAULTY_SHARE:
                words = [self._rng.randrange(2 * NONCES) for _ in range(4)]
                return [*found, Solution(*words)]
        return found


class SimulatedLaunch:
    """A range that a board of the chosen rate would still be searching."""

    def __init__(
        self, engine: SimulatedEngine, inner: Launch, work: Work, due: float, seconds: float
    ) -> None:
        self._engine = engine
        self._inner = inner
        self._work = work
        self._due = due
        self._seconds = seconds

    def collect(self) -> list[Solution]:
        return self._engine.finish(self._inner.collect(), self._work, self._due, self._seconds)


class ThermalModel:
    """Temperature, power and fan of a small board: warmth follows power with a time constant."""

    AMBIENT_C = 25.0
    IDLE_W = 1.0
    BUSY_W = 12.0
    KELVIN_PER_W = 3.5
    TIME_CONSTANT_S = 30.0
    FAN_FROM_C = 35.0
    FAN_FULL_C = 70.0

    def __init__(self, now: float) -> None:
        self._temperature = self.AMBIENT_C
        self._power = self.IDLE_W
        self._now = now

    def worked(self, busy_s: float, now: float) -> None:
        """The board was busy for so much of the time since the last call."""
        elapsed = max(now - self._now, 1e-6)
        duty = min(busy_s / elapsed, 1.0)
        self._settle(now)
        self._power = self.IDLE_W + duty * (self.BUSY_W - self.IDLE_W)

    def telemetry(self, now: float) -> Telemetry:
        """The readings at this time."""
        if now - self._now > 1.0:  # nothing was computed lately
            self._settle(now)
            self._power = self.IDLE_W
        span = self.FAN_FULL_C - self.FAN_FROM_C
        fan = min(max((self._temperature - self.FAN_FROM_C) / span, 0.0), 1.0) * 100
        return Telemetry(round(self._temperature, 1), round(fan), round(self._power, 1))

    def _settle(self, now: float) -> None:
        goal = self.AMBIENT_C + self._power * self.KELVIN_PER_W
        share = 1 - math.exp(-(now - self._now) / self.TIME_CONSTANT_S)
        self._temperature += (goal - self._temperature) * share
        self._now = now
