"""Opening a USB board: who is in the way in words, kernel drivers given back, the socket's way."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import usb.core

from sv2rig.boards.line import LineLostError
from sv2rig.boards.usb import (
    UsbBusyError,
    UsbLine,
    UsbLostError,
    UsbPermissionError,
    UsbStallError,
    UsbTimeoutError,
    open_usb,
)
from sv2rig.devices.sighting import EmulatorClaims, Port, Sighting
from sv2rig.emulation.emulator import Identity
from sv2rig.emulation.fake_usb import FakeUsbBackend
from sv2rig.emulation.usb_device import Endpoint, Interface, Setup, SilentError, StallError
from sv2rig.emulation.usb_server import UsbServer


class Gadget:
    identity = Identity("gadget", 0x221A, 0x0100, 0, "ZTEX", "Gadget", None)
    interfaces = (Interface(0, (Endpoint(0x02),), kernel_driver="usbtest"), Interface(1))

    def __init__(self) -> None:
        self.written = b""

    def control_in(self, setup: Setup, now: float) -> bytes:
        if setup.request == 1:
            raise SilentError
        if setup.request == 2:
            raise StallError
        return bytes(range(min(setup.length, 40)))

    def control_out(self, setup: Setup, data: bytes, now: float, intact: bool = True) -> None:
        self.written += data

    def read(self, endpoint: int, size: int, now: float) -> bytes:
        raise StallError

    def write(self, endpoint: int, data: bytes, now: float) -> int:
        self.written += data
        return len(data)

    def reset(self, now: float) -> None:
        pass


SEEN = Sighting("3-1.4", 0x221A, 0x0100)


@pytest.fixture
def backend() -> FakeUsbBackend:
    made = FakeUsbBackend(wait=None)
    made.plug(Gadget(), "3-1.4")
    return made


def counts(backend: FakeUsbBackend) -> tuple[int, int, int]:
    return backend.open_handles, backend.claims, backend.detached_drivers


def test_what_was_taken_is_given_back(backend: FakeUsbBackend) -> None:
    line = open_usb(SEEN, backend)
    line.claim(0)
    line.claim(0)
    line.claim(1)
    assert counts(backend) == (1, 2, 1)
    line.release(0)
    assert counts(backend) == (1, 1, 0)
    line.claim(0)
    line.close()
    line.close()
    assert counts(backend) == (0, 0, 0)
    with pytest.raises(Exception, match="closed"):
        line.control_in(3, 8)


def test_the_right_device_among_others(backend: FakeUsbBackend) -> None:
    other = Gadget()
    backend.plug(other, "3-1.3")
    line = open_usb(SEEN, backend)
    line.control_out(3, b"mine")
    line.close()
    assert other.written == b""
    with pytest.raises(UsbLostError, match="nothing is plugged in"):
        open_usb(Sighting("3-1.5"), backend)
    with pytest.raises(UsbLostError, match="another device"):
        open_usb(Sighting("3-1.4", 0x221A, 0x0101), backend)
    assert counts(backend) == (0, 0, 0)


def test_trouble_in_words(backend: FakeUsbBackend) -> None:
    line, second = open_usb(SEEN, backend), open_usb(SEEN, backend)
    line.claim(0)
    with pytest.raises(UsbBusyError, match="another program"):
        second.claim(0)
    with pytest.raises(UsbTimeoutError, match="request 0x01"):
        line.control_in(1, 8)
    with pytest.raises(UsbStallError, match="refused"):
        line.control_in(2, 8)
    backend.unplug("3-1.4")
    with pytest.raises(UsbLostError, match="unplugged") as lost:
        line.control_in(3, 8)
    assert isinstance(lost.value, LineLostError)
    line.close()
    second.close()
    backend.plug(Gadget(), "3-1.4", permitted=False)
    with pytest.raises(UsbPermissionError, match="udev install"):
        open_usb(SEEN, backend)
    assert counts(backend) == (0, 0, 0)


def test_a_program_that_forgets_gives_back_at_its_end(tmp_path: Path) -> None:
    program = textwrap.dedent("""
        import atexit, sys
        atexit.register(lambda: print(backend.open_handles, backend.detached_drivers))
        sys.path.insert(0, sys.argv[1])
        from test_usb_line import SEEN, Gadget
        from sv2rig.emulation.fake_usb import FakeUsbBackend
        backend = FakeUsbBackend(wait=None)
        backend.plug(Gadget(), "3-1.4")
        from sv2rig.boards.usb import open_usb
        line = open_usb(SEEN, backend)
        line.claim(0)
        print(backend.open_handles, backend.detached_drivers)
    """)
    command = [sys.executable, "-P", "-c", program, str(Path(__file__).parent)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.split("\n")[:2] == ["1 1", "0 0"]


# -- the same over a socket


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory(dir="/tmp") as made:  # a socket's path is short
        yield Path(made)


def seen_at(path: Path) -> Sighting:
    return Sighting(
        "emulated:gadget",
        0x221A,
        0x0100,
        ports=(Port(str(path)),),
        emulator=EmulatorClaims(16, 1e5, driver="ztex"),
    )


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def in_thread(work: Any, *arguments: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(None, work, *arguments)


async def test_over_a_socket_it_is_the_same(folder: Path, backend: FakeUsbBackend) -> None:
    path = folder / "usb"
    server = UsbServer(backend, path)
    before = open_files()

    def use() -> UsbLine:
        line = open_usb(seen_at(path))
        assert line.control_in(3, 64) == bytes(range(40))
        line.claim(0)
        assert line.bulk_out(2, bytes(65_536)) == 65_536
        with pytest.raises(UsbTimeoutError):
            line.control_in(1, 8, timeout_s=0.02)
        with pytest.raises(UsbStallError):
            line.control_in(2, 8)
        return line

    line = await in_thread(use)
    assert counts(backend) == (1, 1, 1)
    await in_thread(line.close)
    await asyncio.sleep(0)
    assert counts(backend) == (0, 0, 0)
    assert oct(path.stat().st_mode & 0o777) == "0o600"
    server.close()
    assert not path.exists()
    await asyncio.sleep(0.01)
    assert open_files() <= before
    with pytest.raises(UsbLostError, match="socket"):
        open_usb(seen_at(path))


async def test_a_server_that_ends_is_an_unplug(folder: Path, backend: FakeUsbBackend) -> None:
    server = UsbServer(backend, folder / "usb")
    line = await in_thread(open_usb, seen_at(folder / "usb"))
    server.close()
    with pytest.raises(UsbLostError):
        await in_thread(line.control_in, 3, 8)
    with pytest.raises(UsbLostError):
        await in_thread(line.control_in, 3, 8)
    await in_thread(line.close)
    assert counts(backend)[:2] == (0, 0)


async def test_a_host_that_dies_leaves_no_claims(folder: Path, backend: FakeUsbBackend) -> None:
    server = UsbServer(backend, folder / "usb")
    line = await in_thread(open_usb, seen_at(folder / "usb"))
    await in_thread(line.claim, 0)
    assert counts(backend) == (1, 1, 1)
    assert line._connection is not None
    line._connection.close()
    while backend.open_handles:
        await asyncio.sleep(0.001)
    assert counts(backend) == (0, 0, 1)  # as on Linux: the driver does not come back by itself
    server.close()
    line.close()


@pytest.mark.parametrize(
    "message",
    [
        b"\x00\x00\x00\x01\xc1",
        b"\x00\x00\x00\x01\x01",
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x05\x91\xa3abc",
        b"\x00\x00\x00\x0e\x92\xabopen_device\x05",
    ],
)
async def test_what_is_not_the_protocol_ends_the_connection(
    folder: Path, backend: FakeUsbBackend, message: bytes
) -> None:
    server = UsbServer(backend, folder / "usb")
    reader, writer = await asyncio.open_unix_connection(folder / "usb")
    writer.write(message)
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    server.close()


@pytest.mark.parametrize(
    "reply", [b"", b"\x00\x00\x00\x01\xc1", b"\x00\x00\x00\x01\x05", b"\xff" * 9]
)
def test_a_socket_of_something_else_is_no_device(folder: Path, reply: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(folder / "other"))
        listener.listen()
        accepted: list[socket.socket] = []
        import threading

        def answer() -> None:
            connection, _ = listener.accept()
            connection.recv(100)
            connection.sendall(reply)
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(UsbLostError):
            open_usb(seen_at(folder / "other"))
        thread.join()
        assert not accepted


def test_libusb_is_there() -> None:
    """The real library loads and can be asked, whether or not anything is plugged in."""
    with pytest.raises(UsbLostError):
        open_usb(Sighting("250-7.7.7"))
    assert usb.core.USBError("x", -4, errno.ENODEV).errno == errno.ENODEV
