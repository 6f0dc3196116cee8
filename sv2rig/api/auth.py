"""Who may ask: on a unix socket whom its file lets in, on TCP whoever has the token."""

from __future__ import annotations

import grp
import hmac
import ipaddress
import os
import secrets
import socket
import ssl
import stat
import struct
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware

from sv2rig.api.problems import problem
from sv2rig.api.routes import ApiProblemError

SHORTEST_TOKEN = 16
DEFAULT_GROUP = "sv2rig"
PEER = struct.Struct("3i")  # pid, uid, gid of SO_PEERCRED (unix(7))

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ApiStartError(Exception):
    """The API cannot be opened as it was asked for."""


def who(request: web.Request) -> str:
    """Whom to name in the audit line."""
    line = _socket(request)
    if line is None or line.family != socket.AF_UNIX:
        return "token"
    found = line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size)
    return f"uid {PEER.unpack(found)[1]}"


def guard(token: str, names: Sequence[str]) -> Middleware:
    """Lets unix clients in, and TCP clients with the token that mean this host: `names` are those
    it goes by, beside its addresses."""
    wanted = token.encode()
    known = frozenset(("localhost", *names))

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        line = _socket(request)
        if line is not None and line.family == socket.AF_UNIX:
            return await handler(request)
        try:
            _check_host(request, known)
            _check_token(request, wanted)
        except ApiProblemError as error:
            return problem(error)
        return await handler(request)

    return check


def _socket(request: web.Request) -> socket.socket | None:
    if request.transport is None:
        return None
    found: socket.socket | None = request.transport.get_extra_info("socket")
    return found


def _check_token(request: web.Request, wanted: bytes) -> None:
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not hmac.compare_digest(
        given.strip().encode(errors="surrogateescape"), wanted
    ):
        raise ApiProblemError(
            401,
            "a token is needed: send the header `Authorization: Bearer TOKEN`",
            None,
            {"WWW-Authenticate": 'Bearer realm="sv2rig"'},
        )


def _check_host(request: web.Request, known: frozenset[str]) -> None:
    """A page that a browser was led to by a name that now means this address (DNS rebinding) gives
    itself away by that name, and any page by its Origin."""
    host = request.headers.get("Host", "")
    name = _split(f"//{host}").hostname or ""
    if name not in known and not _is_address(name):
        raise ApiProblemError(403, f"this rig does not go by the name {name!r}", "Host")
    origin = request.headers.get("Origin")
    if origin is not None and _split(origin).netloc != host:
        raise ApiProblemError(403, f"pages of {origin} may not ask this rig", "Origin")


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # "[" without "]"
        return SplitResult("", "", "", "", "")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def read_token(path: Path) -> str:
    """The token in this file; ApiStartError unless it is long and not for everybody to read."""
    try:
        mode = path.stat().st_mode
        token = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ApiStartError(f"the API's token file {path}: {error}") from error
    if mode & (stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP):
        raise ApiStartError(f"everybody can read the API's token in {path}: chmod 600 it")
    return check_token(token, str(path))


def check_token(token: str, place: str) -> str:
    """The token itself; ApiStartError unless it is long and can be sent. `place` names it."""
    if len(token) < SHORTEST_TOKEN or not (token.isascii() and token.isprintable()) or " " in token:
        raise ApiStartError(
            f"the API's token in {place} must be at least {SHORTEST_TOKEN} letters without spaces: "
            "make one with `openssl rand -hex 32`"
        )
    return token


def new_token(path: Path) -> str:
    """A token of this run's own, in a file that only this user reads."""
    token = secrets.token_hex(32)
    try:
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(token + "\n")
    except OSError as error:
        raise ApiStartError(f"the API's token file {path}: {error.strerror}") from error
    return token


def tls_context(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """For serving TLS, if a certificate is given."""
    if certificate is None:
        if key is not None:
            raise ApiStartError("tls_key without tls_cert: both are needed for TLS")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise ApiStartError(f"TLS of the API: {certificate}, {key}: {error}") from error
    return context


def hand_to_group(path: Path, group: str | None) -> None:
    """A socket for this user and a group (0660): the one that is asked for, else "sv2rig" where
    this user can give it; without one it is this user's alone (0600)."""
    try:
        number = grp.getgrnam(group or DEFAULT_GROUP).gr_gid
        os.chown(path, -1, number)
    except (KeyError, OSError) as error:
        if group is not None:
            raise ApiStartError(
                f"{path} cannot be given to the group {group}: {error}; `groupadd` it and add this "
                "user to it"
            ) from error
        path.chmod(0o600)
        return
    path.chmod(0o660)


def check_shared_folder(folder: Path) -> None:
    """ApiStartError where others could put their own socket in the place of ours."""
    try:
        found = folder.stat()
    except OSError as error:
        raise ApiStartError(f"the API's socket folder {folder}: {error.strerror}") from error
    if found.st_uid not in (0, os.getuid()) or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ApiStartError(
            f"others can write to {folder}, where the API's socket is to be: it should be this "
            "user's (or root's), mode 0750 or tighter"
        )
