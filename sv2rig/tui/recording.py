"""Recordings: stream messages in a file, a line each, behind a head line.

{"schema": 2, "version": "0.1.0", "started": 1700000000.0}
{"snapshot": ..., "events": [...], "shares": [...]}
"""

from __future__ import annotations

import contextlib
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar

import msgspec

from sv2rig import __version__
from sv2rig.rig.snapshot import SCHEMA, Event, Numbered, RigSnapshot, ShareRecord
from sv2rig.tui.feed import (
    Feed,
    FeedError,
    StreamMessage,
    as_line,
    decode,
    is_other_run,
    other_schema,
)

SEEK_S = 10.0


class RecordingError(Exception):
    """The file cannot be written or read; the text says where."""


class _Head(msgspec.Struct):
    """`started`: UTC seconds."""

    schema: int
    version: str
    started: float


class Recorder:
    """Writes what is heard. Never over a file that is there."""

    def __init__(self, path: Path, utc: Callable[[], float] = time.time) -> None:
        try:
            self._file: IO[bytes] = path.open("xb")
        except FileExistsError as error:
            raise RecordingError(f"{path} is there already") from error
        except OSError as error:
            raise RecordingError(f"{path}: {error.strerror}") from error
        self._path = path
        head = _Head(schema=SCHEMA, version=__version__, started=utc())
        self._file.write(msgspec.json.encode(head) + b"\n")

    def add(self, message: StreamMessage) -> None:
        """RecordingError where there is no room."""
        try:
            self._file.write(as_line(message))
            self._file.flush()
        except OSError as error:
            raise RecordingError(f"{self._path}: {error.strerror}") from error

    def close(self) -> None:
        with contextlib.suppress(OSError):  # add() has told; it tries again what found no room
            self._file.close()


@dataclass(frozen=True, slots=True)
class _Frame:
    """A message of the file: `at_s` after the first one, the place of its line, the run of the rig
    it is of, and how many events and shares of the file had come by then."""

    at_s: float
    place: int
    run: int
    events: int
    shares: int


class Recording:
    """A recording's index; pictures are read when they are wanted.

    `note` says that the last line was cut off, as it is when the recorder was killed.
    """

    def __init__(self, path: Path) -> None:
        self.note = ""
        self._path = path
        self._frames: list[_Frame] = []
        self._events: list[tuple[int, Event]] = []  # with the run each is of
        self._shares: list[tuple[int, ShareRecord]] = []
        try:
            self._file: IO[bytes] = path.open("rb")
        except OSError as error:
            raise RecordingError(f"{path}: {error.strerror}") from error
        try:
            self._read_index()
        except OSError as error:
            self._file.close()
            raise RecordingError(f"{path}: {error.strerror}") from error
        except RecordingError:
            self._file.close()
            raise

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def length_s(self) -> float:
        return self._frames[-1].at_s

    def index_at(self, at_s: float) -> int:
        """The message that was the latest then."""
        return max(bisect_right(self._frames, at_s, key=lambda frame: frame.at_s) - 1, 0)

    def picture(self, index: int) -> RigSnapshot:
        self._file.seek(self._frames[index].place)
        return decode(self._file.readline()).snapshot

    def events_after(self, number: int, index: int) -> tuple[Event, ...]:
        """As the rig had told them by then."""
        frame = self._frames[index]
        return _after(self._events, frame.events, frame.run, number)

    def shares_after(self, number: int, index: int) -> tuple[ShareRecord, ...]:
        """As the rig had told them by then."""
        frame = self._frames[index]
        return _after(self._shares, frame.shares, frame.run, number)

    def close(self) -> None:
        self._file.close()

    # -- reading it in

    def _read_index(self) -> None:
        self._check_head(self._file.readline())
        feed = Feed()
        at_s, run, number = 0.0, 0, 1
        before: RigSnapshot | None = None
        while True:
            place = self._file.tell()
            line = self._file.readline()
            if not line:
                break
            number += 1
            message = self._message(line, number)
            if message is None:
                break
            now = message.snapshot
            if before is not None:
                at_s += max(now.time - before.time, 0.0)  # somebody may have set the clock
                run += is_other_run(before, now)
            before = now
            try:
                self._add_new(feed, message, run)
            except FeedError as error:  # of another schema than the file's head
                raise RecordingError(f"{self._path}, line {number}: {error}") from error
            self._frames.append(_Frame(at_s, place, run, len(self._events), len(self._shares)))
        if not self._frames:
            raise RecordingError(f"{self._path} has no message in it")

    def _check_head(self, line: bytes) -> None:
        try:
            head = msgspec.json.decode(line, type=_Head)
        except msgspec.MsgspecError as error:
            words = f"{self._path}, line 1: no recording of sv2rig: {error}"
            raise RecordingError(words) from error
        if head.schema != SCHEMA:
            words = f"{self._path}: {other_schema(head.schema, head.version)}"
            raise RecordingError(words)

    def _message(self, line: bytes, number: int) -> StreamMessage | None:
        """None for a last line that is cut off."""
        try:
            return decode(line)
        except FeedError as error:
            if not line.endswith(b"\n"):
                self.note = f"line {number}, the last, is cut off and left out"
                return None
            raise RecordingError(f"{self._path}, line {number}: {error}") from error

    def _add_new(self, feed: Feed, message: StreamMessage, run: int) -> None:
        """A connection's first message tells again what is known already."""
        new_run = feed.has_picture and is_other_run(feed.snapshot(), message.snapshot)
        last_event = 0 if new_run else feed.last_event
        last_share = 0 if new_run else feed.last_share
        feed.take(message)
        self._events += [(run, event) for event in feed.events_after(last_event)]
        self._shares += [(run, share) for share in feed.shares_after(last_share)]


T = TypeVar("T", bound=Numbered)


def _after(told: Sequence[tuple[int, T]], end: int, wanted_run: int, number: int) -> tuple[T, ...]:
    """Of the first `end`, those of this run with a higher number."""
    start = end
    while start and told[start - 1][0] == wanted_run and told[start - 1][1].number > number:
        start -= 1
    return tuple(one for _, one in told[start:end])


class Replay:
    """A recording that plays, as a SnapshotSource.

    `speed`: recorded seconds a second. It stands still at its end, and while `paused`.
    """

    def __init__(
        self, recording: Recording, speed: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._recording = recording
        self._speed = speed
        self._clock = clock
        self._played_s = 0.0  # by the moment `_since`
        self._since = clock()
        self._index = -1
        self._picture: RigSnapshot | None = None
        self.paused = False
        self.lost = ""
        self.silent_s: float | None = None  # nobody is awaited

    # -- SnapshotSource

    def snapshot(self) -> RigSnapshot:
        index = self._recording.index_at(self.position_s)
        if index != self._index or self._picture is None:
            self._index, self._picture = index, self._recording.picture(index)
        return self._picture

    def events_after(self, number: int) -> tuple[Event, ...]:
        return self._recording.events_after(number, max(self._index, 0))

    def shares_after(self, number: int) -> tuple[ShareRecord, ...]:
        return self._recording.shares_after(number, max(self._index, 0))

    # -- the player

    @property
    def position_s(self) -> float:
        """Since the first message."""
        gone = 0.0 if self.paused else (self._clock() - self._since) * self._speed
        return min(self._played_s + gone, self._recording.length_s)

    @property
    def length_s(self) -> float:
        return self._recording.length_s

    @property
    def speed(self) -> float:
        return self._speed

    @property
    def at_end(self) -> bool:
        return self.position_s >= self._recording.length_s

    def pause(self, paused: bool) -> None:
        self._set(self.position_s)
        self.paused = paused

    def seek(self, by_s: float) -> None:
        self._set(self.position_s + by_s)

    def _set(self, position_s: float) -> None:
        self._played_s = min(max(position_s, 0.0), self._recording.length_s)
        self._since = self._clock()
