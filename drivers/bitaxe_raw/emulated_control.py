"""The control port: requests in, replies out, as the two kinds of firmware word them.

Written from REFERENCE.md; what the firmware answers to a write, and how its errors look, is
read off bitaxe-raw and emberone-usbserial-fw.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sv2rig.drivers.bitaxe_raw.emulated_parts import Part
from sv2rig.emulation.wires import Inbound

_FORGOTTEN = 0.004  # a request of which nothing more has come for so long
_LONGEST = 4096
_HEAD = 6
_UNREAD = 0xFF  # the id in a reply to what could not be read
INVALID, BROKEN = 0x11, 0xFF


class RequestError(Exception):
    """A request that gets an error: its code, and a text for code FF."""

    def __init__(self, code: int, text: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.text = text


@dataclass(frozen=True, slots=True)
class Lines:
    """What the control port reaches besides I2C, each by its number: `pins` read without data
    and written with it, `adc` in millivolts, `led` given red, green and blue."""

    pins: Mapping[int, Callable[[int | None], int]]
    adc: Mapping[int, Callable[[], int]]
    led: Callable[[bytes], None]


class ControlPort:
    """Requests as they come, and what goes back. `statuses`: replies of EmberOne's firmware."""

    def __init__(
        self, inbound: Inbound, statuses: bool, parts: Mapping[int, Part], lines: Lines
    ) -> None:
        self._inbound = inbound
        self._statuses = statuses
        self._parts = parts
        self._lines = lines
        self._heard = 0.0

    def receive(self, data: bytes, now: float) -> bytes:
        """The replies to the requests that these bytes complete."""
        if now - self._heard > _FORGOTTEN:
            self._inbound.clear()
        self._heard = now
        self._inbound.feed(data)
        replies = bytearray()
        while len(self._inbound.buffer) >= _HEAD:
            length = int.from_bytes(self._inbound.buffer[:2], "little")
            if not _HEAD <= length <= _LONGEST:
                self._inbound.clear()
                return bytes(replies) + self._reply(_UNREAD, INVALID, b"")
            if len(self._inbound.buffer) < length:
                break
            replies += self._serve(self._inbound.take(length))
        return bytes(replies)

    def _serve(self, request: bytes) -> bytes:
        try:
            return self._reply(request[2], 0, self._do(request[4], request[5], request[6:]))
        except RequestError as fault:
            identity = _UNREAD if fault.code == INVALID else request[2]
            return self._reply(identity, fault.code, fault.text.encode())

    def _reply(self, identity: int, code: int, data: bytes) -> bytes:
        if self._statuses or code:
            body = bytes((identity, code)) + data
        else:  # the length of bitaxe-raw's good replies is that of their data
            return len(data).to_bytes(2, "little") + bytes((identity,)) + data
        return (len(body) + 2).to_bytes(2, "little") + body

    def _do(self, page: int, command: int, data: bytes) -> bytes:
        if page == 0x05:
            return self._i2c(command, data)
        if page == 0x06 and command in self._lines.pins and len(data) <= 1:
            level = self._lines.pins[command](int(data[0] > 0) if data else None)
            return bytes((level,))
        if page == 0x07 and command in self._lines.adc and not data:
            return self._lines.adc[command]().to_bytes(2, "little")
        if page == 0x08 and command == 0x10 and len(data) == 3:
            self._lines.led(data)
            return b""
        raise RequestError(INVALID)

    def _i2c(self, command: int, data: bytes) -> bytes:
        if command == 0x10 and len(data) == 4:
            return data
        if command == 0x20 and data:
            self._part(data[0], "I2C Write Error").write(data[1:])
            return bytes((len(data) - 1,))
        if command == 0x30 and len(data) == 2:
            return self._part(data[0], "I2C Read Error").read(data[1])
        if command == 0x40 and len(data) >= 2:
            part = self._part(data[0], "I2C WriteRead Error")
            part.write(data[1:-1])
            return part.read(data[-1])
        raise RequestError(INVALID)

    def _part(self, address: int, error: str) -> Part:
        if address not in self._parts:
            raise RequestError(BROKEN, error)
        return self._parts[address]
