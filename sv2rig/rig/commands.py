"""Every command that a running rig takes (in the making: the shapes that the API is built on)."""

from __future__ import annotations

import msgspec


class CommandError(Exception):
    """The rig says no, in words for the user. `kind`: "unknown" (there is no such thing),
    "refused" (not now) or "invalid" (never so); `field`: which value it is about."""

    def __init__(self, text: str, kind: str = "refused", field: str | None = None) -> None:
        super().__init__(text)
        self.kind = kind
        self.field = field


class SettingNow(msgspec.Struct, frozen=True):
    """A knob, its limits and its position."""

    name: str
    unit: str
    minimum: float
    maximum: float
    default: float
    help: str
    value: float


class ControlledDevice(msgspec.Struct, frozen=True):
    """What can be done to one device."""

    id: str
    backend: str
    name: str
    settings: tuple[SettingNow, ...]
    can_identify: bool
    can_tune: bool
    can_reset: bool = False


class PoolWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A pool to add."""

    name: str
    url: str
    user: str
    standard_channels: bool = False
