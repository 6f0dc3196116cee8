"""Reset lines on a USB bridge's pins: Linux' GPIO interface, as far as it goes without a bridge."""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path

import pytest

from sv2rig.boards import reset_line
from sv2rig.boards.line import LineError
from sv2rig.boards.reset_line import GpioReset, gpio_chip, line_request


def test_numbers_are_those_of_the_kernels_header() -> None:
    """_IOR(0xB4, 1, 68 bytes) and _IOWR(0xB4, 7, 592 bytes)."""

    def number(direction: int, size: int, command: int) -> int:
        return direction << 30 | size << 16 | 0xB4 << 8 | command

    assert number(2, 32 + 32 + 4, 0x01) == reset_line.GET_CHIP_INFO
    assert number(3, len(line_request((1,), True)), 0x07) == reset_line.GET_LINE


@pytest.mark.parametrize("high", [True, False])
def test_a_request_for_outputs_at_one_level(high: bool) -> None:
    request = line_request((0, 1, 2), high)
    assert len(request) == 592
    assert struct.unpack_from("=4I", request) == (0, 1, 2, 0)
    assert request[256:288].rstrip(b"\0") == b"sv2rig"
    flags, attributes = struct.unpack_from("=QI", request, 288)
    assert (flags, attributes) == (1 << 3, 1)  # an output, with one attribute
    kind, _, values, mask = struct.unpack_from("=IIQQ", request, 320)
    assert (kind, values, mask) == (2, 0b111 if high else 0, 0b111)
    assert struct.unpack_from("=II", request, 560) == (3, 0)  # lines, size of the event buffer


def test_the_chip_beside_a_port_is_found(tmp_path: Path) -> None:
    devices = tmp_path / "bus" / "usb" / "devices"
    for name in ("1-2:1.0/gpiochip3", "1-2:1.1/gpiochip4", "1-2.1:1.0/gpiochip5"):
        (devices / name).mkdir(parents=True)
        (devices / name / "dev").write_text("254:3\n")
    (devices / "1-3:1.0" / "gpiochip6").mkdir(parents=True)  # of the old interface: no device
    assert gpio_chip("1-2", sysfs=tmp_path) == Path("/dev/gpiochip3")
    assert gpio_chip("1-2", 1, sysfs=tmp_path) == Path("/dev/gpiochip4")
    assert gpio_chip("1-2.1", sysfs=tmp_path) == Path("/dev/gpiochip5")
    assert gpio_chip("1-3", sysfs=tmp_path) is None
    assert gpio_chip("1-4", sysfs=tmp_path) is None


@pytest.mark.parametrize("offsets", [(1,), None])
def test_a_device_that_is_no_gpio_chip_is_an_error_in_words(
    offsets: tuple[int, ...] | None,
) -> None:
    line = GpioReset(Path("/dev/null"), offsets, held_high=False)
    with pytest.raises(LineError, match=r"/dev/null: .*is the pin free"):
        asyncio.run(line.hold(True))
    with pytest.raises(LineError, match="gpiochip99"):
        asyncio.run(GpioReset(Path("/dev/gpiochip99"), offsets, False).hold(True))
