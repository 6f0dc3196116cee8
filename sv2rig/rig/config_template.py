"""The configuration that `sv2rig init` writes: what was asked, and every other key as a comment."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

from sv2rig.rig.config_keys import KEYS, NAME, NUMBER, Key
from sv2rig.rig.config_show import literal

_HEAD = """\
# The configuration of a rig: `sv2rig run` mines by it.
# `sv2rig config check` says what is wrong with it, `sv2rig config show --origin` what holds.
# A line that begins with # shows a key with its default; take the # away to change it.
"""
_EXAMPLE_DEVICE = """\
# One device, by its id as the screen shows it.
# [device."icarus:A1B2"]
# enabled = true
# frequency = 450
"""
_EXAMPLE_POOL = """\
# Another pool, for when the first is away.
# [[pools]]
# url = "stratum2+tcp://HOST:PORT/AUTHORITYKEY"
# user = "NAME"
"""


def template(url: str, user: str, name: str | None = None) -> str:
    """The file's text."""
    given = {("name",): name, ("pools", NUMBER, "url"): url, ("pools", NUMBER, "user"): user}
    lines = [_HEAD]
    table: tuple[str, ...] = ()
    for key in KEYS:
        if NAME in key.path or key.path[0] == "stratum_v2" or key.variable == "SV2RIG_API__TOKEN":
            continue
        if key.path[:-1] != table:
            lines += _between(table)
            table = key.path[:-1]
            lines.append(f"[[{table[0]}]]" if NUMBER in table else f"[{'.'.join(table)}]")
        lines.append(_entry(key, given.get(key.path)))
    return "\n".join(lines)


def _between(table: tuple[str, ...]) -> list[str]:
    return {("pools", NUMBER): [_EXAMPLE_POOL], ("devices",): [_EXAMPLE_DEVICE]}.get(table, [])


def _entry(key: Key, value: str | None) -> str:
    comment = textwrap.fill(f"{key.help} ({key.wanted})", 98, initial_indent="# ")
    comment = comment.replace("\n", "\n# ")
    if value is not None:
        return f"{comment}\n{key.path[-1]} = {literal(value)}\n"
    default = "" if key.default is None else f" {literal(key.default)}"
    return f"{comment}\n# {key.path[-1]} ={default}\n"


def write_new(path: Path, text: str) -> None:
    """A file of mode 0600 that was not there before; FileExistsError, or another OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)  # whatever the umask
        file.write(text)
