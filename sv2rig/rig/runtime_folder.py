"""Where running programs of this user meet: a folder that nobody else can enter."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path


class RuntimeFolderError(Exception):
    """The folder cannot be had, or others may write to it."""


def runtime_folder(environment: Mapping[str, str], uid: int) -> Path:
    """$XDG_RUNTIME_DIR/sv2rig, or in /tmp where there is no such variable."""
    runtime = environment.get("XDG_RUNTIME_DIR")
    return Path(runtime) / "sv2rig" if runtime else Path(f"/tmp/sv2rig-{uid}")


def make_private(folder: Path) -> None:
    """Makes the folder if need be; RuntimeFolderError unless it is this user's alone."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise RuntimeFolderError(f"{folder}: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise RuntimeFolderError(f"{folder} is not this user's alone (it should be mode 0700)")
