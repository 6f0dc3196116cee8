"""What became of every share, a device at a time."""

from __future__ import annotations

from dataclasses import dataclass, field, fields


@dataclass(slots=True)
class Tally:
    """One device's counts. A share is pending until the pool answers; one that it never answered
    is unacknowledged: neither accepted nor rejected. `best_hash`: the lowest hash seen."""

    accepted: int = 0
    rejected: int = 0
    stale: int = 0
    pending: int = 0
    unacknowledged: int = 0
    blocks: int = 0
    hardware_errors: int = 0
    comm_errors: int = 0
    best_hash: int | None = None
    last_share_utc: float | None = None

    def saw_hash(self, value: int) -> None:
        """A hash that the host computed itself."""
        if self.best_hash is None or value < self.best_hash:
            self.best_hash = value

    def add(self, other: Tally) -> None:
        """Sum another tally into this one."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        if other.best_hash is not None:
            self.saw_hash(other.best_hash)
        times = [t for t in (self.last_share_utc, other.last_share_utc) if t is not None]
        self.last_share_utc = max(times, default=None)


_COUNTS = tuple(f.name for f in fields(Tally) if f.name not in ("best_hash", "last_share_utc"))


@dataclass(slots=True)
class Tallies:
    """The tallies of all devices that ever mined in this run; a device unplugged keeps its own."""

    devices: dict[str, Tally] = field(default_factory=dict)

    def of(self, device_id: str) -> Tally:
        """The device's tally, begun where there is none."""
        return self.devices.setdefault(device_id, Tally())

    def total(self) -> Tally:
        """The sum over all devices."""
        total = Tally()
        for tally in self.devices.values():
            total.add(tally)
        return total
