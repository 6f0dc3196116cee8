"""Log lines on stderr, in the form that suits their reader.

- human: local time with its offset, level, words, fields; colours on a terminal
- journal: the priority that systemd reads from a line's start, no time (the journal has its own)
- json: one object a line, `time` in UTC with Z

"auto" is journal where systemd took stderr, and human elsewhere.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}
LEVELS["error"] = logging.ERROR
# syslog's priorities (sd-daemon(3))
_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3}
HIDDEN = "(secret)"


class Form(StrEnum):
    """How log lines look."""

    AUTO = "auto"
    HUMAN = "human"
    JOURNAL = "journal"
    JSON = "json"


def configure(
    form: Form = Form.AUTO,
    level: str = "info",
    secrets: Iterable[str] = (),
    *,
    stream: TextIO | None = None,
    environment: Mapping[str, str] = os.environ,
) -> None:
    """From now on lines of this level and above go to `stream` (stderr) in this form; may be
    called again. None of the `secrets` is ever in a line."""
    out = sys.stderr if stream is None else stream
    if form is Form.AUTO:
        form = Form.JOURNAL if is_journal(out, environment) else Form.HUMAN
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            _Hide(secrets),
            *_processors(form, out),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=False,
    )


def is_journal(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether systemd connected this very stream to the journal: JOURNAL_STREAM is its device and
    inode (systemd.exec(5)); a child whose stderr goes elsewhere has the variable, too."""
    device, _, inode = environment.get("JOURNAL_STREAM", "").partition(":")
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):  # no file at all
        return False
    return (device, inode) == (str(found.st_dev), str(found.st_ino))


def _processors(form: Form, out: TextIO) -> list[Processor]:
    match form:
        case Form.JSON:
            return [_utc_time, _json]
        case Form.JOURNAL:
            return [_journal]
        case _:
            return [
                _local_time,
                structlog.dev.ConsoleRenderer(colors=out.isatty(), pad_event_to=0),
            ]


class _Hide:
    """Replaces secrets wherever they stand in a line's values. Short ones would hide half of it,
    and are none."""

    _SHORTEST = 6

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = [text for text in secrets if len(text) >= self._SHORTEST]

    def __call__(self, _log: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        for secret in self._secrets:
            for key, value in event.items():
                if secret in str(value):
                    event[key] = str(value).replace(secret, HIDDEN)
        return event


def _local_time(_log: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    event["timestamp"] = datetime.now().astimezone().isoformat(" ", "seconds")
    return event


def _utc_time(_log: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return {"time": now.replace("+00:00", "Z"), **event}


def _json(_log: WrappedLogger, _method: str, event: EventDict) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()


def _journal(_log: WrappedLogger, _method: str, event: EventDict) -> str:
    level, text = event.pop("level"), str(event.pop("event"))
    fields = "".join(f" {key}={value}" for key, value in event.items())
    first = f"<{_PRIORITIES[level]}>"
    # each line of a text is an entry of its own, and needs its priority
    return "\n".join(first + line for line in (text + fields).split("\n"))


def log_event(level: str, text: str, **fields: Any) -> None:
    """One event as a line; "good" news is information. What cannot be written, to a full disk or a
    pipe that nobody reads, is left out: a rig mines without its log."""
    log = structlog.get_logger()
    shown = {key: value for key, value in fields.items() if value is not None}
    with suppress(OSError):
        getattr(log, level if level in LEVELS else "info")(text, **shown)
