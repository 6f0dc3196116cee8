"""What every driver must survive, on an injected clock: each against its emulator.

A driver is added to KINDS with what its emulator is made from.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from board_sink import RecordingSink, plug_of, random_work
from memory_board import EmulatedBoard
from virtual_time import run_virtual

from sv2rig.boards.board import Board, Plug
from sv2rig.devices.device import DeviceState
from sv2rig.devices.supervisor_limits import SupervisorLimits
from sv2rig.drivers.fpga_uart import driver as fpga
from sv2rig.drivers.fpga_uart import emulator as fpga_emulator
from sv2rig.drivers.icarus import driver as icarus
from sv2rig.drivers.icarus import emulator as icarus_emulator
from sv2rig.emulation.emulator import EmulatorKind, EmulatorOptions
from sv2rig.emulation.faults import Direction, FaultPlan, FaultyBoard, WrongNonces

REPLIES = 10_000
TICKET_BITS = 10
# Nothing but the damage under test may end a run.
PATIENT = SupervisorLimits(
    bad_ratio=0.999999,
    comm_ratio=0.999999,
    bad_samples=10**9,
    comm_samples=10**9,
    flatline_ratio=1e-9,
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


def fpga_of(dialect: str) -> Callable[[Plug], Board]:
    def make(plug: Plug) -> Board:
        plug.options["dialect"] = dialect
        return fpga.FpgaBoard(plug)

    return make


KINDS = [
    Kind("icarus", icarus.make, icarus_emulator.EMULATOR, framed=False),
    Kind("kc705", fpga_of("kc705"), fpga_emulator.EMULATOR, False, {"variant": "kc705"}),
    Kind("pyfpga", fpga_of("pyfpga"), fpga_emulator.EMULATOR, False, {"variant": "pyfpga"}),
    Kind("makomk", fpga_of("makomk"), fpga_emulator.EMULATOR, False, {"variant": "makomk"}),
]
kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


class Bench:
    """One board on the virtual loop, with faults that begin when it mines."""

    def __init__(self, kind: Kind, plan: FaultPlan) -> None:
        self.plans: list[FaultPlan] = []
        wrong = WrongNonces([plan])
        inner = kind.emulator.make(
            EmulatorOptions(ticket_bits=TICKET_BITS, faults=wrong, more=kind.options)
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
        await bench.mine(REPLIES // 4)
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
@pytest.mark.parametrize("direction", ["to-host", "to-board"])
def test_damaged_bytes(kind: Kind, direction: str) -> None:
    async def main() -> None:
        each = 0.01 / 3
        plan = FaultPlan(
            seed=5,
            direction=Direction(direction),
            port=kind.port,
            flip=each,
            drop=each,
            duplicate=each,
        )
        bench = Bench(kind, plan)
        await bench.mine(REPLIES)
        await bench.end()
        ledger, sink, board = bench.emulator.wires.ledger, bench.sink, bench.board
        intact = ledger.replies_sent - ledger.replies_damaged
        print(
            ledger.replies_sent,
            ledger.replies_damaged,
            len(sink.found),
            sink.wrong,
            sink.comm_errors,
            getattr(board.engine, "probes_answered", 0),
            asyncio.get_running_loop().time(),
        )
        assert intact - len(sink.found) <= ledger.replies_damaged

    run_virtual(main())
