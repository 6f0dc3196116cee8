"""`sv2rig config`: shows and checks the configuration of `sv2rig run`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sv2rig.cli.output import EXIT_CONFIG, EXIT_PERMISSION, UserError, print_json, print_text

if TYPE_CHECKING:
    from sv2rig.rig.config import Loaded

File = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="The file. Default: $SV2RIG_CONFIG, else $XDG_CONFIG_HOME/sv2rig/rig.toml (without "
        "that variable ~/.config/sv2rig/rig.toml), else /etc/sv2rig/rig.toml.",
    ),
]


def load(file: Path | None) -> Loaded:
    """The configuration; UserError with status 78 where there is none, or a bad one, 77 where it
    may not be read."""
    from sv2rig.rig.config import ConfigError, load_config

    try:
        return load_config(file, os.environ)
    except ConfigError as error:
        forbidden = isinstance(error.__cause__, PermissionError)
        raise UserError(str(error), EXIT_PERMISSION if forbidden else EXIT_CONFIG) from error


def show(
    config: File = None,
    origin: Annotated[
        bool,
        typer.Option(
            "--origin", help="With where each value comes from: default, FILE:LINE or a variable."
        ),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="JSON instead of TOML.")] = False,
) -> None:
    """The configuration that holds: the environment over the file over the defaults.

    Secrets are not shown.
    """
    from sv2rig.rig.config_show import nested, shown, toml

    loaded = load(config)
    values = shown(loaded)
    if not json:
        print_text(toml(values, loaded.origins if origin else None).rstrip("\n"))
        return
    result = {"file": None if loaded.path is None else str(loaded.path), "config": nested(values)}
    print_json({**result, "origins": dict(loaded.origins)} if origin else result)


def check(config: File = None) -> None:
    """Whether `sv2rig run` could use the configuration: a line for each thing to mend.

    Devices, settings, files and commands that it names are looked for; nothing is opened, and no
    pool is called (`sv2rig doctor` does that). Ends with status 78 where something is to be mended.
    """
    from sv2rig.rig.config import ConfigError, load_config
    from sv2rig.rig.config_check import check as check_loaded

    try:
        loaded = load_config(config, os.environ)
    except ConfigError as error:
        for finding in error.findings:
            print_text(str(finding))
        raise typer.Exit(EXIT_CONFIG) from None
    findings = check_loaded(loaded, os.environ)
    for finding in findings:
        print_text(f"{finding} (a note)" if finding.is_note else str(finding))
    if not all(finding.is_note for finding in findings):
        raise typer.Exit(EXIT_CONFIG)
    pools = ", ".join(pool.name for pool in loaded.config.pools)
    print_text(f"{loaded.path or 'the environment'}: good; pools: {pools}")


def schema() -> None:
    """The JSON schema of the file, for editors that check while one writes."""
    from sv2rig.rig.config_show import schema as schema_of_file

    print_json(schema_of_file())
