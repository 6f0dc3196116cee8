"""Who may start when, on the event loop (sv2rig.devices.start_order decides)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sv2rig.devices.start_order import StartOrder


class Turns:
    """All boards of a rig share one."""

    def __init__(self, order: StartOrder | None = None) -> None:
        self._order = order or StartOrder()
        self._waiting: dict[str, asyncio.Future[bool]] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def take(
        self,
        device_id: str,
        usb_path: str,
        watts: float,
        told: Callable[[str], None] = lambda _why: None,
    ) -> bool:
        """Returns when this board may start: it counts as drawing its watts until `give_back`.
        False: `give_up` came first. `told` hears why it has to wait, if it has to."""
        self.give_back(device_id)
        granted: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting[device_id] = granted
        self._order.request(device_id, usb_path, watts)
        self._grant()
        try:
            if not granted.done():
                told(self.waits_because(device_id) or "waits its turn")
            return await granted
        except asyncio.CancelledError:
            self.give_back(device_id)
            raise
        finally:
            self._waiting.pop(device_id, None)

    def give_up(self, device_id: str) -> None:
        """It does not want to start any more, if it waits."""
        waiting = self._waiting.get(device_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(False)
            self.give_back(device_id)

    def give_back(self, device_id: str) -> None:
        """It draws nothing any more."""
        self._order.stopped(device_id)
        self._grant()

    def waits_because(self, device_id: str) -> str | None:
        """Why it does not start yet."""
        return self._order.waits_because(device_id)

    def _grant(self) -> None:
        loop = asyncio.get_running_loop()
        while (device_id := self._order.on_time(loop.time())) is not None:
            granted = self._waiting.get(device_id)
            if granted is not None and not granted.done():
                granted.set_result(True)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._order.next_timeout()
        if due is not None:
            self._timer = loop.call_at(due, self._grant)
