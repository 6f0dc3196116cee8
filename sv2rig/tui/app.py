"""The screen of a rig. It reads a SnapshotSource once a second and knows nothing else."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.css.query import NoMatches
from textual.filter import LineFilter, NoColor
from textual.widgets import Footer

from sv2rig import __version__
from sv2rig.rig.snapshot import SnapshotSource
from sv2rig.tui.device_table import DeviceTable
from sv2rig.tui.event_log import EventLog
from sv2rig.tui.help import HelpScreen
from sv2rig.tui.main_view import MainView
from sv2rig.tui.themes import THEMES
from sv2rig.tui.watch import Watch

INTERVAL_S = 1.0
_NO_COLOURS = NoColor()


@runtime_checkable
class Draws(Protocol):
    """A screen over the main one that wants every new picture."""

    def draw(self, watch: Watch) -> None: ...


class RigScreen(App[None]):
    """One rig on one terminal, from 80x24 up.

    `on_quit` is called when the user asks to leave, before the screen goes. `control` carries out
    commands; without it the screen only shows. `clock` gives monotonic seconds; it only judges
    whether the rig still answers. `version` is this screen's.
    """

    CSS_PATH = Path(__file__).with_name("rig.tcss")  # for apps made from this one too
    TITLE = "sv2rig"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (118, "-wide"), (160, "-widest")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-tiny"), (15, "-short"), (36, "-tall")]  # noqa: RUF012
    # Keys that stand in a panel's title are not repeated at the foot.
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("ctrl+c", "quit", "Quit", show=False, priority=True),
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("d", "dismiss", "Dismiss"),
        Binding("o", "order", "Sort", show=False),
        Binding("slash", "filter", "Filter", key_display="/", show=False),
        Binding("escape", "clear_filter", "No filter", show=False),
        Binding("t", "troubled_only", "Troubled", show=False),
        Binding("f", "follow", "Follow", show=False),
        Binding("l", "level", "Level", show=False),
        Binding("s", "swap", "Shares"),
        Binding("T", "change_theme", "Theme", show=False),
    ]

    def __init__(
        self,
        source: SnapshotSource,
        *,
        on_quit: Callable[[], None] | None,
        control: object | None = None,
        clock: Callable[[], float] = time.monotonic,
        version: str = __version__,
    ) -> None:
        super().__init__()
        self.seen = Watch(source, clock, version)
        self.control = control
        self._on_quit = on_quit
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = THEMES[0].name

    def compose(self) -> ComposeResult:
        yield MainView(self.seen)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one(DeviceTable).focus()
        self.theme_changed_signal.subscribe(self, lambda _: self._main().draw())
        self.set_interval(INTERVAL_S, self._poll_while_shown)
        self.call_after_refresh(self._poll_while_shown)

    def on_resize(self, _: events.Resize) -> None:
        self.call_after_refresh(self._main().draw)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """With NO_COLOR no colours at all, where Textual would send greys."""
        filters = super().get_line_filters()
        return [*filters, _NO_COLOURS] if self.no_color else filters

    @property
    def selected(self) -> str | None:
        """The id of the device under the cursor."""
        return self._main().selected()

    def poll(self) -> None:
        """Read the source once and show what is new."""
        self._main().tell(self.seen.poll())
        self._main().draw()
        if isinstance(self.screen, Draws):
            self.screen.draw(self.seen)

    def _poll_while_shown(self) -> None:
        with contextlib.suppress(NoMatches):  # a last tick while the screen is being taken down
            self.poll()

    def _main(self) -> MainView:
        return self.screen_stack[0].query_one(MainView)

    def _table(self) -> DeviceTable:
        return self.screen_stack[0].query_one(DeviceTable)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """No key is offered that would do nothing."""
        if action == "dismiss":
            return self.seen.new_blocks > 0 or self.seen.other_version is not None
        if action == "clear_filter":
            return len(self.screen_stack) == 1
        if action == "swap":
            return self.screen_stack[0].has_class("-narrow")
        return super().check_action(action, parameters)

    async def action_quit(self) -> None:
        on_quit, self._on_quit = self._on_quit, None  # once, however often q is pressed
        if on_quit is not None:
            on_quit()
        self.exit()

    def action_help(self) -> None:
        self.push_screen(HelpScreen())

    def action_troubled_only(self) -> None:
        choice = self._table().choice
        choice.troubled_only = not choice.troubled_only
        self._table().choose_again()
        self._main().draw_devices()

    def action_order(self) -> None:
        self._table().choice.next_order()
        self._table().choose_again()
        self._main().draw_devices()

    def action_filter(self) -> None:
        self._main().ask_filter()

    def action_clear_filter(self) -> None:
        self._main().clear_filter()

    def action_follow(self) -> None:
        self.screen_stack[0].query_one(EventLog).toggle_follow()
        self._main().draw_bottom()

    def action_level(self) -> None:
        self.screen_stack[0].query_one(EventLog).next_level()
        self._main().draw_bottom()

    def action_swap(self) -> None:
        self._main().toggle_class("-shares")
        self.call_after_refresh(self._main().draw_bottom)

    def action_dismiss(self) -> None:
        self.seen.dismiss()
        self._main().draw()
        self.refresh_bindings()
