"""One device: what it is, how it does, how it did, and its settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast
from urllib.parse import quote

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import DataTable, Footer

from sv2rig.api.client import device_path
from sv2rig.rig.snapshot import DeviceSnapshot, RigSnapshot
from sv2rig.tui.device_columns import backend_of, why
from sv2rig.tui.device_history import READINGS, Sample, joined, spark
from sv2rig.tui.dialogs import Ask
from sv2rig.tui.links import LinkError, RefusedError
from sv2rig.tui.panels import Panel, labelled, note
from sv2rig.tui.states import DIM, GOOD, device_look, word
from sv2rig.tui.text import UNKNOWN, fit, plain, quantity, since
from sv2rig.tui.themes import palette_of
from sv2rig.tui.watch import Watch
from sv2rig.units import difficulty, duration, hashrate

if TYPE_CHECKING:
    from sv2rig.tui.operated import OperatedRig

SPANS_S = (3600.0, 6 * 3600.0, 86400.0, 7 * 86400.0)
REFRESH_S = 5.0
_LABELS = ("hash rate", "temperature", "fan", "power", "frequency")
_UNITS = ("", " °C", " %", " W", " MHz")


class DeviceScreen(Screen[None]):
    """The device of this id, as long as the user likes; it may come and go meanwhile."""

    DEFAULT_CSS = """
    #device-facts { height: 5; padding: 0 1; }
    #device-history { height: 6; border-top: solid $foreground 35%; padding: 0 1; }
    #device-settings { height: 1fr; border-top: solid $foreground 35%; background: $background; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.pop_screen", "Back"),
        Binding("h", "span", "Hours"),
    ]

    def __init__(self, device_id: str) -> None:
        super().__init__()
        self.device_id = device_id
        self._span_s = SPANS_S[0]
        self._settings: list[dict[str, Any]] = []
        self._settings_words = ""
        self._stored: tuple[Sample, ...] = ()
        self._stored_words = "asking the rig for its history"

    @property
    def _app(self) -> OperatedRig:
        return cast("OperatedRig", self.app)

    def compose(self) -> ComposeResult:
        yield Panel(id="device-facts")
        yield Panel(id="device-history")
        yield DataTable(id="device-settings", cursor_type="row", zebra_stripes=False)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        table = self._table()
        for label, width in (("setting", 24), ("value", 14), ("limits", 20)):
            table.add_column(label, width=width)
        table.focus()
        self.set_interval(REFRESH_S, self.refresh_settings)
        self.refresh_settings()
        self.refresh_history()
        self.call_after_refresh(self.draw, self._app.seen)

    def on_resize(self) -> None:
        self.call_after_refresh(self.draw, self._app.seen)
        self.call_after_refresh(self._draw_title)

    # -- what the rig tells when it is asked

    def refresh_settings(self) -> None:
        self.run_worker(self._fetch_settings(), group="settings", exclusive=True)

    def refresh_history(self) -> None:
        self.run_worker(self._fetch_history(), group="history", exclusive=True)

    async def _fetch_settings(self) -> None:
        try:
            found = await self._app.link.ask("GET", device_path(self.device_id))
        except (RefusedError, LinkError) as error:
            self._settings_words = str(error)
            self._draw_title()
            return
        self._settings_words = ""
        self._draw_title()
        if found["settings"] != self._settings:
            self._settings = found["settings"]
            self._draw_settings()

    async def _fetch_history(self) -> None:
        rig = self._app.seen.rig
        until = rig.time if rig is not None else 0.0
        query = (
            f"/v1/history?device={quote(self.device_id, safe='')}&since={until - self._span_s:.0f}"
            f"&until={until:.0f}&points=300"
        )
        try:
            found = await self._app.link.ask("GET", query)
            self._stored = stored_samples(found["points"])
            self._stored_words = ""
        except (RefusedError, LinkError) as error:
            self._stored, self._stored_words = (), str(error)
        self.draw(self._app.seen)

    # -- drawing

    def draw(self, watch: Watch) -> None:
        """A new picture."""
        if watch.rig is None or not self.is_mounted or self.size.width == 0:
            return
        device = next((d for d in watch.rig.devices if d.id == self.device_id), None)
        with self.app.batch_update():
            facts_panel = self.query_one("#device-facts", Panel)
            if device is None:
                facts_panel.show([note(f"{plain(self.device_id)} is not part of the rig now.")])
            else:
                facts_panel.show(facts(device, watch.rig, facts_panel.content_size.width))
            self._draw_history(watch.rig.time)

    def _draw_history(self, now: float) -> None:
        panel = self.query_one("#device-history", Panel)
        own = self._app.history.of(self.device_id)
        panel.border_title = f"last {duration(self._span_s)} (h: longer)"
        panel.border_subtitle = Text(fit(plain(self._stored_words), 70))
        samples = joined(self._stored, own)
        panel.show(history_lines(samples, now, self._span_s, panel.content_size.width))

    def _draw_settings(self) -> None:
        table = self._table()
        row = table.cursor_row
        table.clear()
        paint = palette_of(self.app).paint
        for setting in self._settings:
            unit = plain(setting["unit"])
            table.add_row(
                Text(plain(setting["name"])),
                Text(f"{setting['value']:g} {unit}", "bold"),
                paint(Text(f"{setting['minimum']:g} to {setting['maximum']:g}", DIM)),
                key=setting["name"],
            )
        table.move_cursor(row=min(row, max(len(self._settings) - 1, 0)))

    def on_data_table_row_highlighted(self) -> None:
        self._draw_title()

    def _draw_title(self) -> None:
        """Why there are no settings, or what the one under the cursor is."""
        table, row = self._table(), self._table().cursor_row
        words = self._settings_words or "enter changes one"
        if not self._settings_words and 0 <= row < len(self._settings):
            words += f": {self._settings[row]['help']}"
        table.border_title = fit(f"settings: {plain(words)}", max(table.size.width - 4, 1))

    def _table(self) -> DataTable[Text]:
        return cast("DataTable[Text]", self.query_one("#device-settings", DataTable))

    # -- keys

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        event.stop()
        self._change(self._settings[event.cursor_row])

    def _change(self, setting: dict[str, Any]) -> None:
        name, unit = setting["name"], setting["unit"]
        label = (
            f"{plain(name)}, {setting['minimum']:g} to {setting['maximum']:g} {plain(unit)} "
            f"(usual: {setting['default']:g})"
        )

        async def done(values: list[str]) -> str | None:
            try:
                value = float(values[0])
            except ValueError:
                return f"{values[0]!r} is not a number"
            path = device_path(self.device_id, "settings")
            refused = await self._app.ask("PATCH", path, {name: value})
            if refused is None:
                self.refresh_settings()
            return refused

        self.app.push_screen(Ask(plain(self.device_id), [(label, f"{setting['value']:g}")], done))

    def action_span(self) -> None:
        self._span_s = SPANS_S[(SPANS_S.index(self._span_s) + 1) % len(SPANS_S)]
        self.refresh_history()


def stored_samples(points: Sequence[dict[str, Any]]) -> tuple[Sample, ...]:
    """The rig's history as samples."""
    return tuple(Sample(point["time"], *(point.get(name) for name in READINGS)) for point in points)


def facts(device: DeviceSnapshot, rig: RigSnapshot, width: int) -> list[Text]:
    """Five lines: state and why, what it is, what it reads, what it has done."""
    mark, role = device_look(device)
    state = Text.assemble(
        (f"{mark} {plain(device.id)} {plain(word(device))}", f"bold {role}"),
        (f" for {since(device.since, rig.time)}", DIM),
        f": {why(device)}" if why(device) else "",
    )
    shares, last = device.shares, since(device.last_share, rig.time)
    rated = "" if device.rated_hs is None else f" of {hashrate(device.rated_hs)}"
    hot = "" if device.hot_c is None else f" (hot at {device.hot_c:g})"
    port = (("at", plain(device.port)),) if device.port else ()
    lines = [
        labelled(("", plain(device.name)), ("variant", backend_of(device)), *port),
        labelled(
            ("hash rate", hashrate(device.hashrate_hs) + rated),
            ("1m", hashrate(device.hashrate_1m_hs)),
            ("best", difficulty(device.best_difficulty)),
        ),
        labelled(
            ("temperature", quantity(device.temperature_c, " °C") + hot),
            ("fan", quantity(device.fan_percent, " %")),
            ("power", quantity(device.power_w, " W")),
            ("frequency", quantity(device.frequency_mhz, " MHz")),
        ),
        labelled(
            ("accepted", str(shares.accepted)),
            ("rejected", str(shares.rejected)),
            ("stale", str(shares.stale)),
            ("HW errors", str(device.hardware_errors)),
            ("comm errors", str(device.comm_errors)),
            ("last share", last if last == UNKNOWN else f"{last} ago"),
        ),
    ]
    made = [state, *(Text.assemble(*parts) for parts in lines)]
    for line in made:
        line.truncate(max(width, 1), overflow="ellipsis")
    return made


def history_lines(samples: Sequence[Sample], now: float, span_s: float, width: int) -> list[Text]:
    """A line a reading: its name, how it went, and between what it was."""
    room = max(width - 13 - 26, 10)
    lines = []
    for place, (label, unit) in enumerate(zip(_LABELS, _UNITS, strict=True), 1):
        pairs = [(one.time, one[place]) for one in samples if one.time >= now - span_s]
        known = [value for _, value in pairs if value is not None]
        line = spark(pairs, now, span_s, room)
        between = f"{_value(min(known), unit)} – {_value(max(known), unit)}" if known else UNKNOWN
        lines.append(Text.assemble((f"{label:12} ", DIM), (f"{line:{room}}", GOOD), f" {between}"))
    return lines


def _value(value: float, unit: str) -> str:
    return quantity(value, unit) if unit else hashrate(value)
