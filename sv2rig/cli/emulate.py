"""`sv2rig emulate`: boards for those who have none, which a rig opens like any others."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

import typer

from sv2rig.cli import rig_options
from sv2rig.cli.output import UserError, print_json, print_text

if TYPE_CHECKING:
    import asyncio

    from sv2rig.emulation.bus import Bus, ServedBoard
    from sv2rig.emulation.emulator import Emulator, EmulatorKind
    from sv2rig.emulation.faults import FaultPlan
    from sv2rig.emulation.search import KnownAnswer

SWITCHES = ("reset_released", "power_on", "fan_percent")

Boards = Annotated[
    list[str] | None, typer.Argument(metavar="BOARD", help="Which boards; without any, list them.")
]
TicketBits = Annotated[
    int,
    typer.Option(
        help="How rare a hash they report: one in 2 to the power of this. Real boards: 32 or more.",
        min=0,
        max=64,
    ),
]
Rate = Annotated[
    float | None,
    typer.Option(
        help="Hashes a second of each board. Default: little, so that seven boards take a tenth of "
        "a core.",
        metavar="H/S",
        min=1,
    ),
]
Fault = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE,...",
        help="What goes wrong, as bytes=0.01,seed=7. Rates, 0 to 1: bytes (changed, lost "
        "and doubled alike), flip, drop, duplicate, nonces (wrong ones). Seconds: delay; silence "
        "and unplug (after so many), lasting and replug (so many later). Where: direction=to-host "
        "or to-board, port=N.",
    ),
]
Replay = Annotated[
    Path | None,
    typer.Option(
        help="A file of known answers, which are given besides: solved headers, 160 hex digits a "
        "line. The board is then shown as REPLAY."
    ),
]
Chips = Annotated[int | None, typer.Option(help="Chips in the chain, where it has one.", min=1)]
More = Annotated[
    list[str] | None,
    typer.Option(
        "--option", metavar="NAME=VALUE", help="A board's own option; listed without a BOARD."
    ),
]
Duration = Annotated[float | None, typer.Option(min=0.0, help="Stop after so many seconds.")]
UntilEof = Annotated[
    bool,
    typer.Option("--until-eof", hidden=True, help="End with stdin, and so with its other end."),
]
Pins = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        help="Print what a probe would read on the boards' pins: at once when a switch or the fan "
        "changes, and so often where anything else has.",
        min=0.01,
    ),
]


def emulate(
    boards: Boards = None,
    ticket_bits: TicketBits = 16,
    rate: Rate = None,
    fault: Fault = None,
    replay: Replay = None,
    chips: Chips = None,
    option: More = None,
    pins: Pins = None,
    duration: Duration = None,
    until_eof: UntilEof = False,
    json: rig_options.JsonText = False,
) -> None:
    """Emulate boards, for whoever has none.

    Each speaks its board's real bytes and really hashes, slowly, and reports more of its hashes
    than a real one. What to give to `sv2rig mine --device` is printed, with the path of each
    serial port (or the socket of a USB device). Ctrl-C ends it. With --json there is one line when
    all are plugged in, and one with what each has counted at the end; and with --pins one for each
    change of a board's pins.
    """
    import asyncio

    from sv2rig.emulation.announce import AnnounceError
    from sv2rig.emulation.scan import compile_now

    if not boards:
        _list(json)
        return
    more = _more(option, chips)
    kinds = [_kind(name) for name in boards]
    _refuse_unknown(more, kinds)
    known, plans = _known(replay), _plans(fault)
    compile_now()
    made = [(kind, _make(kind, (ticket_bits, rate), known, plans, more)) for kind in kinds]
    try:
        asyncio.run(_serve(made, plans, _Run(duration, until_eof, pins, json)))
    except (AnnounceError, OSError) as error:
        raise UserError(str(error)) from error


@dataclass(frozen=True, slots=True)
class _Run:
    """How long, and how to tell about it."""

    duration_s: float | None
    until_eof: bool
    pins_every_s: float | None
    json: bool


async def _serve(
    boards: Sequence[tuple[EmulatorKind, Emulator]], plans: Sequence[FaultPlan], run: _Run
) -> None:
    import asyncio

    from sv2rig.cli.signals import stop_requested
    from sv2rig.devices.sighting import emulated_folder
    from sv2rig.emulation.bus import Bus

    stop = stop_requested()
    if run.until_eof:
        asyncio.get_running_loop().add_reader(sys.stdin, _set_at_eof, stop)
    with Bus(emulated_folder(os.environ, os.geteuid())) as bus:
        for kind, board in boards:
            bus.add(board, kind.name, plans)
        _tell(bus, run.json)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(run.duration_s):
                await _until(stop, bus, run)
        _sum_up(bus, run.json)


async def _until(stop: asyncio.Event, bus: Bus, run: _Run) -> None:
    """Wait, and tell of the pins meanwhile."""
    import asyncio

    pins = _Pins(run.json)
    if run.pins_every_s is not None:
        bus.on_served = pins.look_at_switches
    while not stop.is_set():
        if run.pins_every_s is not None:
            for board in bus.boards:
                pins.look(board)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(run.pins_every_s):
                await stop.wait()


class _Pins:
    """What the boards' pins were when last told of. A host may hold a reset for milliseconds only,
    so switches are looked at whenever a board has been served."""

    def __init__(self, json: bool) -> None:
        self._json = json
        self._told: dict[str, dict[str, float]] = {}

    def look(self, board: ServedBoard) -> None:
        self._tell_unless_known(board, board.board.pins().keys())

    def look_at_switches(self, board: ServedBoard) -> None:
        self._tell_unless_known(board, SWITCHES)

    def _tell_unless_known(self, board: ServedBoard, watched: Collection[str]) -> None:
        name = board.name.text
        pins = {pin: round(value, 3) for pin, value in board.board.pins().items()}
        told = self._told.get(name, {})
        if all(told.get(pin) == pins.get(pin) for pin in watched):
            return
        self._told[name] = pins
        if self._json:
            print_json({"board": name, "pins": pins})
        else:
            print_text(f"{name}: " + ", ".join(f"{pin} {value:g}" for pin, value in pins.items()))


def _set_at_eof(stop: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        stop.set()


def _list(json: bool) -> None:
    from sv2rig.emulation.kinds import board_names

    kinds = [_kind(name) for name in board_names()]
    if json:
        print_json(
            {"boards": [{"name": k.name, "help": k.help, "options": dict(k.more)} for k in kinds]}
        )
        return
    for kind in kinds:
        print_text(f"{kind.name:12} {kind.help}")
        for name, meaning in kind.more.items():
            print_text(f"{'':12}   --option {name}=...  {meaning}")


def _kind(name: str) -> EmulatorKind:
    from sv2rig.emulation.kinds import UnknownBoardError, find_kind

    try:
        return find_kind(name)
    except UnknownBoardError as error:
        raise UserError(str(error)) from error


def _make(
    kind: EmulatorKind,
    pace: tuple[int, float | None],
    known: Sequence[KnownAnswer],
    plans: Sequence[FaultPlan],
    more: Mapping[str, str],
) -> Emulator:
    from sv2rig.emulation.emulator import EmulatorOptions
    from sv2rig.emulation.faults import FaultyBoard, WrongNonces
    from sv2rig.emulation.usb_device import UsbBoard
    from sv2rig.emulation.usb_faults import FaultyUsb

    own = {name: value for name, value in more.items() if name in kind.more}
    try:
        board = kind.make(EmulatorOptions(*pace, known, WrongNonces(plans), own))
    except ValueError as error:
        raise UserError(f"{kind.name}: {error}") from error
    if not any(plan.on_bytes for plan in plans):
        return board
    try:
        return FaultyUsb(board, plans) if isinstance(board, UsbBoard) else FaultyBoard(board, plans)
    except ValueError as error:
        raise UserError(f"--fault: {error}") from error


def _plans(faults: Sequence[str] | None) -> list[FaultPlan]:
    from sv2rig.emulation.faults import parse_fault

    try:
        return [parse_fault(text) for text in faults or ()]
    except ValueError as error:
        raise UserError(f"--fault: {error}") from error


def _known(replay: Path | None) -> list[KnownAnswer]:
    from sv2rig.emulation.search import KnownAnswer

    if replay is None:
        return []
    try:
        lines = [line.partition("#")[0].strip() for line in replay.read_text().splitlines()]
        return [KnownAnswer(bytes.fromhex(line)) for line in lines if line]
    except (OSError, ValueError) as error:
        raise UserError(f"--replay {replay}: {error}") from error


def _more(options: Sequence[str] | None, chips: int | None) -> dict[str, str]:
    more = {} if chips is None else {"chips": str(chips)}
    for text in options or ():
        name, separator, value = text.partition("=")
        if not separator:
            raise UserError(f"--option {text!r}: NAME=VALUE is wanted")
        more[name] = value
    return more


def _refuse_unknown(more: Mapping[str, str], kinds: Sequence[EmulatorKind]) -> None:
    for name in more:
        if not any(name in kind.more for kind in kinds):
            boards = ", ".join(kind.name for kind in kinds)
            raise UserError(f"no option {name!r} is known to {boards}")


def _device(board: ServedBoard) -> str:
    """What --device takes."""
    where = f"usb:emulated:{board.name.text}" if board.on_usb else f"serial:{board.paths[0]}"
    options = {"driver": board.board.identity.driver, **board.files}
    return f"{where}?{urlencode(options, safe='/')}"


def _tell(bus: Bus, json: bool) -> None:
    from sv2rig.units import hashrate

    if json:
        print_json({"boards": [_told(board) for board in bus.boards]})
        return
    for board in bus.boards:
        claims = board.board.claims
        replay = ", REPLAY" if claims.replay else ""
        rate = hashrate(claims.rate_hs)
        print_text(f"{board.name.text}: {rate}, ticket of {claims.ticket_bits} bits{replay}")
        for name, path in zip(board.board.ports, board.paths, strict=True):
            print_text(f"  {name:10} {path}")
        print_text(f"  sv2rig mine URL --user NAME --device {shlex.quote(_device(board))}")


def _told(board: ServedBoard) -> dict[str, Any]:
    claims = board.board.claims
    return {
        "name": board.name.text,
        "driver": board.board.identity.driver,
        "device": _device(board),
        "ports": dict(zip(board.board.ports, map(str, board.paths), strict=True)),
        "ticket_bits": claims.ticket_bits,
        "rate_hs": claims.rate_hs,
        "replay": claims.replay,
    }


def _sum_up(bus: Bus, json: bool) -> None:
    """What each board's own ledger says at the end."""
    ledgers = {
        board.name.text: {
            "hashes": ledger.hashes,
            "works_received": ledger.works_received,
            "works_damaged": ledger.works_damaged,
            "replies_sent": ledger.replies_sent,
            "replies_damaged": ledger.replies_damaged,
            "replies_wrong": ledger.replies_wrong,
        }
        for board in bus.boards
        for ledger in [board.board.wires.ledger]
    }
    if json:
        print_json({"ledgers": ledgers})
        return
    for name, counts in ledgers.items():
        told = ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in counts.items())
        print_text(f"{name}: {told}")
