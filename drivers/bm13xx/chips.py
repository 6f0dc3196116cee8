"""What differs from chip to chip in the BM1397 to BM1370 family.

Facts: REFERENCE.md, and the tables of ESP-Miner and mujina named there.
"""

from __future__ import annotations

from dataclasses import dataclass

from sv2rig.boards.pll import BM1362_PLL, BM1366_PLL, BM1368_PLL, BM1370_PLL, BM1397_PLL, PllFamily

MAX_CHIPS = 128  # addresses step by two at least: the nonce carries an address's upper seven bits


class ChipError(ValueError):
    """A chain that cannot be: an unknown chip, or more chips than there are addresses."""


@dataclass(frozen=True, slots=True)
class Chip:
    """One chip model.

    A job has a slot number, 0 to `job_slots` - 1. Its id byte is the slot shifted left by
    `sent_shift`; a reply's id byte carries the slot from bit `reply_shift` up, and below it the
    midstate's index (BM1397) or the small core. Where `rolls_versions`, jobs are whole headers
    and the chip rolls the version; else jobs are midstates. `needs_offsets`: in a chain each chip
    is told where its share of the nonces starts (register 0C), which others take from their
    address. `overrun_ticks`: by how much a search overruns. `counters`: what to poll.
    """

    name: str
    chip_id: int
    cores: int
    small_cores: int
    default_mhz: float
    pll: PllFamily
    job_slots: int
    sent_shift: int
    reply_shift: int
    slot_step: int
    reply_length: int
    rolls_versions: bool
    counters: tuple[int, ...]
    needs_offsets: bool
    overrun_ticks: int = 0

    def hash_rate(self, mhz: float, chips: int) -> float:
        """Expected hashes a second."""
        return mhz * 1e6 * self.small_cores * chips

    def next_slot(self, slot: int) -> int:
        """The slot after `slot`, in the order factory firmware walks through them."""
        return (slot + self.slot_step) % self.job_slots

    def id_byte(self, slot: int) -> int:
        """The id byte of a job; ValueError for a slot that the chip has not."""
        if not 0 <= slot < self.job_slots:
            raise ValueError(f"{self.name} has job slots 0 to {self.job_slots - 1}, not {slot}")
        return slot << self.sent_shift

    def slot_of(self, reply_id: int) -> tuple[int, int]:
        """(slot, midstate index or small core) of a reply's id byte.

        The slot may be one that no job was sent with: the reply is then a hardware error.
        """
        return reply_id >> self.reply_shift, reply_id & (1 << self.reply_shift) - 1

    def core_of(self, nonce: bytes) -> int:
        """The core that found a nonce (header bytes 76..79)."""
        return nonce[0] >> 1


_COUNTERS = (0x4C, 0x88, 0x89, 0x8A, 0x8B, 0x8C)


def _full_header(
    name: str, chip_id: int, cores: int, small: int, mhz: float, pll: PllFamily, shift: int
) -> Chip:
    # Four id bits come back everywhere in esp's use; BM1368 and BM1370 walk by threes.
    return Chip(
        name=name,
        chip_id=chip_id,
        cores=cores,
        small_cores=small,
        default_mhz=mhz,
        pll=pll,
        job_slots=16,
        sent_shift=3,
        reply_shift=shift,
        slot_step=1 if shift == 3 else 3,
        reply_length=11,
        rolls_versions=True,
        counters=_COUNTERS,
        needs_offsets=name == "BM1370",
        overrun_ticks=268 if name == "BM1370" else 0,
    )


BM1397 = Chip(
    name="BM1397",
    chip_id=0x1397,
    cores=168,
    small_cores=672,
    default_mhz=425.0,
    pll=BM1397_PLL,
    job_slots=32,
    sent_shift=2,
    reply_shift=2,
    slot_step=1,
    reply_length=9,
    rolls_versions=False,
    counters=(0x04, 0x4C),
    needs_offsets=False,
)
BM1362 = _full_header("BM1362", 0x1362, 65, 520, 525.0, BM1362_PLL, 3)
BM1366 = _full_header("BM1366", 0x1366, 112, 894, 485.0, BM1366_PLL, 3)
BM1368 = _full_header("BM1368", 0x1368, 80, 1276, 490.0, BM1368_PLL, 4)
BM1370 = _full_header("BM1370", 0x1370, 128, 2040, 525.0, BM1370_PLL, 4)

CHIPS: dict[int, Chip] = {one.chip_id: one for one in (BM1397, BM1362, BM1366, BM1368, BM1370)}


def chip_named(name: str) -> Chip:
    """The chip of a name such as "BM1370", in any case; ChipError with those there are."""
    for chip in CHIPS.values():
        if chip.name == name.upper():
            return chip
    known = ", ".join(sorted(chip.name for chip in CHIPS.values()))
    raise ChipError(f"no chip is named {name!r}; there are {known}")


def addresses(chips: int) -> tuple[int, ...]:
    """The addresses of a chain, evenly over 0..255, the first chip's first.

    Even steps of a power of two: chips hash the part of the nonces that their address' upper bits
    name, so that two chips never share one, and the hash counting number fits all.
    """
    if not 1 <= chips <= MAX_CHIPS:
        raise ChipError(f"a chain has 1 to {MAX_CHIPS} chips, not {chips}")
    step = 256 // power_of_two(chips)
    return tuple(range(0, chips * step, step))


def chip_index(nonce: bytes, chips: int) -> int:
    """Which chip of a chain found a nonce (header bytes 76..79): below its core's seven bits."""
    return (int.from_bytes(nonce) & 0x1FFFFFF) * power_of_two(chips) >> 25


def power_of_two(count: int) -> int:
    """The smallest power of two that is not below `count`."""
    return 1 << max(count - 1, 0).bit_length()
