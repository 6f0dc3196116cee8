"""What the configuration and the user's commands want of devices, one above the other.

A setting that was changed by command stands above the configuration, over restarts too, until the
configuration itself changes it. A device that the configuration disables can be enabled by command
until the rig ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sv2rig.rig.config_model import DeviceConfig
from sv2rig.rig.wishes import Wishes


class LayeredWishes:
    """Wishes (rig.wishes) over [device."ID"]; commands are kept in `kept`."""

    def __init__(self, configured: Mapping[str, DeviceConfig], kept: Wishes) -> None:
        self._configured = configured
        self._kept = kept
        self._lifted: set[str] = set()

    def settings(self, device_id: str) -> dict[str, float]:
        return {**self._of_config(device_id), **self._kept.settings(device_id)}

    def keep_settings(self, device_id: str, values: Mapping[str, float]) -> None:
        """What is as the configuration has it needs no keeping."""
        before, configured = self._kept.settings(device_id), self._of_config(device_id)
        mine = {
            name: value
            for name, value in values.items()
            if name in before or configured.get(name) != value
        }
        self._kept.keep_settings(device_id, mine)

    def disabled(self) -> frozenset[str]:
        off = {name for name, wanted in self._configured.items() if not wanted.enabled}
        return frozenset(off - self._lifted) | self._kept.disabled()

    def keep_disabled(self, device_id: str, disabled: bool) -> None:
        (self._lifted.discard if disabled else self._lifted.add)(device_id)
        self._kept.keep_disabled(device_id, disabled)

    def reconfigure(self, configured: Mapping[str, DeviceConfig]) -> None:
        """Another configuration: what it changes stands above earlier commands."""
        before, self._configured = self._configured, configured
        for device_id in {*before, *configured}:
            was, now = before.get(device_id), configured.get(device_id)
            old, new = (was.settings if was else {}), (now.settings if now else {})
            kept = self._kept.settings(device_id)
            left = {name: v for name, v in kept.items() if old.get(name) == new.get(name)}
            if left != kept:
                self._kept.keep_settings(device_id, left)
            is_off = now is not None and not now.enabled
            if is_off != (was is not None and not was.enabled):
                self._lifted.discard(device_id)
                self._kept.keep_disabled(device_id, False)

    def differences(self) -> Iterator[tuple[str, str]]:
        """Devices, and in words where a command stands above the configuration."""
        for device_id in self._configured:
            configured, kept = self._of_config(device_id), self._kept.settings(device_id)
            for name in sorted(configured.keys() & kept.keys()):
                if configured[name] != kept[name]:
                    yield (
                        device_id,
                        f"{name} is {kept[name]:g}, as it was set by command; the configuration "
                        f"says {configured[name]:g}",
                    )

    def _of_config(self, device_id: str) -> dict[str, float]:
        wanted = self._configured.get(device_id)
        return wanted.settings if wanted else {}
