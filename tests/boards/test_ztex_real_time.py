"""A ZTEX board behind its emulator's socket, with a real thread, a real clock and a real plug."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import pytest
from board_sink import RecordingSink, random_work

from sv2rig.boards.announcements import emulated_boards
from sv2rig.boards.board import Plug
from sv2rig.devices.device import DeviceState
from sv2rig.drivers.ztex.driver import DRIVER, ZtexBoard
from sv2rig.drivers.ztex.emulated_bitstream import blank_bitstream
from sv2rig.drivers.ztex.emulator import EMULATOR
from sv2rig.emulation.bus import Bus
from sv2rig.emulation.emulator import EmulatorOptions


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory(dir="/tmp") as made:  # a socket's path is short
        (Path(made) / "bus").mkdir(mode=0o700)
        yield Path(made)


def left() -> tuple[int, int, int]:
    files = sum(1 for _ in Path("/proc/self/fd").iterdir())
    return files, threading.active_count(), len(asyncio.all_tasks())


async def test_unplugged_and_plugged_in_five_times(folder: Path) -> None:
    bitstream = folder / "ztex.bit"
    bitstream.write_bytes(blank_bitstream("ztex", 100_000))
    with Bus(folder / "bus") as bus:
        served = bus.add(EMULATOR.make(EmulatorOptions(ticket_bits=10, rate_hs=100_000.0)))
        before: tuple[int, int, int] | None = None
        plug: Plug | None = None
        for number in range(5):
            [seen] = emulated_boards(folder / "bus")
            assert seen.sighting.emulator is not None
            plug = plug or Plug("ztex:1", seen.sighting, {"bitstream": str(bitstream)})
            board = cast(ZtexBoard, DRIVER.make(plug))
            sink = RecordingSink(board)
            board.start(sink)
            sink.give(random_work(number, board.ticket))
            await sink.count(20, within_s=20)
            assert sink.wrong == 0
            served.unplug()
            await sink.state(DeviceState.LOST, within_s=5)
            await board.stopped()
            while threading.active_count() > 1:  # the thread ends by itself, soon
                await asyncio.sleep(0.01)
            before = before or left()
            assert left() == before
            assert emulated_boards(folder / "bus") == ()
            served.plug_in()
