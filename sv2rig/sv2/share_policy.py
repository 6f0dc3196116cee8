"""How many shares a pool wants from a channel, and when it acknowledges them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from sv2rig.bitcoin.target import MAX_TARGET, target_for_rate

# One step of a retarget: harder at most this much, easier at most that much. A flood must end
# soon; a channel that fell silent is approached with care.
_HARDEST_STEP = 16
_EASIEST_STEP = 4
# Observed over wanted shares between these is chance, not a reason to change.
_TOO_FEW = 1 / 3
_TOO_MANY = 2


@dataclass(frozen=True, slots=True)
class SharePolicy:
    """A pool's wishes, the same for all of its channels.

    SubmitShares.Success is sent after `ack_shares` shares or `ack_seconds`, at once on a block and
    for a channel's first share, and before a target changes.
    Targets stay within `hardest_target` and `easiest_target`. A target is reconsidered after
    `retarget_seconds`, or as soon as `retarget_shares` have come.
    """

    shares_per_minute: float = 6.0
    ack_shares: int = 10
    ack_seconds: float = 30.0
    easiest_target: int = MAX_TARGET
    hardest_target: int = 1
    retarget_seconds: float = 120.0
    retarget_shares: int = 24

    def allows(self, max_target: int) -> bool:
        """Whether a client that takes at most this target can be served."""
        return max_target >= self.hardest_target

    def target_for(self, nominal_hash_rate: float, max_target: int) -> int:
        """The target for a hash rate, clamped as the client and the pool wish; 0 H/s: easiest."""
        return self.clamp(target_for_rate(nominal_hash_rate, self.shares_per_minute), max_target)

    def clamp(self, target: int, max_target: int) -> int:
        """The target nearest to `target` that the client and the pool both allow."""
        return max(min(target, max_target, self.easiest_target), self.hardest_target)


def is_nominal_hash_rate(value: float) -> bool:
    """Whether a client may state this hash rate: finite, 0 or more."""
    return math.isfinite(value) and value >= 0


@dataclass(slots=True)
class ShareRate:
    """Shares seen on the channel's present target since `started` (monotonic seconds)."""

    started: float
    shares: int = 0

    def restart(self, now: float) -> None:
        """Begins a new window."""
        self.started, self.shares = now, 0

    def due_at(self, policy: SharePolicy) -> float:
        """When the target is reconsidered, however few shares came."""
        return self.started + policy.retarget_seconds

    def suggest(self, target: int, policy: SharePolicy, now: float) -> int | None:
        """The target that would bring the wanted rate; None while the window is too short.

        The same target where the rate fits. The caller clamps, and restarts the window.
        """
        if self.shares < policy.retarget_shares and now < self.due_at(policy):
            return None
        wanted = (now - self.started) * policy.shares_per_minute / 60
        ratio = self.shares / wanted if wanted > 0 else _HARDEST_STEP
        if _TOO_FEW <= ratio <= _TOO_MANY:
            return target
        step = Fraction(min(max(ratio, 1 / _EASIEST_STEP), _HARDEST_STEP))
        return min(max(math.floor(target / step), 1), MAX_TARGET)
