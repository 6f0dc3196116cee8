"""The control port of bitaxe-raw and EmberOne firmware: requests, and replies in three framings.

Request: length (of all, 2 bytes little-endian), id, bus, page, command, data. One is sent at a
time, in one write (firmware forgets a part after 4 ms), and its reply carries its id.
REFERENCE.md; bcdDevice as mujina's mgmt_protocol reads it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum, IntEnum

from sv2rig.devices.pattern import Pattern

PATTERNS = (
    Pattern(0xC0DE, 0xCAFE, "OSMU", "Bitaxe", "Bitaxe"),
    Pattern(0x1209, 0x256F, "256F", "EmberOne00", "EmberOne 00"),
)
MAX_REPLY = 512  # longer lengths are damage: I2C replies carry at most 255 bytes
DEVICE_ERRORS = {0x10: "timeout", 0x11: "invalid command", 0x12: "buffer overflow", 0xFF: "failed"}


class Page(IntEnum):
    I2C = 0x05
    GPIO = 0x06
    ADC = 0x07
    LED = 0x08
    SYSTEM = 0x09


class Framing(Enum):
    """How a firmware frames its replies."""

    DATA_LENGTH = "bitaxe-raw"  # length of the data, id, data; of an error: of all, id, code, text
    STATUS = "emberone"  # length of all, id, status, data
    WHOLE_LENGTH = "bonanza"  # length of all, id, data


I2C_FREQUENCY, I2C_WRITE, I2C_READ, I2C_WRITE_READ = 0x10, 0x20, 0x30, 0x40
LED_RGB = 0x10
ADC_VDD, ADC_VIN = 0x50, 0x51
RESET_PIN = 0  # active low: holds the ASICs in reset
POWER_PIN = 1  # EmberOne
IO_POWER_PIN = 2  # EmberOne


@dataclass(frozen=True, slots=True)
class FirmwareVersion:
    """A board's revision and its firmware's, packed into bcdDevice as JJMN."""

    hardware: int
    minor: int
    patch: int

    @classmethod
    def of_bcd(cls, bcd: int) -> FirmwareVersion:
        return cls(bcd >> 8, bcd >> 4 & 0xF, bcd & 0xF)


def emberone_framing(version: FirmwareVersion) -> Framing:
    """EmberOne answers with a status from firmware minor 1 on."""
    return Framing.STATUS if version.minor >= 1 else Framing.DATA_LENGTH


def request(request_id: int, page: Page, command: int, data: bytes = b"", bus: int = 0) -> bytes:
    """One request, whole. Ids wrap at 256."""
    return struct.pack("<HBBBB", len(data) + 6, request_id, bus, page, command) + data


def i2c_frequency(request_id: int, hertz: int) -> bytes:
    return request(request_id, Page.I2C, I2C_FREQUENCY, hertz.to_bytes(4, "little"))


def i2c_write(request_id: int, address: int, data: bytes) -> bytes:
    return request(request_id, Page.I2C, I2C_WRITE, bytes((address,)) + data)


def i2c_read(request_id: int, address: int, count: int) -> bytes:
    return request(request_id, Page.I2C, I2C_READ, bytes((address, count)))


def i2c_write_read(request_id: int, address: int, data: bytes, count: int) -> bytes:
    return request(request_id, Page.I2C, I2C_WRITE_READ, bytes((address,)) + data + bytes((count,)))


def gpio_write(request_id: int, pin: int, high: bool) -> bytes:
    return request(request_id, Page.GPIO, pin, bytes((high,)))


def gpio_read(request_id: int, pin: int) -> bytes:
    return request(request_id, Page.GPIO, pin)


def adc_read(request_id: int, channel: int) -> bytes:
    """The reply's data is the channel's voltage, 2 bytes little-endian, mV."""
    return request(request_id, Page.ADC, channel)


def led(request_id: int, red: int, green: int, blue: int) -> bytes:
    return request(request_id, Page.LED, LED_RGB, bytes((red, green, blue)))


@dataclass(frozen=True, slots=True)
class ControlReply:
    """What the firmware answered. `error` is None, or why it refused; a refusal of what it could
    not read carries the id 255."""

    request_id: int
    data: bytes
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ControlError:
    """Bytes that cannot be a reply; all that was held is dropped with them."""

    skipped: int


class ControlDecoder:
    """Finds replies in what the control port sends, in any pieces.

    Lengths are not protected: one that cannot be drops what is held. As one request is open at a
    time, the next reply is then found. Keeps less than MAX_REPLY bytes. bitaxe-raw's errors are
    shorter than their length says: only `give_up` can tell them.
    """

    def __init__(self, framing: Framing) -> None:
        self._framing = framing
        self._held = b""
        self.errors = 0

    @property
    def waiting(self) -> int:
        """Bytes kept for a reply that is not whole yet."""
        return len(self._held)

    def give_up(self) -> ControlReply | None:
        """The reply stays out: forget its part, or tell the refusal that it is."""
        held, self._held = self._held, b""
        if len(held) >= 4 and len(held) == int.from_bytes(held[:2], "little"):
            return _refusal(held)
        self.errors += bool(held)
        return None

    def feed(self, data: bytes) -> list[ControlReply | ControlError]:
        """The replies completed by `data`."""
        self._held += data
        found: list[ControlReply | ControlError] = []
        while len(self._held) >= 2:
            total = self._total()
            if not self._shortest <= total <= MAX_REPLY:
                found.append(ControlError(len(self._held)))
                self.errors += 1
                self._held = b""
            elif len(self._held) < total:
                break
            else:
                frame, self._held = self._held[:total], self._held[total:]
                found.append(self._reply(frame))
        return found

    def _total(self) -> int:
        length = int.from_bytes(self._held[:2], "little")
        return length + 3 if self._framing is Framing.DATA_LENGTH else length

    @property
    def _shortest(self) -> int:
        return 4 if self._framing is Framing.STATUS else 3

    def _reply(self, frame: bytes) -> ControlReply:
        if self._framing is not Framing.STATUS:
            return ControlReply(frame[2], frame[3:])
        return _refusal(frame) if frame[3] else ControlReply(frame[2], frame[4:])


def _refusal(frame: bytes) -> ControlReply:
    error = DEVICE_ERRORS.get(frame[3], f"error {frame[3]:02x}")
    if text := frame[4:].decode("ascii", "replace"):
        error = f"{error}: {text}"
    return ControlReply(frame[2], b"", error)


@dataclass(frozen=True, slots=True)
class Transfer:
    """One exchange with an I2C peripheral: write `data`, then read `count` bytes."""

    address: int
    data: bytes
    count: int = 0

    def request(self, request_id: int) -> bytes:
        """The control request that does it."""
        if self.count:
            return i2c_write_read(request_id, self.address, self.data, self.count)
        return i2c_write(request_id, self.address, self.data)
