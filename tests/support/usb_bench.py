"""A USB board in a fake bus: what a Plug opens, on the loop's own clock."""

from __future__ import annotations

import asyncio

from sv2rig.boards.board import Plug
from sv2rig.boards.usb import UsbLine, open_usb
from sv2rig.devices.sighting import Sighting
from sv2rig.emulation.fake_usb import FakeUsbBackend
from sv2rig.emulation.usb_device import UsbBoard


class UsbBench:
    """One emulated board at 1-2.3. Transfers never wait: virtual time stands while they run."""

    usb_path = "1-2.3"

    def __init__(self, board: UsbBoard) -> None:
        self._loop = asyncio.get_running_loop()
        self.board = board
        self.backend = FakeUsbBackend(self._loop.time, wait=None)
        self.plug_in()

    def plug_in(self) -> None:
        self.board.power_up(self._loop.time())
        self.backend.plug(self.board, self.usb_path)

    def unplug(self) -> None:
        self.backend.unplug(self.usb_path)

    def open_usb(self, sighting: Sighting) -> UsbLine:
        return open_usb(sighting, self.backend)

    def plug(self, device_id: str = "ztex:1", **options: str) -> Plug:
        """What a board is made from."""
        who = self.board.identity
        sighting = Sighting(
            self.usb_path,
            who.vid,
            who.pid,
            who.bcd,
            who.manufacturer,
            who.product,
            who.serial,
            emulator=self.board.claims,
        )
        return Plug(device_id, sighting, dict(options), open_usb=self.open_usb)
