"""Where emulated boards are found: a folder of this user's with their ports and what they say.

A board named NAME has its first port at FOLDER/NAME, the others at FOLDER/NAME-PORT: links to ptys,
or of a USB device to its unix socket FOLDER/NAME.sock. Its announcement is FOLDER/NAME.json, which
is there only while it is plugged in. FOLDER/NAME.lock is held as long as the emulator lives, so
that a name is one emulator's, and what a dead one left is known as such.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from sv2rig.emulation.emulator import Emulator


class AnnounceError(Exception):
    """The folder cannot be used; the text says why and what to do."""


def make_folder(folder: Path) -> Path:
    """Makes it, for this user alone. AnnounceError if somebody else could write there."""
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        for made in (folder.parent, folder):
            if not _safe(made.lstat(), is_parent=made != folder):
                raise AnnounceError(f"{made} can be written by others: remove it, or chmod 700 it")
    except OSError as error:
        raise AnnounceError(f"{error.filename} cannot be made: {error.strerror}") from error
    return folder


def _safe(status: os.stat_result, is_parent: bool) -> bool:
    """Whether nobody else can put anything in the place of what is ours there.

    The parent may also be the system's, and shared where it is sticky, as /tmp is.
    """
    if not stat.S_ISDIR(status.st_mode):
        return False
    shared = bool(status.st_mode & 0o022)
    if is_parent:
        sticky = bool(status.st_mode & stat.S_ISVTX)
        return status.st_uid in (0, os.geteuid()) and (not shared or sticky)
    return status.st_uid == os.geteuid() and not shared


class Name:
    """A free name like `wanted`, or with -2, -3 ... after it, ours until `give_back`."""

    def __init__(self, folder: Path, wanted: str) -> None:
        self.folder = make_folder(folder)
        number = 1
        while True:
            self.text = wanted if number == 1 else f"{wanted}-{number}"
            lock = _lock(folder / f"{self.text}.lock")
            if lock is not None:
                break
            number += 1
        self._lock = lock
        self.retract()  # what a dead emulator of this name left

    @property
    def socket(self) -> Path:
        """Where a board that is a USB device of its own is served."""
        return self.folder / f"{self.text}.sock"

    def path(self, ports: Sequence[str], index: int) -> Path:
        """Where a port of this board is, of those it has."""
        return self.folder / (self.text if index == 0 else f"{self.text}-{ports[index]}")

    def announce(
        self, board: Emulator, targets: Sequence[str], files: Mapping[str, Path] | None = None
    ) -> tuple[Path, ...]:
        """Links each port to its pty (or socket), then says that the board is there; `files` are
        what its driver has to be given, by option."""
        paths = tuple(self.path(board.ports, index) for index in range(len(board.ports)))
        for path, target in zip(paths, targets, strict=True):
            _replace_link(path, target)
        announcement = {
            **msgspec.structs.asdict(_identity(board, self.text)),
            "files": {option: str(path) for option, path in (files or {}).items()},
            "ports": [
                {"path": str(path), "interface": index, "name": name}
                for index, (path, name) in enumerate(zip(paths, board.ports, strict=True))
            ],
        }
        new = self.folder / f"{self.text}.new"
        new.write_bytes(msgspec.json.encode(announcement))
        new.replace(self.folder / f"{self.text}.json")
        return paths

    def retract(self) -> None:
        """The board is gone: its announcement first, then its ports."""
        _retract(self.folder, self.text)

    def give_back(self) -> None:
        """The end of the emulator."""
        self.retract()
        (self.folder / f"{self.text}.lock").unlink(missing_ok=True)
        os.close(self._lock)


def sweep(folder: Path) -> None:
    """Removes what emulators left that died without a chance to."""
    for lock in make_folder(folder).glob("*.lock"):
        descriptor = _lock(lock)
        if descriptor is not None:
            _retract(folder, lock.stem)
            for left in folder.glob(f"{lock.stem}.*"):  # its files, and the lock itself
                left.unlink(missing_ok=True)
            os.close(descriptor)


def _retract(folder: Path, name: str) -> None:
    told = folder / f"{name}.json"
    links = [folder / name, folder / f"{name}.sock"]
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        ports = msgspec.json.decode(told.read_bytes(), type=_Ports).ports
        links += [folder / Path(port.path).name for port in ports]
    told.unlink(missing_ok=True)
    for link in links:
        link.unlink(missing_ok=True)


class _PortLeft(msgspec.Struct):
    path: str


class _Ports(msgspec.Struct):
    ports: list[_PortLeft]


class _Identity(msgspec.Struct):
    driver: str
    usb_path: str
    vid: int | None
    pid: int | None
    bcd: int | None
    manufacturer: str | None
    product: str | None
    serial: str | None
    ticket_bits: int
    rate_hs: float
    replay: bool


def _identity(board: Emulator, name: str) -> _Identity:
    who, claims = board.identity, board.claims
    return _Identity(
        who.driver,
        f"emulated:{name}",
        who.vid,
        who.pid,
        who.bcd,
        who.manufacturer,
        who.product,
        who.serial,
        claims.ticket_bits,
        claims.rate_hs,
        claims.replay,
    )


def _lock(path: Path) -> int | None:
    """A descriptor that holds the lock, or None where another emulator has it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        with contextlib.suppress(FileNotFoundError):
            if os.fstat(descriptor).st_ino == path.stat().st_ino:
                return descriptor
        os.close(descriptor)  # its holder removed the file between our two calls


def _replace_link(path: Path, target: str) -> None:
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(path)
