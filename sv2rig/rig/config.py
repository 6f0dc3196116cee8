"""Reads the configuration: one TOML file, then the environment over it.

pydantic-settings is not used: it takes no key of a list from the environment (POOLS__0__USER), lets
unknown variables pass, and reads no environment but the process's own.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError

from sv2rig.rig.config_environment import CONFIG_VARIABLE, overlay
from sv2rig.rig.config_errors import (
    ConfigError,
    ConfigMissingError,
    Finding,
    Origins,
    findings_of,
)
from sv2rig.rig.config_founding import TABLE, map_founding
from sv2rig.rig.config_keys import dotted, find
from sv2rig.rig.config_model import PoolConfig, RigConfig, check_user
from sv2rig.rig.config_text import KeyPath, key_lines

__all__ = ["ConfigError", "ConfigMissingError", "Loaded", "RigConfig", "load_config"]

HIDDEN = "(secret)"  # instead of one
STATE_VARIABLE = "STATE_DIRECTORY"  # set by systemd
_ETC = Path("/etc/sv2rig/rig.toml")
_UNCLOSED = (
    r"Illegal character '\n'",
    r"Illegal character '\r'",
    "Unterminated string",
    'Expected "\'"',
)
LARGEST = 1 << 20  # bytes of a configuration or of a secret's file


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that holds together. `origins`: of each key's value by its path in words,
    "default", "FILE:LINE" or "environment variable NAME". `path`: of the file, None without one."""

    config: RigConfig
    origins: Mapping[str, str]
    path: Path | None
    sources: Origins

    def user(self, number: int) -> str:
        """Who is paid by the pool of this place, out of its file where it has one; ConfigError."""
        pool = self.config.pools[number]
        if pool.user is not None:
            return pool.user.get_secret_value()
        assert pool.user_file is not None
        text = self._secret(pool.user_file, ("pools", number, "user_file"))
        try:
            check_user(text)
        except ValueError as error:
            raise self._error(
                ("pools", number, "user_file"), f"{pool.user_file}: {error}"
            ) from None
        return text

    def shown_user(self, number: int) -> str:
        """Who is paid there, for logs and snapshots: hidden where it may hold a password."""
        pool = self.config.pools[number]
        is_secret = is_secret_user(pool, self.sources.of(("pools", number, "user")))
        return HIDDEN if is_secret or pool.user is None else pool.user.get_secret_value()

    def api_token(self) -> SecretStr | None:
        """The token that opens the API over TCP; ConfigError where its file cannot be read."""
        api = self.config.api
        if api.token_file is None:
            return api.token
        text = self._secret(api.token_file, ("api", "token_file"))
        if not text:
            raise self._error(("api", "token_file"), f"{api.token_file} is empty, wanted a token")
        return SecretStr(text)

    def secrets(self) -> list[str]:
        """What must never be shown: the token, and users that are not written in the file."""
        token = self.api_token()
        numbers = range(len(self.config.pools))
        users = [self.user(number) for number in numbers if self.shown_user(number) == HIDDEN]
        return [*users, *([token.get_secret_value()] if token is not None else [])]

    def _secret(self, path: Path, key: KeyPath) -> str:
        try:
            with path.open(encoding="utf-8") as file:
                return file.readline(LARGEST).strip()
        except OSError as error:
            raise self._error(key, f"{path}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise self._error(key, f"{path} is no text in UTF-8") from None

    def _error(self, key: KeyPath, words: str) -> ConfigError:
        written = dotted(self.sources.written(key))
        return ConfigError([Finding(self.sources.near(key), written, words)])


def is_secret_user(pool: PoolConfig, origin: str) -> bool:
    """A user that stands in the configuration itself is none: who is paid is no secret. One from a
    file of its own or from the environment may hold a password."""
    return pool.user_file is not None or origin.startswith("environment")


def search_path(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Where a configuration is looked for, the first place that has one wins."""
    base = environ.get("XDG_CONFIG_HOME")
    home = Path(base) if base else Path(environ.get("HOME") or Path.home()) / ".config"
    return (home / "sv2rig" / "rig.toml", _ETC)


def load_config(path: Path | None, environ: Mapping[str, str]) -> Loaded:
    """The configuration in `path`, or in $SV2RIG_CONFIG, or in the first place of the search path
    that has one, with the environment over it. ConfigMissingError where there is none, ConfigError
    with a line a finding where it does not hold together."""
    return _load(path, environ, search_path(environ))


def _load(path: Path | None, environ: Mapping[str, str], places: tuple[Path, ...]) -> Loaded:
    named = path or (Path(environ[CONFIG_VARIABLE]) if environ.get(CONFIG_VARIABLE) else None)
    found = named or next((place for place in places if place.exists()), None)
    text = "" if found is None else _read(found)
    raw = _parsed(text, found)
    origins = Origins(found, key_lines(text))
    findings = _no_secrets_in_file(raw, origins)
    findings += map_founding(raw, origins)
    findings += _relative_to(found, raw, origins)
    findings += overlay(raw, environ, origins)
    if found is None and not raw.get("pools") and not findings:
        raise ConfigMissingError(places)
    if STATE_VARIABLE in environ and "state_dir" not in raw:
        raw["state_dir"] = Path(environ[STATE_VARIABLE].partition(":")[0])
        origins.from_variable(("state_dir",), STATE_VARIABLE)
    config = _validated(raw, origins, findings)
    named_origins = {dotted(leaf): origins.of(leaf) for leaf, _ in leaves(config)}
    return Loaded(config, named_origins, found, origins)


def _validated(raw: dict[str, Any], origins: Origins, findings: list[Finding]) -> RigConfig:
    try:
        config = RigConfig.model_validate(raw)
    except ValidationError as error:
        raise ConfigError([*findings, *findings_of(error, origins)]) from None
    if findings:
        raise ConfigError(findings)
    return config


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise ConfigError([Finding(str(path), "", error.strerror or str(error))]) from error
    if len(data) > LARGEST:
        raise ConfigError([Finding(str(path), "", f"is larger than {LARGEST} bytes")])
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError([Finding(f"{path}:{line}", "", "is no text in UTF-8")]) from None


def _parsed(text: str, path: Path | None) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        words = str(error)
        at = re.search(r" \(at line (\d+), column (\d+)\)$", words)
        line = int(at.group(1)) if at else text.count("\n") + 1
        where = f" at column {at.group(2)}" if at else ""
        words = re.sub(r" \(at .*\)$", "", words)
        if words in _UNCLOSED:
            line = line if at else _with_odd_quotes(text) or line
            words = "a text does not end: is a quote not closed?"
        elif words == "Invalid value":
            words = "a value is missing or wrong: is a text without quotes?"
        finding = Finding(f"{path}:{line}", "", f"is no TOML{where}: {words}")
        raise ConfigError([finding]) from None


def _with_odd_quotes(text: str) -> int | None:
    """The first line in which one ' is left over; tomllib says only that the text ended."""
    lines = enumerate(text.splitlines(), 1)
    return next((number for number, line in lines if line.count("'") % 2), None)


def _no_secrets_in_file(raw: dict[str, Any], origins: Origins) -> list[Finding]:
    api = raw.get("api")
    if not isinstance(api, dict) or "token" not in api:
        return []
    path = ("api", "token")
    words = "a secret does not stand here: put it into a file and name that as token_file"
    return [Finding(origins.near(path), dotted(path), words)]


def _relative_to(
    file: Path | None, raw: Any, origins: Origins, path: KeyPath = ()
) -> list[Finding]:
    """Paths in a file are relative to it, and may begin with ~; those that can be none."""
    if file is None:
        return []
    found: list[Finding] = []
    items = enumerate(raw) if isinstance(raw, list) else list(raw.items())
    for name, value in items:
        here = (*path, name)
        if isinstance(value, (dict, list)):
            found += _relative_to(file, value, origins, here)
        elif isinstance(value, str) and (known := find(here)) is not None and known.kind is Path:
            try:
                raw[name] = file.absolute().parent / _expanded(value)
            except ValueError as error:
                found.append(Finding(origins.near(here), dotted(here), str(error)))
    return found


def _expanded(text: str) -> Path:
    """With the home that ~ means; ValueError in words."""
    if "\0" in text:
        raise ValueError("no path has a NUL in it")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ValueError(f"{text!r}: nobody knows whose home that is") from None


def leaves(table: BaseModel, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Every key that is no table, with its value; lists of plain values are one. Without the
    founding table, whose pool is among the pools."""
    for name, value in table:
        here = (*path, name)
        if name == TABLE:
            continue
        if isinstance(value, BaseModel):
            yield from leaves(value, here)
        elif isinstance(value, dict):
            for inner, inner_table in value.items():
                yield from leaves(inner_table, (*here, inner))
        elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
            for number, inner_table in enumerate(value):
                yield from leaves(inner_table, (*here, number))
        else:
            yield here, value
