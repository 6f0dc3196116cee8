"""The help page."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

_TEXT = """\
q  stop the rig and leave       t  troubled devices only
?  this page                    o  next order of the devices
f  follow the log, or hold it   d  dismiss the block banner
up, down: choose a device       tab: between devices and log

devices  ● MINING
         ○ INIT, READY: about to mine, or waiting for work
         ▲ THROTTLED, COOLDOWN, SICK, RESETTING: look at it
         ✗ DEAD, LOST: gone
A/R/HW   shares accepted, shares rejected, hardware errors
         (answers that were wrong when hashed again)
comm     bytes from a board that were no answer
stale           shares for a block that is over
unacknowledged  shares sent whose answer never came
best            the highest difficulty of any share
–               not known; 0 is a real zero

any key closes this page"""


class HelpScreen(ModalScreen[None]):
    """What the keys do and the words mean; any key closes it."""

    def compose(self) -> ComposeResult:
        page = Static(Content(_TEXT), id="help")
        page.border_title = "help"
        yield page

    def on_key(self, event: events.Key) -> None:
        event.stop()
        self.dismiss()

    def on_click(self) -> None:
        self.dismiss()
