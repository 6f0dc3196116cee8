"""Which boards can be emulated: the entry points of the group `sv2rig.emulators`."""

from __future__ import annotations

from importlib.metadata import entry_points

from sv2rig.emulation.emulator import EmulatorKind

GROUP = "sv2rig.emulators"


class UnknownBoardError(LookupError):
    """No emulator has this name; the text names those there are."""


def board_names() -> list[str]:
    """Every emulated board's name, in order."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def find_kind(name: str) -> EmulatorKind:
    """The emulator of this name; UnknownBoardError where there is none."""
    for point in entry_points(group=GROUP, name=name):
        kind = point.load()
        if isinstance(kind, EmulatorKind):
            return kind
        raise UnknownBoardError(f"{point.value} of {GROUP} is no EmulatorKind")
    raise UnknownBoardError(
        f"there is no emulated board {name!r}; there are: {', '.join(board_names()) or 'none'}"
    )
