"""What a Supervisor decides about its board."""

from __future__ import annotations

from dataclasses import dataclass

from sv2rig.devices.device import DeviceState


@dataclass(frozen=True, slots=True)
class Decision:
    """A new state, or a new reason for it. The state says what is to be done:
    INIT and RESETTING start it up, SICK, DEAD and COOLDOWN make it safe and give it no work."""

    state: DeviceState
    reason: str
