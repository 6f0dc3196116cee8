"""Lines that repeat: told once, then counted, and told with the count a minute later.

Where many devices say much, each in its own words, most of it is counted too: 64 boards on bad
wires must not fill the log.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from math import isfinite

WINDOW_S = 60.0
MOST_OF_DEVICES = 8  # lines of a minute that are told as they come, all devices together
MOST_OF_ONE = 5  # of these; the rest is for others
NAMED = 6  # devices in a line about several
_NUMBERS = re.compile(r"\b(?:0x[0-9a-f]+|[0-9a-f]{8,}|\d+(?:[.,:]\d+)*)")
# Where a hub fails, every board on it says the same: one line stands for all of them.
_OF_ANY_DEVICE = ("communication error: ", "hardware error: ")


@dataclass(frozen=True, slots=True)
class Line:
    """What is told: its level, its words, and whom it is about."""

    level: str
    text: str
    device_id: str | None = None


@dataclass(slots=True)
class _Seen:
    since: float
    latest: Line
    last: float = 0.0
    times: int = 0
    devices: set[str | None] = field(default_factory=set)


@dataclass(slots=True)
class _More:
    times: int = 0
    devices: dict[str, None] = field(default_factory=dict)  # in order


class _Crowd:
    """What devices say in a minute beyond MOST_OF_DEVICES lines, by level and first words, such as
    "SICK". Of each kind the first is told at once all the same."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._told = Counter[str]()  # by device
        self._kinds: dict[tuple[str, str], _More] = {}

    def takes(self, line: Line, times: int, devices: set[str | None], now: float) -> bool:
        """Whether it is kept for `due`, and not told now."""
        if line.device_id is None:
            return False
        if self._since is None:
            self._since = now
        key = (line.level, _NUMBERS.sub("#", line.text.partition(":")[0]))
        is_first = key not in self._kinds
        kind = self._kinds.setdefault(key, _More())
        has_room = self._told.total() < MOST_OF_DEVICES
        if is_first or (has_room and self._told[line.device_id] < MOST_OF_ONE):
            self._told[line.device_id] += 1
            return False
        kind.times += times
        kind.devices |= dict.fromkeys(sorted(filter(None, devices)))
        return True

    def due(self, now: float) -> list[Line]:
        """What was kept, where the minute is over."""
        if self._since is None or now - self._since < WINDOW_S:
            return []
        lines = [_kept(*key, more) for key, more in self._kinds.items() if more.times]
        self._since = None
        self._told.clear()
        self._kinds.clear()
        return lines


class Repeats:
    """A line is told at once and opens a minute in which the same line of the same device is only
    counted. Warnings about a device are the same where they differ in numbers alone, and errors of
    communication and hardware whichever device they are of. Beyond MOST_OF_DEVICES lines a minute
    devices' lines are told together, a line for each kind. Good news, such as a block, is always
    told. Time is monotonic seconds.
    """

    def __init__(self) -> None:
        self._seen: dict[Line, _Seen] = {}
        self._crowd = _Crowd()

    def is_new(self, line: Line, now: float) -> bool:
        """Whether to tell it now; else it is counted for `due`."""
        if line.level == "good":
            return True
        key = _key(line)
        seen = self._seen.get(key)
        if seen is None:
            self._seen[key] = _Seen(now, line)
            return not self._crowd.takes(line, 1, {line.device_id}, now)
        seen.times += 1
        seen.latest, seen.last = line, now
        seen.devices.add(line.device_id)
        return False

    def due(self, now: float) -> list[Line]:
        """The lines that repeated, with their count, where their minute is over. To be asked once
        a second; at the end with `now` infinite, so that nothing is lost."""
        over = [key for key, seen in self._seen.items() if now - seen.since >= WINDOW_S]
        told = []
        for key in over:
            seen = self._seen.pop(key)
            if seen.times:
                if not self._crowd.takes(seen.latest, seen.times, seen.devices, now):
                    told.append(_counted(seen, now))
                self._seen[key] = _Seen(now, seen.latest)  # what goes on is told once a minute
        return told + self._crowd.due(now)


def _key(line: Line) -> Line:
    if line.level != "warning" or line.device_id is None:
        return line
    device_id = None if line.text.startswith(_OF_ANY_DEVICE) else line.device_id
    return Line(line.level, _NUMBERS.sub("#", line.text), device_id)


def _counted(seen: _Seen, now: float) -> Line:
    """Worded so that nobody takes it for news: what it tells may no longer hold."""
    latest = seen.latest
    times = "once more" if seen.times == 1 else f"{seen.times} times more"
    if len(seen.devices) > 1:
        times += f", on {len(seen.devices)} devices"
    ago = f", the last {now - seen.last:.0f} s ago" if isfinite(now) else ""
    return Line(latest.level, f"earlier, {times}{ago}: {latest.text}", latest.device_id)


def _kept(level: str, words: str, more: _More) -> Line:
    names = list(more.devices)
    named = ", ".join(names[:NAMED])
    if len(names) > NAMED:
        named += f" and {len(names) - NAMED} other devices"
    only = names[0] if len(names) == 1 else None
    return Line(level, f"{words}: … {more.times} more such lines in a minute, of {named}", only)
