"""What is wrong with a configuration: where, what was found, what is wanted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from sv2rig.rig.config_keys import dotted, find, no_such_key
from sv2rig.rig.config_text import KeyPath, quoted

MISSING_FILE = "there is no configuration"
SECRET_KEYS = frozenset({"token", "user"})
_SHAPES = {dict: "a table", list: "a list", tuple: "a list", bool: "", int: "", float: ""}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to mend, or with `is_note` to know. `origin`: file:line, or the environment
    variable; `key`: its path in words, "" where the file as a whole is meant."""

    origin: str
    key: str
    text: str
    is_note: bool = False

    def __str__(self) -> str:
        return ": ".join(part for part in (self.origin, self.key, self.text) if part)


class ConfigError(Exception):
    """The configuration cannot be used; a line a finding."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(in_order(findings))
        super().__init__("\n".join(str(finding) for finding in self.findings))


class ConfigMissingError(ConfigError):
    """There is none; says where one was looked for, and how to make one."""

    def __init__(self, paths: Sequence[Path]) -> None:
        places = ", ".join(str(path) for path in paths)
        words = (
            f"{MISSING_FILE}: no pool and no user is known. Looked for: {places}. `sv2rig init` "
            "writes a configuration; -c FILE or SV2RIG_CONFIG names one that is elsewhere"
        )
        super().__init__([Finding("", "", words)])
        self.paths = tuple(paths)


class Origins:
    """Where each key's value came from."""

    def __init__(self, path: Path | None, lines: Mapping[KeyPath, int]) -> None:
        self._path = path
        self._lines = lines
        self._variables: dict[KeyPath, str] = {}
        self._moved: dict[KeyPath, KeyPath] = {}

    def from_variable(self, path: KeyPath, name: str) -> None:
        """The environment variable says what stands here and below."""
        self._variables[path] = f"environment variable {name}"

    def moved(self, path: KeyPath, source: KeyPath) -> None:
        """What stands here was written there."""
        self._moved[path] = source

    def written(self, path: KeyPath) -> KeyPath:
        """The key as the user wrote it."""
        return self._moved.get(path, path)

    def of(self, path: KeyPath) -> str:
        """file:line, the variable, or "default"."""
        for size in range(len(path), 0, -1):
            if path[:size] in self._variables:
                return self._variables[path[:size]]
        line = self._lines.get(self.written(path))
        return "default" if line is None else f"{self._path}:{line}"

    def near(self, path: KeyPath) -> str:
        """For an error: where the key is, or where the table is in which it is missing."""
        for size in range(len(path), 0, -1):
            origin = self.of(path[:size])
            if origin != "default":
                return origin
        return "" if self._path is None else str(self._path)


def findings_of(error: ValidationError, origins: Origins) -> list[Finding]:
    """What pydantic found, in this program's words."""
    found = []
    for detail in error.errors(include_url=False):
        if detail["type"] == "default_factory_not_called":  # follows from another finding
            continue
        path: KeyPath = detail["loc"]
        if detail["type"] == "at_key":
            path = (*path, detail["ctx"]["key"])
        shown = dotted(origins.written(path))
        found.append(Finding(origins.near(path), shown, _words(detail, path)))
    return found


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """By line; variables behind them."""

    def place(finding: Finding) -> tuple[bool, int]:
        line = finding.origin.rpartition(":")[2]
        return (not line.isdigit(), int(line) if line.isdigit() else 0)

    return sorted(findings, key=place)


def _words(detail: ErrorDetails, path: KeyPath) -> str:
    context: dict[str, Any] = detail.get("ctx") or {}
    match detail["type"]:
        case "at_key":
            return str(context["words"])
        case "value_error":
            return str(context["error"])
        case "extra_forbidden":
            return no_such_key(path)
        case "missing":
            key = find(path)
            return "is missing" if key is None else f"is missing: {key.help}"
        case _:
            return f"found {found_words(detail['input'], path)}, wanted {_wanted(path)}"


def _wanted(path: KeyPath) -> str:
    key = find(path)
    if key is not None:
        return key.wanted_element if isinstance(path[-1], int) else key.wanted
    return "tables, each headed [[pools]]" if path == ("pools",) else "a table"


def found_words(value: Any, path: Iterable[str | int]) -> str:
    """A value for an error; what may be a secret is not repeated."""
    if isinstance(value, (dict, list, tuple)):
        return _SHAPES[type(value)]
    if not SECRET_KEYS.isdisjoint(path):
        return "something else"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"{quoted(value)} (text)"
    return str(value)
