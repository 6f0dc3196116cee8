"""The line that holds a board's chips in reset, where the USB bridge drives it.

A bridge's spare pins are a GPIO chip to the kernel (ftdi_sio, cp210x), with a character device of
its own. An emulated board takes the line's changes as text on a port (sv2rig.emulation.emulator).
Numbers are those of Linux' gpio.h, version 2 of its interface.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
from pathlib import Path
from typing import Protocol

from sv2rig.boards.line import LineError, Talk

GET_CHIP_INFO = 0x8044B401
GET_LINE = 0xC250B407
_CHIP_INFO = struct.Struct("=32s32sI")
_OUTPUT = 1 << 3
_INITIAL_VALUES = 2  # the attribute that gives an output its first level
_MOST_LINES, _MOST_ATTRIBUTES = 64, 10
_CONSUMER = b"sv2rig"


class ResetLine(Protocol):
    """What holds chips in reset."""

    async def hold(self, held: bool) -> None:
        """Hold them, or let them go; returns when that is done. LineError says why it cannot be."""


class TextReset:
    """The line of an emulated board, at the end of a port: `reset=0` holds."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk

    async def hold(self, held: bool) -> None:
        self._talk.write(b"reset=0\n" if held else b"reset=1\n")
        await self._talk.line.drain()


class GpioReset:
    """Lines of a kernel's GPIO chip that together are the reset: all at one level.

    `offsets`: which lines (None: all that the chip has). `held_high`: the level that holds. Lines
    are given back at once: these bridges' drivers leave them as they were set.
    """

    def __init__(self, path: Path, offsets: tuple[int, ...] | None, held_high: bool) -> None:
        self._path = path
        self._offsets = offsets
        self._held_high = held_high

    async def hold(self, held: bool) -> None:
        await asyncio.to_thread(self._drive, held)  # a transfer over USB, which may hang

    def _drive(self, held: bool) -> None:
        try:
            chip = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
            try:
                offsets = self._offsets or _all_lines(chip)
                request = line_request(offsets, high=held is self._held_high)
                answer = fcntl.ioctl(chip, GET_LINE, request)
                os.close(struct.unpack("=i", answer[-4:])[0])
            finally:
                os.close(chip)
        except OSError as error:
            raise LineError(_explained(self._path, error)) from error


def _all_lines(chip: int) -> tuple[int, ...]:
    info = fcntl.ioctl(chip, GET_CHIP_INFO, bytes(_CHIP_INFO.size))
    return tuple(range(_CHIP_INFO.unpack(info)[2]))


def line_request(offsets: tuple[int, ...], high: bool) -> bytes:
    """Linux' struct gpio_v2_line_request for outputs that all start at one level."""
    mask = (1 << len(offsets)) - 1
    attribute = struct.pack("=IIQQ", _INITIAL_VALUES, 0, mask if high else 0, mask)
    return b"".join(
        (
            struct.pack(f"={_MOST_LINES}I", *offsets, *(0,) * (_MOST_LINES - len(offsets))),
            _CONSUMER.ljust(32, b"\0"),
            struct.pack("=QI20x", _OUTPUT, 1),
            attribute.ljust(len(attribute) * _MOST_ATTRIBUTES, b"\0"),
            struct.pack("=II20xi", len(offsets), 0, 0),
        )
    )


def gpio_chip(usb_path: str, interface: int = 0, sysfs: Path = Path("/sys")) -> Path | None:
    """The character device of the pins beside a USB interface's port; None where the kernel's
    driver gives none."""
    folder = sysfs / "bus" / "usb" / "devices"
    for found in sorted(folder.glob(f"{usb_path}:*.{interface}/gpiochip*")):
        if (found / "dev").exists():
            return Path("/dev") / found.name
    return None


def _explained(path: Path, error: OSError) -> str:
    if isinstance(error, PermissionError):
        return f"no permission for {path}, the pins of its USB bridge"
    return f"{path}: {error.strerror}: is the pin free, and set up as GPIO in the bridge's memory?"
