"""Whether this process is in the groups that own serial ports and USB devices."""

from __future__ import annotations

import enum
import grp
import os
import pwd

BOARD_GROUPS = ("dialout", "plugdev")  # ttys; USB devices, by our rules


class Membership(enum.Enum):
    MEMBER = "member"
    AFTER_LOGIN = "member after the next login"
    NO_MEMBER = "not a member"
    NO_GROUP = "no such group"


def membership(group: str) -> Membership:
    """Of the user that runs this process."""
    try:
        entry = grp.getgrnam(group)
    except KeyError:
        return Membership.NO_GROUP
    if entry.gr_gid in (*os.getgroups(), os.getegid()):
        return Membership.MEMBER
    return Membership.AFTER_LOGIN if user_name() in entry.gr_mem else Membership.NO_MEMBER


def group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def user_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
