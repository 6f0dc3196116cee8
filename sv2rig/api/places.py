"""Where a rig's API is to be had: its sockets, their places and their locks."""

from __future__ import annotations

import asyncio
import fcntl
import ipaddress
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from sv2rig.api.auth import (
    ApiStartError,
    check_shared_folder,
    check_token,
    hand_to_group,
    new_token,
    read_token,
)
from sv2rig.rig.runtime_folder import RuntimeFolderError, make_private

MOST_RIGS = 16  # of one name
LONGEST_PATH = 107  # bytes of a unix socket's address (unix(7))
BACKLOG = 64

__all__ = ["ApiOptions", "ApiStartError", "Places"]


@dataclass(frozen=True, slots=True)
class ApiOptions:
    """Where the API is to be had. `folder`: of this user alone, for the socket where no `socket` is
    named, and for a token made here. `listen`: HOST:PORT for TCP. `token`: instead of a file."""

    folder: Path
    socket: Path | None = None
    socket_group: str | None = None
    listen: str | None = None
    token_file: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Places:
    """Where the API is. `token_file`: what TCP clients have to send stands there."""

    socket: Path
    tcp: tuple[tuple[str, int], ...] = ()
    token_file: Path | None = None


@contextmanager
def claimed_path(options: ApiOptions, name: str) -> Iterator[Path]:
    """A path for the socket that no other rig takes meanwhile; whoever left a socket there is no
    more. ApiStartError where there is none."""
    try:
        make_private(options.folder)
    except RuntimeFolderError as error:
        raise ApiStartError(str(error)) from error
    if options.socket is not None:
        check_shared_folder(options.socket.parent)
    lock, path = _claim(options, name)
    try:
        path.unlink(missing_ok=True)
        yield path
    finally:
        path.unlink(missing_ok=True)
        lock.close()


def _claim(options: ApiOptions, name: str) -> tuple[IO[bytes], Path]:
    if options.socket is not None:
        lock = _lock(options.socket)
        if lock is None:
            raise ApiStartError(f"another rig serves {options.socket} already")
        return lock, options.socket
    for number in range(1, MOST_RIGS + 1):
        full = _file_name(name) + (f"-{number}" if number > 1 else "")
        path = options.folder / f"rig-{full}.sock"
        lock = _lock(path)
        if lock is not None:
            return lock, path
    raise ApiStartError(f"{MOST_RIGS} rigs of the name {name} run already")


def _lock(path: Path) -> IO[bytes] | None:
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise ApiStartError(f"{path} is too long for a socket")
    try:
        lock = path.with_suffix(".lock").open("ab")
    except OSError as error:
        raise ApiStartError(f"{path.with_suffix('.lock')}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


def _file_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name) or "rig"


def unix_listener(path: Path, group: str | None) -> socket.socket:
    """Bound and listening, for whom it is meant only."""
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.setblocking(False)
        listener.bind(str(path))
        hand_to_group(path, group)  # before anybody can connect
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ApiStartError(f"{path}: {error.strerror}") from error
    except ApiStartError:
        listener.close()
        raise
    return listener


def host_of(listen: str) -> str:
    """The host of HOST:PORT, without an IPv6 address's brackets."""
    return listen.rpartition(":")[0].strip("[]").lower()


def token_of(options: ApiOptions, path: Path) -> tuple[Path | None, str]:
    """The token that TCP clients have to send, and the file it stands in; one is made for this run
    where none is named."""
    if options.token is not None:
        return None, check_token(options.token, "SV2RIG_API__TOKEN")
    if options.token_file is not None:
        return options.token_file, read_token(options.token_file)
    made = options.folder / f"{path.stem}.token"
    return made, new_token(made)


async def tcp_listeners(options: ApiOptions) -> list[socket.socket]:
    """Bound and listening on every address of `listen`. ApiStartError also where others could reach
    it and the user has named no token."""
    if options.listen is None:
        return []
    host, port = host_of(options.listen), options.listen.rpartition(":")[2]
    if not host or not port.isdecimal() or int(port) > 0xFFFF:
        raise ApiStartError(f"the API cannot listen on {options.listen!r}: it is no HOST:PORT")
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            host, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise ApiStartError(f"the API cannot listen on {options.listen}: {error}") from error
    addresses = [(family, address) for family, _, _, _, address in found]
    has_token = options.token is not None or options.token_file is not None
    if not has_token and not all(is_loopback(str(a[0])) for _, a in addresses):
        raise ApiStartError(
            f"the API does not listen on {options.listen}, which others can reach, without a "
            "token: set token_file"
        )
    return _listening(options.listen, addresses)


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach this IP address."""
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def _listening(listen: str, addresses: Sequence[tuple[int, Any]]) -> list[socket.socket]:
    """Those that can be had: a name may have an IPv6 address on a machine without IPv6."""
    listeners: list[socket.socket] = []
    reasons: list[str] = []
    for family, address in addresses:
        try:
            listeners.append(socket.create_server(address, family=family, backlog=BACKLOG))
        except OSError as error:
            reasons.append(error.strerror or str(error))
    if not listeners:
        raise ApiStartError(f"the API cannot listen on {listen}: {'; '.join(reasons)}")
    for listener in listeners:
        listener.setblocking(False)
    return listeners
