"""GekkoScience boards: which there are, their reset lines, and the telemetry of Compac A1 and A2.

Chips speak bm13xx's protocols. REFERENCE.md; strings, defaults and limits as gekko's driver
has them.
"""

from __future__ import annotations

from dataclasses import dataclass

from sv2rig.devices.pattern import Pattern

RESET_SECONDS_OLD = 0.03
RESET_SECONDS_BM1397 = 1.0

TELEMETRY_BYTES = 7
GET_VERSION = b"?v"
GET_TELEMETRY = b"G."
REGULATOR_ON = b"BO"
REGULATOR_OFF = b"B-"
LED_OFF, LED_WORK, LED_ON = b"L-", b"LN", b"LO"
HIGHEST_MILLIVOLT = 500


def core_voltage(millivolt: int) -> bytes:
    """Set the core voltage in steps of 5 mV, rounded down; ValueError beyond 500 mV."""
    if not 0 <= millivolt <= HIGHEST_MILLIVOLT:
        raise ValueError(f"core voltage {millivolt} mV is outside 0 to {HIGHEST_MILLIVOLT} mV")
    return b"V" + bytes((millivolt // 5,))


def fan(percent: int) -> bytes:
    """Set the fan's duty (A2), clipped to 0..100."""
    return b"F" + bytes((min(max(percent, 0), 100),))


@dataclass(frozen=True, slots=True)
class TelemetryVersion:
    """The first byte of the answer to GET_VERSION: 1.x and 2.x are known."""

    major: int
    minor: int

    @classmethod
    def of(cls, value: int) -> TelemetryVersion | None:
        """None for a version whose numbers are unknown: no telemetry is better than a wrong one."""
        major, minor = value >> 4, value & 0xF
        return cls(major, minor) if major in (1, 2) else None


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Volts, amperes, °C and turns a minute; None where the board has no such reading."""

    input_volts: float
    output_volts: float
    celsius: float | None
    second_celsius: float | None = None
    input_amperes: float | None = None
    output_amperes: float | None = None
    fan_rpm: int | None = None


def celsius(value: int) -> float | None:
    """-50 to 125 °C over 0..218, from there 125; 0 is no reading."""
    if value == 0:
        return None
    return min(value * 175 / 218 - 50, 125.0)


def _amperes(value: int) -> float:
    return value * 2.048 / 255 * 20


def telemetry(version: TelemetryVersion, data: bytes) -> Telemetry | None:
    """What seven bytes say; None for fewer, which are damage."""
    if len(data) < TELEMETRY_BYTES:
        return None
    vin, iin, vout, iout, first, second, tach = data[:TELEMETRY_BYTES]
    output_volts = vout * 2.048 / 255 / 2
    if version.major == 1:
        return Telemetry(vin * 6 / 255, output_volts, celsius(first))
    # From 2.1 on a second sensor stands where 2.0 measures the output current.
    return Telemetry(
        vin * 2.048 * 12 / 255,
        output_volts,
        celsius(first),
        second_celsius=celsius(second) if version.minor else None,
        input_amperes=_amperes(iin),
        output_amperes=None if version.minor else _amperes(iout),
        fan_rpm=tach * 30,
    )


class TelemetryDecoder:
    """Joins the pieces of one answer: nothing marks its beginning, so each question starts anew."""

    def __init__(self) -> None:
        self._held = b""
        self._wanted = 0
        self.errors = 0

    @property
    def waiting(self) -> int:
        return len(self._held)

    def ask(self, answer_length: int) -> None:
        """A question was sent; what came before it is no part of its answer."""
        if self._held or self._wanted:
            self.errors += 1
        self._held = b""
        self._wanted = answer_length

    def feed(self, data: bytes) -> bytes | None:
        """The whole answer, once; bytes that nobody asked for are counted and dropped."""
        if not self._wanted:
            self.errors += 1
            return None
        self._held += data
        if len(self._held) < self._wanted:
            return None
        answer, rest = self._held[: self._wanted], self._held[self._wanted :]
        self.errors += bool(rest)
        self._held = b""
        self._wanted = 0
        return answer


@dataclass(frozen=True, slots=True)
class Board:
    """One GekkoScience product.

    `chips` is how many are expected, None where any number counts. `millivolt` is the core voltage
    that telemetry boards are given. `divider` sets the line's speed, 25 MHz / 8 / (divider + 1),
    None where it stays at 115200. `mark_parity`: the CP210x lines run eight bits and a mark.
    """

    name: str
    product: str
    chip: str
    bridge: str
    chips: int | None
    start_mhz: float
    default_mhz: float
    lowest_mhz: float
    highest_mhz: float
    divider: int | None = None
    mark_parity: bool = False
    millivolt: int | None = None
    has_fan: bool = False

    @property
    def telemetry(self) -> bool:
        """Whether interface 1 answers questions."""
        return self.bridge == "CP2105"


BOARDS = (
    Board("Compac A1", "GekkoScience Compac A1", "BM1362", "CP2105", 1, 100, 300, 100, 800,
          mark_parity=True, millivolt=300),
    Board("Compac A2", "GekkoScience Compac A2", "BM1370", "CP2105", 1, 100, 300, 100, 800,
          mark_parity=True, millivolt=270, has_fan=True),
    Board("Terminus A1", "GekkoScience Terminus A1", "BM1362", "CP2105", None, 100, 300, 100, 800,
          mark_parity=True, millivolt=300),
    Board("Terminus A2", "GekkoScience Terminus A2", "BM1370", "CP2105", None, 100, 300, 100, 800,
          mark_parity=True, millivolt=270, has_fan=True),
    Board("Compac F", "CompacF Bitcoin Miner", "BM1397", "FT230X", None, 200, 200, 100, 800,
          divider=1),
    Board("R909", "R909 Bitcoin Miner", "BM1397", "FT230X", None, 400, 450, 100, 800, divider=1),
    Board("NewPac", "NewPac Bitcoin Miner", "BM1387", "FT230X", 2, 100, 100, 50, 900, divider=1),
    Board("R606", "R606 Bitcoin Miner", "BM1387", "FT230X", 12, 100, 550, 50, 900, divider=1),
    Board("Compac", "Compac BM1384 Bitcoin Miner", "BM1384", "CP210x", 1, 100, 150, 100, 500,
          mark_parity=True),
    Board("2Pac", "2Pac BM1384 Bitcoin Miner", "BM1384", "CP210x", 2, 100, 100, 100, 500,
          mark_parity=True),
    Board("Terminus R808", "Terminus BM1384 Bitcoin Miner", "BM1384", "CP210x", None, 100, 150,
          100, 500, mark_parity=True),
)  # fmt: skip


def board_of(product: str) -> Board | None:
    """The board whose USB product string this is."""
    return next((board for board in BOARDS if board.product == product), None)


_MAKERS = {  # some sticks were sold under a dealer's name
    "FT230X": ((0x0403, 0x6015), ("GekkoScience",)),
    "CP2105": ((0x10C4, 0xEA70), ("Silicon Labs", "GekkoScience")),
    "CP210x": ((0x10C4, 0xEA60), ("GekkoScience", "bitshopperde")),
}
PATTERNS = tuple(
    Pattern(*_MAKERS[board.bridge][0], maker, board.product, board.name)
    for board in BOARDS
    for maker in _MAKERS[board.bridge][1]
)
