"""An emulated USB board of this process, from a host's side of its socket."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path

import pytest
import usb.core

from sv2rig.boards.emulated_usb import EmulatedUsbBackend
from sv2rig.drivers.ztex.emulator import EMULATOR
from sv2rig.emulation.bus import Bus
from sv2rig.emulation.emulator import EmulatorOptions


def product(path: Path) -> str:
    """What a host in another thread finds there."""
    backend = EmulatedUsbBackend(str(path))
    try:
        return str(usb.core.find(backend=backend).product)
    finally:
        backend.close()


async def test_a_usb_board_is_behind_its_socket_until_it_is_unplugged(tmp_path: Path) -> None:
    with Bus(tmp_path) as bus:
        board = bus.add(EMULATOR.make(EmulatorOptions()))
        assert board.on_usb
        for _ in range(2):
            [path] = board.paths
            told = json.loads((tmp_path / "ztex.json").read_text())
            assert told["ports"] == [{"path": str(path), "interface": 0, "name": "usb"}]
            assert told["usb_path"] == "emulated:ztex"
            assert stat.S_ISSOCK(path.stat().st_mode)
            found = await asyncio.to_thread(product, path)
            assert found == "USB-FPGA Module 1.15x (default)"
            board.unplug()
            with pytest.raises(usb.core.USBError, match="no emulator answers"):
                await asyncio.to_thread(product, path)
            left = {path.name for path in tmp_path.iterdir()}  # noqa: ASYNC240
            assert left == {"ztex.lock", "ztex.bitstream"}
            board.plug_in()
