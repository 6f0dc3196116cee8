"""A board as the rig sees one: it starts up by itself, has a fixed ticket and a rated hash rate,
and says when it is lost. It really hashes, on the event loop."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from loop_device import LoopDevice

from sv2rig.devices.device import Capabilities, DeviceSink, DeviceState, Setting

STARTS_UP_S = 0.3
EVERY = 50  # hashes to a solution of a board's ticket
TICKET = (1 << 256) // EVERY - 1
FREQUENCY = Setting("frequency_mhz", "MHz", 50, 600, 400, "clock of the chips")


class LoopBoard(LoopDevice):
    """`blinks` counts identify(); `settings` holds what was adjusted."""

    def __init__(
        self,
        device_id: str = "board:0",
        rate_hs: float = 400.0,
        idle_hands: bool = False,
        rated_hs: float | None = None,
    ) -> None:
        super().__init__(device_id, rate_hs, idle_hands)
        self.info = replace(
            self.info,
            backend="board",
            name="a test's board",
            capabilities=Capabilities(version_bits=1, ticket=TICKET),
            settings=(FREQUENCY,),
            rated_hs=rate_hs if rated_hs is None else rated_hs,
        )
        self.settings: dict[str, float] = {}
        self.blinks = 0
        self._starting: asyncio.TimerHandle | None = None

    def start(self, sink: DeviceSink) -> None:
        self.sink = sink
        self.says(DeviceState.INIT, "starting up")
        self.starts_up()

    def starts_up(self) -> None:
        """READY in a moment."""
        self._starting = asyncio.get_running_loop().call_later(
            STARTS_UP_S, self.says, DeviceState.READY, "its chips answer"
        )

    def says(self, state: DeviceState, reason: str) -> None:
        """A state of its own supervisor's."""
        assert self.sink is not None
        self.sink.state_changed(self.info.device_id, state, reason)

    def unplug(self) -> None:
        """It vanishes."""
        self.fail(DeviceState.LOST, "unplugged")

    def stop(self) -> None:
        super().stop()
        if self._starting is not None:
            self._starting.cancel()

    def setting(self, name: str) -> float:
        return self.settings.get(name, {FREQUENCY.name: FREQUENCY.default}[name])

    def adjust(self, name: str, value: float) -> None:
        assert name == FREQUENCY.name
        self.settings[name] = FREQUENCY.check(value)

    def identify(self) -> None:
        self.blinks += 1
