"""What searches nonces for a device: the interface of every engine, and what they share.

An engine is blocking and belongs to one thread, its device's. A launch covers a range of nonces
for every version of its Work. At least two launches may be under way, so that the next one is
queued while one runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from sv2rig.bitcoin.sha256 import midstate
from sv2rig.devices.work import Solution, Work
from sv2rig.kernels.prepare import Midstate, tail_words

MAX_VERSION_BITS = 3  # eight midstates: more save less than 2 % and cost the host time
TOP_SHIFT = 224  # of a hash's most significant word, the one that kernels compare

T = TypeVar("T")


class EngineError(Exception):
    """An engine cannot be made, or does not work any more; the text says why and what to do."""


class EngineLostError(EngineError):
    """The hardware is gone, unplugged: making the engine again cannot help."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """`name` of the hardware, `variant` of the code in use.

    A launch of a multiple of `granularity` nonces wastes nothing.
    """

    name: str
    variant: str
    max_version_bits: int = MAX_VERSION_BITS
    granularity: int = 1


@dataclass(frozen=True, slots=True)
class Loaded:
    """A Work and the midstates of its versions, in the order of `Work.versions()`."""

    work: Work
    versions: tuple[int, ...]
    midstates: tuple[Midstate, ...] = field(repr=False)

    @classmethod
    def of(cls, work: Work) -> Loaded:
        """Computes the midstates: about 0.1 ms each."""
        if work.version_bits.bit_count() > MAX_VERSION_BITS:
            raise EngineError(
                f"Work {work.work_id} rolls {work.version_bits.bit_count()} version bits; "
                f"an engine tries at most {MAX_VERSION_BITS} at once: split the Work"
            )
        versions = tuple(work.versions())
        headers = (work.header(0, version, work.ntime) for version in versions)
        return cls(work, versions, tuple(midstate(header[:64]) for header in headers))

    def tail(self, ntime: int) -> tuple[int, int, int]:
        """The words before the nonce in a header's second block."""
        return tail_words(self.work.header(0, self.work.version, ntime))

    @property
    def top_word(self) -> int:
        """The ticket's most significant word: a hash whose own is larger is no hit."""
        return min(self.work.ticket >> TOP_SHIFT, 0xFFFFFFFF)


class Launch(Protocol):
    """A range being searched."""

    def collect(self) -> list[Solution]:
        """Waits for the end, without spinning, and returns every hit, each once."""


class Engine(Protocol):
    """Searches ranges of nonces, exactly: the hits are those headers with hash <= ticket."""

    @property
    def info(self) -> EngineInfo: ...

    def load(self, work: Work) -> Loaded:
        """Prepares a Work; earlier ones stay valid. EngineError if it rolls too many versions."""

    def launch(self, loaded: Loaded, ntime: int, nonce_start: int, nonce_count: int) -> Launch:
        """Begins to search nonce_start to nonce_start + nonce_count with every version."""

    def close(self) -> None:
        """Frees everything, waiting for what is under way. Safe to call twice."""


EngineFactory = Callable[[], Engine]


def search(
    engine: Engine, work: Work, nonce_start: int | None = None, nonce_count: int | None = None
) -> list[Solution]:
    """Every hit of a Work, or of a part of its nonces, in one launch for each ntime."""
    loaded = engine.load(work)
    first = work.nonce_start if nonce_start is None else nonce_start
    count = work.nonce_count if nonce_count is None else nonce_count
    found: list[Solution] = []
    for ntime in range(work.ntime, work.ntime + work.ntime_count):
        found += engine.launch(loaded, ntime, first, count).collect()
    return found


def hits(loaded: Loaded, candidates: Iterable[Solution]) -> Iterator[Solution]:
    """The candidates without those that a comparison of top words alone could not tell apart.

    A candidate that should have failed even that comparison is kept: the kernel computed a wrong
    hash, and the host must hear of it to count a hardware error.
    """
    top = loaded.top_word
    for candidate in candidates:
        value = candidate.hash_value(loaded.work)
        if value <= loaded.work.ticket or value >> TOP_SHIFT > top:
            yield candidate


def in_halves(attempt: Callable[[int, int], list[T] | None], start: int, count: int) -> list[T]:
    """What `attempt(start, count)` finds; halved for as long as it says None, "too many"."""
    found = attempt(start, count)
    if found is not None:
        return found
    if count == 1:
        raise EngineError(f"the result buffer cannot hold one step's hits (at {start})")
    half = count // 2
    return in_halves(attempt, start, half) + in_halves(attempt, start + half, count - half)
