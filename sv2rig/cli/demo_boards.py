"""The emulated boards of `sv2rig demo`, in a process of their own that ends with the demo."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from sv2rig.devices.sighting import emulated_folder

_HOW = ("--json", "--until-eof")
_END_S = 3.0
# Under 50 °C a board need not be cooled before the demo may end: so in a cool room, at this.
_ROOM = {"bitaxe_raw": ("--option", "ambient=12")}
_COOL = {"bitaxe_raw": "&fan_target_c=45"}


class NoBoardsError(Exception):
    """Their process ended at once; the text is what it said."""


class DemoBoards:
    """One emulated board of each name; use it as a context. Nobody else sees them: they announce
    themselves in `folder`, which is this demo's alone.

    Their process reads a pipe whose other end is ours: however we end, it ends with us. It has a
    session of its own, so that Ctrl-C stops the rig before its boards.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._runtime = Path()

    def __enter__(self) -> Self:
        self._runtime = Path(tempfile.mkdtemp(prefix="sv2rig-demo-"))
        environment = {**os.environ, "XDG_RUNTIME_DIR": str(self._runtime)}
        self.folder = emulated_folder(environment, os.geteuid())
        room = [word for name in self._names for word in _ROOM.get(name, ())]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "sv2rig", "emulate", *self._names, *room, *_HOW],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        return self

    def __exit__(self, *_exception: object) -> None:
        try:
            self._process.communicate(timeout=_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        finally:
            shutil.rmtree(self._runtime, ignore_errors=True)

    def devices(self) -> list[str]:
        """What --device takes for each, once all are there: this blocks for a second or two."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            said = self._log.read_text(errors="replace").strip().splitlines()
            raise NoBoardsError(said[-1] if said else f"status {self._process.returncode}")
        boards = json.loads(line)["boards"]
        return [board["device"] + _COOL.get(board["driver"], "") for board in boards]

    @property
    def _log(self) -> Path:
        return self._runtime / "emulate.log"
