"""The columns of the device table: which are shown in how many cells, and what each says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sv2rig.rig.snapshot import DeviceSnapshot
from sv2rig.tui.states import BAD, DIM, WARN, device_look, is_flat, is_hot, word
from sv2rig.tui.text import (
    UNKNOWN,
    Part,
    cell,
    count,
    fit_middle,
    percent,
    plain,
    quantity,
    since,
)
from sv2rig.units import difficulty, duration, hashrate


@dataclass(frozen=True, slots=True)
class Column:
    """`width` without the space that follows it."""

    key: str
    label: str
    width: int
    right: bool = True


_ID = Column("id", "  device", 16, right=False)
_RATE = Column("rate", "hash rate", 9)
_RATED = Column("rated", "rated", 5)
_TEMPERATURE = Column("temperature", "temp", 5)
_FAN = Column("fan", "fan", 4)
_POWER = Column("power", "power", 6)
_ACCEPTED = Column("accepted", "acc", 5)
_WRONG = Column("wrong", "HW%", 4)
_STATE = Column("state", "state", 0, right=False)
_NARROW = (_ID, _RATE, _RATED, _TEMPERATURE, _FAN, _POWER, _ACCEPTED, _WRONG)
_WIDE = (
    replace(_ID, width=18),
    Column("backend", "backend", 10, right=False),
    Column("port", "port", 8, right=False),
    *_NARROW[1:6],
    Column("frequency", "MHz", 4),
    *_NARROW[6:],
)
_WIDEST = (
    replace(_ID, width=24),
    Column("backend", "backend", 18, right=False),
    Column("port", "port", 12, right=False),
    _RATE,
    Column("minute", "1m", 9),
    *_NARROW[2:6],
    Column("frequency", "MHz", 4),
    *_NARROW[6:],
    Column("comm", "comm", 5),
    Column("best", "best", 7),
    Column("last", "last", 6),
)


def columns(width: int) -> tuple[Column, ...]:
    """The columns for a table of so many cells; the state takes what the others leave."""
    shown = _NARROW if width < 110 else _WIDE if width < 155 else _WIDEST
    left = width - sum(column.width + 1 for column in shown)
    return (*shown, replace(_STATE, width=max(left, 9)))


def short_id(device: DeviceSnapshot) -> str:
    """The id, without what an emulated board's says twice."""
    own = f"emulated_{device.backend}"
    return plain(device.id.replace(own, "emu") if device.emulated else device.id)


def backend_of(device: DeviceSnapshot) -> str:
    variant = device.variant or ("emulated" if device.emulated else "")
    return plain(device.backend) + (f"/{plain(variant)}" if variant else "")


def _backend(device: DeviceSnapshot, width: int) -> str:
    """With its variant where there is room for it."""
    full = backend_of(device)
    return full if len(full) <= width else plain(device.backend)


def _port(device: DeviceSnapshot) -> str:
    return plain(device.port or "").rpartition("/")[2]


def why(device: DeviceSnapshot) -> str:
    """The reason of its state, where it says more than the state."""
    if is_flat(device):
        return "no hashes arrive"
    known = device.reason.casefold() in (device.state.casefold(), (device.variant or "").casefold())
    return "" if known or word(device) in ("PAUSED", "OFF") else plain(device.reason)


def wrong_share(device: DeviceSnapshot) -> float | None:
    """Answers that were wrong when hashed again, among these and the shares that were answered."""
    shares = device.shares
    answers = device.hardware_errors + shares.accepted + shares.rejected + shares.stale
    return 100 * device.hardware_errors / answers if answers else None


def rated_share(device: DeviceSnapshot) -> float | None:
    """Its rate in percent of what it was built or measured for."""
    rate, rated = device.hashrate_hs, device.rated_hs
    return 100 * rate / rated if rate is not None and rated else None


def _state(device: DeviceSnapshot, now: float) -> str:
    """The word, its age unless all is well, and why."""
    said = plain(word(device))
    if said != "MINING":
        said = f"{said} {duration(max(now - device.since, 0))}"
    origin = "REPLAY" if device.variant == "REPLAY" else ""
    reason = why(device) or ("emulated" if device.emulated and not origin else "")
    return " ".join(filter(None, (said, origin, reason)))


def _temperature(device: DeviceSnapshot, _: int) -> Part:
    text = quantity(device.temperature_c, "°")
    if is_hot(device):
        return f"{text}▲", f"bold {BAD}"
    return (f"{text} " if text != UNKNOWN else text), ""


def _whole(value: float | None, unit: str = "") -> str:
    return UNKNOWN if value is None else f"{value:.0f}{unit}"


def _wrong(device: DeviceSnapshot, _: int) -> Part:
    return percent(wrong_share(device)), BAD if device.hardware_errors else ""


def _comm(device: DeviceSnapshot, width: int) -> Part:
    return count(device.comm_errors, width), WARN if device.comm_errors else DIM


_Cell = Callable[[DeviceSnapshot, int], Part]
_CELLS: dict[str, _Cell] = {
    "backend": lambda device, width: (fit_middle(_backend(device, width), width), DIM),
    "port": lambda device, width: (fit_middle(_port(device), width), DIM),
    "rate": lambda device, _: (hashrate(device.hashrate_hs), BAD if is_flat(device) else ""),
    "minute": lambda device, _: (hashrate(device.hashrate_1m_hs), ""),
    "rated": lambda device, _: (_whole(rated_share(device), "%"), ""),
    "temperature": _temperature,
    "fan": lambda device, _: (_whole(device.fan_percent, "%"), ""),
    "power": lambda device, _: (quantity(device.power_w, " W"), ""),
    "frequency": lambda device, _: (_whole(device.frequency_mhz), ""),
    "accepted": lambda device, width: (count(device.shares.accepted, width), ""),
    "wrong": _wrong,
    "comm": _comm,
    "best": lambda device, _: (difficulty(device.best_difficulty), ""),
}


def cells(device: DeviceSnapshot, shown: Sequence[Column], now: float) -> list[Part]:
    """Text, as wide as its column, and style of each column's cell."""
    mark, role = device_look(device)
    parts = []
    for column in shown:
        if column.key == "id":
            part = (f"{mark} {fit_middle(short_id(device), column.width - 2)}", role)
        elif column.key == "state":
            part = (_state(device, now), role)
        elif column.key == "last":
            part = (since(device.last_share, now), "")
        else:
            part = _CELLS[column.key](device, column.width)
        parts.append((cell(part[0], column.width, right=column.right), part[1]))
    return parts
