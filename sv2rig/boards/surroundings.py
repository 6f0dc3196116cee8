"""Which other programs run here and what they hold open, read from /proc in one go."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from sv2rig.boards.usb_tree import read_text


@dataclass(frozen=True, slots=True)
class Process:
    pid: int
    name: str

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """A picture of one moment. Without root other users' open files stay unseen; locks do not."""

    root: Path
    processes: dict[int, Process]
    open_files: dict[str, set[int]]  # path -> who has it open
    locks: dict[tuple[int, int, int], set[int]]  # device's major and minor, inode -> who has flock

    def running(self, name: str) -> Process | None:
        return next((process for process in self.processes.values() if process.name == name), None)

    def holders(self, path: str) -> tuple[Process, ...]:
        """Who else has this port open or locked."""
        real = self.real(path)
        lockers = self._lockers(real) | self._uucp(real)
        return self._others(self.open_files.get(str(real), set()) | lockers)

    def lockers(self, path: str) -> tuple[Process, ...]:
        """Who else has locked this port with flock, as serial programs do."""
        return self._others(self._lockers(self.real(path)))

    def _others(self, pids: set[int]) -> tuple[Process, ...]:
        others = sorted(pids - {os.getpid()})
        return tuple(self.processes.get(pid, Process(pid, "a process")) for pid in others)

    def real(self, path: str) -> Path:
        return Path(os.path.realpath(self.root / path.lstrip("/")))

    def _lockers(self, real: Path) -> set[int]:
        try:
            status = real.stat()
        except OSError:
            return set()
        key = (os.major(status.st_dev), os.minor(status.st_dev), status.st_ino)
        return self.locks.get(key, set())

    def _uucp(self, real: Path) -> set[int]:
        """The lock files of minicom and its kind: the owner's pid as text."""
        text = read_text(self.root / "run/lock" / f"LCK..{real.name}") or ""
        pid = text.split()[0] if text.split() else ""
        return {int(pid)} & self.processes.keys() if pid.isdecimal() else set()


def look_around(root: Path = Path("/")) -> Surroundings:
    """Now, from /proc under `root`."""
    processes: dict[int, Process] = {}
    open_files: defaultdict[str, set[int]] = defaultdict(set)
    for folder in _folders(root / "proc"):
        pid = int(folder.name)
        if (name := read_text(folder / "comm")) is None:
            continue
        processes[pid] = Process(pid, name)
        for path in _links(folder / "fd"):
            open_files[path].add(pid)
    return Surroundings(root, processes, dict(open_files), _flocks(root / "proc/locks"))


def _folders(proc: Path) -> list[Path]:
    try:
        return [folder for folder in proc.iterdir() if folder.name.isdecimal()]
    except OSError:
        return []


def _links(folder: Path) -> set[str]:
    found = set()
    try:
        for entry in os.scandir(folder):
            found.add(str(Path(entry.path).readlink()))
    except OSError:  # another user's, or it has ended or closed the file
        pass
    return found


def _flocks(file: Path) -> dict[tuple[int, int, int], set[int]]:
    """/proc/locks, as proc_locks(5) has it: `1: FLOCK ADVISORY WRITE 871 00:06:123 0 EOF`."""
    found: defaultdict[tuple[int, int, int], set[int]] = defaultdict(set)
    for line in (read_text(file) or "").splitlines():
        words = line.replace("->", "").split()
        if len(words) < 6 or words[1] != "FLOCK":
            continue
        major, minor, inode = words[5].split(":")
        found[int(major, 16), int(minor, 16), int(inode)].add(int(words[4]))
    return dict(found)
