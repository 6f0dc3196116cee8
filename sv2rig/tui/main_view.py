"""The main screen's widgets: where each stands, and what each is told at every picture."""

from __future__ import annotations

from collections.abc import Iterable

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from sv2rig.rig.snapshot import Event, RigSnapshot
from sv2rig.tui import panels
from sv2rig.tui.banners import Banners
from sv2rig.tui.device_table import DeviceTable
from sv2rig.tui.event_log import EventLog
from sv2rig.tui.panels import Panel
from sv2rig.tui.states import is_troubled
from sv2rig.tui.watch import Watch


class MainView(Vertical):
    """The whole rig on one terminal, from 80x24 up."""

    def __init__(self, watch: Watch) -> None:
        super().__init__(id="main")
        self._watch = watch
        self._log_width = 0

    def compose(self) -> ComposeResult:
        yield Panel(id="header")
        yield Banners(id="banners")
        with Horizontal(id="top"):
            pool = Panel(id="pool-panel")
            pool.border_title = "pool"
            yield pool
            yield Panel(id="rates")
        with Vertical(id="body"):
            yield DeviceTable(id="devices")
            yield Panel(id="detail")
            yield EventLog(id="log")

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
                self.app.bell()
                self.app.refresh_bindings()
            header = self._panel("header")
            answering = self._watch.silent_s is None
            header.show(panels.header(rig, header.content_size.width, answering=answering))
            pool = self._panel("pool-panel")
            pool.show(panels.pool(rig, pool.content_size.width))
            self._draw_rates()
            self._draw_devices(rig)
            self._draw_log()

    def selected(self) -> str | None:
        """The id of the device under the cursor."""
        return self.query_one(DeviceTable).selected()

    def _panel(self, name: str) -> Panel:
        return self.query_one(f"#{name}", Panel)

    def _draw_rates(self) -> None:
        panel = self._panel("rates")
        size = panel.content_size
        panel.border_title, lines = panels.rates(self._watch.rates, size.width, size.height)
        panel.show(lines)

    def _draw_devices(self, rig: RigSnapshot) -> None:
        table = self.query_one(DeviceTable)
        table.show(rig.devices, table.container_size.width - table.styles.scrollbar_size_vertical)
        troubled = sum(map(is_troubled, rig.devices))
        only = ", troubled only" if table.troubled_only else ""
        table.border_title = (
            f"devices {len(rig.devices)}, {troubled} troubled, {table.order.title}{only}"
        )
        self._draw_detail(rig)

    def _draw_detail(self, rig: RigSnapshot) -> None:
        panel = self._panel("detail")
        selected = self.selected()
        device = next((device for device in rig.devices if device.id == selected), None)
        if device is not None:
            panel.show(panels.device_detail(device, rig.time, panel.content_size.width))
        elif rig.devices:
            panel.show([panels.note("No device is in trouble. t shows all of them.")])
        else:
            panel.show([panels.note("The rig has no devices yet.")])

    def _draw_log(self) -> None:
        log = self.query_one(EventLog)
        if log.size.width != self._log_width:
            self._log_width = log.size.width
            log.rewrap()
        log.border_title = "log, following" if log.follow else "log, held (f follows)"

    def on_data_table_row_highlighted(self) -> None:
        if self._watch.rig is not None:
            self._draw_detail(self._watch.rig)
