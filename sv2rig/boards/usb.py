"""Boards on libusb: opening one by where it is plugged in, its transfers, and giving it back.

Blocking: a driver calls this on a thread of its own. Errors say what happened in words with the
way out. What was taken from the kernel (its driver of an interface) is given back by `close`, and
at the program's end for whoever did not get to it.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import libusb_package
import usb.backend.libusb1
import usb.core
import usb.util

from sv2rig.boards.emulated_usb import EmulatedUsbBackend
from sv2rig.boards.line import LineError, LineLostError
from sv2rig.devices.sighting import Sighting

CONTROL_S = 1.0
BULK_S = 5.0
_VENDOR_IN, _VENDOR_OUT = 0xC0, 0x40


class UsbError(LineError):
    """A USB device cannot be used; the text says why and what to do."""


class UsbLostError(UsbError, LineLostError):
    """The device was unplugged, or is not where it was."""


class UsbTimeoutError(UsbError):
    """The device did not answer in time."""


class UsbStallError(UsbError):
    """The device refused the transfer."""


class UsbPermissionError(UsbError):
    """This user may not open the device."""


class UsbBusyError(UsbError):
    """Another program or a kernel driver has the device."""


class UsbLine:
    """An open USB device. Its methods may be called from any thread, one transfer at a time."""

    def __init__(
        self, device: Any, usb_path: str, connection: EmulatedUsbBackend | None = None
    ) -> None:
        """`device`: pyusb's. It is opened here; UsbError says why it cannot be. `connection`: to
        the emulator, to be closed with it."""
        self.usb_path = usb_path
        self._device = device
        self._connection = connection
        self._lock = threading.Lock()
        self._claimed: list[int] = []
        self._detached: list[int] = []  # interfaces whose kernel driver we sent away
        self._closed = False
        with self._errors("open"):
            device.get_active_configuration()  # opens it; strings are not read yet
        _OPEN.add(self)

    def control_in(
        self, request: int, length: int, value: int = 0, timeout_s: float = CONTROL_S
    ) -> bytes:
        """A vendor request from the device; it may send less than `length`."""
        with self._errors(f"read request {request:#04x}"):
            data = self._device.ctrl_transfer(
                _VENDOR_IN, request, value, 0, length, _milliseconds(timeout_s)
            )
        return bytes(data)

    def control_out(
        self, request: int, data: bytes = b"", value: int = 0, timeout_s: float = CONTROL_S
    ) -> None:
        """A vendor request to the device, all of its data."""
        with self._errors(f"send request {request:#04x}"):
            sent = self._device.ctrl_transfer(
                _VENDOR_OUT, request, value, 0, data, _milliseconds(timeout_s)
            )
        if sent != len(data):
            raise UsbError(
                f"{self.usb_path}: request {request:#04x} took {sent} of {len(data)} bytes"
            )

    def bulk_out(self, endpoint: int, data: bytes, timeout_s: float = BULK_S) -> int:
        """How many bytes the device took. Its interface must be claimed."""
        with self._errors(f"write to endpoint {endpoint:#04x}"):
            sent: int = self._device.write(endpoint, data, _milliseconds(timeout_s))
        return sent

    def claim(self, interface: int) -> None:
        """Takes an interface, from the kernel's driver if need be."""
        with self._errors(f"claim interface {interface}"):
            if interface in self._claimed:
                return
            self._detach(interface)
            usb.util.claim_interface(self._device, interface)
            self._claimed.append(interface)

    def release(self, interface: int) -> None:
        """Lets an interface go, back to the kernel's driver if it had one."""
        with self._errors(f"release interface {interface}"):
            if interface in self._claimed:
                self._claimed.remove(interface)
                usb.util.release_interface(self._device, interface)
            self._reattach(interface)

    def close(self) -> None:
        """Gives everything back. Never raises; safe to call twice, and from any thread: a transfer
        under way is waited for."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            _OPEN.discard(self)
            for interface in list(self._claimed):
                with contextlib.suppress(usb.core.USBError):
                    usb.util.release_interface(self._device, interface)
            for interface in list(self._detached):
                with contextlib.suppress(usb.core.USBError, NotImplementedError):
                    self._reattach(interface)
            with contextlib.suppress(usb.core.USBError):
                usb.util.dispose_resources(self._device)
            if self._connection is not None:
                self._connection.close()

    def _detach(self, interface: int) -> None:
        try:
            if self._device.is_kernel_driver_active(interface):
                self._device.detach_kernel_driver(interface)
                self._detached.append(interface)
        except NotImplementedError:
            pass  # systems without the notion

    def _reattach(self, interface: int) -> None:
        if interface in self._detached:
            self._detached.remove(interface)
            self._device.attach_kernel_driver(interface)

    @contextlib.contextmanager
    def _errors(self, action: str) -> Iterator[None]:
        """Holds the lock; pyusb's errors become ours."""
        with self._lock:
            if self._closed:
                raise UsbError(f"{self.usb_path}: closed, cannot {action}")
            try:
                yield
            except usb.core.USBError as error:
                raise _in_words(error, self.usb_path, action) from error


_OPEN: weakref.WeakSet[UsbLine] = weakref.WeakSet()


def _close_all() -> None:
    for board in list(_OPEN):
        board.close()


atexit.register(_close_all)


def open_usb(sighting: Sighting, backend: Any = None) -> UsbLine:
    """Opens the device seen at `sighting.usb_path`; UsbError says why it cannot be.

    `backend` None: the socket of an emulated device, libusb for a real one. A device with other
    ids than those seen is not opened.
    """
    if backend is not None or sighting.emulator is None:
        return UsbLine(_find(sighting, backend or _libusb_backend()), sighting.usb_path)
    connection = _connect(sighting)
    try:
        return UsbLine(_find(sighting, connection), sighting.usb_path, connection)
    except UsbError:
        connection.close()
        raise


def _find(sighting: Sighting, backend: Any) -> Any:
    path = sighting.usb_path
    try:
        devices = list(usb.core.find(find_all=True, backend=backend))
    except usb.core.USBError as error:
        raise _in_words(error, path, "look for it") from error
    for device in devices:
        # an emulator's socket serves its one board
        if sighting.emulator is not None or usb_path_of(device) == path:
            _check_ids(sighting, device)
            return device
    raise UsbLostError(f"{path}: nothing is plugged in there any more")


def _check_ids(sighting: Sighting, device: Any) -> None:
    seen = (sighting.vid, sighting.pid)
    present = (device.idVendor, device.idProduct)
    if any(a is not None and a != b for a, b in zip(seen, present, strict=True)):
        vid, pid = present
        raise UsbLostError(
            f"{sighting.usb_path}: another device is plugged in there now ({vid:04x}:{pid:04x})"
        )


def usb_path_of(device: Any) -> str | None:
    """Where pyusb's device is plugged in, as sysfs has it ("1-2.3"); None for a root hub."""
    if not device.port_numbers:
        return None
    return f"{device.bus}-{'.'.join(map(str, device.port_numbers))}"


def _connect(sighting: Sighting) -> EmulatedUsbBackend:
    path = sighting.ports[0].path if sighting.ports else ""
    if not Path(path).is_socket():
        raise UsbLostError(f"{sighting.usb_path}: its emulator's socket {path} is gone")
    try:
        return EmulatedUsbBackend(path)
    except usb.core.USBError as error:
        raise UsbLostError(f"{sighting.usb_path}: {error.strerror}") from error


def _libusb_backend() -> Any:
    backend = usb.backend.libusb1.get_backend(find_library=_libusb)
    if backend is None:
        raise UsbError("libusb could not be loaded: reinstall the Python package libusb-package")
    return backend


def _libusb(name: str) -> str | None:
    """The library that comes with libusb-package, or the system's."""
    found: str | None = libusb_package.find_library(name)
    return found


def _in_words(error: Any, path: str, action: str) -> UsbError:
    if isinstance(error, usb.core.USBTimeoutError):
        return UsbTimeoutError(f"{path}: no answer in time ({action})")
    explain = _WORDS.get(error.errno)
    if explain is None:
        return UsbError(f"{path}: cannot {action}: {error.strerror}")
    kind, text = explain
    return kind(f"{path}: {text(action)}")


_WORDS: dict[int, tuple[type[UsbError], Callable[[str], str]]] = {
    errno.ENODEV: (UsbLostError, lambda action: f"unplugged (cannot {action})"),
    errno.EPIPE: (UsbStallError, lambda action: f"the board refused to {action}"),
    errno.EACCES: (
        UsbPermissionError,
        lambda action: (
            f"this user ({os.geteuid()}) may not {action}: `sudo sv2rig udev install` and plug "
            "the board in again; on a machine without a desktop, also join the group plugdev "
            "and log in again"
        ),
    ),
    errno.EBUSY: (
        UsbBusyError,
        lambda action: (
            f"cannot {action}: another program has this board, perhaps a second rig or a virtual "
            "machine; end it (`fuser -v /dev/bus/usb/*/*` shows who) and plug the board in again"
        ),
    ),
}


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))  # 0 would be for ever
