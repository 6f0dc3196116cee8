"""The pools, in the order in which they are preferred, and what is done to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import DataTable, Footer

from sv2rig.api.client import pool_path
from sv2rig.rig.snapshot import PoolStanding, RigSnapshot
from sv2rig.tui.dialogs import Ask
from sv2rig.tui.panels import Panel, note
from sv2rig.tui.pool_lines import standings
from sv2rig.tui.states import DIM, look
from sv2rig.tui.text import UNKNOWN, cell, fit, plain, short_url, since
from sv2rig.tui.themes import palette_of
from sv2rig.tui.watch import Watch

if TYPE_CHECKING:
    from sv2rig.tui.operated import OperatedRig

_WIDTHS = {"order": 3, "name": 14, "state": 13, "for": 8, "answered": 9, "user": 18}
_NARROWEST_URL = 24


class PoolScreen(Screen[None]):
    """Every pool of the rig, a row each."""

    DEFAULT_CSS = """
    #pools { height: 1fr; border-top: solid $foreground 35%; background: $background; }
    #pool-facts { height: 3; border-top: solid $foreground 35%; padding: 0 1; text-wrap: wrap; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.pop_screen", "Back"),
        Binding("s", "switch", "Mine on it"),
        Binding("e", "enable", "On/off"),
        Binding("shift+up,K", "move(-1)", "Prefer", key_display="K"),
        Binding("shift+down,J", "move(1)", "Less", key_display="J"),
        Binding("a", "add", "Add"),
        Binding("x,delete", "remove", "Remove", key_display="x"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._pools: tuple[PoolStanding, ...] = ()
        self._shown: list[tuple[Text, ...]] = []
        self._url_room = 0

    @property
    def _app(self) -> OperatedRig:
        return cast("OperatedRig", self.app)

    def compose(self) -> ComposeResult:
        yield DataTable(id="pools", cursor_type="row")
        yield Panel(id="pool-facts")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self._table().focus()
        self._lay_out(self.app.size.width)
        self.call_after_refresh(self.draw, self._app.seen)

    def on_resize(self, event: events.Resize) -> None:
        self._lay_out(event.size.width)
        self.draw(self._app.seen)

    def _lay_out(self, width: int) -> None:
        """The columns; that of the URL, which stands below too, where it has room."""
        table, room = self._table(), width - sum(_WIDTHS.values()) - 2 * len(_WIDTHS) - 2
        table.clear(columns=True)
        self._shown = []
        for label, cells in _WIDTHS.items():
            table.add_column(label if label != "order" else "#", width=cells)
        self._url_room = room if room >= _NARROWEST_URL else 0
        if self._url_room:
            table.add_column("URL", width=self._url_room)

    def draw(self, watch: Watch) -> None:
        """A new picture."""
        if watch.rig is None or not self.is_mounted:
            return
        self._pools = standings(watch.rig)
        paint = palette_of(self.app).paint
        rows = [
            tuple(map(paint, pool_row(place, pool, watch.rig, self._url_room)))
            for place, pool in enumerate(self._pools, 1)
        ]
        table = self._table()
        table.border_title = f"pools {len(rows)}, the preferred one first"
        if rows != self._shown:
            row, self._shown = table.cursor_row, rows
            table.clear()
            for cells in rows:
                table.add_row(*cells)
            table.move_cursor(row=min(row, max(len(rows) - 1, 0)))
        self._draw_facts()

    def _draw_facts(self) -> None:
        panel = self.query_one("#pool-facts", Panel)
        pool = self._selected()
        if pool is None:
            panel.show([note("This rig tells of no pools.")])
        else:
            words = plain(pool.detail) or plain(pool.state)
            width = max(panel.content_size.width, 20)
            panel.show([Text(short_url(pool.url, width)), Text(fit(words, width), DIM)])

    def on_data_table_row_highlighted(self) -> None:
        self._draw_facts()

    def _table(self) -> DataTable[Text]:
        return cast("DataTable[Text]", self.query_one("#pools", DataTable))

    def _selected(self) -> PoolStanding | None:
        row = self._table().cursor_row
        return self._pools[row] if 0 <= row < len(self._pools) else None

    # -- keys

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        event.stop()
        self.action_switch()

    def action_switch(self) -> None:
        if (pool := self._selected()) is not None:
            self._app.command("POST", pool_path(pool.name, "switch"))

    def action_enable(self) -> None:
        if (pool := self._selected()) is not None:
            verb = "enable" if pool.state == "disabled" else "disable"
            self._app.command("POST", pool_path(pool.name, verb))

    def action_move(self, by: int) -> None:
        """One place up or down; the cursor goes along."""
        names = [pool.name for pool in self._pools]
        row = self._table().cursor_row
        if not (0 <= row < len(names) and 0 <= row + by < len(names)):
            return
        names[row], names[row + by] = names[row + by], names[row]
        self._app.command("PUT", "/v1/pools/order", {"names": names})
        self._table().move_cursor(row=row + by)

    def action_remove(self) -> None:
        if (pool := self._selected()) is not None:
            name = pool.name
            self._app.confirmed(
                f"Remove the pool {plain(name)}? The configuration file keeps it.",
                lambda: self._app.command("DELETE", pool_path(name)),
            )

    def action_add(self) -> None:
        async def done(values: list[str]) -> str | None:
            name, url, user = values
            wish = {"name": name, "url": url, "user": user}
            return await self._app.ask("POST", "/v1/pools", wish)

        rig = self._app.seen.rig
        lines = [
            ("name, as you want to call it", f"pool-{len(self._pools) + 1}"),
            ("URL: stratum2+tcp://HOST:PORT/AUTHORITYKEY", ""),
            ("user, in the pool's words who is paid", rig.pool.user if rig is not None else ""),
        ]
        self.app.push_screen(Ask("add a pool", lines, done))


def pool_row(place: int, pool: PoolStanding, rig: RigSnapshot, url_room: int) -> tuple[Text, ...]:
    """A pool's cells; without its URL where that has no room."""
    mark, role = look(pool.state)
    answered = since(pool.probed, rig.time)
    texts = {
        "order": str(place),
        "name": plain(pool.name),
        "state": f"{mark} {plain(pool.state)}",
        "for": since(pool.since, rig.time),
        "answered": answered if answered == UNKNOWN else f"{answered}",
        "user": plain(pool.user),
    }
    cells = [
        Text(cell(text, _WIDTHS[key]), role if key == "state" else "bold" if pool.is_active else "")
        for key, text in texts.items()
    ]
    return (*cells, Text(short_url(pool.url, url_room), DIM)) if url_room else tuple(cells)
