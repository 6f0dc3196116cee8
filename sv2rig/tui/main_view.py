"""The main screen's widgets: where each stands, and what each is told at every picture."""

from __future__ import annotations

from collections.abc import Iterable

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input

from sv2rig.rig.snapshot import Event, RigSnapshot
from sv2rig.tui import panels
from sv2rig.tui.banners import Banners
from sv2rig.tui.device_table import DeviceTable
from sv2rig.tui.event_log import EventLog
from sv2rig.tui.panels import Panel, rule
from sv2rig.tui.pool_lines import pools
from sv2rig.tui.share_list import shares
from sv2rig.tui.states import is_troubled
from sv2rig.tui.text import offset
from sv2rig.tui.watch import Watch

_DEVICE_KEYS = "o sort  / filter  t troubled only"
_LOG_KEYS = "f follow  l level"


class MainView(Vertical):
    """The whole rig on one terminal, from 80x24 up."""

    def __init__(self, watch: Watch) -> None:
        super().__init__(id="main")
        self._watch = watch
        self._log_look: tuple[int, str] = (0, "")  # width and theme that the log was written for

    def compose(self) -> ComposeResult:
        yield Panel(id="header")
        yield Banners(id="banners")
        with Horizontal(id="top"):
            yield Panel(id="rates")
            yield Panel(id="pool-panel")
        with Vertical(id="body"):
            yield DeviceTable(id="devices")
            yield Panel(id="detail")
            yield Input(id="filter", placeholder="id, backend, port or state", compact=True)
            with Horizontal(id="bottom"):
                yield Panel(id="shares")
                yield EventLog(id="log")

    def on_mount(self) -> None:
        self.query_one("#filter").display = False

    # -- drawing

    def tell(self, events: Iterable[Event]) -> None:
        """New events for the log."""
        self.query_one(EventLog).add(events, self._watch.missed_events)

    def draw(self) -> None:
        """Show what the watch has seen."""
        rig = self._watch.rig
        if rig is None or self.size.width == 0:
            return
        with self.app.batch_update():
            if self.query_one(Banners).show(self._watch):
                self._ring(rig)
            header = self._panel("header")
            answering = self._watch.silent_s is None
            header.show(panels.header(rig, header.content_size.width, answering=answering))
            self._draw_top(rig)
            self.draw_devices()
            self.draw_bottom()

    def _ring(self, rig: RigSnapshot) -> None:
        """A block: heard, and seen over any other screen too."""
        self.app.bell()
        self.app.refresh_bindings()
        if len(self.app.screen_stack) > 1:
            self.app.notify(f"BLOCK FOUND ({rig.blocks_found} in all)", timeout=60)

    def _panel(self, name: str) -> Panel:
        return self.query_one(f"#{name}", Panel)

    def _draw_top(self, rig: RigSnapshot) -> None:
        panel = self._panel("rates")
        size = panel.content_size
        panel.border_title, lines = panels.rates(self._watch.rates, rig, size.width, size.height)
        panel.show(lines)
        panel = self._panel("pool-panel")
        size = panel.content_size
        panel.border_title, lines = pools(self._watch, rig, size.width, size.height)
        panel.show(lines)

    def draw_devices(self) -> None:
        """The table as the user wants it now."""
        rig = self._watch.rig
        if rig is None:
            return
        table = self.query_one(DeviceTable)
        table.show(rig.devices, rig.time)
        choice, troubled = table.choice, sum(map(is_troubled, rig.devices))
        title = f"devices {len(rig.devices)} · {troubled} troubled · {choice.order.title}"
        title += " · troubled only" if choice.troubled_only else ""
        title += f" · filter {choice.filter!r}, esc clears" if choice.filter else ""
        # As Content: a str is read as markup, and what the user types is in it.
        table.border_title = Content(rule(title, _DEVICE_KEYS, table.size.width))
        self.draw_detail()

    def draw_detail(self) -> None:
        """More about the device under the cursor, or why there is none."""
        rig = self._watch.rig
        if rig is None:
            return
        panel = self._panel("detail")
        selected = self.selected()
        device = next((device for device in rig.devices if device.id == selected), None)
        if device is not None:
            panel.show(panels.device_detail(device, rig.time, panel.content_size.width))
        elif not rig.devices:
            panel.show([panels.note("The rig has no devices yet.")])
        elif self.query_one(DeviceTable).choice.filter:
            panel.show([panels.note("No device is like the filter. esc clears it.")])
        else:
            panel.show([panels.note("No device is in trouble. t shows all of them.")])
        panel.set_class(device is None, "-empty")

    def draw_bottom(self) -> None:
        """The shares, and what stands around the log."""
        panel, log, rig = self._panel("shares"), self.query_one(EventLog), self._watch.rig
        size = panel.content_size
        if panel.display and size.width:
            panel.show(shares(self._watch.shares, size.width, size.height))
        log_look = (log.size.width, self.app.theme)
        if log_look != self._log_look:
            self._log_look = log_look
            log.rewrap()
        zone = offset(rig.time) if rig is not None else ""
        title = f"log {zone}, {'following' if log.follow else 'held'}"
        title += f", {log.level} and worse" if log.level != "info" else ""
        log.border_title = rule(title, _LOG_KEYS, log.size.width)
        keys = "s log" if self.has_class("-shares") else ""
        panel.border_title = rule("shares", keys, panel.size.width)

    # -- what the user asks for

    def selected(self) -> str | None:
        """The id of the device under the cursor."""
        return self.query_one(DeviceTable).selected()

    def on_device_table_moved(self) -> None:
        self.draw_detail()

    def ask_filter(self) -> None:
        """Let the user type; the table follows each letter."""
        entry = self.query_one("#filter", Input)
        entry.value = self.query_one(DeviceTable).choice.filter
        entry.display = True
        entry.focus()

    def clear_filter(self) -> None:
        self.query_one("#filter", Input).value = ""
        self._close_filter("")

    def on_input_changed(self, event: Input.Changed) -> None:
        self._filter(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self._close_filter(event.value)

    def _close_filter(self, words: str) -> None:
        self.query_one("#filter").display = False
        self.query_one(DeviceTable).focus()
        self._filter(words)

    def _filter(self, words: str) -> None:
        table = self.query_one(DeviceTable)
        table.choice.filter = words.strip()
        table.choose_again()
        self.draw_devices()
        self.app.refresh_bindings()
