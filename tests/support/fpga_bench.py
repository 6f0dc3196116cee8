"""An FPGA design with its driver, on the loop's virtual clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from board_sink import RecordingSink, plug_of, random_work
from memory_board import EmulatedBoard
from virtual_time import run_virtual

from sv2rig.devices.device import DeviceState
from sv2rig.drivers.fpga_uart.driver import DRIVER, FpgaBoard
from sv2rig.drivers.fpga_uart.emulator import EMULATOR
from sv2rig.emulation.emulator import Emulator, EmulatorOptions


class Bench:
    """A board, just powered up, with its emulator, and the words it is named by."""

    def __init__(self, emulator: Emulator, dialect: str, **words: str) -> None:
        self.emulator = emulator
        self.wires = EmulatedBoard(emulator)
        self.wires.plug_in()
        self.wires.pump()
        self.plug = plug_of(self.wires, dialect=dialect, **words)
        self.board: FpgaBoard
        self.sink: RecordingSink

    def as_hardware(self) -> None:
        """Nothing tells the driver that it is none."""
        self.plug.sighting = replace(self.plug.sighting, emulator=None)

    async def start(self) -> None:
        board = DRIVER.make(self.plug)
        assert isinstance(board, FpgaBoard)
        self.board, self.sink = board, RecordingSink(board)
        board.start(self.sink)

    async def ready(self) -> float:
        """Starts it; how long that took."""
        await self.start()
        since = self.board.now()
        await self.sink.state(DeviceState.READY, 120)
        return self.board.now() - since

    def give(self, work_id: int = 1) -> None:
        self.sink.give(random_work(work_id, self.board.ticket, work_id))

    async def end(self) -> None:
        self.board.stop()
        await self.board.stopped()
        assert self.wires.open_lines == 0

    async def trouble(self) -> str:
        """Why it does not start."""
        await self.start()
        await self.sink.state(DeviceState.SICK)
        await self.end()
        return next(why for state, why in self.sink.states if state is DeviceState.SICK)


def emulated(
    dialect: str, ticket_bits: int = 12, rate_hs: float = 100_000.0, **more: str
) -> Emulator:
    return EMULATOR.make(EmulatorOptions(ticket_bits, rate_hs, more={"variant": dialect, **more}))


def run(dialect: str, main: Callable[[Bench], Awaitable[None]], **more: str) -> None:
    """On the virtual clock, with a board of which nothing is special but `more`."""

    async def whole() -> None:
        await main(Bench(emulated(dialect, **more), dialect))  # type: ignore[arg-type]

    run_virtual(whole())
