"""Answers that say what is wrong."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from aiohttp import web

from sv2rig.api.messages import Problem
from sv2rig.api.routes import JSON, ApiProblemError

WRONG_VALUE = re.compile(r" - at `\$\.?([^`]*)`$")
NAMED_FIELD = re.compile(r"field `([^`]+)`")


def problem(error: ApiProblemError) -> web.Response:
    """The answer."""
    body = msgspec.json.encode(Problem(str(error), error.field))
    return web.Response(status=error.status, body=body, content_type=JSON, headers=error.headers)


def of_http(request: web.Request, error: web.HTTPException) -> ApiProblemError:
    """What the HTTP layer itself refuses, in our words."""
    match error:
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            text = f"{request.path} takes {allowed}, not {request.method}"
            return ApiProblemError(405, text, None, {"Allow": allowed})
        case web.HTTPNotFound():
            return ApiProblemError(404, f"there is no {request.path}; see /openapi.json")
        case _:
            return ApiProblemError(error.status, error.reason)


def of_value(what: str, error: msgspec.ValidationError, value: Any) -> ApiProblemError:
    """A body or query (`what`) of the wrong shape, with the field in msgspec's words: the one that
    is missing or unknown, else where the wrong value is."""
    text = str(error)
    where, named = WRONG_VALUE.search(text), NAMED_FIELD.search(text)
    parts = [_named(where[1], value)] if where and where[1] else []
    if named:
        parts.append(named[1])
    words = text.replace("`$.", "`").replace(" - at `$`", "")
    return ApiProblemError(422, f"{what}: {words}", ".".join(parts) or None)


def _named(where: str, value: Any) -> str:
    """msgspec does not say which key of a mapping has the wrong value; ours have numbers only."""
    before, ellipsis, after = where.partition("[...]")
    if not ellipsis:
        return where
    mapping = value[before] if before else value
    wrong = next((k for k, v in mapping.items() if type(v) not in (int, float)), "")
    return f"{before}.{wrong}{after}".lstrip(".")
