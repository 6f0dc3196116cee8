"""Our udev rules, systemd unit and its user: where they go, and whether they are there."""

from __future__ import annotations

import enum
import os
import tempfile
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Shipped:
    """A file of ours. udev and systemd look in `folders` in this order; the first one counts."""

    name: str
    resource: str
    target: str
    folders: tuple[str, ...]

    def text(self, program: str) -> str:
        """As it is installed: `program` is what the unit starts."""
        shipped = (files("sv2rig.udev") / self.resource).read_text(encoding="utf-8")
        return shipped.replace("@SV2RIG@", program)


RULES = Shipped(
    "rules",
    "70-sv2rig.rules",
    "70-sv2rig.rules",
    (
        "etc/udev/rules.d",
        "run/udev/rules.d",
        "usr/local/lib/udev/rules.d",
        "usr/lib/udev/rules.d",
        "lib/udev/rules.d",
    ),
)
UNIT = Shipped(
    "unit",
    "sv2rig.service",
    "sv2rig.service",
    ("etc/systemd/system", "run/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"),
)
USER = Shipped(
    "user",
    "sv2rig.sysusers",
    "sv2rig.conf",
    ("etc/sysusers.d", "run/sysusers.d", "usr/lib/sysusers.d"),
)
SHIPPED = (RULES, UNIT, USER)


class State(enum.Enum):
    CURRENT = "current"
    DIFFERS = "differs"
    MISSING = "missing"


def state(shipped: Shipped, program: str, root: Path = Path("/")) -> tuple[State, Path]:
    """Whether what counts under `root` is what this version ships, and which file that is."""
    for folder in shipped.folders:
        path = root / folder / shipped.target
        if path.exists():
            same = path.read_bytes() == shipped.text(program).encode()
            return (State.CURRENT if same else State.DIFFERS), path
    return State.MISSING, root / shipped.folders[0] / shipped.target


def install_files(program: str, root: Path = Path("/")) -> tuple[Path, ...]:
    """Write all of them under `root`, each whole or not at all. Raises OSError."""
    written = []
    for shipped in SHIPPED:
        path = root / shipped.folders[0] / shipped.target
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, shipped.text(program))
        written.append(path)
    return tuple(written)


def _write(path: Path, text: str) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(file.fileno(), 0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink()
        raise
