"""A driver whose every step does what a test says, on a line that a test holds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from board_sink import RecordingSink

from sv2rig.boards.board import Board, Plug
from sv2rig.boards.line import LineLostError, LineProfile
from sv2rig.devices.device import DeviceState, Setting, Telemetry
from sv2rig.devices.sighting import EmulatorClaims, Port, Sighting
from sv2rig.devices.work import Work

FREQUENCY = Setting("frequency", "MHz", 50.0, 800.0, 400.0, "its clock")
START_UP_S = 2.0


class HeldLine:
    """sv2rig.boards.line.Line; what was written is in `written`."""

    def __init__(self, path: str) -> None:
        self.on_data: Callable[[bytes], None] = lambda _data: None
        self.on_lost: Callable[[str], None] = lambda _reason: None
        self.path = path
        self.written = b""
        self.is_open = True

    def write(self, data: bytes) -> None:
        if not self.is_open:
            raise LineLostError("closed")
        self.written += data

    async def drain(self) -> None:
        pass

    def set_baud(self, baud: int) -> None:
        pass

    def set_lines(self, dtr: bool | None = None, rts: bool | None = None) -> None:
        pass

    def discard_input(self) -> None:
        pass

    def close(self) -> None:
        self.is_open = False


class Lines:
    """Opens HeldLines and keeps them all. `refuse`: what the next opening of a path raises."""

    def __init__(self) -> None:
        self.all: list[HeldLine] = []
        self.refuse: dict[str, Exception] = {}

    def open(self, path: str, _profile: LineProfile) -> HeldLine:
        if path in self.refuse:
            raise self.refuse[path]
        self.all.append(line := HeldLine(path))
        return line

    @property
    def still_open(self) -> list[HeldLine]:
        return [line for line in self.all if line.is_open]


class ToyEngine:
    """Counts what it is given; `fault` is raised by its next call."""

    def __init__(self) -> None:
        self.given: list[Work | None] = []
        self.data = b""
        self.fault: Exception | None = None

    def _may_fail(self) -> None:
        fault, self.fault = self.fault, None
        if fault is not None:
            raise fault

    def assign(self, work: Work | None, now: float) -> None:
        self._may_fail()
        self.given.append(work)

    def received(self, data: bytes, now: float) -> None:
        self._may_fail()
        self.data += data

    def next_timeout(self) -> float | None:
        return None

    def on_time(self, now: float) -> None:
        self._may_fail()

    def reset(self) -> None:
        pass


class Step:
    """One of a driver's steps: takes `seconds`, then raises `fault`, if any. What it did is in
    `began` and `ended`, loop times."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.fault: Exception | None = None
        self.began: list[float] = []
        self.ended: list[float] = []

    async def __call__(self) -> None:
        loop = asyncio.get_running_loop()
        self.began.append(loop.time())
        await asyncio.sleep(self.seconds)
        if self.fault is not None:
            raise self.fault
        self.ended.append(loop.time())


class ToyDriver(Board):
    """Its steps are `safe`, `up`, `read`, `set`, to be changed by a test at any time."""

    driver = "toy"
    has_power = True

    def __init__(self, plug: Plug, ports: int = 1) -> None:
        super().__init__(plug, "toy", 1e6, [LineProfile()] * ports, [FREQUENCY])
        self.toy = ToyEngine()
        self.engine = self.toy
        self.safe, self.up, self.read, self.set = Step(), Step(START_UP_S), Step(), Step()

    async def make_safe(self) -> None:
        await self.safe()

    async def start_up(self) -> None:
        await self.up()

    async def poll(self) -> Telemetry:
        await self.read()
        return Telemetry(temperature_c=40.0)

    async def apply(self, _name: str, _value: float) -> None:
        await self.set()


def toy_plug(lines: Lines, ports: Sequence[str] = ("toy:0",)) -> Plug:
    paths = tuple(Port(path, number) for number, path in enumerate(ports))
    claims = EmulatorClaims(ticket_bits=12, rate_hs=1e6)
    return Plug("toy:1", Sighting("1-1", ports=paths, emulator=claims), open_line=lines.open)


def started(board: Board) -> RecordingSink:
    """The board begins to live; what it says."""
    sink = RecordingSink(board)
    board.start(sink)
    return sink


def told(sink: RecordingSink) -> list[DeviceState]:
    return [state for state, _ in sink.states]
