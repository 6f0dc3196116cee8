"""`sv2rig safe-off`."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sv2rig.cli import rig_options
from sv2rig.cli.output import EXIT_FAILED, UserError, print_json, print_text

if TYPE_CHECKING:
    from sv2rig.boards.driver import Driver
    from sv2rig.rig.find_boards import FoundBoard


def safe_off(
    device: Annotated[
        list[str] | None,
        typer.Option(
            "--device",
            "-d",
            help="Only this board, as for `mine`; give it again for more. Default: every board "
            "that says what it is.",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            help="The boards that this configuration of `sv2rig run` uses, as far as they are "
            "plugged in.",
        ),
    ] = None,
    json: rig_options.JsonText = False,
) -> None:
    """Switch boards off without a running rig.

    Resets are held, power is cut and fans run on, as far as a board has them. For after a crash,
    or before you touch a board. A rig that still runs holds its ports: stop it instead, it leaves
    its boards safe. Status 1 if a board could not be made safe.
    """
    from sv2rig.boards.driver import all_drivers
    from sv2rig.rig.board_choice import parse_boards
    from sv2rig.rig.device_choice import DeviceChoiceError
    from sv2rig.rig.find_boards import find_boards

    try:
        drivers = all_drivers()
        if config is None:
            found = find_boards(parse_boards(device or [], drivers), drivers)
        else:
            found = _configured(config, drivers)
    except DeviceChoiceError as error:
        raise UserError(str(error)) from error
    outcomes = asyncio.run(_secure_all(found))
    for name, trouble in outcomes:
        if json:
            print_json({"device": name, "safe": trouble is None, "detail": trouble or ""})
        else:
            print_text(f"{name}: safe" if trouble is None else f"{name}: NOT SAFE: {trouble}")
    if not outcomes and not json:
        print_text("no board is plugged in: `sv2rig devices` says what was seen and why not")
    if any(trouble is not None for _, trouble in outcomes):
        raise typer.Exit(EXIT_FAILED)


def _configured(file: Path, drivers: Mapping[str, Driver]) -> list[FoundBoard]:
    """What `sv2rig run` may have left on. Where the configuration cannot be read, every board that
    says what it is."""
    from sv2rig.rig.board_choice import is_board, parse_boards
    from sv2rig.rig.config import ConfigError, load_config
    from sv2rig.rig.device_choice import DeviceChoiceError
    from sv2rig.rig.find_boards import find_boards

    try:
        used = load_config(file, os.environ).config.devices.use
        named = parse_boards([name for name in used if is_board(name)], drivers)
    except (ConfigError, DeviceChoiceError) as error:
        sys.stderr.write(f"sv2rig: {error}\n")
        used, named = (), []
    if used and not named:
        return []
    return find_boards(named, drivers, all_must_be_there=False)


async def _secure_all(found: list[FoundBoard]) -> list[tuple[str, str | None]]:
    return await asyncio.gather(*(_secure(one) for one in found))


async def _secure(one: FoundBoard) -> tuple[str, str | None]:
    from sv2rig.boards.driver_fault import fault_text
    from sv2rig.boards.line import BoardError, LineError

    try:
        await one.driver.make(one.plug).secure()
    except (LineError, BoardError, ValueError) as error:
        return one.plug.device_id, str(error)
    except Exception as error:  # one driver's fault must not leave the other boards on
        return one.plug.device_id, fault_text(error)
    return one.plug.device_id, None
