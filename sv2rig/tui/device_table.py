"""The table of devices: fixed widths, lines made only while they are in sight, and only cells whose
text or colour changed drawn again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from sv2rig.rig.snapshot import DeviceSnapshot
from sv2rig.tui.device_columns import Column, cells, columns
from sv2rig.tui.device_order import Choice
from sv2rig.tui.states import DIM
from sv2rig.tui.text import Part, cell
from sv2rig.tui.themes import palette_of

_RESORT_EVERY = 10  # updates between re-orderings by a reading, so that rows do not dance


class DeviceTable(ScrollView, can_focus=True):
    """Devices as rows under a line of headings. The cursor stays on its device when rows move."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"devices--head", "devices--cursor"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("enter", "choose", "Detail", show=False),
        Binding("home,ctrl+home", "move(-1000000)", "First", show=False),
        Binding("end,ctrl+end", "move(1000000)", "Last", show=False),
    ]

    class Moved(Message):
        """The cursor stands on another device."""

    class Chosen(Message):
        """Enter on a device, or a click on the one under the cursor."""

        def __init__(self, device_id: str) -> None:
            super().__init__()
            self.device_id = device_id

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.choice = Choice()
        self._columns: tuple[Column, ...] = ()
        self._now = 0.0
        self._rows: list[DeviceSnapshot] = []
        self._drawn: dict[str, list[Part]] = {}  # of the rows that were in sight
        self._cursor = 0
        self._until_resort = 0

    # -- what is shown

    def show(self, devices: Iterable[DeviceSnapshot], now: float) -> None:
        """Make the table say what the devices say at `now`, UTC seconds."""
        self._now = now
        selected = self.selected()
        rows = self._arranged(list(devices))
        same = [row.id for row in rows] == [row.id for row in self._rows]
        self._rows = rows
        if not same:
            self._drawn.clear()
            self._keep_cursor(selected)
            self._resize()
            self.refresh()
            return
        for index in self._rows_in_sight():
            self._update_row(index)

    def choose_again(self) -> None:
        """The user's choice is another than before."""
        self._until_resort = 0

    def _arranged(self, devices: list[DeviceSnapshot]) -> list[DeviceSnapshot]:
        self._until_resort -= 1
        if self.choice.order.by_reading and self._until_resort > 0:
            known = {device.id: device for device in devices if self.choice.takes(device)}
            if known.keys() == {row.id for row in self._rows}:
                return [known[row.id] for row in self._rows]
        self._until_resort = _RESORT_EVERY
        return self.choice.chosen(devices)

    def _update_row(self, index: int) -> None:
        device = self._rows[index]
        parts = cells(device, self._columns, self._now)
        before = self._drawn.get(device.id)
        self._drawn[device.id] = parts
        if before is None or len(before) != len(parts):
            self.refresh_line(index + 1)
            return
        x = 0
        for column, old, new in zip(self._columns, before, parts, strict=True):
            if old != new:
                self.refresh(Region(x, index + 1 - round(self.scroll_y), column.width, 1))
            x += column.width + 1

    def _rows_in_sight(self) -> range:
        top = round(self.scroll_y)
        return range(top, min(top + max(self.size.height - 1, 0), len(self._rows)))

    def _resize(self) -> None:
        size = Size(self.scrollable_content_region.width, len(self._rows) + 1)
        if size != self.virtual_size:
            height = self.virtual_size.height
            self.virtual_size = size
            if size.height != height:
                self.refresh(layout=True)

    def on_resize(self, _: events.Resize) -> None:
        self._columns = columns(self.scrollable_content_region.width)
        self._drawn.clear()
        self._resize()
        self._keep_in_sight()
        self.refresh()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self._drawn.clear()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self.refresh()

    # -- lines

    def render_line(self, y: int) -> Strip:
        """The headings at the top of what is in sight, rows below."""
        if y == 0:
            return self._head()
        index = round(self.scroll_y) + y - 1
        if index >= len(self._rows):
            return Strip.blank(self.size.width, self.rich_style)
        device = self._rows[index]
        parts = self._drawn.get(device.id)
        if parts is None:
            parts = self._drawn[device.id] = cells(device, self._columns, self._now)
        return self._line(parts, self._base(index))

    def _head(self) -> Strip:
        labels = [(cell(c.label, c.width, right=c.right), DIM) for c in self._columns]
        return self._line(labels, self.get_component_rich_style("devices--head"))

    def _base(self, index: int) -> Style:
        if index != self._cursor:
            return self.rich_style
        style = self.get_component_rich_style("devices--cursor")
        return style + Style(reverse=True) if self.app.no_color else style

    def _line(self, parts: Sequence[Part], base: Style) -> Strip:
        palette = palette_of(self.app)
        space = Segment(" ", base)
        segments = []
        for text, words in parts:
            segments += [Segment(text, base + palette.style(words) if words else base), space]
        return Strip(segments).adjust_cell_length(self.size.width, base)

    # -- the cursor

    def selected(self) -> str | None:
        """The id of the device under the cursor."""
        return self._rows[self._cursor].id if self._cursor < len(self._rows) else None

    def _keep_cursor(self, selected: str | None) -> None:
        ids = [row.id for row in self._rows]
        if selected in ids:
            self._cursor = ids.index(selected)
        else:
            self._cursor = max(0, min(self._cursor, len(ids) - 1))
            self.post_message(self.Moved())

    def _move_to(self, row: int) -> None:
        row = max(0, min(row, len(self._rows) - 1))
        if row != self._cursor:
            for line in (self._cursor, row):
                self.refresh_line(line + 1)
            self._cursor = row
            self.post_message(self.Moved())
        self._keep_in_sight()

    def _keep_in_sight(self) -> None:
        height = max(self.size.height - 1, 1)
        lowest = max(self._cursor - height + 1, 0)
        y = min(max(self.scroll_y, lowest), self._cursor)
        if y != self.scroll_y:
            self.scroll_to(y=y, animate=False)

    def action_move(self, rows: int) -> None:
        self._move_to(self._cursor + rows)

    def action_page(self, pages: int) -> None:
        self._move_to(self._cursor + pages * max(self.size.height - 1, 1))

    def action_choose(self) -> None:
        selected = self.selected()
        if selected is not None:
            self.post_message(self.Chosen(selected))

    def on_click(self, event: events.Click) -> None:
        row = round(self.scroll_y) + event.y - self.gutter.top - 1
        if not 0 <= row < len(self._rows):
            return
        if row == self._cursor:
            self.action_choose()
        self._move_to(row)
