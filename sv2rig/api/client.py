"""Asks a running rig over its unix socket; blocking, for commands."""

from __future__ import annotations

import http.client
import os
import socket
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from sv2rig.api.messages import Problem
from sv2rig.rig.runtime_folder import runtime_folder, service_folder

ANSWER_TIMEOUT_S = 40.0  # a command may take 30 s
LONGEST_ANSWER = 64 * 1024 * 1024
_PEER = struct.Struct("3i")  # unix(7): pid, uid, gid
SYSTEM_FOLDER = Path("/run/sv2rig")  # the daemon's, as systemd makes it


class NoAnswerError(Exception):
    """No rig runs there, or it does not answer as one."""


class RefusedError(Exception):
    """The rig says no, in its words; `field`: about which value."""

    def __init__(self, text: str, status: int, field: str | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.field = field


class RigClient:
    """One rig's API. Methods give plain JSON values; NoAnswerError, RefusedError."""

    def __init__(self, path: Path, timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        self.path = path
        self._timeout_s = timeout_s

    def get(self, target: str) -> Any:
        """As in get("/v1/snapshot")."""
        return self.ask("GET", target)

    def post(self, target: str, body: Any = None) -> Any:
        """As in post("/v1/pause")."""
        return self.ask("POST", target, body)

    def ask(self, method: str, target: str, body: Any = None) -> Any:
        """The answer's JSON."""
        raw = None if body is None else msgspec.json.encode(body)
        headers = {} if raw is None else {"Content-Type": "application/json"}
        line = _UnixConnection(self.path, self._timeout_s)
        try:
            line.request(method, target, raw, headers)
            answer = line.getresponse()
            text = answer.read(LONGEST_ANSWER)
            if answer.status != 200:
                problem = msgspec.json.decode(text, type=Problem)
                raise RefusedError(problem.error, answer.status, problem.field)
            return msgspec.json.decode(text)
        except TimeoutError as error:
            raise NoAnswerError(
                f"the rig at {self.path} does not answer within {self._timeout_s:g} s"
            ) from error
        except OSError as error:
            reason = error.strerror or str(error)
            raise NoAnswerError(f"the rig at {self.path} does not answer: {reason}") from error
        except (http.client.HTTPException, msgspec.MsgspecError) as error:
            raise NoAnswerError(f"what answers at {self.path} is no rig: {error!r}") from error
        finally:
            line.close()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def device_path(device_id: str, verb: str = "") -> str:
    """The path of a device, or of what is done to it."""
    return "/".join(filter(None, ("/v1/devices", quote(device_id, safe=""), verb)))


def pool_path(name: str, verb: str = "") -> str:
    """The path of a pool, or of what is done to it."""
    return "/".join(filter(None, ("/v1/pools", quote(name, safe=""), verb)))


def rig_folders(environment: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """Where sockets of rigs stand: the folder of the service that this runs in (as a hook does),
    this user's, and the daemon's."""
    own = runtime_folder(environment, os.getuid())
    folders = (service_folder(environment), own, SYSTEM_FOLDER)
    return tuple(dict.fromkeys(folder for folder in folders if folder is not None))


def find_rigs(folders: Iterable[Path]) -> dict[str, Path]:
    """Sockets of rigs that answer the phone, by name; of two of a name the first folder's. What a
    dead one left is not among them."""
    rigs: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.glob("rig-*.sock")):
            if is_answered(path):
                rigs.setdefault(path.name.removeprefix("rig-").removesuffix(".sock"), path)
    return rigs


def is_answered(path: Path) -> bool:
    """Whether anybody listens at this socket, and lets us in."""
    return process_at(path) is not None


def process_at(path: Path) -> int | None:
    """The pid of who listens at this socket; None where nobody does, or lets us in."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(ANSWER_TIMEOUT_S)
        try:
            probe.connect(str(path))
            peer = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
        except OSError:
            return None
    pid: int = _PEER.unpack(peer)[0]
    return pid
