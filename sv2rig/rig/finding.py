"""What `sv2rig doctor` finds: one line, and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """`ERROR`: mining cannot go on like this. `WARNING`: something does not work, or may not."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """`check`: what was looked at, in a word. `mend`: what to do, empty where nothing is wrong."""

    check: str
    level: Level
    text: str
    mend: str = ""
