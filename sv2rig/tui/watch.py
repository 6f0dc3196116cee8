"""What the screen has seen of a rig: the newest picture, and what no single picture can tell.

No terminal here: every screen of the program draws from the one Watch of the app.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from sv2rig import __version__
from sv2rig.rig.snapshot import Event, RigSnapshot, ShareRecord, SnapshotSource
from sv2rig.tui.feed import is_other_run
from sv2rig.tui.history import RateHistory

SILENT_AFTER_S = 5.0
_SHARES_KEPT = 1000
_COUNTED_S = 600.0  # the time over which shares a minute are counted


@runtime_checkable
class Remembers(Protocol):
    """A source that can tell what the rig's rate was before the screen came."""

    def rates_before(self, utc: float) -> Sequence[tuple[float, float | None]]:
        """Moments (UTC seconds) and hashes a second before `utc`, oldest first."""


@runtime_checkable
class Listens(Protocol):
    """A source that knows by itself whether the rig answers. `silent_s`: for how long it has not;
    None while it does. `lost`: why there is no connection, in words, while there is none."""

    @property
    def silent_s(self) -> float | None: ...

    @property
    def lost(self) -> str: ...


def blocks_of(rig: RigSnapshot) -> int:
    """Blocks found in all its runs, where the rig keeps count, else in this one."""
    return rig.blocks_found if rig.lifetime is None else rig.lifetime.blocks


class Watch:
    """Reads a source. `clock` gives monotonic seconds; it only judges whether the rig answers."""

    def __init__(
        self, source: SnapshotSource, clock: Callable[[], float], version: str = __version__
    ) -> None:
        self.source = source
        self.rig: RigSnapshot | None = None
        self.rates = RateHistory()
        self.shares: deque[ShareRecord] = deque(maxlen=_SHARES_KEPT)
        self.missed_events = 0  # numbers that the newest poll() found no longer kept
        self._version = version
        self._clock = clock
        self._heard_at = clock()
        self._blocks_seen = 0
        self._version_seen = version
        self._last_event = 0
        self._last_share = 0
        self._answers: deque[tuple[float, int]] = deque()  # uptime, shares answered until then

    def poll(self) -> tuple[Event, ...]:
        """Read the source once; the events that are new."""
        rig = self.source.snapshot()
        if self.rig is None or rig.sequence != self.rig.sequence:
            self._heard_at = self._clock()
            self._take(rig)
        events = self.source.events_after(self._last_event)
        self.missed_events = events[0].number - self._last_event - 1 if events else 0
        self._last_event = events[-1].number if events else self._last_event
        shares = self.source.shares_after(self._last_share)
        self.shares.extend(shares)
        self._last_share = shares[-1].number if shares else self._last_share
        return events

    def _take(self, rig: RigSnapshot) -> None:
        """A new picture, which may be of a rig that was started anew."""
        if self.rig is None:
            if isinstance(self.source, Remembers):
                for at, rate in self.source.rates_before(rig.time):
                    self.rates.add(at, rate)
        elif is_other_run(self.rig, rig):
            if rig.lifetime is None:
                self._blocks_seen = 0
            self._last_event = self._last_share = 0
            self._answers.clear()
        self.rig = rig
        self.rates.add(rig.time, rig.hashrate_hs)
        shares = rig.shares
        self._answers.append((rig.uptime_s, shares.accepted + shares.rejected + shares.stale))
        while self._answers[0][0] < rig.uptime_s - _COUNTED_S:
            self._answers.popleft()

    @property
    def silent_s(self) -> float | None:
        """How long there has been no news; None while there is."""
        if isinstance(self.source, Listens):
            return self.source.silent_s
        silent = self._clock() - self._heard_at
        return silent if silent >= SILENT_AFTER_S else None

    @property
    def lost(self) -> str:
        """Why the rig is not heard, where that is known."""
        return self.source.lost if isinstance(self.source, Listens) else ""

    @property
    def new_blocks(self) -> int:
        """Blocks found since the user last looked."""
        return max(0, blocks_of(self.rig) - self._blocks_seen) if self.rig is not None else 0

    @property
    def other_version(self) -> str | None:
        """The rig's version, where it is not the screen's and the user has not been told so."""
        if self.rig is None or self.rig.version in (self._version, self._version_seen):
            return None
        return self.rig.version

    def dismiss(self) -> None:
        """The user has seen the blocks and the note about versions."""
        if self.rig is not None:
            self._blocks_seen = blocks_of(self.rig)
            self._version_seen = self.rig.version

    def skip_blocks(self, number: int) -> None:
        """The user has seen so many of the rig's blocks on another day."""
        self._blocks_seen = number

    @property
    def shares_per_minute(self) -> float | None:
        """Shares answered, over the last ten minutes or as long as was seen; None at first."""
        if not self._answers:
            return None
        (began, before), (now, count) = self._answers[0], self._answers[-1]
        return 60 * (count - before) / (now - began) if now - began >= 10 else None
