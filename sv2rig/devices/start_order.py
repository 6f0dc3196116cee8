"""Who may start when: one after another, within what each hub can supply."""

from __future__ import annotations

import heapq
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import fsum

_USB_PATH = re.compile(r"(\d+-[\d.]+)\.\d+|(\d+)-\d+")


def hub_of(usb_path: str) -> str | None:
    """The hub a board hangs on: "1-2.3" on "1-2", "1-2" on the root hub "1"; None where the path
    names no USB port."""
    match = _USB_PATH.fullmatch(usb_path)
    return match and (match[1] or match[2])


@dataclass(slots=True)
class _Hub:
    """One hub's waiting boards, first come first, and what its running boards draw."""

    budget_w: float | None
    running: dict[str, float] = field(default_factory=dict)
    waiting: OrderedDict[str, tuple[int, float]] = field(default_factory=OrderedDict)

    def fits(self, watts: float) -> bool:
        return self.budget_w is None or fsum((*self.running.values(), watts)) <= self.budget_w


class StartOrder:
    """Boards ask, and are told to start `stagger_s` apart, first come first served.

    With a budget (`hub_watts` for every hub, `watts_of` by hub) a board waits until its watts fit;
    later boards of the same hub wait behind it, other hubs do not. A board that needs more than
    the whole budget waits aside for good. Calls cost O(log hubs). Time is monotonic seconds.
    """

    def __init__(
        self,
        stagger_s: float = 1.0,
        hub_watts: float | None = None,
        watts_of: Mapping[str, float] | None = None,
    ) -> None:
        if stagger_s < 0:
            raise ValueError(f"start stagger of {stagger_s:g} s: must be 0 or more")
        self._stagger_s = stagger_s
        self._hub_watts = hub_watts
        self._watts_of = dict(watts_of or {})
        self._hubs: dict[str | None, _Hub] = {}
        self._hub_of: dict[str, str | None] = {}  # waiting and running boards
        self._too_much: dict[str, float] = {}
        self._ready: list[tuple[int, str]] = []  # heads that fitted when they were put here
        self._count = 0
        self._free_at: float | None = None  # when the next board may start

    def request(self, device_id: str, usb_path: str, watts: float) -> None:
        """This board wants to start; ValueError if it waits or runs already."""
        if device_id in self._hub_of:
            raise ValueError(f"{device_id} waits to be started or runs already")
        if not watts >= 0:
            raise ValueError(f"{device_id} draws {watts:g} W: must be 0 or more")
        name = hub_of(usb_path)
        budget = None if name is None else self._watts_of.get(name, self._hub_watts)
        hub = self._hubs.setdefault(name, _Hub(budget))
        self._hub_of[device_id] = name
        if budget is not None and watts > budget:
            self._too_much[device_id] = watts
            return
        self._count += 1
        hub.waiting[device_id] = (self._count, watts)
        if len(hub.waiting) == 1:
            self._offer(hub)

    def stopped(self, device_id: str) -> None:
        """It draws nothing any more, or wants to start no longer. Unknown ones are let be."""
        if device_id not in self._hub_of:
            return
        hub = self._hubs[self._hub_of.pop(device_id)]
        self._too_much.pop(device_id, None)
        hub.waiting.pop(device_id, None)
        hub.running.pop(device_id, None)
        self._offer(hub)

    def on_time(self, now: float) -> str | None:
        """The board to start now, if any; it counts as running until `stopped`."""
        if self._free_at is not None and now < self._free_at:
            return None
        while self._ready:
            count, device_id = heapq.heappop(self._ready)
            if device_id not in self._hub_of:
                continue
            hub = self._hubs[self._hub_of[device_id]]
            entry = hub.waiting.get(device_id)
            if entry is None or entry[0] != count or not hub.fits(entry[1]):
                continue  # it left, or was offered twice
            del hub.waiting[device_id]
            hub.running[device_id] = entry[1]
            self._free_at = now + self._stagger_s
            self._offer(hub)
            return device_id
        return None

    def next_timeout(self) -> float | None:
        """When to ask again; None: not before a board asks or stops."""
        if not self._ready:
            return None
        return self._free_at if self._free_at is not None else 0.0

    def waits_because(self, device_id: str) -> str | None:
        """Why it does not start yet; None where it does not wait."""
        if device_id not in self._hub_of:
            return None
        name = self._hub_of[device_id]
        hub = self._hubs[name]
        if device_id in hub.running:
            return None
        if device_id in self._too_much:
            return (
                f"needs {self._too_much[device_id]:g} W, all of hub {name} may draw"
                f" {hub.budget_w:g} W: raise the hub's budget or plug it in elsewhere"
            )
        head = next(iter(hub.waiting))
        if head != device_id:
            return f"waits for {head} on the same hub to start first"
        watts = hub.waiting[head][1]
        if not hub.fits(watts):
            return (
                f"needs {watts:g} W, hub {name} supplies {fsum(hub.running.values()):g} of its"
                f" {hub.budget_w:g} W already: waits for another board to stop"
            )
        return "waits its turn: boards start one after another"

    def _offer(self, hub: _Hub) -> None:
        """Put the hub's first board among those that may start, if it fits."""
        if not hub.waiting:
            return
        device_id, (count, watts) = next(iter(hub.waiting.items()))
        if hub.fits(watts):
            heapq.heappush(self._ready, (count, device_id))
