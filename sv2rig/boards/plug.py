"""What a board is made from, and what of it outlives an unplug."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sv2rig.boards.line import Line, LineProfile
from sv2rig.boards.serial_line import open_serial
from sv2rig.boards.turns import Turns
from sv2rig.devices.sighting import Sighting
from sv2rig.devices.supervisor import Supervisor
from sv2rig.devices.supervisor_limits import SupervisorLimits
from sv2rig.devices.thermal import Thermal

if TYPE_CHECKING:
    from sv2rig.boards.usb import UsbLine


@dataclass(slots=True)
class Plug:
    """What a board is made from, and what outlives it when it is unplugged: its supervisor, what
    is known of its heat, `settings`, which the user made, what its driver `found` and need not find
    again, and `tuning`, the record of a search for the best frequency (sv2rig.boards.tuning_run).
    `options` are the words of `--device`."""

    device_id: str
    sighting: Sighting
    options: dict[str, str] = field(default_factory=dict)
    settings: dict[str, float] = field(default_factory=dict)
    found: dict[str, float] = field(default_factory=dict)
    limits: SupervisorLimits = field(default_factory=SupervisorLimits)
    supervisor: Supervisor = field(init=False)
    thermal: Thermal | None = None
    tuning: dict[str, object] | None = None
    keep_tuning: Callable[[dict[str, object]], None] = lambda _record: None  # whenever it changes
    turns: Turns = field(default_factory=Turns)
    open_line: Callable[[str, LineProfile], Line] = open_serial
    open_usb: Callable[[Sighting], UsbLine] | None = None  # None: sv2rig.boards.usb.open_usb
    still_there: Callable[[Sighting], bool] = lambda _sighting: True  # its ports are its own yet
    in_use: asyncio.Lock = field(default_factory=asyncio.Lock)  # by the one board that lives

    def __post_init__(self) -> None:
        self.supervisor = Supervisor(self.limits)
