"""An emulated USB board on a unix socket: what Bus plugs in where there are no ptys to make."""

from __future__ import annotations

import asyncio
import math
import os
from pathlib import Path

from sv2rig.emulation.announce import AnnounceError, Name
from sv2rig.emulation.fake_usb import FakeUsbBackend
from sv2rig.emulation.usb_device import UsbBoard
from sv2rig.emulation.usb_faults import FaultyUsb
from sv2rig.emulation.usb_server import UsbServer

_USB_PATH = "1-1"  # of its own bus; nobody looks at it
_TICK_S = 0.25
LONGEST_PATH = 107  # bytes of a unix socket's address (unix(7))


class SocketBoard:
    """One board. `paths` holds its socket's name, and nothing while it is not plugged in."""

    def __init__(self, board: UsbBoard, name: Name) -> None:
        self.board = board
        self.name = name
        self.paths: tuple[Path, ...] = ()
        self._loop = asyncio.get_running_loop()
        self._backend = FakeUsbBackend(self._loop.time, wait=None)
        self._server: UsbServer | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._plug: list[asyncio.TimerHandle] = []  # what the faults will do to the plug

    def plug_in(self) -> None:
        """Power comes, the socket appears, and then the announcement."""
        if self._server is not None:
            return
        self.board.power_up(self._loop.time())
        self._backend.plug(self.board, _USB_PATH)
        path = self.name.folder / f"{self.name.text}.socket"
        if len(os.fsencode(path)) > LONGEST_PATH:
            raise AnnounceError(
                f"{path} is too long for a socket: set XDG_RUNTIME_DIR to a shorter one"
            )
        self._server = UsbServer(self._backend, path)
        self.paths = self.name.announce(self.board, [str(path)])
        for plan in self.board.plans if isinstance(self.board, FaultyUsb) else ():
            if plan.unplug < math.inf:
                self._plug.append(self._loop.call_later(plan.unplug, self._pull, plan.replug))
        self._due()

    def unplug(self) -> None:
        """As pulled out: hosts read ENODEV, socket and announcement are gone."""
        for handle in (*self._plug, *([self._timer] if self._timer else [])):
            handle.cancel()
        self._plug.clear()
        self.name.retract()
        self.paths = ()
        if self._server is not None:
            self._backend.unplug(_USB_PATH)
            self._server.close()
            self._server = None

    def close(self) -> None:
        """For good."""
        self.unplug()
        self.name.give_back()

    def _pull(self, away_for: float) -> None:
        self.unplug()
        if away_for < math.inf:
            self._plug.append(self._loop.call_later(away_for, self.plug_in))

    def _due(self) -> None:
        """Hashes are computed as they fall due, not all of them when a host asks."""
        self.board.on_time(self._loop.time())
        self._timer = self._loop.call_later(_TICK_S, self._due)
