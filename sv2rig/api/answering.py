"""From an HTTP request to a route's act and back: checks, limits, words for what is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from sv2rig.api.auth import who
from sv2rig.api.problems import of_http, of_value, problem
from sv2rig.api.rig import ApiRig
from sv2rig.api.routes import JSON, ApiProblemError, Call, Route
from sv2rig.boards.driver_fault import fault_text
from sv2rig.rig.commands import CommandError
from sv2rig.rig.store import StoreError

LONGEST_BODY = 64 * 1024
BODY_TIMEOUT_S = 10.0
ACT_TIMEOUT_S = 30.0
SEND_TIMEOUT_S = 30.0
STATUS = {"unknown": 404, "refused": 409, "invalid": 422}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def answer_with(rig: ApiRig, route: Route) -> Handler:
    """The handler of a route."""
    decoder = None if route.body is None else msgspec.json.Decoder(route.body)

    async def handle(request: web.Request) -> web.Response:
        try:
            body = await _body(request, decoder)
            call = Call(rig, request.match_info, _query(request, route), body)
            result = await _acted(request, route, call)
        except ApiProblemError as error:
            return problem(error)
        return web.Response(body=msgspec.json.encode(result), content_type=JSON)

    return handle


@web.middleware
async def in_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What the HTTP layer itself refuses is told in the same form; a client that does not read
    its answer is dropped."""
    try:
        answer = await handler(request)
    except web.HTTPException as error:
        answer = problem(of_http(request, error))
    if isinstance(answer, web.WebSocketResponse):
        return answer
    try:
        async with asyncio.timeout(SEND_TIMEOUT_S):
            await answer.prepare(request)
            await answer.write_eof()
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
    return answer


async def _body(request: web.Request, decoder: msgspec.json.Decoder[Any] | None) -> Any:
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            raw = await request.read()
    except TimeoutError as error:
        raise ApiProblemError(408, f"no whole body within {BODY_TIMEOUT_S:g} s") from error
    except web.HTTPRequestEntityTooLarge as error:
        raise ApiProblemError(413, f"a body has at most {LONGEST_BODY} bytes") from error
    if decoder is None:
        if raw not in (b"", b"{}"):
            raise ApiProblemError(400, f"{request.method} {request.path} takes no body")
        return None
    try:
        value = msgspec.json.decode(raw)  # first: a wrong value may stand before what is no JSON
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ApiProblemError(400, f"the body is no JSON: {error}") from error
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise of_value("body", error, value) from error


def _query(request: web.Request, route: Route) -> Any:
    try:
        return msgspec.convert(dict(request.query), route.query or _NoQuery, strict=False)
    except msgspec.ValidationError as error:
        raise of_value("query", error, request.query) from error


async def _acted(request: web.Request, route: Route, call: Call) -> Any:
    """The result. A command goes on although the client has gone or lost patience: it must not
    stay half done."""
    acting = asyncio.ensure_future(_audited(request, route, call))
    try:
        async with asyncio.timeout(ACT_TIMEOUT_S):
            return await asyncio.shield(acting)
    except TimeoutError as error:
        acting.add_done_callback(_forget)
        raise ApiProblemError(503, f"not done within {ACT_TIMEOUT_S:g} s; it goes on") from error


def _forget(acting: asyncio.Future[Any]) -> None:
    """Its audit line has told of it."""
    if not acting.cancelled():
        acting.exception()


async def _audited(request: web.Request, route: Route, call: Call) -> Any:
    if route.audit is None:
        return await _refusable(route, call)
    told, person = route.audit(call), who(request)  # while the client is here
    try:
        result = await _refusable(route, call)
    except ApiProblemError as error:
        _audit(call, person, f"{told}: refused: {error}")
        raise
    _audit(call, person, told)
    return result


def _audit(call: Call, person: str, told: str) -> None:
    """The log has a column for the device, the store has none. A name in the request is anybody's:
    it is not to make a second line, or move the cursor."""
    device = _printable(call.path["id"]) if "id" in call.path else None
    call.rig.report("info", _printable(f"{person}: {told}"), device)
    if call.rig.store is not None:
        whose = "" if device is None else f"{device}: "
        line = _printable(f"{person}: {whose}{told}")
        call.rig.store.add_audit(call.rig.source.snapshot().time, line)


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)


async def _refusable(route: Route, call: Call) -> Any:
    try:
        return await route.act(call)
    except CommandError as error:
        raise ApiProblemError(STATUS.get(error.kind, 409), str(error), error.field) from error
    except StoreError as error:
        raise ApiProblemError(503, str(error)) from error
    except ApiProblemError:
        raise
    except Exception as error:  # of one device's driver; the rig and this client go on
        raise ApiProblemError(500, fault_text(error)) from error


class _NoQuery(msgspec.Struct, forbid_unknown_fields=True):
    """No query."""
