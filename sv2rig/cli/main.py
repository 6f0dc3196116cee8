"""`sv2rig`: the commands and what their --help teaches."""

from __future__ import annotations

import os
import sys
import threading
from typing import Annotated

import typer

from sv2rig import __version__
from sv2rig.cli import (
    bench,
    config,
    control_devices,
    control_history,
    control_pools,
    control_rig,
    demo,
    devices,
    doctor,
    emulate,
    init,
    keys,
    mine,
    pool,
    safe_off,
    selftest,
    top,
    udev,
)
from sv2rig.cli import (
    run as run_command,
)
from sv2rig.cli.output import EXIT_FAILED, UserError

app = typer.Typer(
    name="sv2rig",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Mine with your own hardware over Stratum V2, or be the pool.\n\n"
    "Start with `sv2rig demo`: a pool and a rig on this machine. Then `sv2rig devices` shows what "
    "can mine here, and `sv2rig mine URL --user NAME` mines on a pool. Without a board, "
    "`sv2rig emulate` is one.",
)
pool_app = typer.Typer(no_args_is_help=True, help="The pool's side of Stratum V2.")
keys_app = typer.Typer(no_args_is_help=True, help="A pool's authority keys, which miners pin.")
udev_app = typer.Typer(
    no_args_is_help=True, help="Rules that give you the boards and keep other programs off them."
)
config_app = typer.Typer(no_args_is_help=True, help="The configuration of `sv2rig run`.")
pools_app = typer.Typer(invoke_without_command=True)
notify_app = typer.Typer(no_args_is_help=True, help="A daemon's hooks.")
app.command("demo")(demo.demo)
app.command("mine")(mine.mine)
app.command("top")(top.top)
app.command("run")(run_command.run)
app.command("devices")(devices.devices)
app.command("status")(control_rig.status)
app.command("set")(control_devices.set_values)
app.command("pause")(control_devices.pause)
app.command("resume")(control_devices.resume)
app.command("reset")(control_devices.reset)
app.command("enable")(control_devices.enable)
app.command("disable")(control_devices.disable)
app.command("identify")(control_devices.identify)
app.command("tune")(control_devices.tune)
app.command("history")(control_history.history)
app.command("reload")(control_rig.reload)
app.command("quit")(control_rig.quit_rig)
app.command("bench")(bench.bench)
app.command("selftest")(selftest.selftest)
app.command("doctor")(doctor.doctor)
app.command("safe-off")(safe_off.safe_off)
app.command("emulate")(emulate.emulate)
app.command("init")(init.init)
app.add_typer(config_app, name="config")
app.add_typer(pools_app, name="pools")
app.add_typer(notify_app, name="notify")
app.add_typer(pool_app, name="pool")
app.add_typer(keys_app, name="keys")
app.add_typer(udev_app, name="udev")
pools_app.callback()(control_pools.pools)
pools_app.command("list")(control_pools.list_pools)
pools_app.command("switch")(control_pools.switch)
pools_app.command("enable")(control_pools.enable)
pools_app.command("disable")(control_pools.disable)
pools_app.command("order")(control_pools.order)
pools_app.command("add")(control_pools.add)
pools_app.command("remove")(control_pools.remove)
notify_app.command("test")(control_rig.notify_test)
pool_app.command("run")(pool.run)
config_app.command("show")(config.show)
config_app.command("check")(config.check)
config_app.command("schema")(config.schema)
keys_app.command("new")(keys.new)
udev_app.command("install")(udev.install)
udev_app.command("print")(udev.print_)
udev_app.command("check")(udev.check)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sv2rig {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    _version_wanted: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    pass


def run() -> None:
    """The console script: commands, with a user's mistake told in one line."""
    status = _status()
    if threading.active_count() > 1:
        # A device's thread is still inside its driver, compiling or hanging: taking the
        # interpreter down under it would abort the process.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def _status() -> int:
    try:
        app()
    except UserError as error:
        sys.stderr.writelines(f"sv2rig: {line}\n" for line in str(error).splitlines())
        return error.status
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0
