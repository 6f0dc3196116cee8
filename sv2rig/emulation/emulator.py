"""What an emulated board is: one board's side of its wires, without I/O and without a clock.

Whoever hosts an emulator (a pty, a test's memory) passes bytes and the time to it, monotonic
seconds, takes what it sends, and calls `on_time` when `next_timeout` is reached.

A tty's modem lines do not exist on a pty, so a board that a line resets has one port more, named
"reset": text lines `NAME=0` or `NAME=1` (a line feed ends each), NAME being the line as the board
has it, such as `rts`, `dtr` or `reset`; `LineChanges` reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sv2rig.devices.sighting import EmulatorClaims
from sv2rig.emulation.search import KnownAnswer
from sv2rig.emulation.wires import Wires

DEFAULT_TICKET_BITS = 16


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the board says it is: the driver meant for it, and what its USB descriptors hold."""

    driver: str
    vid: int | None = None
    pid: int | None = None
    bcd: int | None = None
    manufacturer: str | None = None
    product: str | None = None
    serial: str | None = None


class Emulator(Protocol):
    """One board's side of its wires. `claims` is what it really does, not what such a board does.

    Ports are numbered as `ports` names them; `pins` are what a probe on the board would read, such
    as reset_released, power_on, fan_percent, mhz.
    """

    @property
    def identity(self) -> Identity: ...

    @property
    def ports(self) -> tuple[str, ...]: ...

    @property
    def claims(self) -> EmulatorClaims: ...

    @property
    def wires(self) -> Wires:
        """Its ports' bytes, and with them its ledger."""

    def power_up(self, now: float) -> None:
        """Power has just come, at first or again after an unplug: everything as at power-on."""

    def receive(self, port: int, data: bytes, baud: int, now: float) -> None:
        """Bytes from the host, and the speed the host's port is set to."""

    def take_output(self, port: int) -> bytes:
        """What it has sent on this port since the last call."""

    def next_timeout(self) -> float | None:
        """When it wants to be called next; None: not before bytes come."""

    def on_time(self, now: float) -> None:
        """Do all that is due by now."""

    def pins(self) -> dict[str, float]: ...


class NonceFaults(Protocol):
    """Where an emulator asks, for each nonce, which four bytes to send."""

    def nonce(self, right: bytes) -> bytes: ...


class NoNonceFaults:
    def nonce(self, right: bytes) -> bytes:
        return right


@dataclass(frozen=True, slots=True)
class EmulatorOptions:
    """What a factory makes a board from. `rate_hs` None: the board's default, small enough for
    seven boards in a tenth of a core; `more` are the board's own options by name."""

    ticket_bits: int = DEFAULT_TICKET_BITS
    rate_hs: float | None = None
    known: Sequence[KnownAnswer] = ()
    faults: NonceFaults = field(default_factory=NoNonceFaults)
    more: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EmulatorKind:
    """What an entry point of the group `sv2rig.emulators` names.

    `more` are the names of the options that it knows besides those common to all, each with its
    help. `make` raises ValueError, in words for the user, for an option's wrong value. A board with
    an attribute `files` names what its driver asks of the user: content by the driver's option.
    """

    name: str
    help: str
    make: Callable[[EmulatorOptions], Emulator]
    more: Mapping[str, str] = field(default_factory=dict)


class LineChanges:
    """Reads a "reset" port: which line went to which level."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[str, bool]]:
        """The changes whose text is complete, in order; other text is passed over."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        changes = (line.strip().partition(b"=") for line in lines)
        return [
            (name.decode("ascii", "replace"), level == b"1")
            for name, _, level in changes
            if level in (b"0", b"1")
        ]
