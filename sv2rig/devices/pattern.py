"""What a board's USB descriptor looks like, and how specific a match is."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sv2rig.devices.sighting import Sighting

_ID_POINTS = 10
_EXACT_POINTS = 20
_REGEX_POINTS = 15
_CONTAINS_POINTS = 10


@dataclass(frozen=True, slots=True)
class Matches:
    """A text that this regular expression matches as a whole."""

    regex: str


@dataclass(frozen=True, slots=True)
class Contains:
    """A text with this part anywhere in it."""

    part: str


TextPattern = str | Matches | Contains  # a plain str: exactly this text


@dataclass(frozen=True, slots=True)
class Pattern:
    """One kind of board. What is None is not looked at; all the rest must match.

    `model` names the board for people; a driver may also tell its boards apart by it.
    """

    vid: int | None = None
    pid: int | None = None
    manufacturer: TextPattern | None = None
    product: TextPattern | None = None
    model: str = ""

    def words(self) -> str:
        if self.model:
            return self.model
        return f"{self.vid or 0:04x}:{self.pid or 0:04x}"


def score(pattern: Pattern, sighting: Sighting) -> int | None:
    """How specifically the pattern fits; None where it does not."""
    parts = (
        _id_points(pattern.vid, sighting.vid),
        _id_points(pattern.pid, sighting.pid),
        _text_points(pattern.manufacturer, sighting.manufacturer),
        _text_points(pattern.product, sighting.product),
    )
    total = 0
    for part in parts:
        if part is None:
            return None
        total += part
    return total or None  # a pattern that asks for nothing fits nothing


def _id_points(wanted: int | None, seen: int | None) -> int | None:
    if wanted is None:
        return 0
    return _ID_POINTS if wanted == seen else None


def _text_points(wanted: TextPattern | None, seen: str | None) -> int | None:
    if wanted is None:
        return 0
    if seen is None:
        return None
    match wanted:
        case Matches(regex):
            return _REGEX_POINTS if re.fullmatch(regex, seen) else None
        case Contains(part):
            return _CONTAINS_POINTS if part in seen else None
    return _EXACT_POINTS if wanted == seen else None
