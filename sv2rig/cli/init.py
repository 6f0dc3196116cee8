"""`sv2rig init`: writes the first configuration."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from sv2rig.cli.output import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_PERMISSION,
    UserError,
    print_text,
)

DAEMONS_FOLDER = Path("/etc/sv2rig")
DAEMONS_USER = "sv2rig"  # udev/sv2rig.service


def init(
    pool: Annotated[
        str | None,
        typer.Option(
            help="stratum2+tcp://HOST:PORT/AUTHORITYKEY, as the pool publishes it.",
        ),
    ] = None,
    user: Annotated[
        str | None,
        typer.Option(
            "--user", "-u", help="Who is paid, in the pool's words: often ADDRESS.worker or a name."
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The rig's name. Default: this machine's.")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Ask nothing; --pool and --user must be given.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="The file to write. Default: where `sv2rig run` looks first."
        ),
    ] = None,
) -> None:
    """Write a configuration for `sv2rig run`, with every key explained.

    Asks for what is not given. A file that is there already is never overwritten.
    """
    from sv2rig.rig.config import search_path
    from sv2rig.rig.config_template import template, write_new

    path = output or search_path(os.environ)[0]
    if path.exists() or path.is_symlink():
        raise UserError(f"{path} is there already and stays as it is", EXIT_FAILED)
    asks = sys.stdin.isatty() and sys.stdout.isatty() and not yes
    if not asks:
        _all_given(pool, user, yes)
    url = _answer("the pool's address (stratum2+tcp://HOST:PORT/AUTHORITYKEY)", pool, _pool)
    who = _answer("the user who is paid, in the pool's words", user, _user)
    if asks and name is None:
        name = _ask("the rig's name, empty for this machine's", "")
    text = template(url, who, _name(name) if name else None)
    try:
        write_new(path, text)
        _hand_over(path)
    except FileExistsError:
        raise UserError(f"{path} is there already and stays as it is", EXIT_FAILED) from None
    except PermissionError as error:
        raise UserError(f"{path}: {error.strerror}", EXIT_PERMISSION) from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}", EXIT_FAILED) from None
    again = "" if output is None else f" -c {path}"
    print_text(f"wrote {path}; `sv2rig run{again}` mines by it")


def _hand_over(path: Path) -> None:
    """What root writes for the daemon belongs to the user that it runs as, where there is one."""
    if os.geteuid() != 0 or path.absolute().parent != DAEMONS_FOLDER:
        return
    try:
        daemon = pwd.getpwnam(DAEMONS_USER)
    except KeyError:
        return
    for owned in (path.parent, path):
        os.chown(owned, daemon.pw_uid, daemon.pw_gid)


def _all_given(pool: str | None, user: str | None, yes: bool) -> None:
    missing = [text for text, value in (("--pool URL", pool), ("--user NAME", user)) if not value]
    if not yes:
        missing.append("--yes")
    if missing:
        where = "with --yes nothing is asked" if yes else "there is no terminal to ask on"
        raise UserError(f"{where}: give {' and '.join(missing)}")


def _answer(question: str, given: str | None, check: Callable[[str], str]) -> str:
    """What was given, or what is answered; asked again until it is right."""
    if given is not None:
        try:
            return check(given)
        except ValueError as error:
            raise UserError(str(error)) from None
    while True:
        try:
            return check(_ask(question))
        except ValueError as error:
            print_text(str(error))


def _ask(question: str, default: str | None = None) -> str:
    try:
        answer: str = typer.prompt(question, default, show_default=False)
    except typer.Abort:
        raise typer.Exit(EXIT_INTERRUPTED) from None
    return answer


def _pool(text: str) -> str:
    from sv2rig.sv2.url import parse_pool_url

    return str(parse_pool_url(text.strip()))


def _user(text: str) -> str:
    from sv2rig.rig.config_model import check_user

    try:
        check_user(text)
    except ValueError as error:
        raise ValueError(f"the user: {error}") from None
    return text


def _name(text: str) -> str:
    from sv2rig.rig.config_model import NAME_FORM

    if NAME_FORM.fullmatch(text) is None:
        raise UserError(f"--name {text!r}: wanted 1 to 64 letters, digits or ._-")
    return text
