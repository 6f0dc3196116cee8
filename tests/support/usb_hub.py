"""A USB hub with emulated boards on it: tty names come and go with them. For virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import dataclass

from memory_board import EmulatedBoard, MemoryLine

from sv2rig.boards.line import LineLostError, LineProfile
from sv2rig.boards.ports import Change
from sv2rig.devices.sighting import Port, Sighting
from sv2rig.emulation.emulator import EmulatorKind, EmulatorOptions
from sv2rig.emulation.faults import FaultyBoard, WrongNonces, parse_fault


@dataclass
class Socket:
    """A board in its place. `port` is `name`'s number while it is plugged in."""

    usb_path: str
    wires: EmulatedBoard
    serial: str | None
    described: bool  # by its own USB strings; else as any CH340
    sighting: Sighting | None = None


class Hub:
    """What a Hotplug needs of a machine: `changes`, `is_still_there`, `open_line`."""

    def __init__(self, rate_hs: float = 20_000.0, ticket_bits: int = 12) -> None:
        self.sockets: dict[str, Socket] = {}
        self.opened: list[tuple[str, str]] = []  # (usb_path, tty), as drivers opened them
        self._pace = ticket_bits, rate_hs
        self._names: dict[str, tuple[Socket, int]] = {}
        self._news: asyncio.Queue[Change] = asyncio.Queue()

    def place(
        self,
        usb_path: str,
        kind: EmulatorKind,
        serial: str | None = None,
        described: bool = True,
        fault: str | None = None,
        **more: str,
    ) -> None:
        """Solder a board to a socket, without power yet. `fault`: as `sv2rig emulate` takes it."""
        if serial is not None and "serial" in kind.more:
            more["serial"] = serial
        plans = [parse_fault(fault)] if fault else []
        options = EmulatorOptions(*self._pace, faults=WrongNonces(plans), more=more)
        wires = EmulatedBoard(FaultyBoard(kind.make(options), plans))
        self.sockets[usb_path] = Socket(usb_path, wires, serial, described)

    def plug_in(self, usb_path: str, ttys: Sequence[str]) -> Sighting:
        """Power comes, and its ports get these names, which must be free."""
        socket = self.sockets[usb_path]
        emulator = socket.wires.emulator
        identity = emulator.identity
        ports = []
        for number in range(len(emulator.ports)):
            assert ttys[number] not in self._names
            self._names[ttys[number]] = socket, number
            ports.append(Port(ttys[number], number))
        told = (identity.vid, identity.pid, identity.bcd, identity.manufacturer, identity.product)
        bridge = (0x1A86, 0x7523, 0x0264, None, "USB Serial")
        described = told if socket.described else bridge
        socket.sighting = Sighting(
            usb_path, *described, socket.serial, tuple(ports), emulator=emulator.claims
        )
        if socket.wires.is_plugged:
            emulator.power_up(asyncio.get_running_loop().time())
        else:
            socket.wires.plug_in()
        return socket.sighting

    def unplug(self, usb_path: str) -> Sighting:
        """Its lines are lost and its names are free."""
        socket = self.sockets[usb_path]
        assert socket.sighting is not None
        gone, socket.sighting = socket.sighting, None
        for port in gone.ports:
            del self._names[port.path]
        socket.wires.unplug()
        return gone

    def tell(self, added: Iterable[Sighting] = (), removed: Iterable[Sighting] = ()) -> None:
        """What the watch sees."""
        self._news.put_nowait(Change(tuple(added), tuple(removed)))

    def pins(self) -> Mapping[str, Mapping[str, float]]:
        return {path: socket.wires.emulator.pins() for path, socket in self.sockets.items()}

    # -- what Hotplug sees

    async def changes(self) -> AsyncGenerator[Change, None]:
        while True:
            yield await self._news.get()

    def is_still_there(self, sighting: Sighting) -> bool:
        return self.sockets[sighting.usb_path].sighting == sighting

    def open_line(self, path: str, profile: LineProfile) -> MemoryLine:
        if path not in self._names:
            raise LineLostError(f"{path} is not there (any more)")
        socket, number = self._names[path]
        self.opened.append((socket.usb_path, path))
        return socket.wires.open_line(f"memory:{number}", profile)
