"""How a rig mines, whichever pool it is on."""

from __future__ import annotations

from dataclasses import dataclass, field

from sv2rig.mining.failover import FailoverLimits
from sv2rig.mining.pool_connection import Silence


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """How to mine, on whichever pool. `give_up_after_s` counts from when a pool last worked; None:
    never. `never_give_up`: not even where the only pool refuses us, as a daemon wants it."""

    version_rolling_mask: int = 0x1FFFE000
    give_up_after_s: float | None = None
    never_give_up: bool = False
    failover: FailoverLimits = field(default_factory=FailoverLimits)
    silence: Silence = field(default_factory=Silence)
