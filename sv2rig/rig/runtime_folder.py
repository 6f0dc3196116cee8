"""Where a rig and the programs that talk to it meet."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from sv2rig.devices.sighting import runtime_folder as runtime_folder


class RuntimeFolderError(Exception):
    """The folder cannot be had, or others may write to it."""


def service_folder(environment: Mapping[str, str]) -> Path | None:
    """Where a service has its socket, which others of its group use too: $RUNTIME_DIRECTORY
    (systemd)."""
    given = environment.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return Path(given) if given else None


def make_private(folder: Path) -> None:
    """Makes the folder if need be; RuntimeFolderError unless it is this user's alone."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise RuntimeFolderError(f"{folder}: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise RuntimeFolderError(f"{folder} is not this user's alone (it should be mode 0700)")
