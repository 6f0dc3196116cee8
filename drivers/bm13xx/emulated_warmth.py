"""A board's heat: power warms it, air cools it, with one time constant for all of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

_TIME_CONSTANT = 15.0  # seconds until two thirds of the way
_SETTLED = 0.05  # °C
_STEP = 1.0  # seconds between looks while it is not settled


@dataclass(frozen=True, slots=True)
class Cooling:
    """°C above the air for each watt: with the fan at full speed, and with it standing."""

    blown: float
    still: float

    def resistance(self, fan: float) -> float:
        """At a fan's speed from 0 to 1."""
        return self.blown + (self.still - self.blown) * (1 - fan) ** 2


class Warmth:
    """The temperature at a moment, going towards what power and fan together ask for."""

    def __init__(self, cooling: Cooling, ambient: float) -> None:
        self.celsius = ambient
        self.ambient = ambient
        self._cooling = cooling
        self._target = ambient
        self._at = 0.0

    def move(self, now: float, watts: float, fan: float) -> None:
        """Come to this moment with the target of before, then take on a new one."""
        passed = max(0.0, now - self._at)
        self.celsius = self._target + (self.celsius - self._target) * math.exp(
            -passed / _TIME_CONSTANT
        )
        self._at = now
        self._target = self.ambient + watts * self._cooling.resistance(fan)

    def next_look(self) -> float | None:
        """When to move on; None once nothing changes any more."""
        return self._at + _STEP if abs(self.celsius - self._target) > _SETTLED else None
