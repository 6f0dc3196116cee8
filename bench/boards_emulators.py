"""The emulated boards of bench boards, in a process of their own (boards_child says how to ask)."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from boards_child import FIRST_NBITS, SHARE_TARGET, TICKET_BITS, Options, run, say, serve_marks

from sv2rig.devices.sighting import emulated_folder
from sv2rig.emulation import bus as emulated_bus
from sv2rig.emulation.bus import Bus
from sv2rig.emulation.emulator import Emulator, EmulatorOptions
from sv2rig.emulation.faults import FaultyBoard, parse_fault
from sv2rig.emulation.kinds import find_kind
from sv2rig.emulation.pty import PtyOutlet
from sv2rig.emulation.search import NONCES, HeaderBase, Hit, Search


class Sightings:
    """When each share's nonce was written, and when each job's last byte was read by whom."""

    def __init__(self) -> None:
        self.written: dict[str, float] = {}
        self.jobs: dict[int, dict[int, float]] = {}
        self._found: list[bytes] = []
        self._board, self._read_at = 0, 0.0

    def read(self, board: int, at: float) -> None:
        self._board, self._read_at = board, at

    def begun(self, headers: Iterable[HeaderBase]) -> None:
        """A job is whole: its nbits tell which one it is."""
        for base in headers:
            nbits = int.from_bytes(base.tail[8:], "little")
            if nbits >= FIRST_NBITS:
                self.jobs.setdefault(nbits, {}).setdefault(self._board, self._read_at)
            return

    def found(self, hits: Iterable[Hit]) -> None:
        self._found += [hit.hash for hit in hits if hit.value <= SHARE_TARGET]

    def about_to_write(self) -> None:
        """What was found since the last bytes went out is in the next."""
        if self._found:
            now = time.monotonic()
            for found in self._found:  # a job that is sent again brings the same once more
                self.written.setdefault(found.hex(), now)
            self._found.clear()


class OneAtATime:
    """Calls that wait for their turn on the event loop, one each time around."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._loop = asyncio.get_running_loop()

    def add(self, call: Callable[[], None]) -> None:
        if not self._waiting:
            self._loop.call_soon(self._next)
        self._waiting.append(call)

    def _next(self) -> None:
        self._waiting[0]()
        self._waiting.popleft()
        if self._waiting:
            self._loop.call_soon(self._next)


def watch_emulators(seen: Sightings) -> None:
    """Stands at the emulators' ptys and searches."""

    class WatchedSearch(Search):
        def begin(self, headers: Any, now: float, first: int = 0, count: int = NONCES) -> None:
            seen.begun(headers)
            _begin(self, headers, now, first, count)

        def take(self, now: float) -> list[Hit]:
            hits = _take(self, now)
            seen.found(hits)
            return hits

    class WatchedOutlet(PtyOutlet):
        """Notes when bytes are read, and lets boards act on them one at a time, with all that is
        there being read in between: one board's work on a job must not delay the next one's."""

        def flush(self) -> None:
            seen.about_to_write()
            super().flush()

        def _arrived(self, index: int) -> None:
            port = self.ports[index]
            if data := port.read():
                act = partial(self._deliver, index, data, port.baud(), time.monotonic())
                one_at_a_time.add(act)

        def _deliver(self, index: int, data: bytes, baud: int, read_at: float) -> None:
            seen.read(id(self), read_at)
            self._board.receive(index, data, baud, self._loop.time())
            self._heard()

    one_at_a_time = OneAtATime()
    _begin, _take = Search.begin, Search.take
    setattr(Search, "begin", WatchedSearch.begin)  # noqa: B010 - on purpose, for the bench alone
    setattr(Search, "take", WatchedSearch.take)  # noqa: B010 - as above
    setattr(emulated_bus, "PtyOutlet", WatchedOutlet)  # noqa: B010 - as above


async def emulate(options: Options) -> None:
    seen = Sightings()
    watch_emulators(seen)
    with Bus(emulated_folder(os.environ, os.geteuid())) as bus:
        for number, (name, more) in enumerate(options["boards"]):
            made: Emulator = find_kind(name).make(
                EmulatorOptions(TICKET_BITS, options["rate_hs"], more=more)
            )
            if fault := options.get("fault"):
                made = FaultyBoard(made, [parse_fault(f"{fault},seed={number}")])
            bus.add(made, f"{name}-{number:03}")
        say({"ready": [str(served.paths[0]) for served in bus.boards]})
        ledgers = [served.board.wires.ledger for served in bus.boards]
        await serve_marks(
            lambda: {
                "at": time.monotonic(),
                "cpu_s": time.process_time(),
                "sent": [ledger.replies_sent for ledger in ledgers],
            }
        )
        reads = {nbits: (len(at), max(at.values())) for nbits, at in seen.jobs.items()}
        say({"reads": reads, "written": seen.written})


if __name__ == "__main__":
    run(emulate)
