"""Found blocks that the user has seen: what was dismissed stays so when the screen comes again."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

from sv2rig.rig.snapshot import RigSnapshot
from sv2rig.tui.watch import blocks_of

_SAME_START_S = 60.0  # clocks are set; a rig without a store counts anew with each start


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
        if seen is None:
            return 0
        counts_anew = abs(seen.started - _started(rig)) > _SAME_START_S and rig.lifetime is None
        return 0 if counts_anew else min(seen.blocks, blocks_of(rig))

    def keep(self, rig: RigSnapshot) -> None:
        """The user has seen them all."""
        known = {**self._read(), rig.name: _Seen(_started(rig), blocks_of(rig))}
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
