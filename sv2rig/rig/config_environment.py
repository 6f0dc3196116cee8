"""Environment variables over the file: SV2RIG_POOLS__0__USER is user of the first [[pools]]."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, get_origin

from pydantic import TypeAdapter, ValidationError

from sv2rig.rig.config_errors import Finding, Origins, found_words
from sv2rig.rig.config_keys import KEYS, NUMBER, PREFIX, Key, dotted, find, names_in
from sv2rig.rig.config_text import KeyPath

CONFIG_VARIABLE = "SV2RIG_CONFIG"
# What a hook's command is told, and what the tests use: no keys.
_OTHERS = (CONFIG_VARIABLE, "SV2RIG_EVENT", "SV2RIG_UPDATE_GOLDEN")
_FAMILY = "SV2RIG_EVENT_"


def overlay(raw: dict[str, Any], environ: Mapping[str, str], origins: Origins) -> list[Finding]:
    """Put the environment's values into `raw`; what could not be put there."""
    found = []
    for name in sorted(environ, key=_in_order):
        if not name.startswith(PREFIX) or name in _OTHERS or name.startswith(_FAMILY):
            continue
        path = _path(name)
        key = find(path)
        if key is None or key.variable is None or len(key.path) != len(path):
            found.append(Finding(f"environment variable {name}", "", _no_such_variable(name)))
            continue
        try:
            value = _value(key, environ[name])
            _put(raw, path, value)
        except ValueError as error:
            found.append(Finding(f"environment variable {name}", dotted(path), str(error)))
        origins.from_variable(path, name)
    return found


def _in_order(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in name.split("__")]


def _path(name: str) -> KeyPath:
    parts = name.removeprefix(PREFIX).lower().split("__")
    return tuple(int(part) if part.isascii() and part.isdigit() else part for part in parts)


def _no_such_variable(name: str) -> str:
    if name.startswith(f"{PREFIX}DEVICE__"):
        return 'settings of one device stand in the file only, under [device."ID"]'
    digits = [part for part in name.split("__") if part.isdigit()]
    known = [key.variable for key in KEYS if key.variable is not None]
    filled = [text.replace(f"__{NUMBER}__", f"__{(digits or ['0'])[0]}__") for text in known]
    near = difflib.get_close_matches(name, filled, 1, 0.7)
    if near:
        return f"there is no such key; did you mean {near[0]}?"
    names = [name for name in names_in(()) if name not in ("device", "stratum_v2")]
    return f"there is no such key; {PREFIX} is followed by one of: {', '.join(names)}"


def _value(key: Key, text: str) -> Any:
    """The text as the key's type; ValueError in words. A list is JSON, or has commas."""
    if get_origin(key.kind) is tuple:
        if text.lstrip().startswith("["):
            try:
                return json.loads(text)
            except ValueError:
                raise ValueError(
                    f"found {text!r}, wanted a JSON list, or words with commas"
                ) from None
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        return TypeAdapter(key.kind).validate_python(text, strict=False)
    except ValidationError:
        found = found_words(text, key.path)
        raise ValueError(f"found {found}, wanted {key.wanted}") from None


def _put(raw: dict[str, Any], path: KeyPath, value: Any) -> None:
    here: Any = raw
    for part, following in pairwise(path):
        here = _step(here, part, [] if isinstance(following, int) else {})
    here[path[-1]] = value


def _step(here: Any, part: str | int, empty: Any) -> Any:
    if isinstance(part, str):
        found = here.setdefault(part, empty)
    else:
        if part > len(here):
            raise ValueError(f"there is no number {len(here)} before number {part}")
        if part == len(here):
            here.append(empty)
        found = here[part]
    if not isinstance(found, type(empty)):
        raise ValueError("the file has something else there")
    return found
