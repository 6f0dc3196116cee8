"""What a session shares with the rig around it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from sv2rig.mining.scheduler import Assignment, Scheduler
from sv2rig.mining.tally import Tallies

Report = Callable[[str, str, str | None], None]


@dataclass(frozen=True, slots=True)
class ShareDone:
    """A share and what became of it. `verdict`: "accepted", "rejected", "stale" or
    "unacknowledged". `hash_value` is a little-endian integer, `target` what its job asked for;
    `sent_utc` is Unix seconds, of when it was found where it was never sent. `latency_s`: until it
    was answered, which pools do in batches; None without an answer. `pool` is the entry's name."""

    device_id: str
    pool: str
    verdict: str
    hash_value: int
    target: int
    sent_utc: float
    latency_s: float | None = None
    is_block: bool = False
    reason: str = ""


def _to_nobody(_done: ShareDone) -> None:
    pass


@dataclass(slots=True)
class MiningContext:
    """The scheduler, the tallies, and four ways out.

    `assign` carries Assignments to the devices; `report(level, text, device_id)` tells people;
    `share_done` hears of each share whose fate is known; `utc` is Unix seconds. `rates` holds the
    devices that can take work now, and what each hashes (hashes a second).
    """

    scheduler: Scheduler
    assign: Callable[[Iterable[Assignment]], None]
    report: Report
    utc: Callable[[], float]
    tallies: Tallies = field(default_factory=Tallies)
    rates: dict[str, float] = field(default_factory=dict)
    share_done: Callable[[ShareDone], None] = _to_nobody

    def rate_of(self, device_ids: Iterable[str]) -> float:
        """The sum over these devices; those whose rate is unknown count nothing."""
        return sum(self.rates.get(device_id, 0.0) for device_id in device_ids)
