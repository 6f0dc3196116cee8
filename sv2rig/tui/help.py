"""The help page."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

_TEXT = """\
q  leave        ?  this page           T  theme        tab  devices, log
o  sort: trouble first, by id, slowest first, hottest first
/  filter: words of id, backend, port or state        esc  no filter
t  troubled devices only               up, down  choose a device
f  follow the log, or hold it          l  log: all, warnings, errors
d  dismiss: block found, versions      s  shares, log (narrow screens)
↵  the device's screen    p  pause, resume    e  off, on    + -  MHz
i  identify   r  reset    P  pools            ^P  every command

● MINING   ○ INIT, READY, PAUSED: no work   – OFF   ✖ DEAD, LOST
▲ THROTTLED, COOLDOWN, SICK, RESETTING, hot, no hashes: look at it
5s 1m 15m  hash rate over that time    J/TH  joules a terahash
rated  rate against what it should be  acc   shares accepted
HW%    wrong answers among all answers comm  bytes that were no answer
key ✔  the pool has the key of its address
A  accepted   R  rejected   stale  for a block that is over
no answer  shares sent whose answer never came
–  not known; 0 is a real zero
80x24 leaves out the share list (s), backend, port and MHz
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
