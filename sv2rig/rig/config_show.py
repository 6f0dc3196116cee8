"""The configuration as people and programs are shown it: as TOML, as JSON, without secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from sv2rig.rig.config import HIDDEN, Loaded, leaves
from sv2rig.rig.config_keys import dotted
from sv2rig.rig.config_text import KeyPath, quoted

_ADDRESS = re.compile(r"(\w[\w+.-]*://)(?:[^/\s?#]*@)?([^/\s?#]+)[/?#][^\s\"']*")


def shown(loaded: Loaded) -> dict[KeyPath, Any]:
    """Every key's effective value, secrets hidden; None where it is not set."""
    values: dict[KeyPath, Any] = {}
    for path, value in leaves(loaded.config):
        values[path] = _plain(path, value, loaded)
    return values


def _plain(path: KeyPath, value: Any, loaded: Loaded) -> Any:
    if isinstance(value, SecretStr):
        return loaded.shown_user(int(path[1])) if path[0] == "pools" else HIDDEN
    if isinstance(value, Path):
        return str(value)
    if path == ("hooks", "command"):
        return shown_command(value)
    if isinstance(value, (tuple, list)):
        return list(value)
    return value


def shown_command(command: Sequence[str]) -> list[str]:
    """A hook's command as it may be shown: of an address no more than its host, since what follows
    is what lets one post there."""
    return [_ADDRESS.sub(rf"\1\2/{HIDDEN}", word) for word in command]


def nested(values: Mapping[KeyPath, Any]) -> dict[str, Any]:
    """The values as tables in tables."""
    result: dict[str, Any] = {}
    for path, value in values.items():
        here: Any = result
        for part, following in pairwise(path):
            empty: Any = [] if isinstance(following, int) else {}
            if isinstance(part, str):
                here = here.setdefault(part, empty)
            else:
                if part == len(here):
                    here.append(empty)
                here = here[part]
        here[path[-1]] = value
    return result


def toml(values: Mapping[KeyPath, Any], remarks: Mapping[str, str] | None = None) -> str:
    """The values as a TOML text, each with its remark; those that are not set are comments."""
    lines: list[str] = []
    table: KeyPath = ()
    for path, value in sorted(values.items(), key=lambda item: len(item[0]) > 1):
        if path[:-1] != table:
            table = path[:-1]
            lines += ["", _header(table)]
        name = dotted(path[-1:])
        line = f"# {name} is not set" if value is None else f"{name} = {literal(value)}"
        if remarks is not None:
            line += f"  # {remarks[dotted(path)]}"
        lines.append(line)
    return "\n".join(lines) + "\n"


def _header(table: KeyPath) -> str:
    name = dotted([part for part in table if isinstance(part, str)])
    return f"[[{name}]]" if isinstance(table[-1], int) else f"[{name}]"


def literal(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(literal(part) for part in value)}]"
    return quoted(str(value))


def schema() -> dict[str, Any]:
    """The JSON schema (2020-12) of the file."""
    from sv2rig.rig.config_model import RigConfig

    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **RigConfig.model_json_schema(),
    }


def tables(config: BaseModel) -> dict[KeyPath, Any]:
    """Every key with its value as it is, secrets included: for a file that is written."""
    return {
        path: value.get_secret_value() if isinstance(value, SecretStr) else value
        for path, value in leaves(config)
    }
