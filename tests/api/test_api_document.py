"""The OpenAPI document: valid, complete, and what the rig answers fits it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from api_rig import served, with_everything
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from unix_http import UnixHttp

from sv2rig.api.openapi import openapi
from sv2rig.api.routes import Route
from sv2rig.api.server import ROUTES

UNLISTED = {("GET", "/v1/stream"), ("GET", "/metrics"), ("GET", "/openapi.json")}
PARTS = {"id": "board:1", "name": "pool"}
BODIES: dict[str, Any] = {
    "tune_device": {"goal": "hashrate"},
    "set_device": {"frequency_mhz": 300},
    "add_pool": {"name": "b", "url": "stratum2+tcp://b.example:1/x", "user": "u"},
    "order_pools": {"names": ["pool"]},
}


def document() -> dict[str, Any]:
    """As a reader of its JSON has it."""
    made: dict[str, Any] = json.loads(json.dumps(openapi(ROUTES)))
    return made


def with_asker(folder: Path, act: Callable[[UnixHttp], None], everything: bool = False) -> None:
    async def main() -> None:
        async with (with_everything if everything else served)(folder) as (_, places):
            await asyncio.to_thread(act, UnixHttp(places.socket))

    asyncio.run(main())


def fits(value: Any, schema: dict[str, Any]) -> None:
    whole = {**schema, "components": document()["components"]}
    Draft202012Validator(whole).validate(value)


def test_the_document_is_valid() -> None:
    assert not list(OpenAPIV31SpecValidator(document()).iter_errors())


def test_every_route_is_in_it_and_nothing_else() -> None:
    described = {
        (method.upper(), path)
        for path, operations in document()["paths"].items()
        for method in operations
    }
    assert described == {(route.method, route.path) for route in ROUTES} | UNLISTED
    names = [route.name for route in ROUTES]
    assert len(set(names)) == len(names)


def test_the_router_has_what_the_document_has(tmp_path: Path) -> None:
    def act(asker: UnixHttp) -> None:
        assert asker.ask("GET", "/openapi.json") == (200, document())
        for path, operations in document()["paths"].items():
            for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
                if (method, path) == ("DELETE", "/v1/pools/order"):
                    continue  # of a pool with the name "order"
                if method.lower() not in operations:
                    target = path.replace("{id}", "x").replace("{name}", "x")
                    assert asker.ask(method, target)[0] == 405, (method, path)

    with_asker(tmp_path, act)


def operation(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = document()["paths"][route.path][route.method.lower()]
    return found


def asked(asker: UnixHttp, route: Route) -> tuple[int, Any]:
    """A request as the document says; the answer fits what it says."""
    target = route.path
    for name in route.variables:
        target = target.replace(f"{{{name}}}", quote(PARTS[name], safe=""))
    body = BODIES.get(route.name)
    if route.body is not None:
        fits(body, operation(route)["requestBody"]["content"]["application/json"]["schema"])
    status, answer = asker.ask(
        route.method, target, None if body is None else json.dumps(body).encode()
    )
    described = operation(route)["responses"]
    assert str(status) in described, (route.name, status, answer)
    fits(answer, described[str(status)]["content"]["application/json"]["schema"])
    return status, answer


def test_every_answer_is_as_the_document_says(tmp_path: Path) -> None:
    def act(asker: UnixHttp) -> None:
        statuses = {route.name: asked(asker, route)[0] for route in ROUTES}
        refused = {name: status for name, status in statuses.items() if status != 200}
        # It has no reset, the URL no key, and there is no other pool.
        assert refused == {"reset_device": 409, "add_pool": 422, "remove_pool": 409}

    with_asker(tmp_path, act, everything=True)


def test_what_a_rig_does_not_have_is_as_the_document_says(tmp_path: Path) -> None:
    def act(asker: UnixHttp) -> None:
        for route in ROUTES:
            if 503 in route.refusals:
                assert asked(asker, route)[0] == 503

    with_asker(tmp_path, act)


def test_a_schema_tells_a_wrong_answer() -> None:
    """That `fits` is able to fail."""
    schema = document()["paths"]["/v1/version"]["get"]["responses"]["200"]
    kind = schema["content"]["application/json"]["schema"]
    good = {"name": "a", "version": "1", "schema": 2, "pid": 1}
    fits(good, kind)
    wrongs: list[Any] = [{**good, "pid": "1"}, {"name": "a"}, [], None]
    for wrong in wrongs:
        assert not Draft202012Validator({**kind, "components": document()["components"]}).is_valid(
            wrong
        )
