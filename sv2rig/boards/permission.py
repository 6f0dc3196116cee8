"""Whether this user may open a device node, and what to do about it."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from pathlib import Path

INSTALL = "`sudo sv2rig udev install` and plug the board in again"


def why_not_permitted(path: str, real: Path) -> str | None:
    """None where it may be read and written. `real` is the node that `path` leads to."""
    try:
        status = real.stat()
    except FileNotFoundError:
        return (
            f"{path} does not exist here: in a container, pass the device in; else wait a second "
            "for udev, or plug the board in again"
        )
    except OSError as error:
        return f"{path} cannot be looked at: {error.strerror}"
    if os.access(real, os.R_OK | os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        return None
    return f"you ({_user()}) may not open {path}: {_way_out(status)}"


def _way_out(status: os.stat_result) -> str:
    group = _group(status.st_gid)
    for_group = stat.S_IRGRP | stat.S_IWGRP
    if status.st_mode & for_group != for_group or status.st_gid == 0:
        return f"it belongs to root alone; {INSTALL}"
    if _listed(status.st_gid):
        return f"you are in its group {group}, but since after this login: log out and in again"
    return (
        f"it belongs to group {group}, and you are not in it: `sudo usermod -aG {group} {_user()}` "
        f"and log in again, or {INSTALL}"
    )


def _listed(gid: int) -> bool:
    """Whether the user database has us in the group, though this process is not."""
    try:
        return _user() in grp.getgrgid(gid).gr_mem
    except KeyError:
        return False


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
