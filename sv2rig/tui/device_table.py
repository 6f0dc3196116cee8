"""The table of devices: fixed widths, and only cells whose text or colour changed are updated.

Measured with Textual 8.2.8: 64 devices once a second cost 11 % of a core this way, and five times
as much when every cell is updated and columns are measured again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import ClassVar

from rich.text import Text
from textual.binding import BindingType
from textual.widgets import DataTable

from sv2rig.rig.snapshot import DeviceSnapshot
from sv2rig.tui.panels import Part, backend_of, short_id, why
from sv2rig.tui.states import BAD, DIM, WARN, is_flat, is_troubled, look
from sv2rig.tui.text import cell, count, fit_middle, plain, quantity
from sv2rig.units import hashrate, si

WIDE = 110  # cells from which on the back end has a column of its own
_RESORT_EVERY = 10  # updates between re-orderings by a reading, so that rows do not dance


@dataclass(frozen=True, slots=True)
class Column:
    """`width` without the space that follows it."""

    key: str
    label: str
    width: int
    right: bool = True


_ID = Column("id", "  device", 16, right=False)
_BACKEND = Column("backend", "backend/variant", 19, right=False)
_READINGS = (
    Column("rate", "hash rate", 9),
    Column("temperature", "temp", 5),
    Column("fan", "fan", 4),
    Column("power", "power", 6),
)
_SHARES = Column("shares", "A/R/HW", 12)
_COMM = Column("comm", "comm", 5)
_STATE = Column("state", "state", 9, right=False)
_REASON = Column("reason", "reason", 0, right=False)


def columns(width: int) -> tuple[Column, ...]:
    """The columns for a table of so many cells; the reason takes what the others leave."""
    shown: tuple[Column, ...]
    if width >= WIDE - 1:  # one cell goes to the scroll bar
        shown = (replace(_ID, width=18), _BACKEND, *_READINGS, _SHARES, _COMM, _STATE)
    else:
        shown = (_ID, *_READINGS, _SHARES, _STATE)
    left = width - sum(column.width + 1 for column in shown)
    return (*shown, replace(_REASON, width=max(left, 6)))


def share_counts(device: DeviceSnapshot, width: int) -> str:
    """Accepted, rejected, hardware errors; shortened only where they do not fit."""
    counts = (device.shares.accepted, device.shares.rejected, device.hardware_errors)
    full = "/".join(map(str, counts))
    return full if len(full) <= width else "/".join(si(value, digits=2) for value in counts)


def cells(device: DeviceSnapshot, shown: Iterable[Column]) -> dict[str, Part]:
    """Text and style of each column's cell."""
    mark, colour = look(device.state)
    flat = is_flat(device)
    if flat:
        mark, colour = "▲", WARN
    reason = why(device) or ("no hashes arrive" if flat else "")
    shown = tuple(shown)
    if _BACKEND not in shown:  # which would tell it
        reason = _with_origin(device, reason)
    wrong, damaged = BAD if device.hardware_errors else "", WARN if device.comm_errors else DIM
    made: dict[str, Callable[[int], Part]] = {
        "id": lambda width: (f"{mark} {fit_middle(short_id(device), width - 2)}", colour),
        "backend": lambda width: (fit_middle(backend_of(device), width), ""),
        "rate": lambda _: (hashrate(device.hashrate_hs), BAD if flat else ""),
        "temperature": lambda _: (quantity(device.temperature_c, "°C"), ""),
        "fan": lambda _: (quantity(device.fan_percent, "%"), ""),
        "power": lambda _: (quantity(device.power_w, " W"), ""),
        "shares": lambda width: (share_counts(device, width), wrong),
        "comm": lambda width: (count(device.comm_errors, width), damaged),
        "state": lambda _: (plain(device.state), colour),
        "reason": lambda _: (reason, ""),
    }
    parts = {}
    for column in shown:
        text, style = made[column.key](column.width)
        parts[column.key] = (cell(text, column.width, right=column.right), style)
    return parts


def _with_origin(device: DeviceSnapshot, reason: str) -> str:
    """A rate out of a table is never shown as a real one's; that a board is emulated gives way."""
    if device.variant == "REPLAY":
        return f"REPLAY {reason}".rstrip()
    return reason or ("emulated" if device.emulated else "")


def natural(device_id: str) -> list[tuple[int, str]]:
    """A sort key under which opencl:2 stands before opencl:10."""
    parts = re.split(r"([0-9]+)", device_id)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


@dataclass(frozen=True, slots=True)
class Order:
    """A way to sort; `by_reading` orders change with every reading and are applied less often."""

    title: str
    key: Callable[[DeviceSnapshot], float]
    by_reading: bool = False


ORDERS = (
    Order("trouble first", lambda device: not is_troubled(device)),
    Order("by id", lambda _: 0),
    Order("slowest first", lambda device: device.hashrate_1m_hs or 0, by_reading=True),
    Order("hottest first", lambda device: -(device.temperature_c or 0), by_reading=True),
)


class DeviceTable(DataTable[Text]):
    """Devices as rows under their ids. The cursor stays on its device when rows move."""

    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, cursor_type="row", cell_padding=0)
        self.cursor_foreground_priority = "renderable"
        self.order = ORDERS[0]
        self.troubled_only = False
        self._layout: tuple[Column, ...] = ()
        self._parts: dict[str, dict[str, Part]] = {}
        self._sequence: list[str] = []
        self._until_resort = 0

    def next_order(self) -> None:
        self.order = ORDERS[(ORDERS.index(self.order) + 1) % len(ORDERS)]
        self._until_resort = 0

    def selected(self) -> str | None:
        """The id of the device under the cursor."""
        row = self.cursor_row
        return self._sequence[row] if row < len(self._sequence) else None

    def show(self, devices: Iterable[DeviceSnapshot], width: int) -> None:
        """Make the table say what the devices say, in `width` cells."""
        shown = {d.id: d for d in devices if is_troubled(d) or not self.troubled_only}
        selected = self.selected()
        self._set_columns(columns(width))
        for device_id in [known for known in self._parts if known not in shown]:
            self.remove_row(device_id)
            del self._parts[device_id]
        for device in shown.values():
            self._show_device(device)
        self._arrange(list(shown.values()), selected)

    def _set_columns(self, layout: tuple[Column, ...]) -> None:
        if layout == self._layout:
            return
        self._layout = layout
        self.clear(columns=True)
        self._parts.clear()
        self._sequence = []
        for column in layout:
            label = cell(column.label, column.width, right=column.right)
            self.add_column(Text(label), key=column.key, width=column.width + 1)

    def _show_device(self, device: DeviceSnapshot) -> None:
        parts = cells(device, self._layout)
        before = self._parts.get(device.id)
        self._parts[device.id] = parts
        if before is None:
            self.add_row(*(Text(*part) for part in parts.values()), key=device.id)
            return
        for key, part in parts.items():
            if part != before[key]:
                self.update_cell(device.id, key, Text(*part))

    def _arrange(self, devices: list[DeviceSnapshot], selected: str | None) -> None:
        """Sort the rows if their order is another than before."""
        same_rows = set(self._sequence) == set(self._parts)
        self._until_resort -= 1
        if same_rows and self.order.by_reading and self._until_resort > 0:
            return
        self._until_resort = _RESORT_EVERY
        devices.sort(key=lambda device: (self.order.key(device), natural(device.id)))
        sequence = [device.id for device in devices]
        if sequence == self._sequence:
            return
        self._sequence = sequence
        # DataTable sorts by what cells hold: each row is known by its own id cell.
        ranks = {id(self.get_cell(key, "id")): rank for rank, key in enumerate(sequence)}
        self.sort("id", key=lambda id_cell: ranks[id(id_cell)])
        if selected in sequence:
            self.move_cursor(row=sequence.index(selected), scroll=False)
