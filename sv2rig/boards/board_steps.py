"""The steps of a board's life that drivers override."""

from __future__ import annotations

from sv2rig.boards.board_ports import BoardPorts
from sv2rig.devices.device import Telemetry


class BoardSteps(BoardPorts):
    """`start_up` at least; what else applies. Any of them may raise LineError or BoardError, and
    is cut short where it takes too long."""

    async def make_safe(self) -> None:
        """Stop the hashing and cool: before the first job, after a fault, at the end. The ports
        are open; the board may be in any state."""

    async def start_up(self) -> None:
        """From safe to ready: BoardError if the board does not do what it should."""

    async def poll(self) -> Telemetry:
        """The readings, once a second; also of a board that was made safe, while it cools."""
        return Telemetry()

    async def apply(self, _name: str, value: float) -> None:
        """A setting changed while the board runs (it is in plug.settings already)."""

    async def throttle(self, _factor: float) -> None:
        """Run at this part of the set clock: it became too hot, or is cooler again. Also in
        `heat_factor`, where the next start_up finds it."""

    async def set_fan(self, percent: float) -> None:
        """What the fan should run at, where there is `fan`."""

    async def each_second(self) -> None:
        """What else is to be done once a second while it runs, after the readings."""

    async def show_itself(self) -> None:
        """Blink, for a person who looks for it."""
