"""What an emulated USB device is: its descriptors and its answers, without I/O and without a clock.

Only what a vendor's board needs of USB 2.0 chapter 9: one configuration, string descriptors, and
whatever its own function answers.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Protocol, runtime_checkable

from sv2rig.emulation.emulator import Emulator, Identity

BULK, INTERRUPT = 2, 3
CONFIGURATION = 1  # the bConfigurationValue of the only one
HIGH_SPEED = 3  # libusb's number
_ENGLISH = 0x0409
_GET_DESCRIPTOR = 6
_DEVICE, _CONFIGURATION, _STRING, _INTERFACE, _ENDPOINT = 1, 2, 3, 4, 5
_STANDARD_IN = 0x80


class StallError(Exception):
    """The device refuses a transfer: a request it does not know, or cannot serve now."""


class NothingYetError(Exception):
    """The device has nothing to send, or no room: it answers NAK, and the host tries again."""


class SilentError(Exception):
    """The device does not answer at all: the transfer times out."""


@dataclass(frozen=True, slots=True)
class Setup:
    """The eight bytes that begin a control transfer, as USB 2.0 (9.3) names them."""

    request_type: int
    request: int
    value: int
    index: int
    length: int

    @property
    def to_host(self) -> bool:
        return bool(self.request_type & 0x80)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`address` with bit 7 set sends to the host; `kind` is BULK or INTERRUPT."""

    address: int
    kind: int = BULK
    max_packet: int = 512
    interval: int = 0


@dataclass(frozen=True, slots=True)
class Interface:
    """`kernel_driver`: what the kernel has bound to it when it is plugged in."""

    number: int
    endpoints: tuple[Endpoint, ...] = ()
    alternate: int = 0
    usb_class: int = 0xFF
    kernel_driver: str | None = None


@runtime_checkable
class UsbFunction(Protocol):
    """The device's side. Methods raise StallError, NothingYetError or SilentError; `now` is
    monotonic seconds.

    `interfaces` are in order of number, then of alternate setting. `intact`: whether the data is
    what the host sent, for the board's ledger; the device cannot know.
    """

    @property
    def identity(self) -> Identity: ...

    @property
    def interfaces(self) -> tuple[Interface, ...]: ...

    def control_in(self, setup: Setup, now: float) -> bytes:
        """What it sends, at most `setup.length` bytes of it go out."""

    def control_out(self, setup: Setup, data: bytes, now: float, intact: bool = True) -> None: ...

    def read(self, endpoint: int, size: int, now: float) -> bytes:
        """From an endpoint to the host; more than `size` is an overflow."""

    def write(self, endpoint: int, data: bytes, now: float) -> int:
        """From the host to an endpoint; how many bytes it took."""

    def reset(self, now: float) -> None:
        """The bus was reset."""


@runtime_checkable
class UsbBoard(Emulator, UsbFunction, Protocol):
    """An emulated board on USB: both sides of its life, and one port in its ledger."""


def standard_string(identity: Identity, setup: Setup) -> bytes | None:
    """The answer to GET_DESCRIPTOR of a string; None for any other request."""
    if setup.request_type != _STANDARD_IN or setup.request != _GET_DESCRIPTOR:
        return None
    kind, index = divmod(setup.value, 256)
    if kind != _STRING:
        return None
    if index == 0:
        return struct.pack("<BBH", 4, _STRING, _ENGLISH)
    strings = (identity.manufacturer, identity.product, identity.serial)
    text = strings[index - 1] if index <= len(strings) else None
    if text is None:
        raise StallError(f"no string {index}")
    encoded = text.encode("utf-16-le")[:252]
    return bytes((len(encoded) + 2, _STRING)) + encoded


def device_descriptor(
    identity: Identity, bus: int, address: int, ports: Sequence[int]
) -> SimpleNamespace:
    """The fields of a device descriptor, and where it is plugged in as libusb tells it."""
    return SimpleNamespace(
        bLength=18,
        bDescriptorType=_DEVICE,
        bcdUSB=0x0200,
        bDeviceClass=0xFF,
        bDeviceSubClass=0,
        bDeviceProtocol=0,
        bMaxPacketSize0=64,
        idVendor=identity.vid or 0,
        idProduct=identity.pid or 0,
        bcdDevice=identity.bcd or 0,
        iManufacturer=1 if identity.manufacturer is not None else 0,
        iProduct=2 if identity.product is not None else 0,
        iSerialNumber=3 if identity.serial is not None else 0,
        bNumConfigurations=1,
        bus=bus,
        address=address,
        port_number=ports[-1] if ports else 0,
        port_numbers=tuple(ports),
        speed=HIGH_SPEED,
    )


def configuration_descriptor(interfaces: Sequence[Interface], config: int) -> SimpleNamespace:
    if config != 0:
        raise IndexError(f"no configuration {config}")
    size = 9 + sum(9 + 7 * len(interface.endpoints) for interface in interfaces)
    return SimpleNamespace(
        bLength=9,
        bDescriptorType=_CONFIGURATION,
        wTotalLength=size,
        bNumInterfaces=len({interface.number for interface in interfaces}),
        bConfigurationValue=CONFIGURATION,
        iConfiguration=0,
        bmAttributes=0x80,
        bMaxPower=250,
        extra_descriptors=[],
    )


def interface_descriptor(interface: Interface) -> SimpleNamespace:
    return SimpleNamespace(
        bLength=9,
        bDescriptorType=_INTERFACE,
        bInterfaceNumber=interface.number,
        bAlternateSetting=interface.alternate,
        bNumEndpoints=len(interface.endpoints),
        bInterfaceClass=interface.usb_class,
        bInterfaceSubClass=0,
        bInterfaceProtocol=0,
        iInterface=0,
        extra_descriptors=[],
    )


def endpoint_descriptor(endpoint: Endpoint) -> SimpleNamespace:
    return SimpleNamespace(
        bLength=7,
        bDescriptorType=_ENDPOINT,
        bEndpointAddress=endpoint.address,
        bmAttributes=endpoint.kind,
        wMaxPacketSize=endpoint.max_packet,
        bInterval=endpoint.interval,
        bRefresh=0,
        bSynchAddress=0,
        extra_descriptors=[],
    )


def alternates(interfaces: Sequence[Interface], index: int) -> list[Interface]:
    """The alternate settings of the interface at a logical index, in order."""
    numbers = sorted({interface.number for interface in interfaces})
    if not 0 <= index < len(numbers):
        raise IndexError(f"no interface {index}")
    found = [interface for interface in interfaces if interface.number == numbers[index]]
    return sorted(found, key=lambda interface: interface.alternate)
