"""An emulated USB device of this process, for hosts in others."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sv2rig.emulation.fake_usb import FakeUsbBackend
from sv2rig.emulation.usb_device import UsbFunction
from sv2rig.emulation.usb_server import UsbServer

_SOCKET = "1-1"  # the bus of a socket has one device


class UsbOutlet:
    """A unix socket that speaks pyusb's backend; the device answers when it is asked."""

    def __init__(self, device: UsbFunction, path: Path) -> None:
        self.targets = [str(path)]
        backend = FakeUsbBackend(asyncio.get_running_loop().time, wait=None)
        self._backend = backend
        backend.plug(device, _SOCKET)
        self._server = UsbServer(backend, path)

    def flush(self) -> None:
        """It sends only what it is asked for."""

    def hang_up(self) -> None:
        self._backend.unplug(_SOCKET)
        self._server.close()
