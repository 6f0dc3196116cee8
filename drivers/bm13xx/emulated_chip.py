"""One emulated chip of the BM1397 and later kind: its registers, its clock, its counters.

Written from REFERENCE.md. Where that says nothing of a power-on value it stands as 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field

ID, HASH_RATE, PLL0, HASH_COUNTING, TICKET = 0x00, 0x04, 0x08, 0x10, 0x14
MISC, FAST_UART, ERRORS, DOMAIN_0, TOTAL = 0x18, 0x28, 0x4C, 0x88, 0x8C
VERSION_MASK, DIE_SENSOR = 0xA4, 0xB4

CRYSTAL_MHZ = 25
_NOT_VALID = 1 << 31


@dataclass(frozen=True, slots=True)
class ChipModel:
    """What tells one chip from another on the wire.

    `id_bits` are the bits of a job's id byte that come back, shifted left by `id_shift`, with
    `low_bits` below them: the midstate's index or the small core's number. `post_offset` is what a
    post divider in the PLL word lacks. `mhz` is the clock at which a board of them hashes at its
    full rate, `volts` the core voltage that goes with it.
    """

    name: str
    chip_id: int
    id_bits: int
    low_bits: int
    mhz: float
    volts: float
    small_cores: int
    id_shift: int = 0
    midstates: bool = False
    post_offset: int = 1


_ALL = (
    ChipModel("BM1397", 0x13971800, 0xFC, 0x03, 450, 1.4, 672, midstates=True, post_offset=0),
    ChipModel("BM1362", 0x13620300, 0xF8, 0x07, 500, 1.2, 520),
    ChipModel("BM1366", 0x13660000, 0xF8, 0x07, 485, 1.2, 894),
    ChipModel("BM1368", 0x13680000, 0x78, 0x0F, 490, 1.166, 1276, id_shift=1),
    ChipModel("BM1370", 0x13700000, 0x78, 0x0F, 525, 1.15, 2040, id_shift=1),
)
MODELS = {model.name: model for model in _ALL}


def pll_mhz(word: int, post_offset: int) -> float:
    """The clock that a PLL word `flag feedback reference post1|post2` makes of 25 MHz."""
    feedback, reference, post = word >> 16 & 0xFF, word >> 8 & 0xFF, word & 0xFF
    divider = reference * ((post >> 4) + post_offset) * ((post & 0x0F) + post_offset)
    return CRYSTAL_MHZ * feedback / divider if divider else 0.0


@dataclass(slots=True)
class EmulatedChip:
    """One chip: `address` is 0 and `addressed` False until the host gives it one."""

    model: ChipModel
    address: int = 0
    addressed: bool = False
    errors: int = 0
    registers: dict[int, int] = field(default_factory=dict)

    def reset(self) -> None:
        """Power-on: every register as the chip wakes with it, the clock at its slowest."""
        self.address, self.addressed, self.errors = 0, False, 0
        slowest_post = 0x77 if self.model.post_offset == 0 else 0x66
        self.registers = {
            PLL0: 0x40A00200 | slowest_post,
            MISC: 0x00007A31 if self.model.midstates else 0x0000C100,
        }

    @property
    def mhz(self) -> float:
        """The clock its PLL makes."""
        return pll_mhz(self.registers[PLL0], self.model.post_offset)

    @property
    def ticket_bits(self) -> int:
        """Leading zero bits its ticket mask asks of a hash: difficulty 1 is 32 of them."""
        return 32 + self.registers.get(TICKET, 0).bit_count()

    @property
    def version_mask(self) -> int:
        """Which of the 16 version bits from bit 13 upward it rolls; 0 until A4 is written."""
        word = self.registers.get(VERSION_MASK, 0)
        return word & 0xFFFF if word & _NOT_VALID else 0

    def nonces_per_core(self) -> int:
        """How far a core counts before its space is done: the hash counting number, in nonces."""
        counting = self.registers.get(HASH_COUNTING, 0)
        return int(counting * 2 * self.mhz / CRYSTAL_MHZ) if counting else 1 << 25

    def read(self, register: int, counted: int, celsius: float) -> int:
        """A register's value; `counted` is how far its hash counter has come."""
        if register == ID:
            return self.model.chip_id | self.address
        if register == HASH_RATE and self.model.midstates:
            return _NOT_VALID  # its unit is disputed, so it never claims to be valid
        if register == TOTAL:
            return counted & 0xFFFFFFFF
        if DOMAIN_0 <= register < DOMAIN_0 + 4:
            return (counted + register - DOMAIN_0) // 4 & 0xFFFFFFFF
        if register == ERRORS:
            return self.errors & 0xFFFFFFFF
        if register == DIE_SENSOR and self.model.name == "BM1368":
            return round((celsius + 299.5144) / 0.171342)
        return self.registers.get(register, 0)
