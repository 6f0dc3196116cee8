"""Boards and a look-alike on umockdev's USB, with the hotplug and the driver of a real rig.

Run by `umockdev-wrapper python umockdev_scene.py strings|opted-in|careless FOLDER`; prints what
happened as one JSON object. With "strings" the board's strings name it; with "opted-in" it has the
same strings as its look-alikes, and the user gave the path of its tty; with "careless" detection
believes bare ids, which shows that this scene can tell.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

from board_sink import RecordingSink
from umockdev_testbed import PluggedIn, Testbed

from sv2rig.boards.board import Board
from sv2rig.boards.ports import PortWatcher
from sv2rig.boards.serial_line import open_serial
from sv2rig.boards.usb_events import usb_events
from sv2rig.devices import detection
from sv2rig.devices.detection import OptIn
from sv2rig.devices.device import Device, DeviceState
from sv2rig.devices.pattern import Pattern
from sv2rig.drivers.icarus.driver import DRIVER
from sv2rig.rig.board_choice import BoardChoice
from sv2rig.rig.fleet import BoardSource
from sv2rig.rig.hotplug import BoardPlan, Hotplug

IDS = ("067b", "2303")
GENERIC = {"manufacturer": "Prolific Technology Inc.", "product": "USB-Serial Controller"}
NAMED = {"manufacturer": "Prolific Technology Inc.", "product": "Icarus", "serial": "IC7"}
PATIENCE_S = 20.0


class Rig:
    """Starts each board that is attached, on the pty behind its tty."""

    def __init__(self) -> None:
        self.ptys: dict[str, str] = {}
        self.attached: list[str] = []
        self.sinks: list[RecordingSink] = []
        self.came = asyncio.Event()

    def attach(self, device: Device) -> None:
        assert isinstance(device, Board)
        device.plug.open_line = lambda path, profile: open_serial(self.ptys[path], profile)
        self.attached.append(device.info.device_id)
        self.sinks.append(RecordingSink(device))
        device.start(self.sinks[-1])

    def sink_of(self, usb_path: str) -> RecordingSink:
        return next(s for s in self.sinks if s.board.plug.sighting.usb_path == usb_path)

    def boards_from(self, source: BoardSource) -> None:
        pass

    def report(self, level: str, text: str, device_id: str | None = None) -> None:
        raise AssertionError(text)


class Scene:
    def __init__(self, kind: str, folder: Path) -> None:
        named = kind != "opted-in"
        driver = DRIVER
        if kind == "careless":
            driver = replace(DRIVER, patterns=(Pattern(0x067B, 0x2303),))
            patch.object(detection, "is_shared_id", return_value=False).start()
        self.bed = Testbed()
        self.rig = Rig()
        self.strings = NAMED if named else GENERIC
        choice = BoardChoice(OptIn("/dev/ttyUSB1", DRIVER.name))
        named_by_user = () if named else (choice,)
        # Looking again by itself is an hour away: what is seen here, udev has told of.
        watcher = PortWatcher(
            [each.opt_in for each in named_by_user],
            folder=folder,
            events=usb_events,
            poll_s=3600,
        )
        plan = BoardPlan({driver.name: driver}, named_by_user, start_interval_s=0.1)
        self.hotplug = Hotplug(self.rig, plan, watcher)

    def plug(self, usb_path: str, strings: dict[str, str], tty: str) -> PluggedIn:
        plugged = self.bed.plug(usb_path, IDS, strings, tty)
        self.rig.ptys[plugged.tty_path] = plugged.pty
        return plugged

    async def run(self) -> dict[str, object]:
        look_alike = self.plug("1-1", GENERIC, "ttyUSB0")
        running = asyncio.create_task(self.hotplug.run())
        board = self.plug("1-2", self.strings, "ttyUSB1")
        first = await received(board)
        self.bed.unplug(board)
        await self.rig.sink_of("1-2").state(DeviceState.LOST, PATIENCE_S)
        thief = self.plug("1-3", GENERIC, "ttyUSB1")  # gets the board's old name
        board = self.plug("1-2", self.strings, "ttyUSB5")
        second = await received(board)
        for sink in self.rig.sinks:
            sink.board.stop()
            await sink.board.stopped()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return {
            "attached": self.rig.attached,
            "board": [first.hex(), second.hex()],
            "look-alikes": [look_alike.written().hex(), thief.written().hex()],
        }


async def received(plugged: PluggedIn) -> bytes:
    return await asyncio.to_thread(plugged.written, PATIENCE_S)


async def main() -> None:
    print(json.dumps(await Scene(sys.argv[1], Path(sys.argv[2])).run()))


if __name__ == "__main__":
    asyncio.run(main())
