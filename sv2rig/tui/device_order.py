"""Which devices the table shows, and in which order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from sv2rig.rig.snapshot import DeviceSnapshot
from sv2rig.tui.states import is_troubled, word


@lru_cache(4096)
def natural(device_id: str) -> list[tuple[int, str]]:
    """A sort key under which opencl:2 stands before opencl:10."""
    parts = re.split(r"([0-9]+)", device_id)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


@dataclass(frozen=True, slots=True)
class Order:
    """A way to sort; `by_reading` orders change with every reading and are applied less often."""

    title: str
    key: Callable[[DeviceSnapshot], float]
    by_reading: bool = False


ORDERS = (
    Order("trouble first", lambda device: not is_troubled(device)),
    Order("by id", lambda _: 0),
    Order("slowest first", lambda device: device.hashrate_1m_hs or 0, by_reading=True),
    Order("hottest first", lambda device: -(device.temperature_c or 0), by_reading=True),
)


@dataclass(slots=True)
class Choice:
    """What the user wants to see. `filter`: words that all stand in id, backend, port or state."""

    order: Order = ORDERS[0]
    troubled_only: bool = False
    filter: str = ""

    def next_order(self) -> None:
        self.order = ORDERS[(ORDERS.index(self.order) + 1) % len(ORDERS)]

    def takes(self, device: DeviceSnapshot) -> bool:
        if self.troubled_only and not is_troubled(device):
            return False
        if not self.filter:
            return True
        said = f"{device.id} {device.backend} {device.port or ''} {word(device)}".casefold()
        return all(wanted in said for wanted in self.filter.casefold().split())

    def chosen(self, devices: Iterable[DeviceSnapshot]) -> list[DeviceSnapshot]:
        """Those to show, sorted."""
        taken = filter(self.takes, devices)
        return sorted(taken, key=lambda device: (self.order.key(device), natural(device.id)))
