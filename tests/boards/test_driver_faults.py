"""What every driver must survive, on an injected clock: each against its emulator.

A driver is added to KINDS with what its emulator is made from.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from board_sink import RecordingSink, plug_of, random_work
from memory_board import EmulatedBoard
from virtual_time import run_virtual

from sv2rig.boards.board import Board, Plug
from sv2rig.boards.push_engine import PushEngine
from sv2rig.devices.device import DeviceState
from sv2rig.devices.supervisor_limits import SupervisorLimits
from sv2rig.drivers.bitaxe_raw import driver as bitaxe
from sv2rig.drivers.bitaxe_raw import emulator as bitaxe_emulator
from sv2rig.drivers.bm13xx import driver as bm13xx
from sv2rig.drivers.bm13xx import emulator as bm13xx_emulator
from sv2rig.drivers.bm13xx.old_chain import OldChain
from sv2rig.drivers.fpga_uart import driver as fpga
from sv2rig.drivers.fpga_uart import emulator as fpga_emulator
from sv2rig.drivers.gekko import driver as gekko
from sv2rig.drivers.gekko import emulator as gekko_emulator
from sv2rig.drivers.icarus import driver as icarus
from sv2rig.drivers.icarus import emulator as icarus_emulator
from sv2rig.emulation.emulator import EmulatorKind, EmulatorOptions
from sv2rig.emulation.faults import Direction, FaultPlan, FaultyBoard, WrongNonces

REPLIES = 10_000
TICKET_BITS = 10
RATE_HS = 10_000.0
# Nothing but the damage under test may end a run.
PATIENT = SupervisorLimits(
    bad_ratio=0.999999,
    comm_ratio=0.999999,
    bad_samples=10**9,
    comm_samples=10**9,
    flatline_min_s=1e12,
    silence_nonces=1e9,
)


@dataclass(frozen=True)
class Kind:
    """A driver and its emulator. `framed`: its replies have a mark and a checksum."""

    name: str
    make: Callable[[Plug], Board]
    emulator: EmulatorKind
    framed: bool
    options: dict[str, str] = field(default_factory=dict)
    port: int = 0
    own_answers: Callable[[Board], int] = lambda _board: 0  # rightly answered to its own known work


def probes(board: Board) -> int:
    """What a push engine has asked, and the self-test at the start."""
    assert isinstance(board.engine, PushEngine)
    return board.engine.probes_answered + 1


def busy_answers(board: Board) -> int:
    """Answers to the jobs that open a chain's cores."""
    assert isinstance(board, gekko.GekkoBoard)
    chain = board.chain
    return chain.wire.busy_answers if isinstance(chain, OldChain) else 0


def fpga_of(dialect: str) -> Callable[[Plug], Board]:
    """A board of this dialect."""

    def make(plug: Plug) -> Board:
        plug.options["dialect"] = dialect
        return fpga.FpgaBoard(plug)

    return make


def golden_answers(board: Board) -> int:
    """To the self-test's work, which an FPGA searches until it gets other work."""
    assert isinstance(board, fpga.FpgaBoard)
    return board.engine.golden_answers


KINDS = [
    Kind("icarus", icarus.make, icarus_emulator.EMULATOR, framed=False, own_answers=probes),
    *(
        Kind(
            f"{chip} x {count}",
            bm13xx.DRIVER.make,
            bm13xx_emulator.EMULATOR,
            framed=True,
            options={"chip": chip, "chips": str(count)},
        )
        for chip, count in (("BM1397", 1), ("BM1362", 12), ("BM1370", 1))
    ),
    *(
        Kind(
            dialect,
            fpga_of(dialect),
            fpga_emulator.EMULATOR,
            framed=False,
            options={"variant": dialect},
            own_answers=golden_answers,
        )
        for dialect in ("kc705", "pyfpga", "makomk")
    ),
    Kind("bitaxe_raw", bitaxe.make, bitaxe_emulator.EMULATOR, framed=True, port=1),
    *(
        Kind(
            f"gekko {board}",
            gekko.DRIVER.make,
            gekko_emulator.EMULATOR,
            framed=board != "compac",
            options={"board": board},
            own_answers=busy_answers,
        )
        for board in ("compac", "newpac", "a2")
    ),
]
kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


class Bench:
    """One board on the virtual loop, with faults that begin when it mines."""

    def __init__(self, kind: Kind, plan: FaultPlan) -> None:
        self.plans: list[FaultPlan] = []
        wrong = WrongNonces([plan])
        inner = kind.emulator.make(
            EmulatorOptions(TICKET_BITS, RATE_HS, faults=wrong, more=kind.options)
        )
        self.emulator = FaultyBoard(inner, [plan])
        self.wires = EmulatedBoard(self.emulator)
        plug = plug_of(self.wires)
        plug.limits = PATIENT
        plug.__post_init__()
        self.board = kind.make(plug)
        self.sink = RecordingSink(self.board)

    async def mine(self, replies: int) -> None:
        """Until the board has sent so many."""
        self.board.start(self.sink)
        await self.sink.state(DeviceState.READY)
        self.sink.give(random_work(1, self.board.ticket))
        ledger = self.emulator.wires.ledger
        while ledger.replies_sent < replies:
            await asyncio.sleep(1.0)

    async def end(self) -> None:
        self.board.stop()
        await self.board.stopped()


@kinds
def test_wrong_nonces_are_counted_one_by_one(kind: Kind) -> None:
    """Well-formed frames with a wrong nonce."""

    async def main() -> None:
        bench = Bench(kind, FaultPlan(seed=3, nonces=0.02))
        await bench.mine(2_500)
        await bench.end()
        ledger = bench.emulator.wires.ledger
        assert ledger.replies_wrong > 30
        # hashlib has judged each in the sink; one wrong nonce in 2**10 is right by chance.
        by_chance = ledger.replies_wrong - bench.sink.wrong
        assert 0 <= by_chance <= 5
        assert {state for state, _ in bench.sink.states} <= GOOD

    run_virtual(main())


GOOD = {
    DeviceState.INIT,
    DeviceState.READY,
    DeviceState.MINING,
    DeviceState.COOLDOWN,
}


@kinds
@pytest.mark.parametrize("direction", list(Direction)[1:])
def test_damaged_bytes(kind: Kind, direction: Direction) -> None:
    """One byte in a hundred is changed, lost or doubled, in one direction."""

    async def main() -> None:
        each = 0.01 / 3
        plan = FaultPlan(5, direction, kind.port, flip=each, drop=each, duplicate=each)
        bench = Bench(kind, plan)
        await bench.mine(REPLIES)
        await asyncio.sleep(5)
        await bench.end()
        ledger, sink = bench.emulator.wires.ledger, bench.sink
        assert ledger.replies_sent == len(ledger.replies) >= REPLIES
        intact = ledger.replies_sent - ledger.replies_damaged
        sent = {reply.nonce for reply in ledger.replies}
        accepted = [solution.nonce.to_bytes(4, "little") for solution in sink.found]
        by_chance = sum(nonce not in sent for nonce in accepted)
        came = set(zip(accepted, (round(at, 1) for at in sink.found_at), strict=True))
        by_chance += sum(
            (reply.nonce, round(reply.at + late, 1)) in came
            for reply in ledger.replies
            for late in (0.0, 0.05)
            if reply.damaged
        )
        rightly = len(accepted) + kind.own_answers(bench.board) - by_chance
        assert intact - ledger.replies_damaged - 1 <= rightly <= intact
        # Every damaged reply shows: as a communication error, a wrong nonce, or right by chance.
        assert ledger.replies_damaged <= sink.comm_errors + sink.wrong + by_chance
        assert not [reason for _, reason in sink.states if "fault in the driver" in reason]

    run_virtual(main())


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@kinds
def test_unplugged_and_plugged_in_a_hundred_times(kind: Kind) -> None:
    """Nothing is left behind, and the board mines each time with what was set before."""

    async def main() -> None:
        bench = Bench(kind, FaultPlan())
        plug = bench.board.plug
        before: tuple[int, ...] | None = None
        for _ in range(100):
            sink = RecordingSink(board := kind.make(plug))
            board.start(sink)
            await sink.state(DeviceState.MINING if sink.works else DeviceState.READY)
            sink.give(random_work(1, board.ticket))
            await sink.count(3)
            bench.wires.unplug()
            await board.stopped()
            assert sink.states[-1][0] is DeviceState.LOST
            assert bench.wires.open_lines == 0
            bench.wires.plug_in()
            left = (len(asyncio.all_tasks()), threading.active_count(), open_files())
            before = before or left
            assert left == before

    run_virtual(main())


@kinds
def test_the_wall_clock_does_not_matter(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is stepped by an hour, back and forth, while the board mines."""

    async def main() -> None:
        bench = Bench(kind, FaultPlan())
        await bench.mine(50)
        for step in (3600.0, -3600.0):
            monkeypatch.setattr(time, "time", lambda step=step: real() + step)
            found = len(bench.sink.found)
            await bench.sink.count(found + 50, within_s=600)
        await bench.end()
        assert bench.sink.wrong == bench.sink.comm_errors == 0
        assert {state for state, _ in bench.sink.states} <= GOOD

    real = time.time
    run_virtual(main())
