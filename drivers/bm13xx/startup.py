"""What a chain is told from reset to its first job, as frames and the pauses between them.

Orders and values are those of ESP-Miner (BM1366, BM1368, BM1370), of the S19j Pro's capture in
mujina's reference (BM1362) and of a sniffed cold start (BM1397): REFERENCE.md and
vectors/boards/*_init_transcript.json. The order is: hello, count replies, configure, ramp,
start_mining; the line's speed is raised in between, by the driver.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from sv2rig.boards.pll import PllSetting
from sv2rig.drivers.bm13xx import registers as reg
from sv2rig.drivers.bm13xx.chips import BM1397, Chip
from sv2rig.drivers.bm13xx.protocol import (
    chain_inactive,
    read_register,
    set_address,
    write_register,
)

WRITE_PAUSE = 0.01  # factory firmware waits 10 ms between writes
COUNT_SECONDS = 0.5  # how long replies to hello are counted


@dataclass(frozen=True, slots=True)
class Step:
    """A frame to send, and how long (seconds) to wait after it."""

    frame: bytes
    pause: float = WRITE_PAUSE


class Mark(Enum):
    """Where a script needs the chain's own values."""

    INACTIVE = "inactive"
    ADDRESSES = "addresses"
    TICKET = "ticket"
    VERSIONS = "versions"


@dataclass(frozen=True, slots=True)
class First:
    """A write to the chain's first chip."""

    register: int
    value: int


@dataclass(frozen=True, slots=True)
class Each:
    """Writes to one chip after another."""

    writes: tuple[tuple[int, int], ...]
    pause: float = WRITE_PAUSE


Line = tuple[int, int] | Mark | First | Each


def _mailbox(*values: int) -> tuple[tuple[int, int], ...]:
    """Writes to core registers: each value is a register with its write bit, and a byte."""
    return tuple((reg.CORE_MAILBOX, 0x80000000 | value) for value in values)


def _cores(reset: int, misc: int, *values: int) -> tuple[tuple[int, int], ...]:
    return ((reg.SOFT_RESET, reset), (reg.MISC_CONTROL, misc), *_mailbox(*values, 0x82AA))


_SCRIPTS: dict[str, tuple[Line, ...]] = {
    "BM1397": (
        *(Mark.INACTIVE,) * 3,
        Mark.ADDRESSES,
        (reg.CLOCK_ORDER_0, 0),
        (reg.CLOCK_ORDER_1, 0),
        (reg.ORDERED_CLOCK, 1),
        *_mailbox(0x8074),
        Mark.TICKET,
        *((reg.PLL3, 0xC0700111),) * 2,
        (reg.FAST_UART, 0x0600000F),
        (reg.MISC_CONTROL, 0x00007A31),
    ),
    "BM1362": (
        (reg.SOFT_RESET, 0),
        (reg.MISC_CONTROL, 0xB000C100),
        Mark.INACTIVE,
        Mark.ADDRESSES,
        *_mailbox(0x8540, 0x8008),
        Mark.TICKET,
        (reg.ANALOG_MUX, 3),
        (reg.IO_DRIVE, 0x00011111),
        Each(_cores(0x00000002, 0xB000C100, 0x8540, 0x8008)),
    ),
    "BM1366": (
        (reg.SOFT_RESET, 0x00070000),
        (reg.MISC_CONTROL, 0xFF0FC100),
        Mark.INACTIVE,
        Mark.ADDRESSES,
        *_mailbox(0x8540, 0x8020),
        Mark.TICKET,
        (reg.ANALOG_MUX, 3),
        (reg.IO_DRIVE, 0x02111111),
        First(reg.UART_RELAY, 0x007C0003),
        Each(_cores(0x000701F0, 0xF000C100, 0x8540, 0x8020)),
    ),
    "BM1368": (
        Mark.INACTIVE,
        (reg.SOFT_RESET, 0x00070000),
        (reg.MISC_CONTROL, 0xFF0FC100),
        *_mailbox(0x8B00, 0x8018),
        (reg.ANALOG_MUX, 3),
        (reg.IO_DRIVE, 0x02111111),
        Mark.ADDRESSES,
        Each(_cores(0x000701F0, 0xF000C100, 0x8B00, 0x8018), pause=0.5),
        Mark.TICKET,
    ),
    "BM1370": (
        Mark.VERSIONS,
        (reg.SOFT_RESET, 0x00070000),
        (reg.MISC_CONTROL, 0xF000C100),
        Mark.INACTIVE,
        Mark.ADDRESSES,
        *_mailbox(0x8B00, 0x800C),
        Mark.TICKET,
        (reg.IO_DRIVE, 0x00011111),
        Each(_cores(0x000701F0, 0xF000C100, 0x8B00, 0x800C)),
        (reg.ADC_CONTROL, 0x00004480),
        (reg.ANALOG_MUX, 2),
        (reg.ADC_CONTROL, 0x00004480),
        *_mailbox(0x8DEE),
    ),
}


def hello(chip: Chip) -> Iterator[Step]:
    """Ask every chip for its id; where the chip rolls versions, fix the replies' length first."""
    if chip.rolls_versions:
        for _ in range(3):
            yield Step(write_register(reg.VERSION_MASK, reg.version_mask(reg.ROLLABLE_BITS)))
    yield Step(read_register(reg.CHIP_ID), COUNT_SECONDS)


def configure(
    chip: Chip, addresses: Sequence[int], ticket_bits: int, version_bits: int
) -> Iterator[Step]:
    """Give chips their addresses, open their cores, and set the ticket (zero bits, 32 and up)."""
    for line in _SCRIPTS[chip.name]:
        match line:
            case Mark.INACTIVE:
                yield Step(chain_inactive(), 0.1)
            case Mark.ADDRESSES:
                for address in addresses:
                    yield Step(set_address(address))
            case Mark.TICKET:
                yield Step(write_register(reg.TICKET_MASK, reg.ticket_mask(ticket_bits)))
            case Mark.VERSIONS:
                yield Step(write_register(reg.VERSION_MASK, reg.version_mask(version_bits)))
            case First(register, value):
                yield Step(write_register(register, value, addresses[0]))
            case Each(writes, pause):
                yield from _each(addresses, writes, pause)
            case (register, value):
                yield Step(write_register(register, value))


def _each(
    addresses: Sequence[int], writes: Sequence[tuple[int, int]], pause: float
) -> Iterator[Step]:
    for address in addresses:
        for register, value in writes[:-1]:
            yield Step(write_register(register, value, address))
        register, value = writes[-1]
        yield Step(write_register(register, value, address), pause)


def set_clock(chip: Chip, setting: PllSetting) -> Iterator[Step]:
    """One step of the frequency ramp, for all chips."""
    if chip is BM1397:
        for _ in range(2):
            yield Step(write_register(reg.PLL0_DIVIDER, 0x0F0F0F00))
        for _ in range(2):
            yield Step(write_register(reg.PLL0, chip.pll.register(setting)))
    else:
        yield Step(write_register(reg.PLL0, chip.pll.register(setting)), 0.0)


def set_line_speed(chip: Chip, divider: int) -> Step:
    """The last frame at the old speed: then wait for it to leave, and switch the host's side."""
    register, value = reg.uart_write(chip, divider)
    return Step(write_register(register, value), 0.06)


def start_mining(
    chip: Chip, setting: PllSetting, addresses: Sequence[int], version_bits: int
) -> Iterator[Step]:
    """After the ramp, and again after each change of the clock: the shares of the nonces."""
    if not chip.rolls_versions:
        return
    if chip.needs_offsets and len(addresses) > 1:
        for index, address in enumerate(addresses):
            value = reg.nonce_offset(index, len(addresses))
            yield Step(write_register(reg.NONCE_OFFSET, value, address))
    counting = reg.hash_counting_number(chip, setting, len(addresses))
    yield Step(write_register(reg.HASH_COUNTING, counting))
    yield Step(write_register(reg.VERSION_MASK, reg.version_mask(version_bits)))
