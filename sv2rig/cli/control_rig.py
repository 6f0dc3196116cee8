"""`sv2rig status`, `events`, `history`, `reload`, `quit` and `notify test`: a running rig as a
whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

import typer

from sv2rig.cli.control import Json, RigName, Socket, ask, done
from sv2rig.cli.output import print_json, print_text
from sv2rig.units import difficulty, duration, hashrate

if TYPE_CHECKING:
    from sv2rig.rig.snapshot import RigSnapshot


def status(rig: RigName = None, socket: Socket = None, json: Json = False) -> None:
    """Show how a running rig does: its pool, its shares, its devices."""
    import msgspec

    from sv2rig.rig.snapshot import RigSnapshot

    answer = ask(rig, socket, "GET", "/v1/snapshot")
    if json:
        print_json(answer)
        return
    for line in _status_lines(msgspec.convert(answer, RigSnapshot)):
        print_text(line)


def _status_lines(picture: RigSnapshot) -> list[str]:
    shares, pool = picture.shares, picture.pool
    detail = f" ({pool.detail})" if pool.detail else ""
    lines = [
        f"{picture.name}: {picture.state}, {hashrate(picture.hashrate_hs)}, "
        f"up {duration(picture.uptime_s)}, sv2rig {picture.version}",
        f"pool {pool.name or pool.url}: {pool.state}{detail}",
        f"shares: {shares.accepted} accepted, {shares.rejected} rejected, {shares.stale} stale, "
        f"{shares.pending} pending; best {difficulty(picture.best_difficulty)}, "
        f"{picture.blocks_found} blocks",
    ]
    width = max((len(device.id) for device in picture.devices), default=0)
    for device in picture.devices:
        state = "DISABLED" if not device.enabled else "PAUSED" if device.paused else device.state
        warm = "" if device.temperature_c is None else f"  {device.temperature_c:.0f} °C"
        reason = f"  {device.reason}" if device.reason else ""
        lines.append(
            f"  {device.id:{width}}  {state:9} {hashrate(device.hashrate_hs):>10}{warm}{reason}"
        )
    return lines


def history(
    device: Annotated[str | None, typer.Option(help="One device; else the whole rig.")] = None,
    hours: Annotated[float, typer.Option(help="How far back.", min=0.01)] = 24.0,
    points: Annotated[int, typer.Option(help="At most so many.", min=1, max=1000)] = 24,
    rig: RigName = None,
    socket: Socket = None,
    json: Json = False,
) -> None:
    """Show the past as the daemon has kept it."""
    from datetime import datetime

    query = {"hours": hours, "points": points} | ({"device": device} if device else {})
    answer = ask(rig, socket, "GET", f"/v1/history?{urlencode(query)}")
    if json:
        print_json(answer)
        return
    for point in answer["points"]:
        when = datetime.fromtimestamp(point["time"]).astimezone()
        print_text(
            f"{when:%Y-%m-%d %H:%M%z}  {hashrate(point['hashrate_hs']):>10}  "
            f"{_reading(point['temperature_c'], '°C')}  {_reading(point['power_w'], 'W')}"
        )
    if not answer["points"]:
        print_text("samples are kept once a minute: there are none of that time yet")


def _reading(value: float | None, unit: str) -> str:
    return f"{'–' if value is None else f'{value:.0f}':>5} {unit}"


def reload(rig: RigName = None, socket: Socket = None, json: Json = False) -> None:
    """Let a daemon read its configuration again; shows what changed."""
    changes: list[Any] = ask(rig, socket, "POST", "/v1/reload")["changes"]
    if json:
        print_json({"changes": changes})
        return
    for change in changes:
        print_text(str(change))
    if not changes:
        print_text("nothing changed")


def quit_rig(rig: RigName = None, socket: Socket = None, json: Json = False) -> None:
    """End a running rig in order."""
    ask(rig, socket, "POST", "/v1/quit")
    done(json, "the rig ends")


def notify_test(rig: RigName = None, socket: Socket = None, json: Json = False) -> None:
    """Let a daemon call its hooks with a test."""
    result = ask(rig, socket, "POST", "/v1/notify/test")["result"]
    done(json, str(result), result=result)
