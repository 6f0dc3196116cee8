"""What of the user's wishes outlives a device, and perhaps the rig."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Wishes(Protocol):
    """Settings by device, and which devices are to stay off. None of it blocks."""

    def settings(self, device_id: str) -> dict[str, float]:
        """What the user set, by name; empty where nothing was."""

    def keep_settings(self, device_id: str, values: Mapping[str, float]) -> None:
        """These, in place of all that was kept for this device."""

    def disabled(self) -> frozenset[str]:
        """The ids of the devices that are to stay off."""

    def keep_disabled(self, device_id: str, disabled: bool) -> None: ...


class PassingWishes:
    """Wishes that end with the program."""

    def __init__(self) -> None:
        self._settings: dict[str, dict[str, float]] = {}
        self._disabled: set[str] = set()

    def settings(self, device_id: str) -> dict[str, float]:
        return dict(self._settings.get(device_id, {}))

    def keep_settings(self, device_id: str, values: Mapping[str, float]) -> None:
        self._settings[device_id] = dict(values)

    def disabled(self) -> frozenset[str]:
        return frozenset(self._disabled)

    def keep_disabled(self, device_id: str, disabled: bool) -> None:
        (self._disabled.add if disabled else self._disabled.discard)(device_id)
