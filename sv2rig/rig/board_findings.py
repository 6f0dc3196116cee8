"""Boards that are plugged in, and what stands between them and this user."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from sv2rig.boards.groups import BOARD_GROUPS, Membership, membership
from sv2rig.boards.port_state import Obstacle
from sv2rig.boards.udev_files import RULES, State, state
from sv2rig.boards.usb_events import udev_runs
from sv2rig.rig.finding import Finding, Level
from sv2rig.rig.port_listing import ListedPort

_INSTALL = "sudo sv2rig udev install"


def rules(root: Path = Path("/")) -> Iterator[Finding]:
    """Our udev rules, udev itself, and the groups that ports belong to."""
    found, path = state(RULES, "sv2rig", root)
    if found is State.MISSING:
        text = f"{path} is not there: boards may belong to root alone, ModemManager may take them"
        yield Finding("udev", Level.WARNING, text, _INSTALL)
    elif found is State.DIFFERS:
        text = f"{path} is not what this version ships"
        yield Finding("udev", Level.WARNING, text, _INSTALL)
    else:
        yield Finding("udev", Level.OK, f"{path} is this version's")
    if not udev_runs(root):
        text = "udev does not run: boards are looked for every 2 s instead"
        yield Finding("udev", Level.NOTE, text)
    for group in BOARD_GROUPS:
        if membership(group) is Membership.NO_MEMBER:
            text = f"you are not in {group}, which matters over ssh and to daemons"
            yield Finding("groups", Level.NOTE, text, f"sudo usermod -aG {group} $USER")
        elif membership(group) is Membership.AFTER_LOGIN:
            text = f"you are in {group} since after this login"
            yield Finding("groups", Level.NOTE, text, "log out and in again")


def boards(listed: Sequence[ListedPort], rigs: Collection[int] = ()) -> Iterator[Finding]:
    """Each board or port that may be one, and why it is or is not used. `rigs`: the processes that
    are running rigs of ours."""
    if not listed:
        yield Finding("boards", Level.NOTE, "no board is plugged in")
    for port in listed:
        name = f"{port.name} ({port.title})"
        if (rig := _in_use_by(port, rigs)) is not None:
            yield Finding("boards", Level.OK, f"{name}: in use by a rig (pid {rig})")
            continue
        for problem in port.problems:
            words, _, way = problem.text.partition(": ")
            level = Level.ERROR if problem.blocks else Level.WARNING
            yield Finding("boards", level, f"{name}: {words}", way)
        if not any(problem.blocks for problem in port.problems):
            yield Finding("boards", Level.OK, f"{name}: {port.state}; {port.choice.reason}")


def _in_use_by(port: ListedPort, rigs: Collection[int]) -> int | None:
    """The running rig that has it, where that is all that stands in the way."""
    blocking = [problem for problem in port.problems if problem.blocks]
    if any(problem.obstacle is not Obstacle.BUSY for problem in blocking):
        return None
    pids = {holder.pid for problem in blocking for holder in problem.holders}
    return min(pids) if pids and pids <= set(rigs) else None
