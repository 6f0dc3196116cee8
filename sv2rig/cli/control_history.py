"""`sv2rig history`: what a daemon has kept of the past."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from sv2rig.cli.control import Json, RigName, Socket, ask, device_named
from sv2rig.cli.output import print_json, print_text
from sv2rig.units import difficulty, duration, hashrate

UNKNOWN = "–"


class Of(StrEnum):
    """What of the past."""

    SAMPLES = "samples"
    TOTALS = "totals"
    SHARES = "shares"
    BLOCKS = "blocks"
    AUDIT = "audit"


def history(
    of: Annotated[
        Of,
        typer.Argument(
            help="samples: hash rate, temperature and power, a line a span of time; totals: counts "
            "over the daemon's life; shares; blocks found; audit: who commanded what."
        ),
    ] = Of.SAMPLES,
    device: Annotated[
        str | None, typer.Option(help="One device; else the whole rig. Of samples and shares.")
    ] = None,
    hours: Annotated[
        float, typer.Option(help="How far back. Of samples and shares.", min=0.01)
    ] = 24.0,
    points: Annotated[
        int, typer.Option(help="At most so many lines; not of totals and blocks.", min=1, max=1000)
    ] = 24,
    rig: RigName = None,
    socket: Socket = None,
    json: Json = False,
) -> None:
    """Show the past as the daemon has kept it.

    Samples are of spans of time, and the time is that at which a span begins. Of shares, blocks
    and audit the latest comes first.
    """
    whose = {} if device is None else {"device": device_named(device, rig, socket)}
    queries: dict[Of, tuple[str, dict[str, object]]] = {
        Of.SAMPLES: ("", {"hours": hours, "points": points, **whose}),
        Of.TOTALS: ("/totals", {}),
        Of.SHARES: ("/shares", {"hours": hours, "limit": points, **whose}),
        Of.BLOCKS: ("/blocks", {}),
        Of.AUDIT: ("/audit", {"limit": points}),
    }
    target, query = queries[of]
    path = f"/v1/history{target}"
    answer = ask(rig, socket, "GET", f"{path}?{urlencode(query)}" if query else path)
    if json:
        print_json(answer if isinstance(answer, dict) else {of.value: answer})
        return
    lines = list(_LINES[of](answer))
    for line in lines:
        print_text(line)
    if not lines:
        print_text("nothing is kept of that")


def sample_lines(answer: Any) -> Iterator[str]:
    """A line a span, under a header that says how long the spans are."""
    if not answer["points"]:
        return
    span = f"{duration(answer['step_s'])} from"
    yield f"{span:21}  {'hash rate':>10}  {'hottest':>8}  {'power':>7}"
    for point in answer["points"]:
        temperature, power = point["temperature_c"], point["power_w"]
        yield (
            f"{_minute(point['time'])}  {hashrate(point['hashrate_hs']):>10}  "
            f"{_reading(temperature, '°C'):>8}  {_reading(power, 'W'):>7}"
        )


def _totals(answer: Any) -> Iterator[str]:
    rows = [("rig", answer["rig"])]
    rows += answer["devices"].items()
    rows += [(f"pool {name}", counts) for name, counts in answer["pools"].items()]
    width = max(len(name) for name, _ in rows)
    yield (
        f"{'all-time':{width}}  {'accepted':>9}  {'rejected':>8}  {'stale':>7}  {'blocks':>6}  "
        f"{'best':>6}  {'HW errors':>9}  {'mined':>7}"
    )
    for name, counts in rows:
        mined = "–" if counts["mined_s"] is None else duration(counts["mined_s"])
        yield (
            f"{name:{width}}  {counts['accepted']:9}  {counts['rejected']:8}  {counts['stale']:7}  "
            f"{counts['blocks']:6}  {difficulty(counts['best_difficulty']):>6}  "
            f"{counts['hardware_errors']:9}  {mined:>7}"
        )


def _shares(answer: Any) -> Iterator[str]:
    width = max((len(share["device"]) for share in answer), default=0)
    for share in answer:
        reason = f"  {share['reason']}" if share["reason"] else ""
        block = "  BLOCK" if share["is_block"] else ""
        yield (
            f"{_second(share['time'])}  {share['device']:{width}}  {share['verdict']:14}  "
            f"{difficulty(share['difficulty'])} of {difficulty(share['wanted'])}{block}{reason}"
        )


def _blocks(answer: Any) -> Iterator[str]:
    for block in answer:
        yield (
            f"{_second(block['time'])}  {block['device']}  {block['pool']}  {block['verdict']}  "
            f"{difficulty(block['difficulty'])}"
        )


def _audit(answer: Any) -> Iterator[str]:
    for line in answer:
        yield f"{_second(line['time'])}  {line['text']}"


_LINES = {
    Of.SAMPLES: sample_lines,
    Of.TOTALS: _totals,
    Of.SHARES: _shares,
    Of.BLOCKS: _blocks,
    Of.AUDIT: _audit,
}


def _minute(utc: float) -> str:
    return f"{datetime.fromtimestamp(utc).astimezone():%Y-%m-%d %H:%M%z}"


def _second(utc: float) -> str:
    return f"{datetime.fromtimestamp(utc).astimezone():%Y-%m-%d %H:%M:%S%z}"


def _reading(value: float | None, unit: str) -> str:
    return f"{UNKNOWN if value is None else f'{value:.0f}'} {unit}"
