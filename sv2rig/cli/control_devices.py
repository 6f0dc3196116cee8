"""`sv2rig set`, `pause`, `resume`, `reset`, `enable`, `disable`, `identify`, `tune`: what is done
to the devices of a running rig."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from sv2rig.cli.control import Device, Json, RigName, Socket, ask, device_named, done, numbers
from sv2rig.cli.output import print_json, print_text

OneOrAll = Annotated[
    str | None,
    typer.Argument(help="The device's id, its beginning or its back end; without one, all."),
]


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
    socket: Socket = None,
    json: Json = False,
) -> None:
    """Change settings of a device while its rig runs.

    As in `sv2rig set bitaxe_raw:A1B2 frequency=450 fan_target_c=55`. All of them are set or, where
    one is refused, none. They stay so when the rig or the board starts anew.
    """
    from sv2rig.api.client import device_path

    wished = numbers(values or [])
    device = device_named(device, rig, socket)
    if wished:
        ask(rig, socket, "PATCH", device_path(device, "settings"), wished)
    settings = ask(rig, socket, "GET", device_path(device))["settings"]
    if json:
        now = {setting["name"]: setting["value"] for setting in settings}
        print_json({"device": device, "settings": now})
        return
    for setting in settings:
        print_text(f"{setting['name']} = {setting['value']:g} {setting['unit']}".rstrip())
    if not settings:
        print_text(f"{device} has nothing that can be set")


def pause(
    device: OneOrAll = None, rig: RigName = None, socket: Socket = None, json: Json = False
) -> None:
    """Give a device, or all, no work until resumed; the power stays on."""
    _one_or_all("pause", "paused", device, rig, socket, json)


def resume(
    device: OneOrAll = None, rig: RigName = None, socket: Socket = None, json: Json = False
) -> None:
    """Give a paused device, or all, work again."""
    _one_or_all("resume", "resumed", device, rig, socket, json)


def reset(device: Device, rig: RigName = None, socket: Socket = None, json: Json = False) -> None:
    """Start a device anew, also one that is dead or was cut off."""
    _do("reset", "starts anew", device, rig, socket, json)


def enable(device: Device, rig: RigName = None, socket: Socket = None, json: Json = False) -> None:
    """Use a device again that was disabled."""
    _do("enable", "is used again", device, rig, socket, json)


def disable(device: Device, rig: RigName = None, socket: Socket = None, json: Json = False) -> None:
    """Stop a device and make it safe; it stays off, also over restarts, until enabled."""
    _do("disable", "is off", device, rig, socket, json)


def identify(
    device: Device, rig: RigName = None, socket: Socket = None, json: Json = False
) -> None:
    """Let a device blink, so that you find it among the others."""
    _do("identify", "shows itself", device, rig, socket, json)


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
    socket: Socket = None,
    json: Json = False,
) -> None:
    """Let a device look for its best frequency while it mines.

    Efficiency needs a device that measures its power. The search goes on where it was when the
    rig or the board was restarted meanwhile.
    """
    body = {"goal": goal.value, "limits": numbers(limit or [])}
    words = (
        f"searches its best frequency for {goal.value}; the rig's log tells of it, and setting "
        "the frequency by hand ends it"
    )
    _do("tune", words, device, rig, socket, json, body)


def _do(
    verb: str,
    words: str,
    device: str,
    rig: str | None,
    socket: Path | None,
    json: bool,
    body: Any = None,
) -> None:
    from sv2rig.api.client import device_path

    device = device_named(device, rig, socket)
    ask(rig, socket, "POST", device_path(device, verb), body)
    done(json, f"{device} {words}", device=device)


def _one_or_all(
    verb: str, words: str, device: str | None, rig: str | None, socket: Path | None, json: bool
) -> None:
    if device is not None:
        _do(verb, f"is {words}", device, rig, socket, json)
        return
    ask(rig, socket, "POST", f"/v1/{verb}")
    done(json, f"all devices are {words}", device=None)
