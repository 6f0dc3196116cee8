"""The routes that command. Each leaves one line in the rig's log."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from sv2rig.api.messages import Done, Notified, PoolOrder, Reloaded, TuneWish
from sv2rig.api.routes import Act, ApiProblemError, Call, Route
from sv2rig.rig.commands import CommandError, PoolWish

DONE = Done()
OF_DEVICE = (404, 409)
OF_POOL = (404, 409, 422)


async def _pause(call: Call) -> Done:
    call.rig.commands.pause(call.device)
    return DONE


async def _resume(call: Call) -> Done:
    call.rig.commands.resume(call.device)
    return DONE


async def _pause_all(call: Call) -> Done:
    call.rig.commands.pause(None)
    return DONE


async def _resume_all(call: Call) -> Done:
    call.rig.commands.resume(None)
    return DONE


async def _reset(call: Call) -> Done:
    await call.rig.commands.reset(call.device)
    return DONE


async def _identify(call: Call) -> Done:
    await call.rig.commands.identify(call.device)
    return DONE


async def _enable(call: Call) -> Done:
    await call.rig.commands.enable(call.device)
    return DONE


async def _disable(call: Call) -> Done:
    await call.rig.commands.disable(call.device)
    return DONE


async def _tune(call: Call) -> Done:
    wish: TuneWish = call.body
    call.rig.commands.tune(call.device, wish.goal, wish.limits)
    return DONE


async def _set(call: Call) -> dict[str, float]:
    return call.rig.commands.set_values(call.device, call.body)


async def _switch_pool(call: Call) -> Done:
    call.rig.commands.switch_pool(call.pool)
    return DONE


async def _enable_pool(call: Call) -> Done:
    call.rig.commands.enable_pool(call.pool)
    return DONE


async def _disable_pool(call: Call) -> Done:
    call.rig.commands.disable_pool(call.pool)
    return DONE


async def _remove_pool(call: Call) -> Done:
    call.rig.commands.remove_pool(call.pool)
    return DONE


async def _add_pool(call: Call) -> Done:
    call.rig.commands.add_pool(call.body)
    return DONE


async def _order_pools(call: Call) -> Done:
    call.rig.commands.order_pools(call.body.names)
    return DONE


async def _quit(call: Call) -> Done:
    call.rig.commands.quit()
    return DONE


async def _reload(call: Call) -> Reloaded:
    if call.rig.reload is None:
        raise ApiProblemError(503, "this rig has no configuration file: only `sv2rig run` has")
    return Reloaded(tuple(await call.rig.reload()))


async def _notify(call: Call) -> Notified:
    if call.rig.notify is None:
        raise ApiProblemError(503, "this rig has no hooks: only `sv2rig run` has")
    return Notified(await call.rig.notify())


def _set_told(call: Call) -> str:
    units: dict[str, str] = {}
    with suppress(CommandError):  # setting it will say so
        units = {s.name: s.unit for s in call.rig.commands.device(call.device).settings}
    return f"set {_values(call.body, ' to ', units)}"


def _tune_told(call: Call) -> str:
    wish: TuneWish = call.body
    return f"tune for {wish.goal} {_values(wish.limits, ' = ', {})}".rstrip()


def _values(values: Mapping[str, float], sign: str, units: Mapping[str, str]) -> str:
    each = (f"{name}{sign}{value:g} {units.get(name, '')}" for name, value in values.items())
    return ", ".join(text.rstrip() for text in each)


def _on_device(verb: str, summary: str, act: Act) -> Route:
    path = f"/v1/devices/{{id}}/{verb}"
    return Route("POST", path, f"{verb}_device", summary, Done, act,
                 audit=lambda _: verb, refusals=OF_DEVICE)  # fmt: skip


def _on_pool(verb: str, summary: str, act: Act) -> Route:
    path = f"/v1/pools/{{name}}/{verb}"
    return Route("POST", path, f"{verb}_pool", summary, Done, act,
                 audit=lambda call: f"{verb} pool {call.pool}", refusals=OF_POOL)  # fmt: skip


def _on_rig(
    path: str, name: str, summary: str, act: Act, answer: Any = Done, refusals: tuple[int, ...] = ()
) -> Route:
    def told(_: Call) -> str:
        return name.replace("_", " ")

    return Route("POST", path, name, summary, answer, act, audit=told, refusals=refusals)


COMMANDING = (
    _on_device("pause", "No work for the device until it is resumed; its power stays.", _pause),
    _on_device("resume", "Work again for the device.", _resume),
    _on_device("reset", "Start the device anew; lifts a cut-off, revives a dead board.", _reset),
    _on_device("identify", "Let the device show itself.", _identify),
    _on_device("enable", "Use the device again.", _enable),
    _on_device("disable", "Stop the device and leave it off, also over restarts.", _disable),
    Route(
        "POST",
        "/v1/devices/{id}/tune",
        "tune_device",
        "Let the device look for its best frequency.",
        Done,
        _tune,
        body=TuneWish,
        audit=_tune_told,
        refusals=(404, 409, 422),
    ),
    Route(
        "PATCH",
        "/v1/devices/{id}/settings",
        "set_device",
        "Change settings, all of these or none; answers with all of the device's settings.",
        dict[str, float],
        _set,
        body=dict[str, float],
        audit=_set_told,
        refusals=(404, 409, 422),
    ),
    _on_rig("/v1/pause", "pause_all", "No work for any device until resumed.", _pause_all),
    _on_rig("/v1/resume", "resume_all", "Work again for all devices.", _resume_all),
    _on_rig(
        "/v1/reload",
        "reload",
        "Read the configuration again; says what changed.",
        _reload,
        Reloaded,
        (409, 422, 503),
    ),
    _on_rig(
        "/v1/notify/test", "notify_test", "Call the hooks with a test.", _notify, Notified, (503,)
    ),
    _on_rig("/v1/quit", "quit", "End the rig in order.", _quit),
    Route(
        "POST",
        "/v1/pools",
        "add_pool",
        "One more pool, the least preferred one.",
        Done,
        _add_pool,
        body=PoolWish,
        audit=lambda call: f"add pool {call.body.name} at {call.body.url}",
        refusals=(409, 422),
    ),
    Route(
        "PUT",
        "/v1/pools/order",
        "order_pools",
        "Prefer the pools in this order.",
        Done,
        _order_pools,
        body=PoolOrder,
        audit=lambda call: f"order pools {', '.join(call.body.names)}",
        refusals=(404, 409, 422),
    ),
    Route(
        "DELETE",
        "/v1/pools/{name}",
        "remove_pool",
        "Forget a pool.",
        Done,
        _remove_pool,
        audit=lambda call: f"remove pool {call.pool}",
        refusals=OF_POOL,
    ),
    _on_pool("switch", "Mine on this pool now.", _switch_pool),
    _on_pool("enable", "Use this pool again.", _enable_pool),
    _on_pool("disable", "Do not use this pool.", _disable_pool),
)
