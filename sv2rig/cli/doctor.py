"""`sv2rig doctor`: what is wrong on this machine, and how to mend it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from sv2rig.cli.config import File
from sv2rig.cli.output import EXIT_FAILED, print_json, print_text
from sv2rig.cli.rig_options import JsonText

if TYPE_CHECKING:
    from sv2rig.rig.config import Loaded
    from sv2rig.rig.finding import Finding

_MARKS = {"ok": "✔", "note": "·", "warning": "▲", "error": "✖"}


def doctor(config: File = None, json: JsonText = False) -> None:
    """Look for what keeps this machine from mining: a line for each thing, with its mend.

    Looks at the clock, the disk, OpenCL, udev's rules, plugged boards (without opening them), the
    configuration and its pools, which are called: address, key, certificate. Ends with status 1
    where something has to be mended before mining.
    """
    errors = False
    for finding in _findings(config):
        errors = errors or finding.level == "error"
        _tell(finding, json)
    if errors:
        raise typer.Exit(EXIT_FAILED)


def _tell(finding: Finding, json: bool) -> None:
    if json:
        print_json(asdict(finding))
        return
    mend = f"\n  {'':10} → {finding.mend}" if finding.mend else ""
    print_text(f"{_MARKS[finding.level]} {finding.check:10} {finding.text}{mend}")


def _findings(file: Path | None) -> Iterator[Finding]:
    from sv2rig.api.client import find_rigs, process_at, rig_folders
    from sv2rig.boards.driver import all_drivers
    from sv2rig.boards.ports import PortWatcher
    from sv2rig.boards.surroundings import look_around
    from sv2rig.compute.opencl_probe import probe
    from sv2rig.rig import board_findings, machine_findings
    from sv2rig.rig.finding import Finding, Level
    from sv2rig.rig.port_listing import PortListing

    yield machine_findings.clock(time.time(), machine_findings.clock_is_synchronised())
    yield machine_findings.files()
    yield machine_findings.cpu()
    yield from machine_findings.opencl(probe())
    yield from board_findings.rules()
    listing = PortListing(all_drivers().values())
    rigs = find_rigs(rig_folders())
    pids = {pid for path in rigs.values() if (pid := process_at(path)) is not None}
    yield from board_findings.boards(listing.of(PortWatcher().current(), look_around()), pids)
    for name, path in rigs.items():
        yield Finding("rig", Level.OK, f"{name} runs; `sv2rig top --socket {path}` shows it")
    yield from _configured(file)


def _configured(file: Path | None) -> Iterator[Finding]:
    from sv2rig.rig.config import ConfigError, ConfigMissingError, load_config
    from sv2rig.rig.config_check import check
    from sv2rig.rig.finding import Finding, Level
    from sv2rig.rig.machine_findings import disk

    try:
        loaded = load_config(file, os.environ)
    except ConfigMissingError:
        text = "none: `sv2rig run` needs one, `sv2rig mine` and `demo` do not"
        yield Finding("config", Level.NOTE, text, "sv2rig init")
        return
    except ConfigError as error:
        for found in error.findings:
            yield Finding("config", Level.ERROR, str(found), "see `sv2rig config schema`")
        return
    wrong = check(loaded, os.environ)
    for found in wrong:
        level = Level.NOTE if found.is_note else Level.ERROR
        yield Finding("config", level, str(found))
    if not wrong:
        yield Finding("config", Level.OK, f"{loaded.path or 'the environment'} is good")
    yield disk(loaded.config.state_dir)
    if not any(not found.is_note for found in wrong):
        yield from _pools(loaded)


def _pools(loaded: Loaded) -> list[Finding]:
    from sv2rig.rig.configured import pool_entries
    from sv2rig.rig.pool_findings import pools
    from sv2rig.transport.tcp import connect

    return asyncio.run(pools(pool_entries(loaded), connect, time.time))
