"""What changes between two configurations, and what of it needs a restart: for a reload."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import SecretStr

from sv2rig.rig.config import HIDDEN, Loaded, leaves
from sv2rig.rig.config_keys import dotted, find
from sv2rig.rig.config_model import RigConfig
from sv2rig.rig.config_show import shown_command
from sv2rig.rig.config_text import KeyPath

Applies = Literal["now", "restart"]


@dataclass(frozen=True, slots=True)
class Change:
    """A key whose value changes. None: not set. Secrets are hidden, also where both are there.
    `path` names a pool by its name, not by its place."""

    path: str
    old: Any
    new: Any
    applies: Applies

    def __str__(self) -> str:
        when = "" if self.applies == "now" else ", after a restart"
        return f"{self.path}: {_words(self.old)} -> {_words(self.new)}{when}"


def changes(old: Loaded, new: Loaded) -> list[Change]:
    """As diff, with the users that are no secret shown."""
    hidden, known = set(), set()
    for loaded in (old, new):
        for number, pool in enumerate(loaded.config.pools):
            known.add(pool.name)
            if loaded.shown_user(number) == HIDDEN:
                hidden.add(pool.name)
    return diff(old.config, new.config, known - hidden)


def waiting_changes(started: Loaded, now: Loaded) -> list[Change]:
    """What comes into force with a restart only."""
    return [change for change in changes(started, now) if change.applies == "restart"]


def diff(old: RigConfig, new: RigConfig, public: Collection[str] = ()) -> list[Change]:
    """Every key that changes, in the file's order; pools that come, go or change places. `public`:
    the pools whose user may be shown."""
    before, after = _by_name(old), _by_name(new)
    found = []
    for path in dict.fromkeys([*before, *after]):
        was, now = before.get(path), after.get(path)
        if was != now:
            applies = _applies(path)
            old_shown, new_shown = _shown(path, was, public), _shown(path, now, public)
            found.append(Change(dotted(path), old_shown, new_shown, applies))
    order, new_order = _order(old, new), _order(new, old)
    if order != new_order:
        found.append(Change("pools", order, new_order, "now"))
    return found


def _by_name(config: RigConfig) -> dict[KeyPath, Any]:
    values: dict[KeyPath, Any] = {}
    for path, value in leaves(config):
        if path[0] == "pools":
            name = config.pools[int(path[1])].name
            if path[2] != "name":
                values["pools", name, *path[2:]] = value
        else:
            values[path] = value
    return values


def _order(config: RigConfig, other: RigConfig) -> tuple[str, ...]:
    """The names of those that both have."""
    theirs = {pool.name for pool in other.pools}
    return tuple(pool.name for pool in config.pools if pool.name in theirs)


def _applies(path: KeyPath) -> Applies:
    as_key: KeyPath = ("pools", 0, *path[2:]) if path[0] == "pools" else path
    key = find(as_key)
    return "restart" if key is not None and key.restart else "now"


def _shown(path: KeyPath, value: Any, public: Collection[str]) -> Any:
    if isinstance(value, SecretStr):
        is_public = path[0] == "pools" and path[1] in public
        return value.get_secret_value() if is_public else HIDDEN
    return tuple(shown_command(value)) if path == ("hooks", "command") and value else value


def _words(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, tuple):
        return ", ".join(str(part) for part in value) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
