"""The configuration's keys: their types, limits, defaults and meaning. Nothing is read here.

`config schema`, `sv2rig init`, docs/configuration.md and every error's words come from these
classes. `applies` of a key says what a reload does with its change: "now", or "restart" where the
daemon has to be started again for it.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from sv2rig.bitcoin.address import address_to_script
from sv2rig.sv2.share_check import ROLLABLE_VERSION_BITS
from sv2rig.sv2.url import parse_pool_url

NAME_FORM = re.compile(r"[A-Za-z0-9._-]{1,64}")
LONGEST_USER = 255  # bytes of user_identity, a STR0_255 (spec 5.3.2)

FilePath = Annotated[Path, Field(strict=False)]
Texts = Annotated[tuple[str, ...], Field(strict=False)]
Event = Literal["block_found", "device_lost", "device_back", "hot", "pool_down", "pool_back"]
Events = Annotated[tuple[Event, ...], Field(strict=False)]
ALL_EVENTS: tuple[Event, ...] = (
    "block_found",
    "device_lost",
    "device_back",
    "hot",
    "pool_down",
    "pool_back",
)


def key(default: Any = ..., help: str = "", *, restart: bool = False, **limits: Any) -> Any:
    """A key with its meaning, and whether a change of it waits for a restart."""
    extra: dict[str, JsonValue] = {"applies": "restart" if restart else "now"}
    if callable(default):
        limits["default_factory"] = default
    else:
        limits["default"] = default
    return Field(description=help, json_schema_extra=extra, **limits)


def at(name: str, words: str) -> PydanticCustomError:
    """An error of a whole table that belongs to one of its keys."""
    return PydanticCustomError("at_key", "{words}", {"key": name, "words": words})


class Table(BaseModel):
    """A table of the file: no other keys, no guessing at types."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, hide_input_in_errors=True
    )


def _name_of(pool: dict[str, Any]) -> str:
    return parse_pool_url(pool["url"], insecure=True).host if "url" in pool else ""


class PoolConfig(Table):
    """A pool to mine on; the first is preferred, the others stand in for it in their order."""

    url: str = key(help="stratum2+tcp://HOST:PORT/AUTHORITYKEY, as the pool publishes it")
    user: SecretStr | None = key(
        None, "who is paid, in the pool's words: often ADDRESS.worker or a name"
    )
    user_file: FilePath | None = key(
        None, "a file whose first line is the user, where that holds a secret; instead of user"
    )
    name: str = key(
        _name_of, "what it is called here; without one, the host of its url", min_length=1
    )
    channel: Literal["extended", "standard"] = key(
        "extended",
        "extended: one channel for the whole rig; standard: one a device, jobs with ready-made "
        "merkle roots",
    )
    enabled: bool = key(True, "false: not mined on until it is enabled")
    payout_address: str | None = key(
        None,
        "your address: screen and snapshot say what part of the block's reward each job pays to it "
        "(extended channels only); nothing is sent to the pool",
    )
    insecure_no_verify: bool = key(
        False, "true: trust any server, also one without a key; for tests only"
    )

    @field_validator("url")
    @classmethod
    def _is_a_url(cls, url: str) -> str:
        parse_pool_url(url, insecure=True)
        return url

    @field_validator("user")
    @classmethod
    def _fits(cls, user: SecretStr | None) -> SecretStr | None:
        if user is not None:
            check_user(user.get_secret_value())
        return user

    @field_validator("payout_address")
    @classmethod
    def _is_payable(cls, address: str | None) -> str | None:
        if address is not None:
            address_to_script(address)
        return address

    @model_validator(mode="after")
    def _whole(self) -> PoolConfig:
        if (self.user is None) == (self.user_file is None):
            given = "both are given" if self.user is not None else "neither is given"
            raise at("user", f"user or user_file, one of them: {given}")
        try:
            parse_pool_url(self.url, insecure=self.insecure_no_verify)
        except ValueError as error:
            raise at("url", str(error)) from error
        return self


def check_user(user: str) -> None:
    """ValueError unless it can be sent as a user identity."""
    size = len(user.encode())
    if not 0 < size <= LONGEST_USER:
        raise ValueError(f"found {size} bytes, wanted 1 to {LONGEST_USER}, in the pool's words")


class DevicesConfig(Table):
    """What to mine with, and how; the same as the options of `sv2rig mine`."""

    use: Texts = key(
        (),
        "as --device: opencl, opencl:0, cpu, serial:WHAT, usb:WHAT; without any: GPUs, else one "
        "OpenCL CPU device, else cpu; and every board that says what it is",
        restart=True,
    )
    start_interval_s: float = key(
        1.0, "seconds between the starts of two boards", ge=0, restart=True
    )
    hub_watts: float | None = key(
        None, "watts that the boards on one USB hub may draw together", ge=1, restart=True
    )
    latency_ms: float = key(
        50.0,
        "longest time in ms that launches under way may take before new work starts",
        ge=2,
        le=1000,
        restart=True,
    )
    threads: int | None = key(
        None, "threads of the cpu back end; without: one a core", ge=1, restart=True
    )
    version_rolling: bool = key(
        True, "roll version bits where the job allows it, with several midstates", restart=True
    )
    version_mask: str = key(
        "1fffe000", "version bits to roll, in hex; a server allows at most 1fffffe0", restart=True
    )

    @field_validator("version_mask")
    @classmethod
    def _is_a_mask(cls, text: str) -> str:
        try:
            mask = int(text, 16)
        except ValueError:
            raise ValueError(f"found {text!r}, wanted a hexadecimal number") from None
        if mask < 0 or mask & ~ROLLABLE_VERSION_BITS:
            raise ValueError(
                f"found {text!r}, wanted no bits outside {ROLLABLE_VERSION_BITS:x} (BIP323)"
            )
        return text


class DeviceConfig(Table):
    """One device by its id, as the screen shows it: its settings by name (frequency = 450)."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float]

    enabled: bool = key(True, "false: stopped and safe until it is enabled")

    @property
    def settings(self) -> dict[str, float]:
        """What is to be set, by name."""
        return dict(self.__pydantic_extra__)


class FailoverConfig(Table):
    """When another pool is mined on."""

    steady_s: float = key(
        120.0, "a preferred pool must answer for so long before the rig goes back to it", ge=0
    )
    probe_s: float = key(20.0, "a pool that is not mined on is tried after so many seconds", ge=1)
    silent_job_s: float = key(1800.0, "a pool that sends no job for so long counts as down", ge=1)
    silent_ack_s: float = key(
        180.0, "a pool that answers no share for so long counts as down", ge=1
    )
    give_up_after_s: float | None = key(
        None, "end with status 69 when no pool was there for so long; without: try for ever", ge=0
    )


class ApiConfig(Table):
    """The control API."""

    socket: FilePath | None = key(
        None, "path of the unix socket; without: rig-NAME.sock in the runtime folder", restart=True
    )
    socket_group: str | None = key(
        None, "group that may use the socket; without: sv2rig, where there is one", restart=True
    )
    listen: str | None = key(
        None,
        "HOST:PORT to serve over TCP also; beyond this machine only with a token",
        restart=True,
    )
    token: SecretStr | None = key(
        None, "who knows it may command the rig over TCP; by environment only", restart=True
    )
    token_file: FilePath | None = key(None, "a file whose first line is the token", restart=True)
    tls_cert: FilePath | None = key(None, "certificate chain (PEM) of TLS", restart=True)
    tls_key: FilePath | None = key(None, "its private key (PEM)", restart=True)

    @field_validator("listen")
    @classmethod
    def _is_an_address(cls, text: str | None) -> str | None:
        if text is not None:
            split_listen(text)
        return text

    @model_validator(mode="after")
    def _whole(self) -> ApiConfig:
        if self.token is not None and self.token_file is not None:
            raise at("token_file", "a token is given by environment too: one of them")
        if (self.tls_cert is None) != (self.tls_key is None):
            name = "tls_key" if self.tls_key is None else "tls_cert"
            raise at(name, "is missing: TLS needs tls_cert and tls_key")
        has_token = self.token is not None or self.token_file is not None
        if self.listen is not None and not has_token and not is_loopback(self.listen):
            raise at(
                "listen",
                f"found {self.listen!r} without a token: whoever reaches that address could "
                "command the rig; give token_file, or listen on 127.0.0.1",
            )
        return self


def split_listen(text: str) -> tuple[str, int]:
    """Host and port of HOST:PORT; ValueError where it is none."""
    host, _, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not bare or not (port.isascii() and port.isdigit()) or not 0 <= int(port) <= 65535:
        raise ValueError(f"found {text!r}, wanted HOST:PORT, as in 127.0.0.1:4048")
    if ":" in bare and bare == host:
        raise ValueError(f"found {text!r}, wanted an IPv6 address in brackets, as in [::1]:4048")
    return bare, int(port)


def is_loopback(listen: str) -> bool:
    """Whether only this machine reaches it."""
    host = split_listen(listen)[0]
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class LogConfig(Table):
    """Log lines."""

    level: Literal["debug", "info", "warning", "error"] = key("info", "the least that is told")
    format: Literal["auto", "human", "journal", "json"] = key(
        "auto", "human: for a terminal; json: an object a line; auto: what suits its reader"
    )


class HooksConfig(Table):
    """A command of yours that is run when something happens."""

    command: Texts = key((), "the program and its arguments; no shell is asked", repr=False)
    on: Events = key(ALL_EVENTS, "what it is run for")


class HistoryConfig(Table):
    """What is kept on disk."""

    keep_days: int = key(365, "days that samples and the share log are kept", ge=1, restart=True)


class FoundingConfig(Table):
    """The [stratum_v2] keys of the founding documents and of blvm. pool_url is mined on; the keys
    of a node or a pool are accepted, and `config check` says what they do here."""

    enabled: bool = key(True, "false: pool_url is not mined on")
    pool_url: str | None = key(None, "as url in [[pools]], instead of [[pools]]")
    user: SecretStr | None = key(None, "as user in [[pools]]")
    user_file: FilePath | None = key(None, "as user_file in [[pools]]")
    listen_addr: str | None = key(None, "a pool's: `sv2rig pool run --listen`")
    difficulty_target: int | None = key(None, "a pool's", ge=0)
    max_connections: int | None = key(None, "a pool's", ge=0)
    pool_name: str | None = key(None, "a pool's")
    extra_extranonce: str | None = key(None, "a pool's")
    transport_preference: str | None = key(None, "a node's; a rig speaks TCP")
    p2p_stratum_demux: bool | None = key(None, "a node's")
    merge_mining_enabled: bool | None = key(None, "a node's")
    secondary_chains: Annotated[tuple[Any, ...], Field(strict=False)] = key((), "a node's")


class RigConfig(Table):
    """The whole configuration of `sv2rig run`."""

    name: str = key(
        socket.gethostname,
        "the rig's name; without: this machine's",
        restart=True,
        min_length=1,
        max_length=64,
        pattern=f"^{NAME_FORM.pattern}$",
    )
    state_dir: FilePath = key(
        lambda: Path(platformdirs.user_state_dir("sv2rig")),
        "where counters, the share log and tuned settings are kept",
        restart=True,
    )
    pools: Annotated[tuple[PoolConfig, ...], Field(strict=False)] = key(
        (), "the pools, the preferred one first"
    )
    devices: DevicesConfig = DevicesConfig()
    device: dict[str, DeviceConfig] = key(dict, "devices by id")
    failover: FailoverConfig = FailoverConfig()
    api: ApiConfig = ApiConfig()
    log: LogConfig = LogConfig()
    hooks: HooksConfig = HooksConfig()
    history: HistoryConfig = HistoryConfig()
    stratum_v2: FoundingConfig | None = None

    @model_validator(mode="after")
    def _whole(self) -> RigConfig:
        if not self.pools:
            raise at("pools", "there is no pool to mine on: write one as [[pools]] url, user")
        names = [pool.name for pool in self.pools]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise at("pools", f"two pools are called {', '.join(twice)}: give each a name")
        return self
