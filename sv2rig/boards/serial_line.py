"""Serial ports on the event loop: one descriptor, no thread.

pyserial opens and configures (it knows each system's speeds and modem lines); the loop's own
readiness callbacks read and write, so that 64 boards cost no more than their bytes.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import sys
import termios
from collections.abc import Callable
from contextlib import suppress

import serial

from sv2rig.boards.line import LineError, LineLostError, LineProfile

_READ_BYTES = 4096
_DRAIN_POLL_S = 0.002
_MOST_QUEUED = 1 << 20  # bytes for a board that takes none: it is as good as gone
_GONE = (errno.EIO, errno.ENODEV, errno.ENXIO, errno.EBADF, errno.EPIPE)


class SerialLine:
    """An open tty (sv2rig.boards.line.Line)."""

    def __init__(self, port: serial.Serial, path: str) -> None:
        self.on_data: Callable[[bytes], None] = lambda _data: None
        self.on_lost: Callable[[str], None] = lambda _reason: None
        self._port = port
        self._fd: int = port.fileno()
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._queued = bytearray()
        self._sent = asyncio.Event()
        self._is_open = True
        self._waits_for_room = False
        self._loop.add_reader(self._fd, self._readable)

    def write(self, data: bytes) -> None:
        if not self._is_open:
            raise LineLostError(f"{self._path} is closed")
        if len(self._queued) + len(data) > _MOST_QUEUED:
            self._lose("the board takes no more bytes")
            raise LineLostError(f"{self._path}: the board takes no more bytes")
        was_idle = not self._queued
        self._queued += data
        if was_idle:
            self._writable()

    async def drain(self) -> None:
        while self._queued and self._is_open:
            self._sent.clear()
            await self._sent.wait()
        try:
            # tcdrain blocks, for ever where a port stalls: threads are for the last bytes only.
            while self._is_open and _kernel_holds(self._fd):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(_DRAIN_POLL_S)
            if self._is_open:
                await self._loop.run_in_executor(None, termios.tcdrain, self._fd)
        except (OSError, termios.error) as error:
            self._lose(str(error))
        if not self._is_open:
            raise LineLostError(f"{self._path} is gone")

    def set_baud(self, baud: int) -> None:
        try:
            self._port.baudrate = baud
        except (serial.SerialException, OSError, termios.error) as error:
            self._lose(str(error))
            raise LineLostError(f"{self._path}: {error}") from error
        except ValueError as error:
            raise LineError(f"{self._path} cannot do {baud} baud: {error}") from error

    def set_lines(self, dtr: bool | None = None, rts: bool | None = None) -> None:
        _set_lines(self._port, dtr, rts)

    def discard_input(self) -> None:
        try:
            termios.tcflush(self._fd, termios.TCIFLUSH)
        except termios.error as error:
            self._lose(str(error))

    def close(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        self._sent.set()
        if self._is_stalled():
            self._loop.run_in_executor(None, self._shut)
        else:
            self._shut()

    def _is_stalled(self) -> bool:
        """The kernel holds bytes: its close would wait up to 30 s for the port to take them."""
        try:
            return _kernel_holds(self._fd) > 0
        except OSError:
            return False

    def _shut(self) -> None:
        with suppress(serial.SerialException, OSError, termios.error):  # it may be gone already
            self._port.close()

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, _READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lose(error.strerror or str(error))
            return
        if data:
            self.on_data(data)
        else:
            self._lose("hung up")  # a tty that is readable without bytes has lost its board

    def _writable(self) -> None:
        try:
            count = os.write(self._fd, self._queued)
        except (BlockingIOError, InterruptedError):
            count = 0
        except OSError as error:
            self._lose(error.strerror or str(error))
            return
        del self._queued[:count]
        self._watch_for_room(bool(self._queued))
        if not self._queued:
            self._sent.set()

    def _watch_for_room(self, wanted: bool) -> None:
        """Most writes fit at once, and the loop need not hear of them."""
        if wanted and not self._waits_for_room:
            self._loop.add_writer(self._fd, self._writable)
        elif self._waits_for_room and not wanted:
            self._loop.remove_writer(self._fd)
        self._waits_for_room = wanted

    def _lose(self, reason: str) -> None:
        if self._is_open:
            self.close()
            # Not from within write(): the board's own code is on the stack there.
            self._loop.call_soon(self.on_lost, f"{self._path}: {reason}")


def open_serial(path: str, profile: LineProfile) -> SerialLine:
    """Open a tty for us alone (flock and TIOCEXCL), raw, without HUPCL, with its modem lines set.

    LineError says why it cannot be: permission, in use by whom, no such port, not a tty.
    LineLostError where it vanished.
    """
    port = serial.Serial()
    port.port = path
    port.baudrate = profile.baud
    port.exclusive = True
    port.timeout = 0
    port.dtr = profile.dtr
    port.rts = profile.rts
    if profile.mark_parity and not os.path.realpath(path).startswith("/dev/pts/"):
        port.parity = serial.PARITY_MARK  # a pty refuses all parity, as it has no bits
    try:
        port.open()
    except termios.error as error:
        raise LineError(f"{path} cannot be set up: {error}") from error
    except (serial.SerialException, OSError) as error:
        raise _explained(path, error) from error
    try:
        fcntl.ioctl(port.fileno(), termios.TIOCEXCL)
        _clear_hupcl(port.fileno())
        _set_lines(port, profile.dtr, profile.rts)
        port.reset_input_buffer()
        os.set_blocking(port.fileno(), False)
    except (serial.SerialException, OSError, termios.error) as error:
        port.close()
        raise LineLostError(f"{path}: {error}") from error
    except LineError:
        port.close()
        raise
    return SerialLine(port, path)


def _kernel_holds(fd: int) -> int:
    """How many bytes the kernel has not given to the port."""
    return int.from_bytes(fcntl.ioctl(fd, termios.TIOCOUTQ, bytes(4)), sys.byteorder)


def _clear_hupcl(fd: int) -> None:
    """Closing must not drop DTR: on some boards that is a reset."""
    settings = termios.tcgetattr(fd)
    settings[2] &= ~termios.HUPCL
    termios.tcsetattr(fd, termios.TCSANOW, settings)


def _set_lines(port: serial.Serial, dtr: bool | None, rts: bool | None) -> None:
    try:
        if dtr is not None:
            port.dtr = dtr
        if rts is not None:
            port.rts = rts
    except OSError as error:  # a pty has no modem lines
        if error.errno not in (errno.ENOTTY, errno.EINVAL):
            raise LineLostError(f"{port.port}: {error}") from error


def _explained(path: str, error: OSError) -> LineError:
    number = error.errno
    if number in (errno.ENOENT, *_GONE):
        return LineLostError(f"{path} is not there (any more)")
    if number in (errno.EACCES, errno.EPERM):
        return LineError(
            f"no permission for {path}: `sudo sv2rig udev install`, or add yourself to its group "
            "(dialout on Debian) and log in again"
        )
    if number in (errno.EBUSY, errno.EAGAIN) or "lock" in str(error):
        return LineError(
            f"{path} is in use by another program: stop it (`sv2rig devices` names it), then retry"
        )
    return LineError(f"{path} cannot be opened: {error}")
