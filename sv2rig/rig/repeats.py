"""Lines that repeat: told once, then counted, and told with the count a minute later."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

WINDOW_S = 60.0
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
    times: int = 0
    devices: set[str | None] = field(default_factory=set)


class Repeats:
    """A line is told at once and opens a minute in which the same line of the same device is only
    counted. Warnings about a device are the same where they differ in numbers alone, and errors of
    communication and hardware whichever device they are of; good news, such as a block, is always
    told. Time is monotonic seconds.
    """

    def __init__(self) -> None:
        self._seen: dict[Line, _Seen] = {}

    def is_new(self, line: Line, now: float) -> bool:
        """Whether to tell it now; else it is counted for `due`."""
        if line.level == "good":
            return True
        key = _key(line)
        seen = self._seen.get(key)
        if seen is None:
            self._seen[key] = _Seen(now, line)
            return True
        seen.times += 1
        seen.latest = line
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
                told.append(_counted(seen))
                self._seen[key] = _Seen(now, seen.latest)  # what goes on is told once a minute
        return told


def _key(line: Line) -> Line:
    if line.level != "warning" or line.device_id is None:
        return line
    device_id = None if line.text.startswith(_OF_ANY_DEVICE) else line.device_id
    return Line(line.level, _NUMBERS.sub("#", line.text), device_id)


def _counted(seen: _Seen) -> Line:
    latest = seen.latest
    times = "once more" if seen.times == 1 else f"{seen.times} times more"
    if len(seen.devices) > 1:
        times += f", on {len(seen.devices)} devices,"
    return Line(latest.level, f"{latest.text} … {times} in the last minute", latest.device_id)
