"""Which running rig a command is for, and how its answer is told."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from sv2rig.cli.output import EXIT_FAILED, UserError, print_json, print_text

Device = Annotated[
    str,
    typer.Argument(
        help="The device's id, as the screen shows it. Its beginning, or the back end, will do "
        "where that means one device."
    ),
]
RigName = Annotated[
    str | None, typer.Option("--rig", help="Which rig, where several run on this machine.")
]
Socket = Annotated[
    Path | None, typer.Option("--socket", help="The rig's socket, where it is no usual place.")
]
Json = Annotated[bool, typer.Option("--json", help="A JSON object instead of text.")]


def ask(rig: str | None, socket: Path | None, method: str, target: str, body: Any = None) -> Any:
    """The rig's answer; UserError in its words where it says no, or where there is no rig."""
    from sv2rig.api.client import NoAnswerError, RefusedError, RigClient

    client = RigClient(socket_of(rig, socket))
    try:
        return client.ask(method, target, body)
    except (NoAnswerError, RefusedError) as error:
        raise UserError(str(error), EXIT_FAILED) from error


def device_named(name: str, rig: str | None, socket: Path | None) -> str:
    """The id of the one device that is meant; UserError where it may be several. A name of none
    stays: the rig says which there are."""
    return one_meant(name, ask(rig, socket, "GET", "/v1/devices"))


def one_meant(name: str, devices: Sequence[Mapping[str, Any]]) -> str:
    """As device_named, of these devices: by id, its beginning or the back end."""
    ids = [device["id"] for device in devices]
    found = [
        device["id"]
        for device in devices
        if device["id"].startswith(name) or device["backend"] == name
    ]
    if name in ids or not found:
        return name
    if len(found) > 1:
        raise UserError(f"{name!r} may be each of {', '.join(found)}")
    return str(found[0])


def done(json: bool, text: str, **told: Any) -> None:
    """It was done."""
    if json:
        print_json({**told, "ok": True})
    else:
        print_text(text)


def numbers(texts: list[str]) -> dict[str, float]:
    """NAME=NUMBER each."""
    found = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not name or not math.isfinite(number):
            raise UserError(f"{text!r} is not NAME=NUMBER, as in frequency=450")
        found[name] = number
    return found


def socket_of(rig: str | None, socket: Path | None) -> Path:
    """The socket of the rig that is meant; UserError where that is none or not clear."""
    from sv2rig.api.client import find_rigs, rig_folders

    if socket is not None:
        if rig is not None:
            raise UserError("either --rig or --socket says which rig, not both")
        return socket
    folders = rig_folders()
    rigs = find_rigs(folders)
    if not rigs:
        places = " or ".join(map(str, folders))
        raise UserError(
            f"no rig of this user runs here (no socket answers in {places}): start one with "
            "`sv2rig run` or `sv2rig mine`",
            EXIT_FAILED,
        )
    if rig is None and len(rigs) > 1:
        raise UserError(f"several rigs run here: choose with --rig: {', '.join(rigs)}")
    name = next(iter(rigs)) if rig is None else rig
    if name not in rigs:
        raise UserError(f"no rig {name} runs here; there is: {', '.join(rigs)}", EXIT_FAILED)
    return rigs[name]
