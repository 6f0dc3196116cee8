"""The command palette: every command, by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from sv2rig.api.client import device_path, pool_path
from sv2rig.rig.snapshot import DeviceSnapshot
from sv2rig.tui.text import plain

if TYPE_CHECKING:
    from sv2rig.tui.operated import OperatedRig


class Entry(NamedTuple):
    """A command: what it is called, what it does, in words, and how."""

    name: str
    help: str
    act: Callable[[], object]


class RigCommands(Provider):
    """What the rig and this screen take."""

    @property
    def _rig_app(self) -> OperatedRig:
        return cast("OperatedRig", self.app)

    async def discover(self) -> Hits:
        """What is shown before anything is typed: the rig's commands and the chosen device's."""
        app = self._rig_app
        device = app.target
        for entry in (*(device_entries(app, device) if device else ()), *rig_entries(app)):
            name = plain(entry.name)
            yield DiscoveryHit(Content(name), entry.act, name, entry.help)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for entry in all_entries(self._rig_app):
            name = plain(entry.name)
            score = matcher.match(name)
            if score > 0:
                # highlight() reads markup, which a pool's or a board's name may look like.
                shown = Content(name) if "[" in name else matcher.highlight(name)
                yield Hit(score, shown, entry.act, name, entry.help)


def all_entries(app: OperatedRig) -> Iterator[Entry]:
    """Every command there is now."""
    yield from rig_entries(app)
    rig = app.seen.rig
    if rig is None:
        return
    for pool in rig.pools:
        for verb, words in (
            ("switch", "mine on this pool now"),
            ("enable", "use this pool again"),
            ("disable", "do not use this pool"),
        ):
            act = partial(app.command, "POST", pool_path(pool.name, verb))
            yield Entry(f"pool {pool.name}: {verb}", words, act)
    for device in rig.devices:
        yield from device_entries(app, device)


def device_entries(app: OperatedRig, device: DeviceSnapshot) -> Iterator[Entry]:
    """What can be done to one device."""

    def entry(verb: str, words: str) -> Entry:
        return Entry(f"{verb} {device.id}", words, partial(app.command_device, device.id, verb))

    yield Entry(f"show {device.id}", "its screen", partial(app.show_device, device.id))
    yield entry("resume", "work again") if device.paused else entry("pause", "no work for it")
    if device.enabled:
        yield entry("disable", "stop it; it stays off, also over restarts")
    else:
        yield entry("enable", "use it again")
    yield entry("identify", "let it show itself")
    question = f"Reset {device.id}? It starts anew and mines no work meanwhile."
    reset = partial(app.command_device, device.id, "reset")
    yield Entry(f"reset {device.id}", "start it anew", partial(app.confirmed, question, reset))
    for goal in ("hashrate", "efficiency"):
        path, body = device_path(device.id, "tune"), {"goal": goal}
        act = partial(app.command, "POST", path, body, f"{device.id} searches its best frequency")
        yield Entry(f"tune {device.id} for {goal}", "look for its best frequency", act)


def rig_entries(app: OperatedRig) -> Iterator[Entry]:
    """What is done to the rig, or to the screen."""

    def post(name: str, path: str, words: str, done: str = "") -> Entry:
        return Entry(name, words, partial(app.command, "POST", path, None, done))

    yield post("pause all devices", "/v1/pause", "no work for any of them")
    yield post("resume all devices", "/v1/resume", "work again for all of them")
    yield Entry("pools", "list, switch, order, add, remove", app.action_pools)
    yield post("reload the configuration", "/v1/reload", "as SIGHUP does", "reloaded: see the log")
    yield post(
        "test the hooks", "/v1/notify/test", "as `sv2rig notify test`", "the hooks were called"
    )
    yield Entry("troubled devices only", "t", app.action_troubled_only)
    yield Entry("order of the devices", "o", app.action_order)
    yield Entry("follow the log", "f", app.action_follow)
    yield Entry("dismiss the block banner", "d", app.action_dismiss)
    yield Entry("help", "?", app.action_help)
    stop = partial(app.command, "POST", "/v1/quit", None, "the rig ends")
    yield Entry(
        "stop the rig",
        "ends mining in order",
        partial(app.confirmed, "Stop the rig? It mines no more until it is started again.", stop),
    )
    if not app.ends_rig:
        yield Entry("detach", "leave the screen; the rig mines on", app.action_quit)
