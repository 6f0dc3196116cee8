"""Bytes on the wire, kept by message and by what they are for."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Purpose(StrEnum):
    """What bytes are for, so that messages of two protocols can stand in one row."""

    HANDSHAKE = "handshake"
    SETUP = "set-up"
    CHANNEL = "opening a channel"
    JOBS = "jobs and previous hashes"
    DIFFICULTY = "difficulty"
    SHARES = "shares"
    ANSWERS = "answers to shares"


@dataclass(slots=True)
class Entry:
    """One kind of message. `overhead` is what of its `size` encryption added."""

    purpose: Purpose
    message: str
    count: int = 0
    size: int = 0
    overhead: int = 0


@dataclass(slots=True)
class Ledger:
    """TCP payload bytes of both directions."""

    entries: dict[str, Entry] = field(default_factory=dict)

    def add(self, purpose: Purpose, message: str, size: int, overhead: int = 0) -> None:
        entry = self.entries.setdefault(message, Entry(purpose, message))
        entry.count += 1
        entry.size += size
        entry.overhead += overhead

    @property
    def total(self) -> int:
        return sum(entry.size for entry in self.entries.values())

    @property
    def overhead(self) -> int:
        return sum(entry.overhead for entry in self.entries.values())

    def of(self, purpose: Purpose) -> int:
        return sum(entry.size for entry in self.entries.values() if entry.purpose is purpose)
