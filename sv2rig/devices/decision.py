"""What a Supervisor decides about its board."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sv2rig.devices.device import DeviceState


class Action(StrEnum):
    """What the driver has to do. RESET: reset (or power on) and start up now, then say `started`
    or `fault`. STOP: make it safe, reset held low, and give it no work. RETRY_AT: give it no work
    and wait; a RESET follows at `retry_at`."""

    NONE = "none"
    RESET = "reset"
    STOP = "stop"
    RETRY_AT = "retry at"


@dataclass(frozen=True, slots=True)
class Decision:
    """A new state or reason. `retry_at`: when the board is tried again by itself, if it is."""

    state: DeviceState
    reason: str
    action: Action = Action.NONE
    retry_at: float | None = None
