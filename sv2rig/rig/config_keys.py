"""Every key of the configuration as data: for errors' words, `sv2rig init` and the docs."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from sv2rig.rig.config_model import DeviceConfig, RigConfig
from sv2rig.rig.config_text import KeyPath, quoted

PREFIX = "SV2RIG_"
NUMBER, NAME = "N", "ID"  # in a key's path: any place in a list, any device's id
_LIST = "a list of: "
_WORDS: dict[Any, str] = {
    str: "text in quotes",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    Path: "a path in quotes",
    SecretStr: "text in quotes",
}


@dataclass(frozen=True, slots=True)
class Key:
    """One key. `path`: with N and ID for what differs; `kind`: its leaf's type; `default`: None
    where there is none that is the same everywhere."""

    path: tuple[str, ...]
    kind: Any
    wanted: str
    help: str
    default: Any
    restart: bool

    @property
    def shown(self) -> str:
        """As people write it: pools[N].url."""
        return dotted(tuple(part if part != NUMBER else 0 for part in self.path)).replace(
            "[0]", f"[{NUMBER}]"
        )

    @property
    def wanted_element(self) -> str:
        """Of a list: what each of its values has to be."""
        return self.wanted.removeprefix(_LIST)

    @property
    def variable(self) -> str | None:
        """Its environment variable; None where it has none: a device's id fits in no name, and the
        founding keys are those of a file."""
        if NAME in self.path or self.path[0] == "stratum_v2":
            return None
        return PREFIX + "__".join(part.upper() for part in self.path)


def dotted(path: Sequence[str | int]) -> str:
    """A path in words: pools[0].url, device."icarus:A1".frequency."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        plain = part.replace("_", "").replace("-", "")
        bare = plain.isascii() and plain.isalnum()
        text += ("." if text else "") + (part if bare else quoted(part))
    return text


def _keys(model: type[BaseModel], path: tuple[str, ...]) -> Iterator[Key]:
    for name, field in model.model_fields.items():
        here = (*path, name)
        kind = bare_type(field.annotation)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _keys(kind, here)
        elif inner := inner_model(kind):
            yield from _keys(inner, (*here, NAME if get_origin(kind) is dict else NUMBER))
        else:
            extra = field.json_schema_extra
            restart = isinstance(extra, dict) and extra["applies"] == "restart"
            is_fixed = field.default_factory is None and not field.is_required()
            default = field.default if is_fixed else None
            yield Key(here, kind, wanted(kind, field), field.description or "", default, restart)
    if model is DeviceConfig:
        words = "a setting of its driver, as frequency; `sv2rig set ID` lists them"
        yield Key((*path, "SETTING"), float, "a number", words, None, False)


def bare_type(annotation: Any) -> Any:
    """Without Optional and Annotated."""
    while True:
        if get_origin(annotation) in (Union, types.UnionType):
            annotation = next(part for part in get_args(annotation) if part is not type(None))
        elif hasattr(annotation, "__metadata__"):
            annotation = get_args(annotation)[0]
        else:
            return annotation


def inner_model(kind: Any) -> type[BaseModel] | None:
    """The tables in a list of tables or in a table of tables."""
    for part in get_args(kind):
        if isinstance(part, type) and issubclass(part, BaseModel):
            return part
    return None


def wanted(kind: Any, field: FieldInfo | None = None) -> str:
    """What a value has to be, in words."""
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(get_args(kind))
    if get_origin(kind) is tuple:
        inner = bare_type(get_args(kind)[0])
        if inner_model(kind):
            return "tables, each under its own [[...]]"
        return "a list" if inner is Any else _LIST + wanted(inner)
    return _limited(_WORDS[kind], () if field is None else field.metadata)


def _limited(words: str, metadata: Sequence[Any]) -> str:
    limits: dict[str, Any] = {}
    for item in metadata:
        for name in ("ge", "le", "min_length", "pattern"):
            if getattr(item, name, None) is not None:
                limits[name] = getattr(item, name)
    match limits:
        case {"pattern": _}:
            return f"{words}: 1 to 64 letters, digits or ._-"
        case {"min_length": _}:
            return f"{words}, not empty"
        case {"ge": least, "le": most}:
            return f"{words} from {least} to {most}"
        case {"ge": least}:
            return f"{words}, at least {least}"
        case _:
            return words


KEYS: tuple[Key, ...] = tuple(_keys(RigConfig, ()))


def pattern_of(path: KeyPath) -> tuple[str, ...]:
    """The path as a key's: places in lists and ids of devices replaced."""
    parts = [NUMBER if isinstance(part, int) else part for part in path]
    if len(parts) > 1 and parts[0] == "device":
        parts[1] = NAME
    return tuple(parts)


def find(path: KeyPath) -> Key | None:
    """The key at this path, or that of the list it stands in; None for tables and what is none."""
    pattern = pattern_of(path)
    for known in KEYS:
        if known.path in (pattern, pattern[:-1]):
            return known
        if known.path[-1] == "SETTING" and known.path[:-1] == pattern[:-1]:
            return known
    return None


def names_in(path: KeyPath) -> list[str]:
    """The names that may stand in the table at this path."""
    pattern = pattern_of(path)
    size = len(pattern)
    names = [known.path[size] for known in KEYS if known.path[:size] == pattern != known.path]
    return list(dict.fromkeys(names))


def no_such_key(path: KeyPath) -> str:
    """Words for a key that is none, with the nearest right name."""
    name = str(path[-1])
    names = names_in(path[:-1])
    near = difflib.get_close_matches(name.lower().replace("-", "_"), names, 1)
    if near:
        return f"there is no such key; did you mean {near[0]}?"
    elsewhere = [known.shown for known in KEYS if known.path[-1] == name]
    if elsewhere:
        return f"there is no such key here; did you mean {elsewhere[0]}?"
    return f"there is no such key; there are: {', '.join(names)}"
