"""The fake pyusb backend, through pyusb itself: errors as libusb has them, and nothing kept."""

from __future__ import annotations

import array
import errno
import threading
from collections.abc import Callable
from typing import Any

import pytest
import usb.backend
import usb.core
import usb.util

from sv2rig.emulation.emulator import Identity
from sv2rig.emulation.fake_usb import FakeUsbBackend
from sv2rig.emulation.usb_device import (
    INTERRUPT,
    Endpoint,
    Interface,
    NothingYetError,
    Setup,
    SilentError,
    StallError,
)


class Echo:
    """Vendor requests keep a value; endpoint 1 is an echo; 3 sends too much; 4 has nothing."""

    identity = Identity("echo", 0x1234, 0xABCD, 0x0201, "Maker", "Echo ✓", "S-1")

    def __init__(self) -> None:
        ends = (Endpoint(0x01), Endpoint(0x81), Endpoint(0x83), Endpoint(0x84, INTERRUPT))
        self.interfaces = (
            Interface(0, ends, kernel_driver="cdc_acm"),
            Interface(1, ()),
            Interface(1, (Endpoint(0x02),), alternate=1),
        )
        self.kept = b""
        self.waiting = b""
        self.asked = 0
        self.resets = 0

    def control_in(self, setup: Setup, now: float) -> bytes:
        if setup.request == 9:
            raise StallError
        if setup.request == 8:
            raise SilentError
        return self.kept

    def control_out(self, setup: Setup, data: bytes, now: float, intact: bool = True) -> None:
        self.kept = data + bytes((setup.value,))

    def read(self, endpoint: int, size: int, now: float) -> bytes:
        self.asked += 1
        if endpoint == 0x83:
            return bytes(size + 1)
        if not self.waiting or endpoint == 0x84:
            raise NothingYetError
        taken, self.waiting = self.waiting[:size], self.waiting[size:]
        return taken

    def write(self, endpoint: int, data: bytes, now: float) -> int:
        if data == b"stall":
            raise StallError
        self.waiting += data[:5]
        return min(len(data), 5)

    def reset(self, now: float) -> None:
        self.resets += 1


class Bus:
    def __init__(self) -> None:
        self.now = 100.0
        self.backend = FakeUsbBackend(lambda: self.now, self._wait)
        self.function = Echo()
        self.backend.plug(self.function, "1-2.3")

    def _wait(self, seconds: float) -> None:
        self.now += seconds

    @property
    def device(self) -> Any:
        return usb.core.find(backend=self.backend, idVendor=0x1234)

    @property
    def counts(self) -> tuple[int, int, int]:
        backend = self.backend
        return backend.open_handles, backend.claims, backend.detached_drivers


@pytest.fixture
def bus() -> Bus:
    return Bus()


def refused(number: int, call: Callable[[], object]) -> None:
    with pytest.raises(usb.core.USBError) as caught:
        call()
    assert caught.value.errno == number


def test_nothing_of_pyusb_s_interface_is_missing() -> None:
    methods = {
        name
        for name, value in vars(usb.backend.IBackend).items()
        if callable(value) and not name.startswith("_")
    }
    assert methods
    assert methods <= set(vars(FakeUsbBackend))


def test_descriptors_and_strings(bus: Bus) -> None:
    device = bus.device
    assert (device.idProduct, device.bcdDevice, device.bus) == (0xABCD, 0x0201, 1)
    assert device.port_numbers == (2, 3)
    assert device.parent is None
    assert (device.manufacturer, device.product, device.serial_number) == ("Maker", "Echo ✓", "S-1")
    (configuration,) = device
    assert [(i.bInterfaceNumber, i.bAlternateSetting) for i in configuration] == [
        (0, 0),
        (1, 0),
        (1, 1),
    ]
    assert [e.bEndpointAddress for e in configuration[(0, 0)]] == [0x01, 0x81, 0x83, 0x84]
    assert "Echo" in str(device)


def test_a_kernel_driver_has_to_be_sent_away_and_is_missed(bus: Bus) -> None:
    device = bus.device
    assert device.is_kernel_driver_active(0)
    refused(errno.EBUSY, lambda: usb.util.claim_interface(device, 0))
    device.detach_kernel_driver(0)
    refused(errno.ENOENT, lambda: device.detach_kernel_driver(0))
    usb.util.claim_interface(device, 0)
    assert bus.counts == (1, 1, 1)
    refused(errno.EBUSY, lambda: device.attach_kernel_driver(0))
    usb.util.dispose_resources(device)
    assert bus.counts == (0, 0, 1)
    device.attach_kernel_driver(0)
    refused(errno.ENOENT, lambda: device.attach_kernel_driver(0))
    usb.util.dispose_resources(device)
    assert bus.counts == (0, 0, 0)


def test_an_interface_is_one_program_s(bus: Bus) -> None:
    one, other = bus.device, bus.device
    usb.util.claim_interface(one, 1)
    refused(errno.EBUSY, lambda: usb.util.claim_interface(other, 1))
    refused(errno.ENOENT, lambda: bus.backend.release_interface(other._ctx.handle, 1))
    usb.util.release_interface(one, 1)
    usb.util.claim_interface(other, 1)
    usb.util.dispose_resources(one)
    usb.util.dispose_resources(other)
    assert bus.counts == (0, 0, 0)


def test_transfers(bus: Bus) -> None:
    device = bus.device
    device.detach_kernel_driver(0)
    assert device.ctrl_transfer(0x40, 1, 7, 0, b"data") == 4
    assert bytes(device.ctrl_transfer(0xC0, 1, 0, 0, 64)) == b"data\x07"
    assert bytes(device.ctrl_transfer(0xC0, 1, 0, 0, 2)) == b"da"
    assert device.write(0x01, b"longer than it takes") == 5
    assert bytes(device.read(0x81, 3)) == b"lon"
    assert bytes(device.read(0x81, 64)) == b"ge"
    refused(errno.EOVERFLOW, lambda: device.read(0x83, 8))
    usb.util.dispose_resources(device)


def test_endpoints_belong_to_claimed_interfaces(bus: Bus) -> None:
    device = bus.device
    buffer = array.array("B", bytes(4))
    device.get_active_configuration()
    handle = device._ctx.handle
    refused(errno.ENOENT, lambda: bus.backend.bulk_read(handle, 0x81, 0, buffer, 10))
    usb.util.claim_interface(device, 1)
    refused(errno.ENOENT, lambda: bus.backend.bulk_write(handle, 0x02, 1, buffer, 10))
    device.set_interface_altsetting(1, 1)
    assert bus.backend.bulk_write(handle, 0x02, 1, buffer, 10) == 4
    refused(errno.ENOENT, lambda: bus.backend.set_interface_altsetting(handle, 1, 2))
    usb.util.dispose_resources(device)


def test_a_timeout_takes_its_time(bus: Bus) -> None:
    device = bus.device
    device.detach_kernel_driver(0)
    calls: list[Callable[[], object]] = [
        lambda: device.read(0x81, 8, 250),
        lambda: device.read(0x84, 8, 250),
        lambda: device.ctrl_transfer(0xC0, 8, 0, 0, 8, 250),
    ]
    for call in calls:
        before = bus.now
        with pytest.raises(usb.core.USBTimeoutError) as caught:
            call()
        assert caught.value.errno == errno.ETIMEDOUT
        assert bus.now - before == pytest.approx(0.25, abs=0.01)
    assert bus.function.asked > 10
    usb.util.dispose_resources(device)


def test_a_stall_lasts_until_it_is_cleared_but_not_on_the_control_endpoint(bus: Bus) -> None:
    device = bus.device
    device.detach_kernel_driver(0)
    refused(errno.EPIPE, lambda: device.write(0x01, b"stall"))
    refused(errno.EPIPE, lambda: device.write(0x01, b"good"))
    device.clear_halt(0x01)
    assert device.write(0x01, b"good") == 4
    refused(errno.EPIPE, lambda: device.ctrl_transfer(0xC0, 9, 0, 0, 8))
    device.ctrl_transfer(0xC0, 1, 0, 0, 8)
    device.reset()
    assert bus.function.resets == 1
    usb.util.dispose_resources(device)


def test_configurations(bus: Bus) -> None:
    device = bus.device
    refused(errno.EBUSY, device.set_configuration)  # the kernel's driver is in the way
    device.detach_kernel_driver(0)
    device.set_configuration()
    assert device.get_active_configuration().bConfigurationValue == 1
    refused(errno.ENOENT, lambda: bus.backend.set_configuration(device._ctx.handle, 2))
    usb.util.dispose_resources(device)


def test_after_an_unplug_every_call_says_that_it_is_gone(bus: Bus) -> None:
    device = bus.device
    device.detach_kernel_driver(0)
    usb.util.claim_interface(device, 0)
    bus.backend.unplug("1-2.3")
    for call in (
        lambda: device.ctrl_transfer(0xC0, 1, 0, 0, 8),
        lambda: device.read(0x81, 8),
        lambda: device.write(0x01, b"x"),
        lambda: device.is_kernel_driver_active(0),
        lambda: device.attach_kernel_driver(0),
        lambda: device.clear_halt(0x01),
        lambda: bus.backend.get_configuration(device._ctx.handle),
        lambda: bus.backend.reset_device(device._ctx.handle),
        lambda: bus.backend.claim_interface(device._ctx.handle, 1),
    ):
        refused(errno.ENODEV, call)
    gone = bus.device
    assert gone is None
    assert bus.backend.open_handles == 1
    usb.util.dispose_resources(device)
    assert bus.counts == (0, 0, 0)
    bus.backend.plug(bus.function, "1-2.3")
    refused(errno.ENODEV, lambda: device.ctrl_transfer(0xC0, 1, 0, 0, 8))  # another device now
    assert bus.device.product == "Echo ✓"


def test_who_may_not_open_it_is_told_so(bus: Bus) -> None:
    bus.backend.unplug("1-2.3")
    bus.backend.plug(bus.function, "1-2.3", permitted=False)
    refused(errno.EACCES, bus.device.get_active_configuration)
    with pytest.raises(ValueError, match="taken"):
        bus.backend.plug(Echo(), "1-2.3")


def test_threads_take_turns(bus: Bus) -> None:
    device = bus.device
    device.get_active_configuration()

    def work() -> None:
        for _ in range(200):
            device.ctrl_transfer(0x40, 1, 1, 0, b"x")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bus.function.kept == b"x\x01"
    usb.util.dispose_resources(device)
    assert bus.counts == (0, 0, 0)
