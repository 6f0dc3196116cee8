"""`sv2rig set`, `identify` and `tune`: what is done to a device of a running rig."""

from __future__ import annotations

import math
import os
from enum import StrEnum
from typing import Annotated, Any

import typer

from sv2rig.cli.output import EXIT_FAILED, UserError, print_json, print_text

Device = Annotated[str, typer.Argument(help="The device's id, as the screen shows it.")]
RigName = Annotated[
    str | None, typer.Option("--rig", help="Which rig, where several run on this machine.")
]
Json = Annotated[bool, typer.Option("--json", help="A JSON object instead of text.")]


class Goal(StrEnum):
    """What a device is tuned for."""

    HASHRATE = "hashrate"
    EFFICIENCY = "efficiency"


def set_values(
    device: Device,
    values: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="What to set; without any, show what is set now."),
    ] = None,
    rig: RigName = None,
    json: Json = False,
) -> None:
    """Change settings of a device while its rig runs.

    As in `sv2rig set bitaxe_raw:A1B2 frequency=450 fan_target_c=55`. All of them are set or, where
    one is refused, none.
    """
    if values:
        result = _ask(rig, "set", {"device": device, "values": _numbers(values)})
    else:
        result = {setting["name"]: setting["value"] for setting in _settings(rig, device)}
    if json:
        print_json({"device": device, "settings": result})
        return
    for setting in _settings(rig, device):
        print_text(f"{setting['name']} = {setting['value']:g} {setting['unit']}".rstrip())
    if not result:
        print_text(f"{device} has nothing that can be set")


def identify(device: Device, rig: RigName = None, json: Json = False) -> None:
    """Let a device blink, so that you find it among the others."""
    _ask(rig, "identify", {"device": device})
    _done(json, device, "shows itself")


def tune(
    device: Device,
    goal: Annotated[Goal, typer.Option("--for", help="What to look for.")],
    limit: Annotated[
        list[str] | None,
        typer.Option(
            "--limit",
            metavar="NAME=VALUE",
            help="A bound that is never passed, as maximum_temperature_c=70; give it again for "
            "more.",
        ),
    ] = None,
    rig: RigName = None,
    json: Json = False,
) -> None:
    """Let a device look for its best frequency while it mines.

    Efficiency needs a device that measures its power. The search goes on where it was when the
    rig or the board was restarted meanwhile.
    """
    params = {"device": device, "goal": goal.value, "limits": _numbers(limit or [])}
    _ask(rig, "tune", params)
    _done(
        json,
        device,
        f"searches its best frequency for {goal.value}; the rig's log tells of it, and setting "
        "the frequency by hand ends it",
    )


def _done(json: bool, device: str, what: str) -> None:
    if json:
        print_json({"device": device, "ok": True})
    else:
        print_text(f"{device} {what}")


def _numbers(texts: list[str]) -> dict[str, float]:
    numbers = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not name or not math.isfinite(number):
            raise UserError(f"{text!r} is not NAME=NUMBER, as in frequency=450")
        numbers[name] = number
    return numbers


def _settings(rig: str | None, device: str) -> list[dict[str, Any]]:
    devices = _ask(rig, "devices", {})
    for one in devices:
        if one["id"] == device:
            return list(one["settings"])
    names = ", ".join(one["id"] for one in devices) or "none"
    raise UserError(f"the rig has no device {device}; it has: {names}", EXIT_FAILED)


def _ask(rig: str | None, method: str, params: dict[str, Any]) -> Any:
    from sv2rig.rig.control_client import NoAnswerError, RefusedError, ask, running_rigs
    from sv2rig.rig.runtime_folder import runtime_folder

    folder = runtime_folder(os.environ, os.getuid())
    rigs = running_rigs(folder)
    if not rigs:
        raise UserError(
            f"no rig of this user runs here (no socket answers in {folder}): start one with "
            "`sv2rig mine`",
            EXIT_FAILED,
        )
    if rig is None and len(rigs) > 1:
        raise UserError(f"several rigs run here: choose with --rig: {', '.join(rigs)}")
    name = next(iter(rigs)) if rig is None else rig
    if name not in rigs:
        raise UserError(f"no rig {name} runs here; there is: {', '.join(rigs)}", EXIT_FAILED)
    try:
        return ask(rigs[name], method, params)
    except (NoAnswerError, RefusedError) as error:
        raise UserError(str(error), EXIT_FAILED) from error
