"""`sv2rig run`: the daemon."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sv2rig.cli.config import File, load
from sv2rig.cli.output import (
    EXIT_CONFIG,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_PERMISSION,
    EXIT_UNAVAILABLE,
    UserError,
)

if TYPE_CHECKING:
    from sv2rig.api.places import ApiOptions
    from sv2rig.devices.device import Device
    from sv2rig.rig.config import Loaded
    from sv2rig.rig.daemon import Daemon
    from sv2rig.rig.store import Store


def run(
    config: File = None,
    give_up_after: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="End with status 69 when no pool was there for so many seconds. Default: as the "
            "configuration says, else try for ever.",
        ),
    ] = None,
) -> None:
    """Mine as the configuration says, until it is told to stop.

    For services: several pools, boards that come and go, a control socket (`sv2rig top` attaches
    to it), counters that outlive it. SIGTERM and Ctrl-C end it in order, boards made safe; a
    second one ends it at once. SIGHUP, or `sv2rig reload`, reads the configuration again. Without
    a configuration it says how to make one.
    """
    from sv2rig.rig import logs
    from sv2rig.rig.config import ConfigError
    from sv2rig.rig.configured import check_usable

    loaded = load(config)
    try:
        check_usable(loaded, os.environ)
        secrets = loaded.secrets()
    except ConfigError as error:
        raise UserError(str(error), EXIT_CONFIG) from error
    wanted = loaded.config.log
    logs.configure(logs.Form(wanted.format), wanted.level, secrets)
    devices = _devices(loaded)
    try:
        asyncio.run(_run(loaded, devices, config, give_up_after))
    except KeyboardInterrupt:
        raise typer.Exit(EXIT_INTERRUPTED) from None


def _devices(loaded: Loaded) -> list[Device]:
    from sv2rig.rig.configured import devices_of
    from sv2rig.rig.device_choice import DeviceChoiceError
    from sv2rig.rig.logs import log_event

    def report(level: str, text: str, device: str | None) -> None:
        log_event(level, text, device=device)

    try:
        return devices_of(loaded.config, report)
    except DeviceChoiceError as error:
        raise UserError(str(error), EXIT_FAILED) from error


async def _run(
    loaded: Loaded, devices: Sequence[Device], file: Path | None, give_up_after: float | None
) -> None:
    from sv2rig.rig.daemon import Daemon
    from sv2rig.rig.systemd import Notifier

    # What is loaded by now stays: no collection need look at it while jobs wait.
    gc.freeze()
    notifier = Notifier(os.environ.get("NOTIFY_SOCKET"))
    said = _Said()
    with contextlib.closing(notifier), _store(loaded, said) as store:
        daemon = Daemon(loaded, devices, store, notifier, give_up_after)
        said.listener = daemon.report_from_thread
        reloading = _Reloading(daemon, file)
        with _signals(daemon, reloading.ask):
            async with _served(daemon, reloading), reloading:
                await _until_its_end(daemon)


async def _until_its_end(daemon: Daemon) -> None:
    from sv2rig.mining.session_errors import PoolsAwayError

    try:
        await daemon.run()
    except PoolsAwayError as error:
        raise UserError(str(error), EXIT_UNAVAILABLE) from error


class _Said:
    """What the store says: to the log until there is a rig that listens."""

    def __init__(self) -> None:
        self.listener: Callable[[str, str], None] | None = None

    def __call__(self, level: str, text: str) -> None:
        from sv2rig.rig.logs import log_event

        (self.listener or log_event)(level, text)


@contextlib.contextmanager
def _store(loaded: Loaded, report: Callable[[str, str], None]) -> Iterator[Store | None]:
    """The store; None where the disk does not let us have one: the rig mines without, and still
    keeps a second one away, as far as the disk has its folder."""
    from sv2rig.rig.store import Store, StoreError, lock_folder

    config = loaded.config
    store = None
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(contextlib.closing(lock_folder(config.state_dir)))
            store = Store.open_locked(config.state_dir, report, config.history.keep_days)
            held.callback(store.close)
        except StoreError as error:
            if error.kind != "disk":
                status = EXIT_PERMISSION if error.kind == "permission" else EXIT_FAILED
                raise UserError(str(error), status) from error
            words = "mining without counters and a share log that outlive the rig"
            report("error", f"{words}: {error}")
        yield store


@contextlib.contextmanager
def _signals(daemon: Daemon, reload: Callable[[], None]) -> Iterator[None]:
    """The first SIGTERM or SIGINT ends in order, the next at once; SIGHUP reloads."""
    loop = asyncio.get_running_loop()
    ending = (signal.SIGINT, signal.SIGTERM)

    def end() -> None:
        daemon.stop.set()
        for number in ending:
            loop.remove_signal_handler(number)
        signal.signal(signal.SIGTERM, signal.default_int_handler)

    for number in ending:
        loop.add_signal_handler(number, end)
    loop.add_signal_handler(signal.SIGHUP, reload)
    try:
        yield
    finally:
        for number in (*ending, signal.SIGHUP):
            loop.remove_signal_handler(number)


class _Reloading:
    """Reads the configuration again, one request after the other."""

    def __init__(self, daemon: Daemon, file: Path | None) -> None:
        self._daemon = daemon
        self._file = file
        self._one = asyncio.Lock()
        self._asked: set[asyncio.Task[object]] = set()

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *_: object) -> None:
        for task in self._asked:
            task.cancel()
        await asyncio.gather(*self._asked, return_exceptions=True)

    def ask(self) -> None:
        """As SIGHUP does: whoever asked hears nothing but the log."""
        from sv2rig.rig.commands import CommandError

        async def reload() -> None:
            with contextlib.suppress(CommandError):
                await self.reload()

        task: asyncio.Task[object] = asyncio.create_task(reload())
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)

    async def reload(self) -> list[str]:
        """What changed; CommandError where the configuration does not hold together."""
        from sv2rig.rig.commands import CommandError
        from sv2rig.rig.config import ConfigError, load_config
        from sv2rig.rig.reload import carry_out, plan

        async with self._one:
            if self._daemon.stop.is_set():
                raise CommandError("the rig stops", "refused")
            notifier, rig = self._daemon.notifier, self._daemon.rig
            notifier.reloading()
            try:
                wanted = plan(self._daemon, load_config(self._file, os.environ), os.environ)
                return await carry_out(self._daemon, wanted)
            except ConfigError as error:
                rig.tell("error", f"the configuration in force stays as it was: {error}")
                raise CommandError(str(error), "invalid") from error
            finally:
                notifier.ready("the configuration was read again")


@contextlib.asynccontextmanager
async def _served(daemon: Daemon, reloading: _Reloading) -> AsyncIterator[None]:
    """With the API. Who asked for one gets it or an error."""
    from sv2rig.api.places import ApiStartError
    from sv2rig.api.rig import ApiRig, ConfigShown
    from sv2rig.api.server import serve_api
    from sv2rig.rig.config_diff import waiting_changes
    from sv2rig.rig.config_show import nested, shown

    def config() -> ConfigShown:
        loaded = daemon.loaded
        path = None if loaded.path is None else str(loaded.path)
        waiting = [str(change) for change in waiting_changes(daemon.started_with, loaded)]
        return ConfigShown(path, nested(shown(loaded)), dict(loaded.origins), tuple(waiting))

    async def notify() -> str:
        return str(await daemon.hooks.test())

    rig = daemon.rig
    api = ApiRig(
        daemon.loaded.config.name,
        rig,
        daemon.commands,
        rig.tell,
        store=daemon.store,
        config=config,
        reload=reloading.reload,
        notify=notify,
        loop_lag_s=lambda: daemon.loop_lag_s,
    )
    async with contextlib.AsyncExitStack() as stack:
        try:
            places = await stack.enter_async_context(serve_api(api, _api_options(daemon.loaded)))
        except ApiStartError as error:
            denied = isinstance(error.__cause__, PermissionError)
            raise UserError(str(error), EXIT_PERMISSION if denied else EXIT_FAILED) from error
        where = [str(places.socket), *(f"{host}:{port}" for host, port in places.tcp)]
        rig.report("info", f"the API is on {', '.join(where)}; `sv2rig top` attaches")
        yield


def _api_options(loaded: Loaded) -> ApiOptions:
    from sv2rig.api.places import ApiOptions
    from sv2rig.rig.runtime_folder import runtime_folder, service_folder

    config = loaded.config
    wanted, shared = config.api, service_folder(os.environ)
    socket = wanted.socket
    if socket is None and shared is not None:
        socket = shared / f"rig-{config.name}.sock"
    token = wanted.token
    return ApiOptions(
        runtime_folder(os.environ, os.getuid()),
        socket,
        wanted.socket_group,
        wanted.listen,
        wanted.token_file,
        wanted.tls_cert,
        wanted.tls_key,
        None if token is None else token.get_secret_value(),
    )
