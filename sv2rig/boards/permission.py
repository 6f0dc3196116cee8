"""Whether this user may open a device node, and what to do about it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from sv2rig.boards.groups import Membership, group_name, membership, user_name

INSTALL = "run `sv2rig udev install` as root and plug the board in again"


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
    return f"you ({user_name()}) may not open {path}: {_way_out(status)}"


def _way_out(status: os.stat_result) -> str:
    group = group_name(status.st_gid)
    for_group = stat.S_IRGRP | stat.S_IWGRP
    if status.st_mode & for_group != for_group or status.st_gid == 0:
        return f"it belongs to root alone; {INSTALL}"
    if membership(group) is Membership.AFTER_LOGIN:
        return f"you are in its group {group}, but since after this login: log out and in again"
    return (
        f"it belongs to group {group}, and you are not in it: `sudo usermod -aG {group} "
        f"{user_name()}` and log in again, or {INSTALL}"
    )
