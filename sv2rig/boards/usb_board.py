"""The base of boards on libusb: a Board whose transfers are done on a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from sv2rig.boards.board import ONE_IN_2_32, Board, Plug
from sv2rig.boards.line import LineError, LineLostError
from sv2rig.boards.usb import UsbLine, open_usb
from sv2rig.boards.usb_thread import UsbThread
from sv2rig.devices.device import Setting

T = TypeVar("T")


class UsbBoard(Board):
    """A driver awaits `usb.do(work)` in its steps; its engine's transfers go through `begin`. There
    are no talks."""

    def __init__(
        self,
        plug: Plug,
        name: str,
        rate_hs: float,
        settings: Sequence[Setting] = (),
        hardware_ticket: int = ONE_IN_2_32,
    ) -> None:
        super().__init__(plug, name, rate_hs, (), settings, hardware_ticket)
        self._is_in_use = False
        self.usb = UsbThread(partial(plug.open_usb or open_usb, plug.sighting), plug.device_id)

    def begin(self, work: Callable[[UsbLine], T], done: Callable[[T], None] | None = None) -> None:
        """Work whose result is told to `done`, as long as the board is serving then."""
        future = self.usb.do(work)
        future.add_done_callback(lambda _: self._ended(future.exception, future.result, done))

    def transfer_failed(self, error: LineError) -> None:
        """What `begin` was asked for did not happen; the board was not lost."""
        self.comm_error(str(error))

    def _ended(
        self,
        exception: Callable[[], BaseException | None],
        result: Callable[[], T],
        done: Callable[[T], None] | None,
    ) -> None:
        error = exception()
        if not self._is_serving:
            return
        if isinstance(error, LineLostError):
            self._line_lost(str(error))
        elif isinstance(error, LineError):
            self.transfer_failed(error)
        elif isinstance(error, Exception):
            self._engine_failed(error)
        elif done is not None:
            try:
                done(result())
                self._arm()
            except Exception as fault:
                self._engine_failed(fault)

    async def secure(self) -> None:
        try:
            await super().secure()
        finally:
            await self.usb.end()

    # -- instead of a line's

    async def _live(self) -> None:
        try:
            await super()._live()
        finally:
            await self.usb.end()

    @property
    def _is_open(self) -> bool:
        return self._is_in_use

    def _open(self) -> None:
        """The device is opened by its first transfer, on its thread."""
        self._is_in_use = True

    def _listen(self) -> None:
        """Nothing comes unasked."""

    def _close_lines(self) -> None:
        if self._is_in_use:
            self._is_in_use = False
            self.usb.close()
