"""The OpenAPI 3.1 document, made from the table of routes and the structs it names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from sv2rig import __version__
from sv2rig.api.messages import Problem, StreamMessage
from sv2rig.api.routes import JSON, Route

REF = "#/components/schemas/{name}"
ALWAYS = {
    "400": "The request is not what it should be.",
    "401": "On TCP: no token, or the wrong one.",
    "403": "On TCP: asked under a name or from a page that is not this rig's.",
}
SOMETIMES = {
    404: "There is no such thing.",
    408: "The body does not come.",
    409: "Not now; the text says why.",
    413: "The body is too long.",
    422: "A value is wrong; `field` names it.",
    500: "A device's driver failed.",
    503: "This rig does not have it, or it takes too long.",
}


def openapi(routes: Sequence[Route]) -> dict[str, Any]:
    """The document as plain values."""
    schemas, components = msgspec.json.schema_components(_types(routes), ref_template=REF)
    named = dict(zip(map(_key, _types(routes)), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, named)
    paths["/v1/stream"] = {"get": _stream(named)}
    paths["/metrics"] = {"get": _plain("metrics", "The rig for Prometheus.", "text/plain")}
    paths["/openapi.json"] = {"get": _plain("openapi", "This document.", JSON)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "sv2rig",
            "version": __version__,
            "description": "Reads and commands a running rig. Times are UTC seconds since 1970; "
            "units stand in the names; null is unknown.",
        },
        "servers": [{"url": "/"}],
        "security": [{}, {"token": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "On TCP always; on the unix socket never.",
                }
            },
        },
    }


def _types(routes: Sequence[Route]) -> list[Any]:
    found: list[Any] = [Problem, StreamMessage]
    for route in routes:
        found += [kind for kind in (route.answer, route.body, *_fields(route)) if kind is not None]
    return list({_key(kind): kind for kind in found}.values())


def _fields(route: Route) -> Iterable[Any]:
    return () if route.query is None else (field.type for field in _query(route))


def _query(route: Route) -> Sequence[msgspec.structs.FieldInfo]:
    return () if route.query is None else msgspec.structs.fields(route.query)


def _key(kind: Any) -> str:
    return repr(kind)


def _operation(route: Route, named: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "responses": {"200": _answer("Done.", named[_key(route.answer)])} | _errors(route, named),
    }
    if parameters := [*_variables(route), *_parameters(route, named)]:
        operation["parameters"] = parameters
    if route.body is not None:
        content = {JSON: {"schema": named[_key(route.body)]}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _errors(route: Route, named: dict[str, Any]) -> dict[str, Any]:
    described = dict(ALWAYS)
    statuses = {*route.refusals, 422, 500}
    statuses |= {408, 413} if route.body else set()
    described |= {str(status): SOMETIMES[status] for status in statuses}
    return {
        status: _answer(words, named[_key(Problem)]) for status, words in sorted(described.items())
    }


def _answer(words: str, schema: Any) -> dict[str, Any]:
    return {"description": words, "content": {JSON: {"schema": schema}}}


def _variables(route: Route) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in route.variables
    ]


def _parameters(route: Route, named: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "name": field.encode_name,
            "in": "query",
            "required": field.required,
            "schema": _with_default(named[_key(field.type)], field),
        }
        for field in _query(route)
    ]


def _with_default(schema: dict[str, Any], field: msgspec.structs.FieldInfo) -> dict[str, Any]:
    return schema if field.required else {**schema, "default": field.default}


def _stream(named: dict[str, Any]) -> dict[str, Any]:
    return {
        "operationId": "stream",
        "summary": "A WebSocket: one text message a second, each a StreamMessage; the first has "
        "the events and shares that are still kept, the others what is new.",
        "responses": {
            "101": {"description": "It goes on as a WebSocket."},
            "400": _answer("It is no WebSocket request.", named[_key(Problem)]),
            "401": _answer(ALWAYS["401"], named[_key(Problem)]),
        },
        "x-message": named[_key(StreamMessage)],
    }


def _plain(name: str, summary: str, media: str) -> dict[str, Any]:
    schema = {"type": "object" if media == JSON else "string"}
    answer = {"description": summary, "content": {media: {"schema": schema}}}
    return {"operationId": name, "summary": summary, "responses": {"200": answer}}
