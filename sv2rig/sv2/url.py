"""Pool addresses as people paste them: `stratum2+tcp://host:port/AUTHORITYKEY` (spec 4.7)."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from sv2rig.sv2.authority import decode_authority_key, encode_authority_key

DEFAULT_PORT: Final = 34254  # the specification's example, and what public pools listen on
EXPECTED_FORM: Final = "stratum2+tcp://HOST:PORT/AUTHORITYKEY"

_TCP: Final = "stratum2+tcp"
_IROH: Final = "stratum2+iroh"
# Letters of any script, since resolvers take international names; underscores occur in local ones.
_HOST_NAME: Final = re.compile(r"(?!-)[\w-]+(\.[\w-]+)*\.?")


class PoolUrlError(ValueError):
    """The text is no pool address; the message says why and shows the expected form."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}; the expected form is {EXPECTED_FORM}")


@dataclass(frozen=True, slots=True)
class PoolUrl:
    """Where a pool is, and by which 32-byte authority key it is known (None: by none).

    `host` is a name or an IP address without brackets.
    """

    scheme: str
    host: str
    port: int
    authority_key: bytes | None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        address = f"{self.scheme}://{host}:{self.port}"
        if self.authority_key is None:
            return address
        return f"{address}/{encode_authority_key(self.authority_key)}"


def parse_pool_url(text: str, *, insecure: bool = False) -> PoolUrl:
    """The address in the text; without a key only where `insecure` says the user wants that.

    Raises PoolUrlError, or AuthorityKeyError where only the key is at fault.
    """
    parts = _split(text)
    if parts.scheme == _IROH:
        raise PoolUrlError("pools over iroh (QUIC) are not supported yet, only over TCP")
    if parts.scheme != _TCP:
        hint = " (Stratum V1)" if parts.scheme in ("stratum+tcp", "stratum+ssl") else ""
        raise PoolUrlError(f"{parts.scheme}://{hint} is not a scheme spoken here")
    if parts.username is not None:
        raise PoolUrlError("a name before the host (...@) means nothing here: set the user apart")
    if parts.query or parts.fragment:
        raise PoolUrlError("nothing may follow the authority key")
    return PoolUrl(_TCP, _host(parts), _port(parts), _authority_key(parts, insecure))


def _split(text: str) -> SplitResult:
    if not text.isprintable() or " " in text:
        raise PoolUrlError(f"{text!r} has a space or an unprintable character in it")
    if "://" not in text:
        raise PoolUrlError(f"{text!r} does not begin with a scheme")
    try:
        return urlsplit(text)
    except ValueError as error:
        raise PoolUrlError(f"{text!r} cannot be read: {error}") from None


def _host(parts: SplitResult) -> str:
    host = parts.hostname
    if parts.netloc.count(":") > 1 and "[" not in parts.netloc:
        raise PoolUrlError(f"an IPv6 address is set in brackets, unlike in {parts.netloc!r}")
    if not host:
        raise PoolUrlError("the host is missing")
    if "[" in parts.netloc:
        try:
            return str(ipaddress.IPv6Address(host))
        except ValueError:
            raise PoolUrlError(f"[{host}] is not an IPv6 address") from None
    if len(host) > 253 or not _HOST_NAME.fullmatch(host):
        raise PoolUrlError(f"{host!r} is not a host name or an IP address (IPv6 in brackets)")
    return host


def _port(parts: SplitResult) -> int:
    try:
        port = DEFAULT_PORT if parts.port is None else parts.port
    except ValueError:
        port = 0
    if not port:
        raise PoolUrlError(f"the port in {parts.netloc!r} is not a number from 1 to 65535")
    return port


def _authority_key(parts: SplitResult, insecure: bool) -> bytes | None:
    key = parts.path.removeprefix("/")
    if key:
        return decode_authority_key(key)
    if insecure:
        return None
    raise PoolUrlError(
        "the pool's authority key is missing: the pool publishes it, and without it nobody can "
        "tell the pool from an impostor"
    )
