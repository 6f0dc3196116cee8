"""How figures of several rounds are summed up and shown."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Spread:
    """One figure over several rounds."""

    min: float
    median: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        return cls(min(values), statistics.median(values), max(values))


@dataclass(frozen=True, slots=True)
class Tail:
    """One figure over many events; `p99` is the one that 99 of 100 do not exceed."""

    min: float
    median: float
    p99: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        ordered = sorted(values)
        p99 = ordered[math.ceil(len(ordered) * 0.99) - 1]
        return cls(ordered[0], statistics.median(ordered), p99, ordered[-1])


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as text, the first as heading; the first column to the left, the others to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)
