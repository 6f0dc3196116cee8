"""`sv2rig udev`: the rules that let people and daemons use boards, and keep others off them."""

from __future__ import annotations

import enum
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from sv2rig.boards.groups import BOARD_GROUPS, Membership, membership
from sv2rig.boards.udev_files import RULES, SHIPPED, State, install_files, state
from sv2rig.boards.usb_events import udev_runs
from sv2rig.cli import rig_options
from sv2rig.cli.output import EXIT_FAILED, UserError, print_json, print_text

Root = Annotated[
    Path, typer.Option(help="The folder that stands for /, to make a package or to try it out.")
]

_REMEDIES = {
    State.CURRENT: "",
    State.DIFFERS: ": not what this version ships; `sv2rig udev install` as root replaces it",
    State.MISSING: ": `sv2rig udev install` as root writes it",
}
_NEXT = (
    "for a rig that starts with the machine: sv2rig init -o /etc/sv2rig/rig.toml, then systemctl "
    "enable --now sv2rig"
)
_AFTERWARDS = (
    ("systemd-sysusers", "sv2rig.conf"),
    ("systemctl", "daemon-reload"),
    ("udevadm", "control", "--reload"),
    ("udevadm", "trigger", "--action=add", "--subsystem-match=usb", "--subsystem-match=usb-serial"),
    ("udevadm", "trigger", "--action=add", "--subsystem-match=tty"),
)


class Part(enum.StrEnum):
    RULES = "rules"
    UNIT = "unit"
    USER = "user"


def install(root: Root = Path("/"), json: rig_options.JsonText = False) -> None:
    """Install the udev rules and a systemd unit.

    Nothing is started. The rules give you the boards, tell ModemManager to leave them alone and
    keep them awake.
    """
    try:
        written = install_files(_program(), root)
    except PermissionError as error:
        again = f"sudo {_program()} udev install"
        raise UserError(f"{error.filename}: only root may write there: {again}") from error
    except OSError as error:
        raise UserError(f"{error.filename}: {error.strerror}", EXIT_FAILED) from error
    remarks = _afterwards() if root == Path("/") else []
    if json:
        print_json({"written": [str(path) for path in written], "remarks": remarks})
        return
    for path in written:
        print_text(f"wrote {path}")
    for remark in remarks:
        print_text(remark)
    print_text(_NEXT)


def print_(
    part: Annotated[Part, typer.Argument(help="rules, unit or user.")] = Part.RULES,
    json: rig_options.JsonText = False,
) -> None:
    """Print a file that `install` would write: the rules, the unit or the user."""
    texts = {shipped.name: shipped.text(_program()) for shipped in SHIPPED}
    if json:
        print_json(texts)
    else:
        sys.stdout.write(texts[part])


def check(root: Root = Path("/"), json: rig_options.JsonText = False) -> None:
    """Say whether rules, udev and groups are as they should be.

    Status 1 if not. Groups matter to daemons and over ssh; at the machine itself the rules suffice.
    """
    states = {shipped.name: state(shipped, _program(), root) for shipped in SHIPPED}
    groups = {group: membership(group) for group in BOARD_GROUPS}
    good = states[RULES.name][0] is State.CURRENT and udev_runs(root)
    if json:
        print_json(
            {
                "ok": good,
                "udev_runs": udev_runs(root),
                "files": {
                    name: {"state": found.value, "path": str(path)}
                    for name, (found, path) in states.items()
                },
                "groups": {group: found.value for group, found in groups.items()},
            }
        )
    else:
        for name, (found, path) in states.items():
            print_text(f"{name:8} {found.value:8} {path}{_REMEDIES[found]}")
        print_text(
            f"udev     {'runs' if udev_runs(root) else 'does not run: boards are polled for'}"
        )
        for group, member in groups.items():
            way = f": sudo usermod -aG {group} $USER" if member is Membership.NO_MEMBER else ""
            print_text(f"{group:8} {member.value}{way}")
    if not good:
        raise typer.Exit(EXIT_FAILED)


def _program() -> str:
    """The script that is running, which the unit is to start."""
    found = shutil.which(sys.argv[0])
    return str(Path(found).resolve()) if found else "/usr/bin/sv2rig"


def _afterwards() -> list[str]:
    """Make it take effect now; what cannot be done here is said."""
    remarks = []
    for command in _AFTERWARDS:
        if shutil.which(command[0]) is None:
            remarks.append(f"{command[0]} is not here: {' '.join(command)} is left to you")
            continue
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[0]
            remarks.append(f"{' '.join(command)} failed: {reason}")
    return remarks
