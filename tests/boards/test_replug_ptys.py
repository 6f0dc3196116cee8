"""Each serial driver in real time over ptys: unplugged and plugged in five times, without a trace;
and chains whose line changes its speed while a pty hands it over."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

from boards_in_rig import all_mine, plan, plugged, states
from memory_net import MemoryNet
from rig_on_pool import Clock, PoolProcess, Run

from sv2rig.boards.ports import PortWatcher
from sv2rig.emulation.bus import Bus
from sv2rig.emulation.emulator import EmulatorOptions
from sv2rig.emulation.kinds import find_kind
from sv2rig.rig.hotplug import Hotplug

NO_BLOCKS = (1 << 200) - 1
TIMES = 5
KINDS: list[tuple[str, dict[str, str], str]] = [
    ("icarus", {}, ""),
    ("fpga_uart", {"variant": "pyfpga"}, "&dialect=pyfpga"),
    ("fpga_uart", {"variant": "kc705"}, "&dialect=kc705"),
    ("fpga_uart", {"variant": "makomk"}, "&dialect=makomk"),
    ("bm13xx", {"chips": "3"}, "&frequency=100"),
    ("bitaxe_raw", {}, "&frequency=100"),
    ("gekko", {}, "&frequency=100"),
]


def left_open() -> dict[str, int]:
    """What a leak would raise."""
    gc.collect()
    links = []
    for number in os.listdir("/proc/self/fd"):  # noqa: PTH208
        try:
            links.append(Path(f"/proc/self/fd/{number}").readlink().name)
        except OSError:  # that of listdir itself
            continue
    executor = [one for one in threading.enumerate() if one.name.startswith("asyncio")]
    return {
        "files": len(links),
        "watches": links.count("anon_inode:inotify"),
        "tasks": len(asyncio.all_tasks()),
        "threads": threading.active_count() - len(executor),  # the loop's own pool, which is bound
    }


@asynccontextmanager
async def boards(
    folder: Path, kinds: Sequence[tuple[str, dict[str, str], str]]
) -> AsyncIterator[tuple[Run, Bus]]:
    """A rig with these boards on ptys, which looks ten times a second for what is plugged in."""
    net, clock = MemoryNet(), Clock()
    pool = PoolProcess(net, clock, first_target=NO_BLOCKS)
    run = Run([], net.connect, clock, waits_for_devices=True)
    with Bus(folder) as bus:
        named = []
        for driver, more, options in kinds:
            board = bus.add(find_kind(driver).make(EmulatorOptions(10, 20_000.0, more=more)))
            named.append(f"serial:{board.paths[0]}?driver={driver}{options}")
        wanted = plan(named, start_interval_s=0.0)
        opted_in = [choice.opt_in for choice in wanted.named]
        watcher = PortWatcher(opted_in, folder=folder, events=_no_events, poll_s=0.1)
        async with plugged(Hotplug(run.rig, wanted, watcher)):
            yield run, bus
            await run.stop()
    await pool.stop()


def _is_left(before: dict[str, int]) -> bool:
    return left_open() == before


@contextmanager
def _no_events(_wake: Callable[[], None]) -> Iterator[None]:
    yield


async def test_unplugged_and_plugged_in_five_times(tmp_path: Path) -> None:
    async with boards(tmp_path / "run/emulated", KINDS) as (run, bus):
        before: dict[str, int] = {}
        for _ in range(TIMES + 1):
            await run.sees(lambda: all_mine(run, len(KINDS)), 30)
            await run.sees(_all_reply(bus), 30)
            for board in bus.boards:
                board.unplug()
            await run.sees(lambda: states(run) == {"LOST"}, 5)
            await asyncio.sleep(0.2)  # until the watch has seen it too
            before = before or left_open()
            # Who waits to look at a lost port again ends in his own time.
            await run.sees(partial(_is_left, before), 20)
            for board in bus.boards:
                board.plug_in()
        await run.sees(lambda: all_mine(run, len(KINDS)), 30)
        assert sum(device.hardware_errors for device in run.rig.snapshot().devices) == 0
        assert run.rig.snapshot().shares.accepted > 0


def _all_reply(bus: Bus) -> Callable[[], bool]:
    """Whether each board has sent three replies since now."""
    before = [board.board.wires.ledger.replies_sent for board in bus.boards]

    def holds() -> bool:
        now = [board.board.wires.ledger.replies_sent for board in bus.boards]
        return all(two - one > 3 for one, two in zip(before, now, strict=True))

    return holds


async def test_a_change_of_speed_on_a_pty(tmp_path: Path) -> None:
    """A pty says that all was sent when nobody has read it yet; what a chain then reads at another
    speed than it was sent at is noise to it."""
    source = random.Random(1)
    kinds = [
        ("bm13xx", {"chips": "3"}, f"&frequency=60&chips=3&baud={baud}")
        for baud in (115_200, 1_000_000, 1_562_500, 3_125_000)
    ]
    async with boards(tmp_path / "run/emulated", kinds) as (run, bus):
        for _ in range(8):
            await run.sees(lambda: all_mine(run, len(kinds)), 20)
            for board in bus.boards:
                board.unplug()
            await run.sees(lambda: states(run) == {"LOST"}, 5)
            for board in bus.boards:
                await asyncio.sleep(source.uniform(0.0, 0.1))
                board.plug_in()
        assert not run.lines.with_words("SICK")
        assert sum(device.comm_errors for device in run.rig.snapshot().devices) == 0
