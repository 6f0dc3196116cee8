"""Asks a running rig over its control socket; blocking, for commands."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import msgspec

ANSWER_TIMEOUT_S = 10.0
LONGEST_ANSWER = 16 * 1024 * 1024


class NoAnswerError(Exception):
    """No rig runs there, or it does not answer as one."""


class RefusedError(Exception):
    """The rig says no, in its words."""


class _Answer(msgspec.Struct):
    result: Any = None
    error: str | None = None


def running_rigs(folder: Path) -> dict[str, Path]:
    """Sockets of rigs that answer the phone, by name. What a dead one left is not among them."""
    rigs = {}
    for path in sorted(folder.glob("rig-*.sock")):
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(ANSWER_TIMEOUT_S)
            try:
                probe.connect(str(path))
            except OSError:
                continue
        rigs[path.name.removeprefix("rig-").removesuffix(".sock")] = path
    return rigs


def ask(path: Path, method: str, params: dict[str, Any] | None = None) -> Any:
    """The result, as plain values. NoAnswerError, RefusedError."""
    request = msgspec.json.encode({"id": 1, "method": method, "params": params or {}})
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(ANSWER_TIMEOUT_S)
            line.connect(str(path))
            line.sendall(request + b"\n")
            with line.makefile("rb") as file:
                answer = file.readline(LONGEST_ANSWER)
        decoded = msgspec.json.decode(answer, type=_Answer)
    except OSError as error:
        reason = error.strerror or str(error)
        raise NoAnswerError(f"the rig at {path} does not answer: {reason}") from error
    except msgspec.MsgspecError as error:
        raise NoAnswerError(f"what answers at {path} is no rig: {error}") from error
    if decoded.error is not None:
        raise RefusedError(decoded.error)
    return decoded.result
