"""One connection to a pool: from dialling to its end, and why it ended.

Runs on the event loop's thread, whose clock is the monotonic `now`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto

from sv2rig import __version__
from sv2rig.mining.context import MiningContext
from sv2rig.mining.pool_channels import NoChannelLeftError, PoolChannels
from sv2rig.mining.pool_entry import PoolEntry
from sv2rig.sv2.channel_faults import ConnectionFault
from sv2rig.sv2.client_channels import ClientChannels
from sv2rig.sv2.client_connection import ClientConnection
from sv2rig.sv2.errors import EncodeError, ProtocolError
from sv2rig.sv2.events import (
    ConnectionClosed,
    Event,
    HandshakeCompleted,
    MessageReceived,
    SetupCompleted,
    UnknownMessage,
)
from sv2rig.sv2.messages.common import MiningSetupFlags, Protocol, SetupConnection
from sv2rig.sv2.messages.registry import Message
from sv2rig.transport.interface import ByteStream, TransportError
from sv2rig.transport.link import Link

# A connection that lasted so long, or had a share accepted, worked: back-off begins anew.
PROVEN_AFTER_S = 30.0
# A pool that is set up but sends no job is silent too.
FIRST_JOB_TIMEOUT_S = 30.0
# SRI's pool answers ten shares at once, however long they take; ours ten or what came in 30 s.
MOST_IN_A_BATCH = 20
# So many times `Silence.ack_s` is too long for a smaller number of shares, too.
PATIENCE_WITH_FEW = 10

Connector = Callable[[str, int], Awaitable[ByteStream]]
Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Silence:
    """How long a connected pool may leave us without, in seconds, before it counts as silent.

    `job_s`: a new job. A template provider sends one whenever fees rise, on the main network within
    a minute, but where nobody pays fees only with a block, of which one in twenty takes over half
    an hour. `ack_s`: an answer to shares, of which more than MOST_IN_A_BATCH wait; fewer may wait
    PATIENCE_WITH_FEW times as long, since pools answer in batches.
    """

    job_s: float = 1800.0
    ack_s: float = 180.0

    def __post_init__(self) -> None:
        if not (self.job_s > 0 and self.ack_s > 0):
            raise ValueError("how long a pool may be silent must be above 0 s")


class End(Enum):
    """How a connection ended."""

    FAILED = auto()
    REFUSED = auto()  # trying again cannot help
    REDIRECTED = auto()
    LEFT = auto()  # by us


@dataclass(frozen=True, slots=True)
class Ended:
    """`place`: where the pool sends us; `error`: what broke the protocol."""

    how: End
    reason: str
    place: Place | None = None
    error: ProtocolError | None = None


class RefusedError(Exception):
    """The pool does not want us as we are, or we cannot ask as it wants."""


class PoolConnection:
    """Mines on one pool for as long as one connection holds. `opened` is told of each channel that
    opens."""

    def __init__(
        self,
        entry: PoolEntry,
        place: Place,
        connect: Connector,
        context: MiningContext,
        version_rolling_mask: int,
        silence: Silence,
        opened: Callable[[], None],
    ) -> None:
        self.entry = entry
        self.silence = silence
        self.pool: PoolChannels | None = None
        self.connected_since: float | None = None
        self._place = place
        self._connect = connect
        self._context = context
        self._mask = version_rolling_mask
        self._opened = opened
        self._loop = asyncio.get_running_loop()
        self._connecting: asyncio.Task[ByteStream] | None = None
        self._link: Link | None = None
        self._no_job_since: float | None = None
        self._leaving: str | None = None
        self._redirect: Place | None = None
        self._failure: RefusedError | None = None

    async def run(self) -> Ended:
        """Mine until the connection ends, for whatever reason."""
        host, port = self._place
        try:
            stream = await self._reach(host, port)
        except TransportError as error:
            return Ended(End.FAILED, str(error))
        if stream is None:
            return Ended(End.LEFT, self._leaving or "")
        connection = ClientConnection(
            self.entry.url.authority_key,
            setup_request(host, port, self.entry.standard_channels),
            now=self._loop.time(),
        )
        self._link = Link(stream, connection, self._context.utc)
        if self._leaving is not None:  # it may come in the moment that the connection does
            self._link.close(self._leaving)
        try:
            closed = await self._link.run(self._on_event)
        except RefusedError as error:
            return Ended(End.REFUSED, str(error))
        finally:
            self._lost()
        return self._ended(closed)

    def leave(self, reason: str) -> None:
        """End the connection in order; run() returns then."""
        if self._leaving is not None:
            return
        self._leaving = reason
        if self._connecting is not None:
            self._connecting.cancel()
        if self.pool is not None:
            self.pool.close_all(reason)
        if self._link is not None:
            self._link.close(reason)
            self._lost()  # until run() hears of it, nobody may speak of channels that are closed

    @property
    def is_leaving(self) -> bool:
        """Whether leave() was called."""
        return self._leaving is not None

    def device_added(self, device_id: str) -> None:
        """A device can take work. Before the channels are asked for it is among the others."""
        if self.pool is None or self._link is None:
            return
        try:
            with self._wishes():
                self.pool.device_added(device_id, self._loop.time())
        except RefusedError as error:  # which run() is to tell, not the device that has come
            self._failure = error
            self._link.close(str(error))

    def works(self, now: float) -> bool:
        """Whether it gave jobs, and for long enough or answered a share."""
        if self.pool is None or not any(channel.job for channel in self.pool.open.values()):
            return False
        since = self.connected_since
        return self.pool.share_accepted or (since is not None and now - since > PROVEN_AFTER_S)

    def tick(self, now: float) -> None:
        """Once a second: tell changed hash rates, notice a pool that is silent, or pays others."""
        if self.pool is None or self._link is None:
            return
        reason = self._why_silent(self.pool, now)
        if reason is not None:
            self._link.close(reason)
        self.pool.tell_rates(now)
        self.pool.look_at_coinbases()

    def _why_silent(self, pool: PoolChannels, now: float) -> str | None:
        newest = max((c.job_since for c in pool.open.values() if c.job_since), default=None)
        if newest is None:
            return self._no_first_job(pool, now)
        self._no_job_since = None
        if now - newest > self.silence.job_s:
            return f"the pool sent no new job for {self.silence.job_s:g} s"
        return self._no_answer(pool, now)

    def _no_first_job(self, pool: PoolChannels, now: float) -> str | None:
        if pool.awaits_nothing:
            self._no_job_since = None
        elif self._no_job_since is None:
            self._no_job_since = now
        elif now - self._no_job_since > FIRST_JOB_TIMEOUT_S:
            missing = "sent no job" if pool.open else "did not answer our wish for a channel"
            return f"the pool {missing} for {FIRST_JOB_TIMEOUT_S:g} s"
        return None

    def _no_answer(self, pool: PoolChannels, now: float) -> str | None:
        since, count = pool.unanswered_since, pool.unanswered
        patience = self.silence.ack_s * (1 if count > MOST_IN_A_BATCH else PATIENCE_WITH_FEW)
        if since is None or now - since <= patience:
            return None
        return f"the pool has not answered {count} shares, the oldest for {now - since:.0f} s"

    async def _reach(self, host: str, port: int) -> ByteStream | None:
        """A connection; None where leave() came first."""
        if self._is_leaving():
            return None
        self._connecting = self._loop.create_task(self._open(host, port))
        try:
            return await self._connecting
        except asyncio.CancelledError:
            if self._is_leaving():
                return None
            raise
        finally:
            self._connecting = None

    def _is_leaving(self) -> bool:
        """leave() may come while another await waits."""
        return self._leaving is not None

    async def _open(self, host: str, port: int) -> ByteStream:
        return await self._connect(host, port)

    def _ended(self, closed: ConnectionClosed) -> Ended:
        where = "{}:{}: ".format(*self._place)  # which a transport's own words begin with already
        reason = where + closed.reason.removeprefix(where)
        if self._failure is not None:
            return Ended(End.REFUSED, str(self._failure))
        if closed.fatal:
            return Ended(End.REFUSED, reason, error=closed.error)
        if self._leaving is not None:
            return Ended(End.LEFT, reason)
        how = End.FAILED if self._redirect is None else End.REDIRECTED
        return Ended(how, reason, self._redirect, closed.error)

    # -- what comes

    def _on_event(self, event: Event) -> None:
        now = self._loop.time()
        match event:
            case MessageReceived(message):
                self._receive(message, now)
            case HandshakeCompleted():
                checked = "its key is right" if event.authenticated else "its key was NOT checked"
                host, port = self._place
                self._context.report("info", f"connected to {host}:{port}, {checked}", None)
            case SetupCompleted():
                self._begin(event, now)
            case UnknownMessage(extension_type, msg_type):
                assert self.pool is not None  # nothing unknown is let through before the set-up
                self.pool.complain(
                    f"ignored an unknown message, 0x{msg_type:02x} of extension {extension_type}",
                    now,
                )
            case ConnectionClosed():
                self._lost()

    def _begin(self, event: SetupCompleted, now: float) -> None:
        assert self._link is not None  # events come from a link only
        channels = ClientChannels(
            event.request.flags,
            event.success.flags,
            version_rolling_mask=self._mask,
            extensions=event.extensions,
        )
        self.pool = PoolChannels(self._context, channels, self._link.send, self.entry)
        self.connected_since = now
        self._no_job_since = now
        with self._wishes():
            self.pool.open_all(now)

    @contextlib.contextmanager
    def _wishes(self) -> Iterator[None]:
        """What may go wrong in asking for a channel, as RefusedError."""
        try:
            yield
        except EncodeError as error:
            raise RefusedError(f"cannot ask for a channel: {error}") from error
        except ValueError as error:  # the server's flags refuse the kind of channel we want
            raise RefusedError(
                f"{error}: use --channel "
                + ("extended" if self.entry.standard_channels else "standard")
            ) from error

    def _receive(self, message: Message, now: float) -> None:
        pool, link = self.pool, self._link
        assert pool is not None  # set up by _begin
        assert link is not None
        opened = len(pool.open)
        try:
            pool.receive(message, now)
        except ConnectionFault as fault:
            link.close(f"the pool broke the protocol: {fault}")
        except NoChannelLeftError as error:
            if error.refused:
                raise RefusedError(str(error)) from error
            link.close(str(error))
        redirect = pool.redirect
        if redirect is not None:
            self._redirect = (redirect.host or self._place[0], redirect.port or self._place[1])
            to = "{!r}, port {}".format(*self._redirect)  # its words: never raw on a terminal
            link.close(f"the pool asks us to reconnect to {to}")
        elif len(pool.open) > opened:
            self._opened()

    def _lost(self) -> None:
        """The connection is gone: idle the devices, settle what was in flight."""
        self._context.assign(self._context.scheduler.idle_all(self._loop.time()))
        if self.pool is not None:
            self.pool.abandon()
        self.pool = None
        self._link = None
        self.connected_since = None


def setup_request(host: str, port: int, standard_channels: bool) -> SetupConnection:
    """What we say of ourselves."""
    return SetupConnection(
        protocol=Protocol.MINING,
        min_version=2,
        max_version=2,
        flags=MiningSetupFlags.REQUIRES_STANDARD_JOBS if standard_channels else 0,
        endpoint_host=host,
        endpoint_port=port,
        vendor="sv2rig",
        hardware_version="",
        firmware=f"sv2rig {__version__}",
        device_id="",
    )
