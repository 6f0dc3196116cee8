"""What only the program can tell of a configuration: whether devices, settings, files and commands
that it names are there. Nothing is opened, no pool is called."""

from __future__ import annotations

import difflib
import grp
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from sv2rig.boards.driver import Driver, all_drivers
from sv2rig.compute.worker import LATENCY
from sv2rig.devices.device import Setting
from sv2rig.rig.board_choice import is_board, parse_board, parse_boards
from sv2rig.rig.config import Loaded
from sv2rig.rig.config_errors import ConfigError, Finding, in_order
from sv2rig.rig.config_founding import notes
from sv2rig.rig.config_keys import dotted
from sv2rig.rig.config_text import KeyPath
from sv2rig.rig.device_choice import BACKENDS, DeviceChoiceError, behaviour, parse_choice


def check(loaded: Loaded, environ: Mapping[str, str]) -> list[Finding]:
    """Everything to mend (and notes), in the order of the file."""
    drivers = all_drivers()
    found = [
        *_devices(loaded, drivers),
        *_settings(loaded, drivers),
        *_secrets(loaded),
        *_payouts(loaded),
        *_api(loaded),
        *_hook(loaded, environ),
    ]
    founding = loaded.config.stratum_v2
    if founding is not None:
        found += notes(founding, loaded.sources)
    return in_order(found)


def _finding(loaded: Loaded, path: KeyPath, words: str, *, is_note: bool = False) -> Finding:
    written = loaded.sources.written(path)
    return Finding(loaded.sources.near(path), dotted(written), words, is_note)


def _devices(loaded: Loaded, drivers: Mapping[str, Driver]) -> Iterator[Finding]:
    names = loaded.config.devices.use
    sound = []
    for number, name in enumerate(names):
        try:
            if is_board(name):
                parse_board(name, drivers)
                sound.append(name)
            elif (choice := parse_choice(name)).backend == "simulated":
                behaviour(choice.options)
        except DeviceChoiceError as error:
            words = str(error).removeprefix(f"--device {name!r}: ")
            yield _finding(loaded, ("devices", "use", number), f"{name!r}: {words}")
    try:
        parse_boards(sound, drivers)
    except DeviceChoiceError as error:
        yield _finding(loaded, ("devices", "use"), str(error))


def _settings(loaded: Loaded, drivers: Mapping[str, Driver]) -> Iterator[Finding]:
    """Of [device."ID"]: the id begins with its driver or its back end."""
    for device_id, table in loaded.config.device.items():
        backend = device_id.partition(":")[0]
        known: tuple[Setting, ...]
        if backend in drivers:
            known = drivers[backend].settings
        elif backend in BACKENDS:
            known = (LATENCY,)
        else:
            yield _finding(
                loaded, ("device", device_id), _no_device([*drivers, *BACKENDS], backend)
            )
            continue
        for name, value in table.settings.items():
            refusal = _refusal({setting.name: setting for setting in known}, name, value)
            if refusal is not None:
                yield _finding(loaded, ("device", device_id, name), refusal)


def _no_device(backends: list[str], backend: str) -> str:
    near = difflib.get_close_matches(backend, backends, 1)
    if near:
        return f"no device's id begins so; did you mean {near[0]}?"
    return f"no device's id begins so; an id is DRIVER:WHAT, of {', '.join(backends)}"


def _refusal(known: Mapping[str, Setting], name: str, value: float) -> str | None:
    if name in known:
        try:
            known[name].check(value)
        except ValueError as error:
            return str(error)
        return None
    near = difflib.get_close_matches(name, known, 1)
    if near:
        return f"there is no such setting; did you mean {near[0]}?"
    return f"there is no such setting; there is: {', '.join(known) or 'none'}"


def _secrets(loaded: Loaded) -> Iterator[Finding]:
    for number, pool in enumerate(loaded.config.pools):
        try:
            loaded.user(number)
        except ConfigError as error:
            yield from error.findings
        else:
            yield from _readable_by_all(loaded, ("pools", number, "user_file"), pool.user_file)
    try:
        loaded.api_token()
    except ConfigError as error:
        yield from error.findings
    else:
        token_file = loaded.config.api.token_file
        yield from _readable_by_all(loaded, ("api", "token_file"), token_file)


def _readable_by_all(loaded: Loaded, key: KeyPath, path: Path | None) -> Iterator[Finding]:
    if path is not None and path.stat().st_mode & 0o004:
        words = f"every user of this machine can read {path}: chmod o-rwx it"
        yield _finding(loaded, key, words, is_note=True)


def _payouts(loaded: Loaded) -> Iterator[Finding]:
    for number, pool in enumerate(loaded.config.pools):
        if pool.payout_address is not None and pool.channel == "standard":
            words = "a standard channel's jobs do not show whom they pay: only extended ones do"
            yield _finding(loaded, ("pools", number, "payout_address"), words, is_note=True)


def _api(loaded: Loaded) -> Iterator[Finding]:
    api = loaded.config.api
    for name, path in (("tls_cert", api.tls_cert), ("tls_key", api.tls_key)):
        if path is not None and not os.access(path, os.R_OK):
            words = "cannot be read" if path.exists() else "is not there"
            yield _finding(loaded, ("api", name), f"{path} {words}")
    if api.socket_group is not None:
        try:
            grp.getgrnam(api.socket_group)
        except KeyError:
            words = f"there is no group {api.socket_group!r} on this machine"
            yield _finding(loaded, ("api", "socket_group"), words)


def _hook(loaded: Loaded, environ: Mapping[str, str]) -> Iterator[Finding]:
    command = loaded.config.hooks.command
    if command and shutil.which(command[0], path=environ.get("PATH")) is None:
        words = f"{command[0]!r} is no program that can be run"
        yield _finding(loaded, ("hooks", "command"), words)
