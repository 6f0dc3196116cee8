"""The one table of what the API answers: the router and the OpenAPI document are made from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from sv2rig.api.rig import ApiRig

JSON = "application/json"


class ApiProblemError(Exception):
    """A request that is answered with an error; `field`: which value of it is wrong."""

    def __init__(
        self, status: int, text: str, name: str | None = None, headers: Mapping[str, str] = {}
    ) -> None:
        super().__init__(text)
        self.status = status
        self.field = name
        self.headers = dict(headers)


@dataclass(frozen=True, slots=True)
class Call:
    """One request, checked. `path`: the variables of the path; `query` and `body`: of the route's
    types."""

    rig: ApiRig
    path: Mapping[str, str]
    query: Any
    body: Any

    @property
    def device(self) -> str:
        """The path's device."""
        return self.path["id"]

    @property
    def pool(self) -> str:
        """The path's pool."""
        return self.path["name"]


Act = Callable[[Call], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path. `answer`, `query` and `body` are types that msgspec knows. `audit`
    says in words what a command does; None for what only reads."""

    method: str
    path: str
    name: str
    summary: str
    answer: Any
    act: Act
    query: type[msgspec.Struct] | None = None
    body: Any = None
    audit: Callable[[Call], str] | None = None
    refusals: tuple[int, ...] = field(default=())

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the path's variables."""
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))
