"""Answers that say what is wrong."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from aiohttp import web

from sv2rig.api.messages import Problem
from sv2rig.api.routes import JSON, ApiProblemError

WRONG_VALUE = re.compile(r" - at `\$\.?([^`]*)`$")
EXPECTED = re.compile(
    r"Expected `(?P<wanted>[^`]+)`(?P<bound> (?:of length )?[<>]=? .+)?"
    r"(?:, got `(?P<found>[^`]+)`)?"
)
# JSON's kinds, as msgspec calls them, and its signs of limits
KINDS = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "array": "a list",
    "object": "an object",
}
BOUNDS = {
    "of length >= ": "of a length of at least ",
    "of length <= ": "of a length of at most ",
    ">= ": "of at least ",
    "<= ": "of at most ",
    "> ": "above ",
    "< ": "below ",
}
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
    """A body or query (`what`) of the wrong shape, with the field: the one that is missing or
    unknown, else where the wrong value is."""
    text = str(error)
    where, named = WRONG_VALUE.search(text), NAMED_FIELD.search(text)
    parts = [_named(where[1], value)] if where and where[1] else []
    if named:
        parts.append(named[1])
    field = ".".join(parts) or None
    words = _words(text.partition(" - at `$")[0], what == "query")
    return ApiProblemError(422, f"{field or f'the {what}'}: {words}", field)


def _words(said: str, of_query: bool) -> str:
    """What msgspec says, for people."""
    if said.startswith("Object missing"):
        return "is missing"
    if said.startswith("Object contains unknown"):
        return "there is no such field"
    if chosen := re.fullmatch(r"Invalid enum value (.*)", said, re.S):
        return f"{chosen[1]} is none of its values; /openapi.json has them"
    wrong = EXPECTED.fullmatch(said)
    if wrong is None:
        return said[:1].lower() + said[1:]
    bound = wrong["bound"].strip() if wrong["bound"] else ""
    for sign, plain in BOUNDS.items():
        bound = bound.replace(sign, plain)
    wanted = f"{_kinds(wrong['wanted'])} {bound}".strip()
    # a query is all text, so that "not a text" would say nothing
    found = f", not {_kinds(wrong['found'])}" if wrong["found"] and not of_query else ""
    return f"{wanted} is wanted{found}"


def _kinds(types: str) -> str:
    return " or ".join(KINDS.get(kind, kind) for kind in types.split(" | "))


def _named(where: str, value: Any) -> str:
    """msgspec does not say which key of a mapping has the wrong value; ours have numbers only."""
    before, ellipsis, after = where.partition("[...]")
    if not ellipsis:
        return where
    mapping = value[before] if before else value
    wrong = next((k for k, v in mapping.items() if type(v) not in (int, float)), "")
    return f"{before}.{wrong}{after}".lstrip(".")
