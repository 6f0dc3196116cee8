"""Which of the rigs that run on this machine is meant."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from pathlib import Path

from sv2rig.cli.output import EXIT_FAILED, UserError
from sv2rig.rig.runtime_folder import runtime_folder

SERVICE_FOLDER = Path("/run/sv2rig")
CONNECT_TIMEOUT_S = 5.0


def find_rig(name: str | None) -> Path:
    """The socket of the one that runs, or of the one of this name. UserError."""
    folders = (runtime_folder(os.environ, os.getuid()), SERVICE_FOLDER)
    refused: list[Path] = []
    rigs = running_rigs(folders, refused)
    if not rigs:
        looked = ", ".join(str(folder / "rig-*.sock") for folder in folders)
        closed = "".join(f"; {path} may not be opened by this user" for path in refused)
        raise UserError(
            f"no rig that you may watch runs here (looked for {looked}{closed}): start one with "
            "`sv2rig mine` or `sv2rig run`, or name its socket with --socket",
            EXIT_FAILED,
        )
    if name is None and len(rigs) > 1:
        raise UserError(f"several rigs run here: choose with --rig: {', '.join(rigs)}")
    name = next(iter(rigs)) if name is None else name
    if name not in rigs:
        raise UserError(f"no rig {name} runs here; there is: {', '.join(rigs)}", EXIT_FAILED)
    return rigs[name]


def running_rigs(folders: Iterable[Path], refused: list[Path]) -> dict[str, Path]:
    """Sockets of rigs that answer, by name; what a dead one left is not among them."""
    rigs: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.glob("rig-*.sock")):
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(CONNECT_TIMEOUT_S)
                try:
                    probe.connect(str(path))
                except PermissionError:
                    refused.append(path)
                    continue
                except OSError:
                    continue
            rigs.setdefault(path.name.removeprefix("rig-").removesuffix(".sock"), path)
    return rigs
