"""Records of tuned boards on disk, one file each: a search outlives the rig that began it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import msgspec


class _Record(msgspec.Struct):
    """sv2rig.boards.tuning_run.TuningRun.record, as far as it is read without a Tuner."""

    goal: str
    limits: dict[str, float]
    state: dict[str, object]
    done: bool
    active: bool
    chosen_mhz: float | None = None


class TuningRecords:
    """A folder that is made when the first record is kept. `trouble` is told what cannot be read
    or written, by device id; the board mines without."""

    def __init__(self, folder: Path, trouble: Callable[[str, str], None]) -> None:
        self._folder = folder
        self._trouble = trouble

    def load(self, device_id: str) -> dict[str, object] | None:
        """None where there is none."""
        path = self._path(device_id)
        try:
            return msgspec.structs.asdict(msgspec.json.decode(path.read_bytes(), type=_Record))
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            self._trouble(device_id, f"its tuning cannot be read from {path}: {error}")
            return None

    def keep(self, device_id: str, record: dict[str, object]) -> None:
        path = self._path(device_id)
        new = path.with_suffix(".new")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            new.write_bytes(msgspec.json.encode(record))
            new.replace(path)
        except OSError as error:
            self._trouble(device_id, f"its tuning cannot be kept in {path}: {error}")

    def _path(self, device_id: str) -> Path:
        return self._folder / f"{quote(device_id, safe='')}.json"
