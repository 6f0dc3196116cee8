"""A pyusb backend over emulated devices: what libusb would do, with no kernel and no hardware.

Errors carry libusb's codes and the errno that pyusb's libusb backend gives them, so that a program
cannot tell it from the real one. It counts what a program must give back: open handles, claimed
interfaces, and kernel drivers it detached.
"""

from __future__ import annotations

import array
import errno
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace

import usb.backend
import usb.core

from sv2rig.emulation.usb_device import (
    CONFIGURATION,
    Interface,
    NothingYetError,
    Setup,
    SilentError,
    StallError,
    UsbFunction,
    alternates,
    configuration_descriptor,
    device_descriptor,
    endpoint_descriptor,
    interface_descriptor,
    standard_string,
)

_NAK_S = 0.002  # how long the host controller waits before it asks again

# libusb's error codes (libusb.h) with what pyusb makes of them.
_CODES = {
    errno.EIO: -1,
    errno.EINVAL: -2,
    errno.EACCES: -3,
    errno.ENODEV: -4,
    errno.ENOENT: -5,
    errno.EBUSY: -6,
    errno.EOVERFLOW: -8,
    errno.EPIPE: -9,
}
_TIMEOUT = -7


def usb_error(number: int, text: str) -> Exception:
    """What pyusb raises for this errno."""
    return usb.core.USBError(text, _CODES[number], number)  # type: ignore[no-any-return]  # the same


@dataclass(eq=False, slots=True)
class Plugged:
    """A device in its socket. `present` is False after an unplug; another plug makes another."""

    function: UsbFunction
    bus: int
    ports: tuple[int, ...]
    address: int
    present: bool = True
    permitted: bool = True
    configuration: int = CONFIGURATION
    claims: dict[int, OpenDevice] = field(default_factory=dict)
    drivers: dict[int, str] = field(default_factory=dict)  # attached, by interface number
    settings: dict[int, int] = field(default_factory=dict)  # alternate settings
    halted: set[int] = field(default_factory=set)

    @property
    def usb_path(self) -> str:
        return f"{self.bus}-{'.'.join(map(str, self.ports))}"

    def interface(self, number: int) -> Interface:
        """The interface of this number in its present setting."""
        setting = self.settings.get(number, 0)
        for interface in self.function.interfaces:
            if (interface.number, interface.alternate) == (number, setting):
                return interface
        raise usb_error(errno.ENOENT, f"no interface {number}")


@dataclass(eq=False, slots=True)
class OpenDevice:
    """A handle."""

    device: Plugged
    closed: bool = False


class FakeUsbBackend(usb.backend.IBackend):  # type: ignore[misc]  # pyusb has no types
    """Emulated devices behind pyusb's backend interface; safe from several threads.

    `wait` is how a transfer waits for a device that has nothing yet; with None it times out at
    once, for a caller who asks again himself.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] | None = time.sleep,
    ) -> None:
        self._clock = clock
        self._wait = wait
        self._lock = threading.RLock()
        self._plugged: list[Plugged] = []
        self._handles: set[OpenDevice] = set()
        self._addresses = 1  # of the root hub

    # The hand that plugs

    def plug(self, function: UsbFunction, usb_path: str, *, permitted: bool = True) -> Plugged:
        """A device appears at a path such as "1-2.3"; ValueError if there is one already."""
        bus, _, ports = usb_path.partition("-")
        with self._lock:
            if any(device.usb_path == usb_path for device in self._plugged):
                raise ValueError(f"{usb_path} is taken")
            self._addresses += 1
            numbers = tuple(int(port) for port in ports.split("."))
            device = Plugged(function, int(bus), numbers, self._addresses, permitted=permitted)
            device.drivers = {
                interface.number: interface.kernel_driver
                for interface in function.interfaces
                if interface.kernel_driver is not None
            }
            self._plugged.append(device)
        return device

    def unplug(self, usb_path: str) -> None:
        """Every call on this device fails with ENODEV from now on."""
        with self._lock:
            for device in self._plugged:
                if device.usb_path == usb_path:
                    device.present = False
            self._plugged = [device for device in self._plugged if device.present]

    @property
    def open_handles(self) -> int:
        return len(self._handles)

    @property
    def claims(self) -> int:
        """Interfaces claimed through handles that are open."""
        with self._lock:
            return sum(
                holder is handle
                for handle in self._handles
                for holder in handle.device.claims.values()
            )

    @property
    def detached_drivers(self) -> int:
        """Kernel drivers that a device in its socket is without."""
        with self._lock:
            return sum(
                interface.kernel_driver is not None and interface.number not in device.drivers
                for device in self._plugged
                for interface in device.function.interfaces
                if interface.alternate == 0
            )

    # pyusb's IBackend

    def enumerate_devices(self) -> Iterator[Plugged]:
        with self._lock:
            return iter(list(self._plugged))

    def get_parent(self, dev: Plugged) -> None:
        """Hubs are not emulated."""

    def get_device_descriptor(self, dev: Plugged) -> SimpleNamespace:
        return device_descriptor(dev.function.identity, dev.bus, dev.address, dev.ports)

    def get_configuration_descriptor(self, dev: Plugged, config: int) -> SimpleNamespace:
        return configuration_descriptor(dev.function.interfaces, config)

    def get_interface_descriptor(
        self, dev: Plugged, intf: int, alt: int, config: int
    ) -> SimpleNamespace:
        return interface_descriptor(_alternate(dev, intf, alt, config))

    def get_endpoint_descriptor(
        self, dev: Plugged, ep: int, intf: int, alt: int, config: int
    ) -> SimpleNamespace:
        return endpoint_descriptor(_alternate(dev, intf, alt, config).endpoints[ep])

    def open_device(self, dev: Plugged) -> OpenDevice:
        with self._lock:
            if not dev.present:
                raise usb_error(errno.ENODEV, "No such device (it may have been disconnected)")
            if not dev.permitted:
                raise usb_error(errno.EACCES, "Access denied (insufficient permissions)")
            handle = OpenDevice(dev)
            self._handles.add(handle)
            return handle

    def close_device(self, dev_handle: OpenDevice) -> None:
        """Releases what the handle has claimed; detached kernel drivers stay away, as on Linux."""
        with self._lock:
            dev_handle.closed = True
            self._handles.discard(dev_handle)
            claims = dev_handle.device.claims
            for number in [n for n, holder in claims.items() if holder is dev_handle]:
                del claims[number]

    def set_configuration(self, dev_handle: OpenDevice, config_value: int) -> None:
        with self._lock:
            device = _alive(dev_handle)
            if device.claims or device.drivers:
                raise usb_error(errno.EBUSY, "Resource busy")
            if config_value not in (0, CONFIGURATION):
                raise usb_error(errno.ENOENT, f"no configuration {config_value}")
            device.configuration = config_value
            device.settings.clear()

    def get_configuration(self, dev_handle: OpenDevice) -> int:
        with self._lock:
            return _alive(dev_handle).configuration

    def set_interface_altsetting(self, dev_handle: OpenDevice, intf: int, altsetting: int) -> None:
        with self._lock:
            device = _claimed(dev_handle, intf)
            settings = (i.alternate for i in device.function.interfaces if i.number == intf)
            if altsetting not in settings:
                raise usb_error(errno.ENOENT, f"no alternate setting {altsetting}")
            device.settings[intf] = altsetting

    def claim_interface(self, dev_handle: OpenDevice, intf: int) -> None:
        with self._lock:
            device = _alive(dev_handle)
            device.interface(intf)
            if intf in device.drivers or device.claims.get(intf, dev_handle) is not dev_handle:
                raise usb_error(errno.EBUSY, "Resource busy")
            device.claims[intf] = dev_handle

    def release_interface(self, dev_handle: OpenDevice, intf: int) -> None:
        with self._lock:
            del _claimed(dev_handle, intf).claims[intf]

    def bulk_write(
        self, dev_handle: OpenDevice, ep: int, intf: int, data: array.array[int], timeout: int
    ) -> int:
        def attempt(now: float) -> int:
            function = self._endpoint(dev_handle, ep, intf)
            return function.write(ep, data.tobytes(), now)

        return self._transfer(dev_handle, ep, attempt, timeout)

    def bulk_read(
        self, dev_handle: OpenDevice, ep: int, intf: int, buff: array.array[int], timeout: int
    ) -> int:
        def attempt(now: float) -> int:
            function = self._endpoint(dev_handle, ep, intf)
            data = function.read(ep, len(buff), now)
            if len(data) > len(buff):
                raise usb_error(errno.EOVERFLOW, "Overflow")
            return _fill(buff, data)

        return self._transfer(dev_handle, ep, attempt, timeout)

    intr_write = iso_write = bulk_write
    intr_read = iso_read = bulk_read

    def ctrl_transfer(
        self,
        dev_handle: OpenDevice,
        bmRequestType: int,  # noqa: N803  (pyusb's names)
        bRequest: int,  # noqa: N803 - pyusb's name
        wValue: int,  # noqa: N803 - pyusb's name
        wIndex: int,  # noqa: N803 - pyusb's name
        data: array.array[int],
        timeout: int,
    ) -> int:
        setup = Setup(bmRequestType, bRequest, wValue, wIndex, len(data))

        def attempt(now: float) -> int:
            function = _alive(dev_handle).function
            text = standard_string(function.identity, setup)
            if text is not None:
                return _fill(data, text[: len(data)])
            if setup.to_host:
                return _fill(data, function.control_in(setup, now)[: len(data)])
            function.control_out(setup, data.tobytes(), now)
            return len(data)

        return self._transfer(dev_handle, 0, attempt, timeout)

    def clear_halt(self, dev_handle: OpenDevice, ep: int) -> None:
        with self._lock:
            _alive(dev_handle).halted.discard(ep)

    def reset_device(self, dev_handle: OpenDevice) -> None:
        with self._lock:
            device = _alive(dev_handle)
            device.halted.clear()
            device.settings.clear()
            device.function.reset(self._clock())

    def is_kernel_driver_active(self, dev_handle: OpenDevice, intf: int) -> bool:
        with self._lock:
            return intf in _alive(dev_handle).drivers

    def detach_kernel_driver(self, dev_handle: OpenDevice, intf: int) -> None:
        with self._lock:
            if _alive(dev_handle).drivers.pop(intf, None) is None:
                raise usb_error(errno.ENOENT, "Entity not found")

    def attach_kernel_driver(self, dev_handle: OpenDevice, intf: int) -> None:
        with self._lock:
            device = _alive(dev_handle)
            driver = device.interface(intf).kernel_driver
            if intf in device.claims:
                raise usb_error(errno.EBUSY, "Resource busy")
            if driver is None or intf in device.drivers:
                raise usb_error(errno.ENOENT, "Entity not found")
            device.drivers[intf] = driver

    # Transfers

    def _transfer(
        self,
        handle: OpenDevice,
        endpoint: int,
        attempt: Callable[[float], int],
        timeout_ms: int,
    ) -> int:
        """Tries until the device answers or the time is over; 0 ms waits for ever, as libusb."""
        deadline = self._clock() + timeout_ms / 1000 if timeout_ms else float("inf")
        while True:
            with self._lock:
                device = _alive(handle)
                if endpoint in device.halted:
                    raise usb_error(errno.EPIPE, "Pipe error")
                try:
                    return attempt(self._clock())
                except StallError:
                    if endpoint:  # the control endpoint recovers with the next setup
                        device.halted.add(endpoint)
                    raise usb_error(errno.EPIPE, "Pipe error") from None
                except NothingYetError:
                    pause = _NAK_S
                except SilentError:
                    pause = float("inf")
            left = deadline - self._clock()
            if left > 0 and self._wait is not None:
                self._wait(min(left, pause))
            if left <= pause or self._wait is None:
                raise usb.core.USBTimeoutError("Operation timed out", _TIMEOUT, errno.ETIMEDOUT)

    def _endpoint(self, handle: OpenDevice, endpoint: int, intf: int) -> UsbFunction:
        device = _claimed(handle, intf)
        if all(known.address != endpoint for known in device.interface(intf).endpoints):
            raise usb_error(errno.ENOENT, f"no endpoint {endpoint:#04x} in interface {intf}")
        return device.function


def _alternate(dev: Plugged, intf: int, alt: int, config: int) -> Interface:
    if config != 0:
        raise IndexError(f"no configuration {config}")
    return alternates(dev.function.interfaces, intf)[alt]


def _alive(handle: OpenDevice) -> Plugged:
    if handle.closed:
        raise usb_error(errno.EINVAL, "the handle is closed")
    if not handle.device.present:
        raise usb_error(errno.ENODEV, "No such device (it may have been disconnected)")
    return handle.device


def _claimed(handle: OpenDevice, intf: int) -> Plugged:
    device = _alive(handle)
    if device.claims.get(intf) is not handle:
        raise usb_error(errno.ENOENT, f"interface {intf} is not claimed")
    return device


def _fill(buffer: array.array[int], data: bytes) -> int:
    buffer[: len(data)] = array.array("B", data)
    return len(data)
