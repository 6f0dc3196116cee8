"""The rig of bench boards, in a process of its own (boards_child says how to ask)."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from pathlib import Path
from typing import Final

from boards_child import TICKET_BITS, Answer, Options, run, say, serve_marks

from sv2rig.boards.driver import all_drivers
from sv2rig.cli.run_rig import make_rig
from sv2rig.devices.device import DeviceState
from sv2rig.mining.failover import PoolEntry
from sv2rig.mining.session import SessionOptions
from sv2rig.rig.board_choice import parse_boards
from sv2rig.rig.hotplug import BoardPlan, Hotplug
from sv2rig.rig.snapshot import DeviceSnapshot, Event
from sv2rig.sv2.messages.error_codes import STALE_SHARE
from sv2rig.sv2.url import parse_pool_url

START_S: Final = 0.1  # from board to board: all at once are too many for the emulators


async def rig(options: Options) -> None:
    # The rig as `sv2rig mine` runs it with these boards.
    pool = PoolEntry("pool", parse_pool_url(options["url"]), "bench.boards")
    it = make_rig([], [pool], SessionOptions(), complain, waits_for_devices=True)
    drivers = all_drivers()
    named = parse_boards(options["devices"], drivers)
    plan = BoardPlan(drivers, named, only_named=True, start_interval_s=START_S)
    watching = asyncio.create_task(Hotplug(it, plan).run())
    running = asyncio.create_task(it.run())

    def mark() -> Answer:
        picture = it.snapshot()
        mines = sum(map(mining, picture.devices))
        return {
            "at": time.monotonic(),
            "cpu_s": time.process_time(),
            "resident_bytes": resident_bytes(),
            "mines": mines,
            "states": [
                f"{d.id} is {d.state}, {d.reason}" for d in picture.devices if not mining(d)
            ],
            # Each board counts the hashes that its valid nonces prove.
            "nonces": sum(device.hashes_done() for device in it.devices()) >> TICKET_BITS,
            "hardware_errors": picture.hardware_errors,
            "comm_errors": picture.comm_errors,
            "stale": picture.shares.stale,
        }

    gc.freeze()  # as `sv2rig mine` does
    say({"ready": True})
    await serve_marks(mark)
    say({})
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await it.stop()
    await running


def mining(device: DeviceSnapshot) -> bool:
    return device.state == DeviceState.MINING


def complain(event: Event) -> None:
    if event.level in ("warning", "error") and STALE_SHARE not in event.text:
        print(f"rig: {event.level}: {event.device or ''} {event.text}", file=sys.stderr)


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    run(rig)
