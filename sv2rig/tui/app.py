"""The screen of a rig. It reads a SnapshotSource once a second and knows nothing else."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import ClassVar

from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.css.query import NoMatches
from textual.widgets import Footer

from sv2rig.rig.snapshot import RigSnapshot, SnapshotSource
from sv2rig.tui import panels
from sv2rig.tui.banners import Banners
from sv2rig.tui.device_table import WIDE, DeviceTable
from sv2rig.tui.event_log import EventLog
from sv2rig.tui.help import HelpScreen
from sv2rig.tui.history import RateHistory
from sv2rig.tui.panels import Panel
from sv2rig.tui.states import is_troubled

INTERVAL_S = 1.0
SILENT_AFTER_S = 5.0


class RigScreen(App[None]):
    """One rig on one terminal, from 80x24 up.

    `on_quit` is called when the user asks to leave, before the screen goes. `clock` gives
    monotonic seconds; it only judges whether the rig still answers.
    """

    CSS_PATH = "rig.tcss"
    TITLE = "sv2rig"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-short"), (36, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("ctrl+c", "quit", "Quit", show=False, priority=True),
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("t", "troubled_only", "Troubled only"),
        Binding("o", "order", "Order"),
        Binding("f", "follow", "Follow log"),
        Binding("d", "dismiss_blocks", "Dismiss"),
    ]

    def __init__(
        self,
        source: SnapshotSource,
        *,
        on_quit: Callable[[], None] | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._source = source
        self._on_quit = on_quit
        self._clock = clock
        self._rig: RigSnapshot | None = None
        self._heard_at = clock()
        self._rates = RateHistory()
        self._blocks_seen = 0
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
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one(DeviceTable).focus()
        self.set_interval(INTERVAL_S, self._poll_while_shown)
        self.call_after_refresh(self._poll_while_shown)

    def on_resize(self, _: events.Resize) -> None:
        self.call_after_refresh(self._draw)

    def _poll_while_shown(self) -> None:
        with contextlib.suppress(NoMatches):  # a last tick while the screen is being taken down
            self.poll()

    def poll(self) -> None:
        """Read the source once and show what is new."""
        rig = self._source.snapshot()
        if self._rig is None or rig.sequence != self._rig.sequence:
            self._heard_at = self._clock()
            self._take(rig)
        log = self.screen_stack[0].query_one(EventLog)
        log.add(self._source.events_after(log.last_number))
        self._draw()

    def _take(self, rig: RigSnapshot) -> None:
        """A new picture; a lower number than before means that the rig was started anew."""
        if self._rig is not None and rig.sequence < self._rig.sequence:
            self._rates.clear()
            self._blocks_seen = 0
            self.screen_stack[0].query_one(EventLog).restart()
        self._rig = rig
        self._rates.add(rig.uptime_s, rig.hashrate_hs)

    def _draw(self) -> None:
        rig = self._rig
        if rig is None or self.screen_stack[0].size.width == 0:
            return
        with self.batch_update():
            silent_s = self._clock() - self._heard_at
            answering = silent_s < SILENT_AFTER_S
            self._draw_banners(rig, None if answering else silent_s)
            header = self._panel("header")
            header.show(panels.header(rig, header.content_size.width, answering=answering))
            pool = self._panel("pool-panel")
            pool.show(panels.pool(rig, pool.content_size.width))
            self._draw_rates()
            self._draw_devices(rig)
            self._draw_log()

    def _panel(self, name: str) -> Panel:
        return self.screen_stack[0].query_one(f"#{name}", Panel)

    def _draw_banners(self, rig: RigSnapshot, silent_s: float | None) -> None:
        banners = self.screen_stack[0].query_one(Banners)
        banners.silent(silent_s, rig.time)
        banners.pool(rig.pool)
        if banners.blocks(rig.blocks_found - self._blocks_seen, rig.blocks_found):
            self.bell()
            self.refresh_bindings()

    def _draw_rates(self) -> None:
        panel = self._panel("rates")
        size = panel.content_size
        panel.border_title, lines = panels.rates(self._rates, size.width, size.height)
        panel.show(lines)

    def _draw_devices(self, rig: RigSnapshot) -> None:
        table = self.screen_stack[0].query_one(DeviceTable)
        table.show(rig.devices, table.container_size.width - table.styles.scrollbar_size_vertical)
        troubled = sum(map(is_troubled, rig.devices))
        only = ", troubled only" if table.troubled_only else ""
        table.border_title = (
            f"devices {len(rig.devices)}, {troubled} troubled, {table.order.title}{only}"
        )
        self._draw_detail(rig)

    def _draw_detail(self, rig: RigSnapshot) -> None:
        table = self.screen_stack[0].query_one(DeviceTable)
        panel = self._panel("detail")
        selected = table.selected()
        device = next((device for device in rig.devices if device.id == selected), None)
        if device is not None:
            panel.show(panels.device_detail(device, rig.time, panel.content_size.width))
        elif rig.devices:
            panel.show([panels.note("No device is in trouble. t shows all of them.")])
        else:
            panel.show([panels.note("The rig has no devices yet.")])

    def _draw_log(self) -> None:
        log = self.screen_stack[0].query_one(EventLog)
        if log.size.width != self._log_width:
            self._log_width = log.size.width
            log.rewrap()
        log.border_title = "log, following" if log.follow else "log, held (f follows)"

    def on_data_table_row_highlighted(self) -> None:
        if self._rig is not None:
            self._draw_detail(self._rig)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """No key is offered that would do nothing."""
        if action == "dismiss_blocks":
            return self._rig is not None and self._rig.blocks_found > self._blocks_seen
        return super().check_action(action, parameters)

    async def action_quit(self) -> None:
        on_quit, self._on_quit = self._on_quit, None  # once, however often q is pressed
        if on_quit is not None:
            on_quit()
        self.exit()

    def action_help(self) -> None:
        self.push_screen(HelpScreen())

    def action_troubled_only(self) -> None:
        table = self.query_one(DeviceTable)
        table.troubled_only = not table.troubled_only
        self._draw()

    def action_order(self) -> None:
        self.query_one(DeviceTable).next_order()
        self._draw()

    def action_follow(self) -> None:
        self.query_one(EventLog).toggle_follow()
        self._draw()

    def action_dismiss_blocks(self) -> None:
        if self._rig is not None:
            self._blocks_seen = self._rig.blocks_found
        self._draw()
        self.refresh_bindings()
