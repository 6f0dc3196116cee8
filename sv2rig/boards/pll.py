"""Clock settings: the divider values whose frequency is closest to the one asked for.

Families differ in ranges, in which of two equally close settings they prefer, and in how a
setting is written; the search is one. All frequencies are MHz; crystals run at 25 MHz.
"""

from __future__ import annotations

from dataclasses import dataclass

CRYSTAL_MHZ = 25.0
_SAME_MHZ = 1e-6


class FrequencyError(ValueError):
    """A frequency that a chip's clock cannot be set to; the message names its range."""


@dataclass(frozen=True, slots=True)
class PllSetting:
    """f = 25 * feedback / reference / post1 / post2."""

    feedback: int
    reference: int
    post1: int
    post2: int

    @property
    def vco_mhz(self) -> float:
        """The oscillator's own frequency, before the post dividers."""
        return CRYSTAL_MHZ * self.feedback / self.reference

    @property
    def mhz(self) -> float:
        """The hash clock."""
        return self.vco_mhz / self.post1 / self.post2


@dataclass(frozen=True, slots=True)
class PllFamily:
    """What one family's clock can be set to, and how a setting is written.

    `lowest_mhz` and `highest_mhz` bound what may be asked for. Of settings equally close, the one
    with the lowest oscillator frequency is taken (the highest where `prefer_high_vco`), then the
    smallest post divider. `high_vco_mhz`: from there the flag says "high range". `stored_less_one`:
    post dividers are written minus one.
    """

    name: str
    feedback_min: int
    feedback_max: int
    references: tuple[int, ...]
    posts: tuple[tuple[int, int], ...]
    lowest_mhz: float
    highest_mhz: float
    flag: int = 0x40
    high_vco_mhz: float | None = None
    stored_less_one: bool = False
    prefer_high_vco: bool = False

    def search(self, mhz: float) -> PllSetting:
        """The setting closest to `mhz`; FrequencyError outside the family's range."""
        if not self.lowest_mhz <= mhz <= self.highest_mhz:
            raise FrequencyError(
                f"{self.name} cannot run at {mhz:g} MHz: "
                f"choose {self.lowest_mhz:g} to {self.highest_mhz:g} MHz"
            )
        candidates = list(self._candidates(mhz))
        if not candidates:
            raise FrequencyError(f"{self.name} has no clock setting near {mhz:g} MHz")
        nearest = min(abs(setting.mhz - mhz) for setting in candidates)
        equal = [one for one in candidates if abs(one.mhz - mhz) - nearest < _SAME_MHZ]
        sign = -1 if self.prefer_high_vco else 1
        return min(equal, key=lambda one: (sign * one.vco_mhz, one.post1 * one.post2, one.post1))

    def _candidates(self, mhz: float) -> list[PllSetting]:
        found = []
        for reference in self.references:
            for post1, post2 in self.posts:
                # Half up, as firmware rounds; Python's round() would take the even neighbour.
                feedback = int(mhz / CRYSTAL_MHZ * reference * post1 * post2 + 0.5)
                if self.feedback_min <= feedback <= self.feedback_max:
                    found.append(PllSetting(feedback, reference, post1, post2))
        return found

    def register(self, setting: PllSetting) -> int:
        """The 32-bit register value: flag, feedback, reference, post dividers."""
        high = self.high_vco_mhz is not None and setting.vco_mhz >= self.high_vco_mhz
        less = 1 if self.stored_less_one else 0
        posts = setting.post1 - less << 4 | setting.post2 - less
        flag = 0x50 if high else self.flag
        return flag << 24 | setting.feedback << 16 | setting.reference << 8 | posts

    def setting(self, register: int) -> PllSetting:
        """What a register value sets; FrequencyError where a divider would be 0."""
        less = 1 if self.stored_less_one else 0
        feedback, reference = register >> 16 & 0xFF, register >> 8 & 0x3F
        post1, post2 = (register >> 4 & 0xF) + less, (register & 0xF) + less
        if not (reference and post1 and post2):
            raise FrequencyError(f"{self.name} clock register {register:08x} divides by zero")
        return PllSetting(feedback, reference, post1, post2)


_FALLING_POSTS = tuple((one, two) for one in range(1, 8) for two in range(1, one))


def _modern(name: str, feedback_min: int, feedback_max: int) -> PllFamily:
    return PllFamily(
        name,
        feedback_min,
        feedback_max,
        (2, 1),
        _FALLING_POSTS,
        lowest_mhz=50.0,
        highest_mhz=1000.0,
        high_vco_mhz=2400.0,
        stored_less_one=True,
    )


BM1362_PLL = _modern("BM1362", 160, 239)
BM1366_PLL = _modern("BM1366", 144, 235)
BM1368_PLL = _modern("BM1368", 144, 235)
BM1370_PLL = _modern("BM1370", 160, 239)
BM1397_PLL = PllFamily(
    "BM1397", 60, 200, (2, 1), _FALLING_POSTS, lowest_mhz=50.0, highest_mhz=800.0
)
# One of three post dividers, the largest that keeps the feedback in its range.
BM1387_PLL = PllFamily(
    "BM1387",
    16,
    127,
    (2,),
    ((4, 1), (2, 1), (1, 1)),
    lowest_mhz=50.0,
    highest_mhz=1200.0,
    flag=0x00,
    prefer_high_vco=True,
)


@dataclass(frozen=True, slots=True)
class ClockCode:
    """The 16-bit clock code of BM1384: f = 50 * (m + 1) / ((n + 1) * 2^od).

    BM1380 has the same fields at half the frequency.
    """

    m: int
    n: int
    od: int

    @property
    def value(self) -> int:
        return self.m << 7 | self.n << 2 | self.od

    @classmethod
    def of(cls, value: int) -> ClockCode:
        return cls(value >> 7 & 0x7F, value >> 2 & 0x1F, value & 3)

    @property
    def mhz(self) -> float:
        return 50.0 * (self.m + 1) / ((self.n + 1) << self.od)


_BM1384_CODES = {  # as U3 firmware and cgminer have them; the search agrees on all but 400
    100: 0x0783, 150: 0x0B83, 200: 0x0782, 225: 0x0882, 250: 0x0982,
    300: 0x0B82, 400: 0x0F82, 450: 0x0881, 500: 0x0981,
}  # fmt: skip


def bm1384_clock_code(mhz: float) -> int:
    """The BM1384 code closest to `mhz` (100 to 500); FrequencyError outside."""
    if not 100 <= mhz <= 500:
        raise FrequencyError(f"BM1384 cannot run at {mhz:g} MHz: choose 100 to 500 MHz")
    if mhz in _BM1384_CODES:
        return _BM1384_CODES[int(mhz)]
    codes = [
        ClockCode(m, n, od)
        for n in (0, 1)
        for od in range(4)
        for m in range(16 * (n + 1) - 1, 32 * (n + 1))
    ]
    return min(codes, key=lambda code: (abs(code.mhz - mhz), code.n, code.m)).value
