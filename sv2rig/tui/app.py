"""The screen of a rig. It reads a SnapshotSource once a second and knows nothing else."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import ClassVar, Protocol, runtime_checkable

from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.css.query import NoMatches
from textual.widgets import Footer

from sv2rig import __version__
from sv2rig.rig.snapshot import SnapshotSource
from sv2rig.tui.device_table import WIDE, DeviceTable
from sv2rig.tui.event_log import EventLog
from sv2rig.tui.help import HelpScreen
from sv2rig.tui.main_view import MainView
from sv2rig.tui.watch import Watch

INTERVAL_S = 1.0


@runtime_checkable
class Draws(Protocol):
    """A screen over the main one that wants every new picture."""

    def draw(self, watch: Watch) -> None: ...


class RigScreen(App[None]):
    """One rig on one terminal, from 80x24 up.

    `on_quit` is called when the user asks to leave, before the screen goes. `control` carries out
    commands; without it the screen only shows. `clock` gives monotonic seconds; it only judges
    whether the rig still answers.
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
        Binding("d", "dismiss", "Dismiss"),
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

    def compose(self) -> ComposeResult:
        yield MainView(self.seen)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one(DeviceTable).focus()
        self.set_interval(INTERVAL_S, self._poll_while_shown)
        self.call_after_refresh(self._poll_while_shown)

    def on_resize(self, _: events.Resize) -> None:
        self.call_after_refresh(self._main().draw)

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

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """No key is offered that would do nothing."""
        if action == "dismiss":
            watch = self.seen
            return watch.new_blocks > 0 or watch.other_version is not None
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
        self._main().draw()

    def action_order(self) -> None:
        self.query_one(DeviceTable).next_order()
        self._main().draw()

    def action_follow(self) -> None:
        self.query_one(EventLog).toggle_follow()
        self._main().draw()

    def action_dismiss(self) -> None:
        self.seen.dismiss()
        self._main().draw()
        self.refresh_bindings()
