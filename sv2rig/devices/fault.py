"""What can be wrong with a board."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FaultKind(StrEnum):
    """The cause of a reset or of a cut-off, by the name it is counted under."""

    PORT = "port"
    START_UP = "start-up"
    COMMUNICATION = "communication"
    SELF_CHECK = "self-check"
    SILENCE = "silence"
    BAD_NONCES = "bad nonces"
    FLATLINE = "flatline"
    POWER = "power"
    OVER_CURRENT = "over-current"
    OVER_TEMPERATURE = "over-temperature"
    DRIVER = "fault in the driver"

    @property
    def latches(self) -> bool:
        """Whether trying again could do harm: such a board stays off until a person starts it."""
        return self in (FaultKind.OVER_CURRENT, FaultKind.OVER_TEMPERATURE)


@dataclass(frozen=True, slots=True)
class Fault:
    """One finding; `reason` in words a person can act on."""

    kind: FaultKind
    reason: str
