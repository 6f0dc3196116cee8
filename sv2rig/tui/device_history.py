"""What devices read over time, as lines of block characters. No clock: samples bring their time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sv2rig.rig.snapshot import DeviceSnapshot, RigSnapshot

SAMPLE_EVERY_S = 5.0
_KEPT = 720  # an hour; a fifth of a megabyte a device
_BLOCKS = "▁▂▃▄▅▆▇█"


class Sample(NamedTuple):
    """Readings of one moment (UTC seconds); None is unknown."""

    time: float
    hashrate_hs: float | None
    temperature_c: float | None
    fan_percent: float | None
    power_w: float | None
    frequency_mhz: float | None


READINGS = Sample._fields[1:]


class DeviceHistory:
    """Readings of all devices, from when the screen came."""

    def __init__(self) -> None:
        self._devices: dict[str, deque[Sample]] = {}
        self._last = float("-inf")

    def add(self, rig: RigSnapshot) -> None:
        """A new picture; most are too soon after the last one."""
        if 0 <= rig.time - self._last < SAMPLE_EVERY_S:
            return
        self._last = rig.time
        for device in rig.devices:
            kept = self._devices.setdefault(device.id, deque(maxlen=_KEPT))
            kept.append(sample(rig.time, device))

    def of(self, device_id: str) -> tuple[Sample, ...]:
        return tuple(self._devices.get(device_id, ()))


def sample(time: float, device: DeviceSnapshot) -> Sample:
    return Sample(
        time,
        device.hashrate_hs,
        device.temperature_c,
        device.fan_percent,
        device.power_w,
        device.frequency_mhz,
    )


def joined(stored: Sequence[Sample], own: Sequence[Sample]) -> tuple[Sample, ...]:
    """What the rig has stored, up to where the screen's own samples begin."""
    begin = own[0].time if own else float("inf")
    return (*(one for one in stored if one.time < begin), *own)


def spark(
    samples: Iterable[tuple[float, float | None]], end: float, span_s: float, width: int
) -> str:
    """The last `span_s` seconds until `end` in `width` cells, from the lowest to the highest value
    known; unknown is blank, and what never changed stands in the middle."""
    sums: dict[int, list[float]] = {}
    for time, value in samples:
        column = width - 1 - int((end - time) * width / span_s)
        if value is not None and 0 <= column < width and time <= end:
            sums.setdefault(column, []).append(value)
    means = {column: sum(values) / len(values) for column, values in sums.items()}
    if not means:
        return ""
    low, high = min(means.values()), max(means.values())
    line = []
    for column in range(width):
        mean = _filled(means, column, max(1, round(width * 60 / span_s)))
        if mean is None:
            line.append(" ")
        else:
            share = (mean - low) / (high - low) if high > low else 0.5
            line.append(_BLOCKS[round(share * (len(_BLOCKS) - 1))])
    return "".join(line)


def _filled(means: dict[int, float], column: int, reach: int) -> float | None:
    """The column's value, or that of the last minute: the rig stores one sample a minute."""
    for back in range(reach + 1):
        if column - back in means:
            return means[column - back]
    return None
