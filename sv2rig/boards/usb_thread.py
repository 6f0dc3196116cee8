"""A USB device and the thread that alone speaks to it: pyusb blocks, the event loop must not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sv2rig.boards.usb import UsbLine

T = TypeVar("T")


class UsbThread:
    """Work is done in the order in which it was given. The device is opened by the first of it, and
    again by the first after `close`."""

    def __init__(self, open_line: Callable[[], UsbLine], name: str) -> None:
        self._open_line = open_line
        self._executor = ThreadPoolExecutor(1, name)
        self._loop = asyncio.get_running_loop()
        self._line: UsbLine | None = None  # the thread's

    def do(self, work: Callable[[UsbLine], T]) -> asyncio.Future[T]:
        """What the work returns, or raises: UsbError, mostly."""
        return self._loop.run_in_executor(self._executor, self._on_line, work)

    def close(self) -> asyncio.Future[None]:
        """Gives the device back, after what was given before."""
        return self._loop.run_in_executor(self._executor, self._close_line)

    async def end(self) -> None:
        """Gives the device back and ends the thread."""
        await self.close()
        self._executor.shutdown(wait=False)

    def _on_line(self, work: Callable[[UsbLine], T]) -> T:
        if self._line is None:
            self._line = self._open_line()
        return work(self._line)

    def _close_line(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None
