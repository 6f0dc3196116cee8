"""Found blocks that the user has seen: what was dismissed stays so when the screen comes again."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

from sv2rig.rig.snapshot import RigSnapshot

_SAME_START_S = 60.0  # clocks are set; a rig that was started anew counts its blocks from 0


class _Seen(msgspec.Struct):
    started: float
    blocks: int


class Dismissed:
    """Kept in a file of this user, by the rig's name. Where it cannot be had the screen goes
    without: rather a block told twice than none."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def blocks(self, rig: RigSnapshot) -> int:
        """How many of this rig's blocks the user has seen."""
        seen = self._read().get(rig.name)
        if seen is None or abs(seen.started - _started(rig)) > _SAME_START_S:
            return 0
        return min(seen.blocks, rig.blocks_found)

    def keep(self, rig: RigSnapshot) -> None:
        """The user has seen them all."""
        known = {**self._read(), rig.name: _Seen(_started(rig), rig.blocks_found)}
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            new = self._path.with_suffix(".new")
            new.write_bytes(msgspec.json.encode(known))
            new.replace(self._path)

    def _read(self) -> dict[str, _Seen]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, _Seen])
        except (OSError, msgspec.MsgspecError):
            return {}


def _started(rig: RigSnapshot) -> float:
    return rig.time - rig.uptime_s
