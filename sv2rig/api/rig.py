"""What the API serves: a rig that is read and commanded, as far as its owner offers it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from sv2rig.rig.commands import ControlledDevice, PoolWish
from sv2rig.rig.snapshot import PoolStanding, SnapshotSource
from sv2rig.rig.store import Store


class RigCommands(Protocol):
    """rig.commands.Commands, which says what each does; CommandError where it is refused."""

    def devices(self) -> Sequence[ControlledDevice]: ...

    def device(self, device_id: str) -> ControlledDevice: ...

    def pause(self, device_id: str | None) -> None: ...

    def resume(self, device_id: str | None) -> None: ...

    async def disable(self, device_id: str) -> None: ...

    async def enable(self, device_id: str) -> None: ...

    def set_values(self, device_id: str, values: Mapping[str, float]) -> dict[str, float]: ...

    async def identify(self, device_id: str) -> None: ...

    async def reset(self, device_id: str) -> None: ...

    def tune(self, device_id: str, goal: str, limits: Mapping[str, float]) -> None: ...

    def pools(self) -> Sequence[PoolStanding]: ...

    def switch_pool(self, name: str) -> None: ...

    def enable_pool(self, name: str) -> None: ...

    def disable_pool(self, name: str) -> None: ...

    def order_pools(self, names: Sequence[str]) -> None: ...

    def add_pool(self, wish: PoolWish) -> None: ...

    def remove_pool(self, name: str) -> None: ...

    def quit(self) -> None: ...


class ConfigShown(msgspec.Struct, frozen=True):
    """The configuration as it was last read, without secrets, and where each key's value came from.
    `waiting`: keys whose value comes into force with a restart, with the one in force till then, as
    "name: garage -> cellar, after a restart"."""

    path: str | None
    config: dict[str, Any]
    origins: dict[str, str]
    waiting: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ApiRig:
    """A rig and what else its owner has. `report` takes level, text and device; `reload` returns
    what changed, a line each; `notify` says what the hooks did with a test. What is None is
    answered with 503."""

    name: str
    source: SnapshotSource
    commands: RigCommands
    report: Callable[[str, str, str | None], None]
    store: Store | None = None
    config: Callable[[], ConfigShown] | None = None
    reload: Callable[[], Awaitable[Sequence[str]]] | None = None
    notify: Callable[[], Awaitable[str]] | None = None
    loop_lag_s: Callable[[], float | None] | None = None
