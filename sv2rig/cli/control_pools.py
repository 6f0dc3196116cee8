"""`sv2rig pools`: the pools of a running rig."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from sv2rig.cli.control import Json, RigName, Socket, ask, done
from sv2rig.cli.output import UserError, print_json, print_text

Name = Annotated[str, typer.Argument(help="The pool's name, as `sv2rig pools list` shows it.")]


def pools(
    context: typer.Context, rig: RigName = None, socket: Socket = None, json: Json = False
) -> None:
    """The pools of a running rig: shown, the preferred one first, unless a command is given."""
    if context.invoked_subcommand is None:
        list_pools(rig, socket, json)
    elif rig is not None or socket is not None or json:
        raise UserError(f"options go behind the command: sv2rig pools {context.invoked_subcommand}")


def list_pools(rig: RigName = None, socket: Socket = None, json: Json = False) -> None:
    """Show the pools, the preferred one first."""
    pools = ask(rig, socket, "GET", "/v1/pools")
    if json:
        print_json({"pools": pools})
        return
    for line in pool_lines(pools):
        print_text(line)


def pool_lines(pools: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line a pool: the one that is mined on marked, why it cannot be at the end."""
    widths = {
        key: max((len(pool[key]) for pool in pools), default=0) for key in ("name", "state", "url")
    }
    return [
        " ".join(
            [
                "*" if pool["is_active"] else " ",
                *(f"{pool[key]:{width}} " for key, width in widths.items()),
                pool["detail"],
            ]
        ).rstrip()
        for pool in pools
    ]


def switch(name: Name, rig: RigName = None, socket: Socket = None, json: Json = False) -> None:
    """Mine on this pool now."""
    _do("switch", "is mined on", name, rig, socket, json)


def enable(name: Name, rig: RigName = None, socket: Socket = None, json: Json = False) -> None:
    """Use a pool again that was disabled."""
    _do("enable", "is used again", name, rig, socket, json)


def disable(name: Name, rig: RigName = None, socket: Socket = None, json: Json = False) -> None:
    """Do not use this pool."""
    _do("disable", "is not used", name, rig, socket, json)


def order(
    names: Annotated[list[str], typer.Argument(help="Every pool, the preferred one first.")],
    rig: RigName = None,
    socket: Socket = None,
    json: Json = False,
) -> None:
    """Prefer the pools in this order."""
    ask(rig, socket, "PUT", "/v1/pools/order", {"names": names})
    done(json, f"the pools in their order: {', '.join(names)}", pools=names)


def add(
    name: Annotated[str, typer.Argument(help="What to call it.")],
    url: Annotated[
        str, typer.Argument(help="stratum2+tcp://HOST:PORT/AUTHORITYKEY, as the pool publishes it.")
    ],
    user: Annotated[str, typer.Option("--user", "-u", help="Who is paid, in the pool's words.")],
    standard: Annotated[
        bool, typer.Option("--standard", help="A standard channel for each device.")
    ] = False,
    rig: RigName = None,
    socket: Socket = None,
    json: Json = False,
) -> None:
    """Add a pool, as the least preferred one, until the rig ends."""
    channel = "standard" if standard else "extended"
    body = {"name": name, "url": url, "user": user, "channel": channel}
    ask(rig, socket, "POST", "/v1/pools", body)
    done(json, f"pool {name} is there", pool=name)


def remove(name: Name, rig: RigName = None, socket: Socket = None, json: Json = False) -> None:
    """Forget a pool."""
    from sv2rig.api.client import pool_path

    ask(rig, socket, "DELETE", pool_path(name))
    done(json, f"pool {name} is gone", pool=name)


def _do(verb: str, words: str, name: str, rig: RigName, socket: Socket, json: bool) -> None:
    from sv2rig.api.client import pool_path

    ask(rig, socket, "POST", pool_path(name, verb))
    done(json, f"pool {name} {words}", pool=name)
