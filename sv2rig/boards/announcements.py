"""Boards that emulators announce: JSON files beside their ports, in a folder that only we write.

A file is believed only if it and its folder belong to this user, and its ports are ptys that are no
younger than the file (a pty's number is given out again when its emulator has died, perhaps
to somebody's terminal) or unix sockets.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
from pathlib import Path

import msgspec

from sv2rig.boards.usb_tree import Seen
from sv2rig.devices.sighting import EmulatorClaims, Port, Sighting

_LARGEST_FILE = 65_536
_CLOCK_GRAIN_S = 1.0  # file times are taken from a coarse clock
_PTY = re.compile(r"/dev/pts/\d+")


class _AnnouncedPort(msgspec.Struct):
    path: str
    interface: int = 0


class _Announcement(msgspec.Struct):
    driver: str
    usb_path: str
    ports: list[_AnnouncedPort]
    ticket_bits: int
    rate_hs: float
    vid: int | None = None
    pid: int | None = None
    bcd: int | None = None
    manufacturer: str | None = None
    product: str | None = None
    serial: str | None = None
    replay: bool = False
    files: dict[str, str] = {}


def emulated_boards(folder: Path) -> tuple[Seen, ...]:
    """The emulated boards that can be believed, by file name."""
    if not _ours_alone(folder):
        return ()
    found = (_board(file) for file in sorted(folder.glob("*.json")))
    return tuple(seen for seen in found if seen is not None)


def _ours_alone(folder: Path) -> bool:
    try:
        status = folder.lstat()
    except OSError:
        return False
    return (
        stat.S_ISDIR(status.st_mode)
        and status.st_uid == os.geteuid()
        and not status.st_mode & 0o022
    )


def _board(file: Path) -> Seen | None:
    try:
        told, status = _read(file)
        marks = [_believed(Path(port.path), status) for port in told.ports]
    except (OSError, msgspec.MsgspecError):
        return None  # half written, damaged, or its emulator has gone
    if not marks or None in marks or not 0 <= told.ticket_bits <= 256:
        return None
    sighting = Sighting(
        usb_path=told.usb_path,
        vid=told.vid,
        pid=told.pid,
        bcd=told.bcd,
        manufacturer=told.manufacturer,
        product=told.product,
        serial=told.serial,
        ports=tuple(
            Port(port.path, port.interface)
            for port in sorted(told.ports, key=lambda port: port.interface)
        ),
        emulator=EmulatorClaims(
            told.ticket_bits,
            told.rate_hs,
            told.replay,
            told.driver,
            on_usb=Path(told.ports[0].path).is_socket(),
            files=tuple(told.files.items()),
        ),
    )
    return Seen(sighting, f"{status.st_ino}:{status.st_mtime_ns}:{marks}")


def _read(file: Path) -> tuple[_Announcement, os.stat_result]:
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as opened:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            raise PermissionError(f"{file} is not ours")
        return msgspec.json.decode(opened.read(_LARGEST_FILE), type=_Announcement), status


def _believed(port: Path, announcement: os.stat_result) -> str | None:
    """What the port really is; None where it is not an emulator's."""
    real = os.path.realpath(port)
    status = Path(real).stat()
    if status.st_uid != os.geteuid():
        return None
    if stat.S_ISSOCK(status.st_mode):
        return real if _is_held(port.with_suffix(".lock")) else None
    if not (stat.S_ISCHR(status.st_mode) and _PTY.fullmatch(real)):
        return None
    return real if status.st_ctime <= announcement.st_mtime + _CLOCK_GRAIN_S else None


def _is_held(lock: Path) -> bool:
    """Whether an emulator lives: it holds its name's lock, and a socket outlives it."""
    descriptor = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
