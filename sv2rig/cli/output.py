"""What commands print: results on stdout (text or one JSON object), log lines on stderr."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import msgspec
import typer

# The statuses a command ends with, as docs/configuration.md lists them; from 64 on they are those
# of sysexits.h.
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_UNAVAILABLE = 69  # no pool can be had
EXIT_PERMISSION = 77
EXIT_CONFIG = 78
EXIT_INTERRUPTED = 130  # 128 + SIGINT


class UserError(Exception):
    """Something the user can mend; the text says what and how, a line each. Ends in a status."""

    def __init__(self, text: str, status: int = EXIT_USAGE) -> None:
        super().__init__(text)
        self.status = status


def print_json(value: Any) -> None:
    """One JSON object on one line, sent at once (a pipe's reader waits for it)."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()


def print_text(text: str) -> None:
    """A line for people on stdout."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def fail(error: UserError) -> NoReturn:
    """End the program with the error's line and status, without a traceback."""
    sys.stderr.write(f"sv2rig: {error}\n")
    raise typer.Exit(error.status)


def configure_log() -> None:
    """Log lines on stderr, as `sv2rig run` has them unless it is told otherwise."""
    from sv2rig.rig import logs  # a tenth of a second that commands without a log save

    logs.configure()


def log_event(level: str, text: str, device: str | None = None) -> None:
    """One event of a rig or a pool as a log line."""
    from sv2rig.rig import logs

    logs.log_event(level, text, device=device)
