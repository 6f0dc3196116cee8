"""Emulated USB devices for other processes: calls of pyusb's IBackend over a unix socket.

Every message is a length (4 bytes, big-endian) and that many bytes of MessagePack, at most
1 MiB. A request is a list: the method's name and its arguments, where a device or a handle is
a number that this side gave, a buffer to send is bytes and a buffer to fill is its length. Replies:

    ["ok", value]                         value: None, a number, a flag, bytes read, or fields
    ["usb", errno, libusb's code, text]   a USBError
    ["timeout"]                           nothing yet: whoever has time left asks again
    ["index", text]                       an IndexError: no such descriptor

The end of a connection closes its handles, as a process's end does.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import itertools
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import usb.core

from sv2rig.emulation.fake_usb import FakeUsbBackend, OpenDevice, Plugged

LARGEST_MESSAGE = 1 << 20
LONGEST_PATH = 107  # bytes of a unix socket's address (unix(7))
_SEND_S = 1.0  # a host always reads its answer
_LENGTH = struct.Struct(">I")
_ON_HANDLES = frozenset({  # arguments beyond the handle are plain numbers, so are results
    "set_configuration", "get_configuration", "set_interface_altsetting", "claim_interface",
    "release_interface", "clear_halt", "reset_device", "is_kernel_driver_active",
    "detach_kernel_driver", "attach_kernel_driver",
})  # fmt: skip
_DESCRIPTORS = frozenset({
    "get_device_descriptor", "get_configuration_descriptor", "get_interface_descriptor",
    "get_endpoint_descriptor",
})  # fmt: skip
_READS = frozenset({"bulk_read", "intr_read", "iso_read"})
_WRITES = frozenset({"bulk_write", "intr_write", "iso_write"})


class UsbServer:
    """Serves a backend whose `wait` is None, on a unix socket and the running loop."""

    def __init__(self, backend: FakeUsbBackend, path: Path) -> None:
        """Listens at once; a socket that a dead server left at `path` is replaced. OSError, with
        what to do, where a socket cannot have this path."""
        if len(os.fsencode(path)) > LONGEST_PATH:
            raise OSError(f"{path} is too long for a socket: set XDG_RUNTIME_DIR to a shorter one")
        self._backend = backend
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._connections: set[_Connection] = set()
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(os.fspath(path))
        path.chmod(0o600)
        self._listener.listen()
        self._listener.setblocking(False)
        self._loop.add_reader(self._listener, self._accept)

    def close(self) -> None:
        """Ends every connection and removes the socket: to hosts, the device is unplugged."""
        self._loop.remove_reader(self._listener)
        self._listener.close()
        self._path.unlink(missing_ok=True)
        for connection in list(self._connections):
            connection.end()

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            accepted, _ = self._listener.accept()
            self._connections.add(_Connection(accepted, self._backend, self._connections))


class _Connection:
    def __init__(
        self, accepted: socket.socket, backend: FakeUsbBackend, open_ones: set[_Connection]
    ) -> None:
        accepted.settimeout(_SEND_S)
        self._socket = accepted
        self._calls = Calls(backend)
        self._open_ones = open_ones
        self._buffer = bytearray()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(accepted, self._readable)

    def end(self) -> None:
        if self in self._open_ones:
            self._open_ones.discard(self)
            self._loop.remove_reader(self._socket)
            self._socket.close()
            self._calls.close()

    def _readable(self) -> None:
        try:
            data = self._socket.recv(65_536)
        except OSError:
            data = b""
        self._buffer += data
        if not data or not self._answered():
            self.end()

    def _answered(self) -> bool:
        """Answers the whole messages in the buffer; False: this is not the protocol."""
        while len(self._buffer) >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(self._buffer)
            if size > LARGEST_MESSAGE:
                return False
            if len(self._buffer) < _LENGTH.size + size:
                return True
            message = bytes(self._buffer[_LENGTH.size : _LENGTH.size + size])
            del self._buffer[: _LENGTH.size + size]
            try:
                reply = self._calls.answer(message)
                self._socket.sendall(_LENGTH.pack(len(reply)) + reply)
            except (msgspec.MsgspecError, TypeError, ValueError, KeyError, OSError):
                return False
        return True


class Calls:
    """One client's calls on a backend, in bytes: no I/O."""

    def __init__(self, backend: FakeUsbBackend) -> None:
        self._backend = backend
        self._numbers = itertools.count(1)
        self._devices: dict[int, Plugged] = {}
        self._handles: dict[int, OpenDevice] = {}

    def answer(self, message: bytes) -> bytes:
        """The reply to one request; raises what a malformed one leads to."""
        method, *arguments = msgspec.msgpack.decode(message)
        if not arguments and method != "enumerate_devices":
            raise ValueError(f"{method} without arguments")
        return msgspec.msgpack.encode(self._reply(method, arguments))

    def close(self) -> None:
        """Closes what this client has left open."""
        for handle in self._handles.values():
            self._backend.close_device(handle)
        self._handles.clear()

    def _reply(self, method: str, arguments: list[Any]) -> list[object]:
        try:
            return ["ok", self._call(method, arguments)]
        except usb.core.USBTimeoutError:
            return ["timeout"]
        except usb.core.USBError as error:
            return ["usb", error.errno, error.backend_error_code, error.strerror]
        except IndexError as error:
            return ["index", str(error)]

    def _call(self, method: str, arguments: list[Any]) -> object:
        if method == "enumerate_devices":
            return self._enumerate()
        if method == "open_device":
            number = next(self._numbers)
            self._handles[number] = self._backend.open_device(self._devices[arguments[0]])
            return number
        if method == "close_device":
            self._backend.close_device(self._handles.pop(arguments[0]))
            return None
        if method in _DESCRIPTORS:
            device = self._devices[arguments[0]]
            return vars(getattr(self._backend, method)(device, *arguments[1:]))
        handle = self._handles[arguments[0]]
        if method in _ON_HANDLES:
            return getattr(self._backend, method)(handle, *arguments[1:])
        return self._transfer(method, handle, arguments[1:])

    def _transfer(self, method: str, handle: OpenDevice, arguments: list[Any]) -> object:
        *where, data, timeout = arguments
        to_host = method in _READS or (method == "ctrl_transfer" and isinstance(data, int))
        if not (to_host or method in _WRITES or method == "ctrl_transfer"):
            raise ValueError(f"no method {method}")
        if to_host and not 0 <= data <= LARGEST_MESSAGE // 2:
            raise ValueError(f"a buffer of {data} bytes")
        buffer = array.array("B", bytes(data))
        call: Callable[..., int] = getattr(self._backend, method)
        done = call(handle, *where, buffer, timeout)
        return buffer[:done].tobytes() if to_host else done

    def _enumerate(self) -> list[int]:
        known = {device: number for number, device in self._devices.items()}
        present = [known.get(device, device) for device in self._backend.enumerate_devices()]
        return [self._number(device) for device in present]

    def _number(self, device: Plugged | int) -> int:
        if isinstance(device, int):
            return device
        number = next(self._numbers)
        self._devices[number] = device  # kept when it is unplugged: calls on it say ENODEV
        return number
