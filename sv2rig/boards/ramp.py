"""Frequency ramps: a clock is never jumped, it walks to its target."""

from collections.abc import Iterator
from math import ceil

STEP_MHZ = 6.25  # what factory firmware takes, 100 ms apart (drivers/bm13xx/REFERENCE.md)
START_MHZ = 50.0  # as if from here after a reset: the first step is 56.25
STEP_SECONDS = 0.1


def ramp(current: float, target: float, step: float = STEP_MHZ) -> Iterator[float]:
    """Frequencies to set one after another, `current` left out and `target` last; up or down.

    Nothing is yielded where the clock is there already. Raises ValueError for a step that is
    not positive.
    """
    if step <= 0:
        raise ValueError(f"a ramp's step is {step:g} MHz, not above 0")
    if target == current:
        return
    sign = 1 if target > current else -1
    for index in range(1, ceil(abs(target - current) / step)):
        yield current + sign * index * step
    yield target
