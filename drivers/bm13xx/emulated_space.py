"""How a chain of chips goes through one job: which headers and nonces, in which order.

A core number stands in bits 31..25 of the nonce (big-endian) and counts below that from the chip's
address in bits 24..17, so chips with different addresses never try the same nonce.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sv2rig.emulation.search import HeaderBase

CORES = 128  # all of these chips leave 7 bits for the core
ADDRESS_SHIFT = 17
_CORE_SHIFT = 25
_PASS = 1 << ADDRESS_SHIFT
_APART = 4  # so many variants are under way at once in a chain, to show that they come mixed


@dataclass(frozen=True, slots=True)
class Lane:
    """One chip at one variant of the job: a midstate's index or a number of rolled versions."""

    chip: int
    variant: int


@dataclass(frozen=True, slots=True)
class Pass:
    """What is searched at a time: each lane has its base, `count` nonces from its offset."""

    lanes: Sequence[Lane]
    bases: Sequence[HeaderBase]
    count: int


class JobSpace:
    """The passes of one job: every variant before further nonces, every nonce before another core.

    `base(variant, offset)` makes the header of a variant. A chip alone tries two variants at once,
    as its small cores try several side by side.
    """

    def __init__(
        self,
        addresses: Sequence[int],
        variants: int,
        nonces_per_core: int,
        base: Callable[[int, int], HeaderBase],
    ) -> None:
        self._addresses = addresses
        self._variants = variants
        self._base = base
        self._at_once = min(variants, 4 if variants <= 4 else 2) if len(addresses) == 1 else 1
        self._count = max(1, min(_PASS, nonces_per_core))
        self._stretches = max(1, nonces_per_core // _PASS)

    @property
    def passes(self) -> int:
        """How many there are before the space repeats."""
        return -(-self._variants // self._at_once) * self._stretches * CORES

    def nth(self, number: int) -> Pass:
        """One of the passes, counted from 0."""
        number, turn = divmod(number, -(-self._variants // self._at_once))
        core, stretch = divmod(number, self._stretches)
        lanes = [
            Lane(chip, (turn * self._at_once + step + chip % _APART) % self._variants)
            for chip in range(len(self._addresses))
            for step in range(self._at_once)
        ]
        bases = [
            self._base(lane.variant, core << _CORE_SHIFT | self._start(lane.chip, stretch))
            for lane in lanes
        ]
        return Pass(lanes, bases, self._count)

    def _start(self, chip: int, stretch: int) -> int:
        return (self._addresses[chip] + stretch << ADDRESS_SHIFT) % (1 << _CORE_SHIFT)


def owner(addresses: Sequence[int], nonce: bytes) -> int:
    """The address of the chip in whose range a nonce lies."""
    within = int.from_bytes(nonce, "big") >> ADDRESS_SHIFT & 0xFF
    return max((address for address in addresses if address <= within), default=0)
