"""One pty as a serial port: raw, with the speed its host has set, and with who has it open.

The slave is held open here too, so that the pty outlives its hosts; that it is closed, and that a
host closes it, is learnt from inotify. When the last host has gone the port is left as a tty's last
close leaves it: not exclusive (on a pty nothing else ever clears that), nothing unread.
Linux only, as ptys with free speeds are.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import struct
import termios
import tty

_TCGETS2 = 0x802C542A
_TERMIOS2 = struct.Struct("=4I20B2I")  # flags, line discipline and characters, both speeds
_IN_OPEN = 0x20
_IN_CLOSE = 0x18  # after writing, or not
_EVENT = struct.Struct("=iIII")
_READ = 65_536


class PtyPort:
    """Master and slave of a pty, ready for a host to open `path`."""

    def __init__(self, presence: Presence) -> None:
        self.master, self._slave = os.openpty()
        tty.setraw(self._slave, termios.TCSANOW)
        os.set_blocking(self.master, False)
        self.path = os.ttyname(self._slave)
        self._presence = presence
        self._watch = presence.watch(self)
        self.hosts = 0

    def read(self) -> bytes:
        """What the host has written."""
        self._presence.update()
        try:
            return os.read(self.master, _READ)
        except BlockingIOError:
            return b""

    def write(self, data: bytes) -> int:
        """Sends what fits and tells how much; the rest is lost, as all is when nobody listens."""
        self._presence.update()
        if not self.hosts or not data:
            return 0
        try:
            return os.write(self.master, data)
        except BlockingIOError:
            return 0

    def baud(self) -> int:
        """The speed that the host has set, also where it is none of the classic ones."""
        buffer = fcntl.ioctl(self._slave, _TCGETS2, bytes(_TERMIOS2.size))
        return int(_TERMIOS2.unpack(buffer)[-1])

    def opened(self) -> None:
        """A host has opened the port."""
        self.hosts += 1

    def closed(self) -> None:
        """A host has closed it."""
        self.hosts -= 1
        if self.hosts == 0:
            fcntl.ioctl(self._slave, termios.TIOCNXCL)
            termios.tcflush(self._slave, termios.TCIFLUSH)

    def hang_up(self) -> None:
        """The plug is pulled: whoever has it open reads EIO."""
        self._presence.forget(self._watch)
        os.close(self._slave)
        os.close(self.master)


class Presence:
    """Who opens and closes the ptys of this process. `descriptor` is readable when it changes."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.descriptor = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self._check(self.descriptor, "inotify_init1")
        self._ports: dict[int, PtyPort] = {}

    def watch(self, port: PtyPort) -> int:
        """Calls the port's `opened` and `closed` from now on; what to `forget` it by."""
        path = os.fsencode(port.path)
        watch = int(self._libc.inotify_add_watch(self.descriptor, path, _IN_OPEN | _IN_CLOSE))
        self._check(watch, "inotify_add_watch")
        self._ports[watch] = port
        return watch

    def forget(self, watch: int) -> None:
        del self._ports[watch]
        self._libc.inotify_rm_watch(self.descriptor, watch)

    def update(self) -> None:
        """Tell the ports what happened until now."""
        while events := self._read():
            at = 0
            while at < len(events):
                watch, mask, _, name = _EVENT.unpack_from(events, at)
                at += _EVENT.size + name
                if port := self._ports.get(watch):
                    if mask & _IN_OPEN:
                        port.opened()
                    elif mask & _IN_CLOSE:
                        port.closed()

    def close(self) -> None:
        os.close(self.descriptor)

    def _read(self) -> bytes:
        with contextlib.suppress(BlockingIOError):
            return os.read(self.descriptor, _READ)
        return b""

    def _check(self, result: int, call: str) -> None:
        if result < 0:
            code = ctypes.get_errno()
            hint = " (raise fs.inotify.max_user_instances)" if code == errno.EMFILE else ""
            raise OSError(code, f"{call}: {os.strerror(code)}{hint}")
