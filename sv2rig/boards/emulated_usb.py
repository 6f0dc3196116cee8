"""A pyusb backend that speaks to an emulator's unix socket, for emulated USB boards.

The messages are those of the emulator kit's server: a length (4 bytes, big-endian) and that many
bytes of MessagePack. A request is [method, argument, ...]; replies are ["ok", value], ["usb",
errno, libusb's code, text], ["timeout"] (nothing yet: ask again) and ["index", text]. A socket that
is gone is a device that was unplugged.
"""

from __future__ import annotations

import array
import contextlib
import errno
import socket
import struct
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import msgspec
import usb.backend
import usb.core

_LENGTH = struct.Struct(">I")
_LARGEST_MESSAGE = 1 << 20
_ANSWER_S = 2.0  # the server never waits for its device
_AGAIN_S = 0.005
_NO_DEVICE = -4  # libusb's code


class EmulatedUsbBackend(usb.backend.IBackend):  # type: ignore[misc]  # pyusb has no types
    """The devices of one emulator. Blocking, safe from several threads, one call at a time."""

    def __init__(
        self,
        path: str,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """usb.core.USBError with ENODEV where nothing listens at `path`."""
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._socket: socket.socket | None = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(_ANSWER_S)
        try:
            self._socket.connect(path)
        except OSError as error:
            self.close()
            raise _gone(f"no emulator answers at {path}: {error.strerror}") from error

    def close(self) -> None:
        """Every later call says ENODEV."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _finalize_object(self) -> None:
        self.close()

    # pyusb's IBackend

    def enumerate_devices(self) -> list[int]:
        devices: list[int] = self._call("enumerate_devices")
        return devices

    def get_parent(self, dev: int) -> None:
        """Hubs are not emulated."""

    def get_device_descriptor(self, dev: int) -> SimpleNamespace:
        fields = self._call("get_device_descriptor", dev)
        fields["port_numbers"] = tuple(fields["port_numbers"])
        return SimpleNamespace(**fields)

    def get_configuration_descriptor(self, dev: int, config: int) -> SimpleNamespace:
        return SimpleNamespace(**self._call("get_configuration_descriptor", dev, config))

    def get_interface_descriptor(
        self, dev: int, intf: int, alt: int, config: int
    ) -> SimpleNamespace:
        return SimpleNamespace(**self._call("get_interface_descriptor", dev, intf, alt, config))

    def get_endpoint_descriptor(
        self, dev: int, ep: int, intf: int, alt: int, config: int
    ) -> SimpleNamespace:
        return SimpleNamespace(**self._call("get_endpoint_descriptor", dev, ep, intf, alt, config))

    def open_device(self, dev: int) -> int:
        handle: int = self._call("open_device", dev)
        return handle

    def close_device(self, dev_handle: int) -> None:
        with contextlib.suppress(usb.core.USBError):  # gone, and the handle with it
            self._call("close_device", dev_handle)

    def set_configuration(self, dev_handle: int, config_value: int) -> None:
        self._call("set_configuration", dev_handle, config_value)

    def get_configuration(self, dev_handle: int) -> int:
        value: int = self._call("get_configuration", dev_handle)
        return value

    def set_interface_altsetting(self, dev_handle: int, intf: int, altsetting: int) -> None:
        self._call("set_interface_altsetting", dev_handle, intf, altsetting)

    def claim_interface(self, dev_handle: int, intf: int) -> None:
        self._call("claim_interface", dev_handle, intf)

    def release_interface(self, dev_handle: int, intf: int) -> None:
        self._call("release_interface", dev_handle, intf)

    def bulk_write(
        self, dev_handle: int, ep: int, intf: int, data: array.array[int], timeout: int
    ) -> int:
        written: int = self._transfer(timeout, "bulk_write", dev_handle, ep, intf, data.tobytes())
        return written

    def bulk_read(
        self, dev_handle: int, ep: int, intf: int, buff: array.array[int], timeout: int
    ) -> int:
        return _fill(buff, self._transfer(timeout, "bulk_read", dev_handle, ep, intf, len(buff)))

    intr_write = iso_write = bulk_write
    intr_read = iso_read = bulk_read

    def ctrl_transfer(
        self,
        dev_handle: int,
        bmRequestType: int,  # noqa: N803  (pyusb's names)
        bRequest: int,  # noqa: N803 - pyusb's name
        wValue: int,  # noqa: N803 - pyusb's name
        wIndex: int,  # noqa: N803 - pyusb's name
        data: array.array[int],
        timeout: int,
    ) -> int:
        to_host = bool(bmRequestType & 0x80)
        done = self._transfer(
            timeout,
            "ctrl_transfer",
            dev_handle,
            bmRequestType,
            bRequest,
            wValue,
            wIndex,
            len(data) if to_host else data.tobytes(),
        )
        return _fill(data, done) if to_host else int(done)

    def clear_halt(self, dev_handle: int, ep: int) -> None:
        self._call("clear_halt", dev_handle, ep)

    def reset_device(self, dev_handle: int) -> None:
        self._call("reset_device", dev_handle)

    def is_kernel_driver_active(self, dev_handle: int, intf: int) -> bool:
        active: bool = self._call("is_kernel_driver_active", dev_handle, intf)
        return active

    def detach_kernel_driver(self, dev_handle: int, intf: int) -> None:
        self._call("detach_kernel_driver", dev_handle, intf)

    def attach_kernel_driver(self, dev_handle: int, intf: int) -> None:
        self._call("attach_kernel_driver", dev_handle, intf)

    # Messages

    def _transfer(self, timeout_ms: int, method: str, *arguments: object) -> Any:
        """Asks again until the device answers or the time is over; 0 ms: for ever."""
        deadline = self._clock() + timeout_ms / 1000 if timeout_ms else float("inf")
        while True:
            try:
                return self._call(method, *arguments, timeout_ms)
            except usb.core.USBTimeoutError:
                left = deadline - self._clock()
                if left <= 0:
                    raise
                self._sleep(min(left, _AGAIN_S))

    def _call(self, method: str, *arguments: object) -> Any:
        request = msgspec.msgpack.encode([method, *arguments])
        with self._lock:
            reply = self._exchange(_LENGTH.pack(len(request)) + request)
        match reply:
            case ["ok", value]:
                return value
            case ["usb", int(number), int(code), str(text)]:
                raise usb.core.USBError(text, code, number)
            case ["timeout"]:
                raise usb.core.USBTimeoutError("Operation timed out", -7, errno.ETIMEDOUT)
            case ["index", str(text)]:
                raise IndexError(text)
        self.close()
        raise _gone("what answers at the socket is no emulator of sv2rig")

    def _exchange(self, request: bytes) -> object:
        if self._socket is None:
            raise _gone("the emulator has gone")
        try:
            self._socket.sendall(request)
            (size,) = _LENGTH.unpack(_receive(self._socket, _LENGTH.size))
            if size > _LARGEST_MESSAGE:
                raise ConnectionError(f"a reply of {size} bytes")
            return msgspec.msgpack.decode(_receive(self._socket, size))
        except (OSError, msgspec.MsgspecError) as error:
            self.close()
            raise _gone(f"the emulator has gone: {error}") from error


def _receive(connection: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise ConnectionError("its socket was closed")
        data += piece
    return bytes(data)


def _gone(text: str) -> Exception:
    return usb.core.USBError(text, _NO_DEVICE, errno.ENODEV)  # type: ignore[no-any-return]  # the same


def _fill(buffer: array.array[int], data: bytes) -> int:
    if len(data) > len(buffer):
        raise usb.core.USBError("Overflow", -8, errno.EOVERFLOW)
    buffer[: len(data)] = array.array("B", data)
    return len(data)
