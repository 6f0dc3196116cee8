"""What is plugged in now, and what comes and goes: USB, opted-in serial ports, emulators.

The kernel's events only say when to look again; what counts is what sysfs then shows. So lost
events, a burst of them and a machine without udev all end in the same picture.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from sv2rig.boards.announcements import emulated_boards
from sv2rig.boards.usb_events import udev_runs, usb_events
from sv2rig.boards.usb_tree import Seen, is_still_there, usb_devices, usb_mark
from sv2rig.devices.detection import OptIn
from sv2rig.devices.sighting import Port, Sighting, emulated_folder

POLL_S = 2.0  # without events, and for what makes none
SETTLE_S = 0.2  # a board's interfaces and their permissions come one after the other
LONGEST_SETTLE_S = 1.0

Wake = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Change:
    """A batch: first all that went, then all that came. What was plugged in anew is in both."""

    added: tuple[Sighting, ...]
    removed: tuple[Sighting, ...]


class PortWatcher:
    """Sees what is plugged in. `opted_in` names serial ports without USB that may be listed.

    `root` stands for / and `events` for the kernel's news in tests; None means udev's where it
    runs, else looking again every `poll_s`.
    """

    def __init__(
        self,
        opted_in: Sequence[OptIn] = (),
        *,
        root: Path = Path("/"),
        folder: Path | None = None,
        events: Callable[[Wake], AbstractContextManager[None]] | None = None,
        poll_s: float = POLL_S,
    ) -> None:
        self._opted_in = tuple(opted_in)
        self._root = root
        self._folder = folder or emulated_folder(os.environ, os.geteuid())
        self._events = events if events is not None or not udev_runs() else usb_events
        self._poll_s = poll_s
        self._mark: tuple[str, ...] = ()
        self._usb: tuple[Seen, ...] = ()

    def current(self) -> tuple[Sighting, ...]:
        """All that is plugged in, looked at now: milliseconds, more while a device resets."""
        return tuple(seen.sighting for seen in self._look(True).values())

    def is_still_there(self, sighting: Sighting) -> bool:
        """Whether its ports are still its own (sv2rig.boards.usb_tree.is_still_there)."""
        return is_still_there(sighting, self._root)

    async def changes(self) -> AsyncGenerator[Change, None]:
        """Batches of what came and went; the first holds all that is there at the start,
        if anything is."""
        woken = asyncio.Event()
        seen: dict[str, Seen] = {}
        with ExitStack() as stack:
            if self._events is not None:
                stack.enter_context(self._events(woken.set))
            closely = is_first = True
            while True:
                now = await asyncio.to_thread(self._look, closely)
                change, seen = _difference(seen, now), now
                if change is not None or is_first:
                    yield change or Change((), ())
                is_first = False
                closely = await self._news(woken)

    async def _news(self, woken: asyncio.Event) -> bool:
        """Until something may have changed and has come to rest; False if only time has passed."""
        try:
            async with asyncio.timeout(self._poll_s):
                await woken.wait()
        except TimeoutError:
            return False
        loop = asyncio.get_running_loop()
        latest = loop.time() + LONGEST_SETTLE_S
        while woken.is_set() and loop.time() < latest:
            woken.clear()
            await asyncio.sleep(SETTLE_S)
        woken.clear()
        return True

    def _look(self, closely: bool) -> dict[str, Seen]:
        mark = usb_mark(self._root)
        if closely or mark != self._mark:
            self._usb, self._mark = usb_devices(self._root), mark
        found = [*self._usb, *emulated_boards(self._folder)]
        taken = {_real(self._root, port.path) for seen in found for port in seen.sighting.ports}
        found += _plain_ports(self._opted_in, taken, self._root)
        return {seen.sighting.usb_path: seen for seen in found}


def _difference(before: dict[str, Seen], now: dict[str, Seen]) -> Change | None:
    removed = [seen.sighting for path, seen in before.items() if not _is_same(seen, now.get(path))]
    added = [seen.sighting for path, seen in now.items() if not _is_same(seen, before.get(path))]
    return Change(tuple(added), tuple(removed)) if added or removed else None


def _is_same(one: Seen, other: Seen | None) -> bool:
    """Who drives a device without ports does not matter: it may be us, through libusb."""
    if other is None or one.plugged != other.plugged:
        return False
    return replace(one.sighting, kernel_driver=None) == replace(other.sighting, kernel_driver=None)


def _plain_ports(opted_in: Sequence[OptIn], taken: set[str], root: Path) -> list[Seen]:
    """Opted-in serial ports that are not on USB: a mainboard's, a Raspberry Pi's, a bare pty."""
    paths = sorted({entry.what for entry in opted_in if entry.what.startswith("/")})
    return [
        Seen(Sighting(f"tty:{path}", ports=(Port(path),)), "")
        for path in paths
        if (real := _real(root, path)) not in taken and _is_plain_port(real, root)
    ]


def _real(root: Path, path: str) -> str:
    return os.path.realpath(root / path.lstrip("/"))


def _is_plain_port(real: str, root: Path) -> bool:
    """A character device; one that sysfs no longer has is a USB port that is vanishing."""
    try:
        is_device = stat.S_ISCHR(Path(real).stat().st_mode)
    except OSError:
        return False
    known = root / "sys/class/tty"
    return is_device and (
        real.startswith("/dev/pts/") or not known.is_dir() or (known / Path(real).name).exists()
    )


def resolve(opted_in: Sequence[OptIn], sightings: Sequence[Sighting]) -> tuple[OptIn, ...]:
    """The same, knowing which port each path leads to now: /dev/serial/by-id/... to
    /dev/ttyUSB0, /dev/pts/3 to the link of the emulator behind it."""
    ports = {os.path.realpath(port.path): port.path for seen in sightings for port in seen.ports}
    return tuple(
        replace(entry, resolved=ports.get(os.path.realpath(entry.what)))
        if entry.what.startswith("/")
        else entry
        for entry in opted_in
    )
