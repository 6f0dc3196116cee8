"""Small windows that ask for something: yes or no, or a line of text or more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

_CSS = """
{name} {{ align: center middle; background: $background 60%; }}
{name} > Vertical {{
    width: 72; max-width: 100%; height: auto; border: solid $foreground 60%; background: $surface;
    padding: 0 1;
}}
{name} Input {{ height: 1; background: $panel; margin-bottom: 1; }}
{name} .refused {{ color: $error; }}
"""


class Confirm(ModalScreen[bool]):
    """A question; y does it, any other key does not."""

    DEFAULT_CSS = _CSS.format(name="Confirm")

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Content(f"{self._question}\n\ny: yes   any other key: no"))

    def on_key(self, event: events.Key) -> None:
        event.stop()
        self.dismiss(event.key in ("y", "Y"))

    def on_click(self) -> None:
        self.dismiss(False)


class Ask(ModalScreen[None]):
    """Lines to fill in. `done` gets them and answers with words where they are refused: the window
    stays then, and shows them."""

    DEFAULT_CSS = _CSS.format(name="Ask")
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Cancel")]

    def __init__(
        self,
        title: str,
        lines: Sequence[tuple[str, str]],
        done: Callable[[list[str]], Awaitable[str | None]],
    ) -> None:
        super().__init__()
        self._title = title
        self._lines = lines
        self._done = done
        self._asking = False

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Content(self._title)
            for label, value in self._lines:
                yield Static(Content(label))
                yield Input(value, select_on_focus=True, compact=True)
            yield Static("", classes="refused", markup=False)
            yield Static(Content("enter: next or done   esc: leave it"))

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        fields = list(self.query(Input))
        place = fields.index(event.input)
        if place + 1 < len(fields):
            fields[place + 1].focus()
        elif not self._asking:
            self._asking = True
            self.run_worker(self._finish([field.value.strip() for field in fields]))

    async def _finish(self, values: list[str]) -> None:
        refused = await self._done(values)
        self._asking = False
        if refused is None:
            self.dismiss()
        else:
            self.query_one(".refused", Static).update(Content(refused))

    def action_leave(self) -> None:
        self.dismiss()
