"""A rig's life with one pool: connect, mine, lose it, come back.

Everything here runs on the event loop's thread, whose clock is the monotonic `now`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sv2rig import __version__
from sv2rig.devices.work import Solution
from sv2rig.mining.backoff import Backoff
from sv2rig.mining.context import MiningContext
from sv2rig.mining.counting import Counting
from sv2rig.mining.judgement import Judgement
from sv2rig.mining.pool_channels import NoChannelLeftError, OpenChannel, PoolChannels
from sv2rig.sv2.channel_faults import ConnectionFault
from sv2rig.sv2.client_channels import ClientChannels
from sv2rig.sv2.client_connection import ClientConnection
from sv2rig.sv2.errors import EncodeError
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
from sv2rig.sv2.url import PoolUrl
from sv2rig.transport.interface import ByteStream, TransportError
from sv2rig.transport.link import Link

# A connection that lasted so long, or had a share accepted, worked: back-off begins anew.
PROVEN_AFTER_S = 30.0
# A pool that is set up but sends no job is silent too.
FIRST_JOB_TIMEOUT_S = 30.0

Connector = Callable[[str, int], Awaitable[ByteStream]]


class SessionState(StrEnum):
    """Where the session stands, in the word that people see."""

    CONNECTING = "connecting"
    MINING = "mining"
    WAITING = "waiting"
    CLOSED = "closed"


class SessionError(Exception):
    """The session is over: trying again is pointless, or has gone on for long enough."""


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """How to mine. `standard_channels`: set flag bit 0 and open one standard channel a device,
    else one extended channel for all. `give_up_after_s` counts from when the pool last worked;
    None: never."""

    user: str
    standard_channels: bool = False
    version_rolling_mask: int = 0x1FFFE000
    give_up_after_s: float | None = None


class Session:
    """One pool, from the first connection to the last."""

    def __init__(
        self,
        url: PoolUrl,
        options: SessionOptions,
        connect: Connector,
        context: MiningContext,
        backoff: Backoff,
    ) -> None:
        self.url = url
        self.state = SessionState.CONNECTING
        self.detail = ""
        self.connections = 0
        self.connected_since: float | None = None
        self._options = options
        self._connect = connect
        self._context = context
        self._backoff = backoff
        self._loop = asyncio.get_running_loop()
        self._home = self._where = self._next = (url.host, url.port)
        self._connecting: asyncio.Task[ByteStream] | None = None
        self._link: Link | None = None
        self._pool: PoolChannels | None = None
        self._no_job_since: float | None = None
        self._last_worked = self._loop.time()
        self._counting = Counting(context)
        self._stopping = asyncio.Event()
        self._called = asyncio.Event()  # a device has come, or stop()
        self._failure: SessionError | None = None

    @property
    def transport(self) -> str:
        """How the pool is reached, in words."""
        return "Stratum V2 over TCP, Noise NX (secp256k1, EllSwift, ChaCha20-Poly1305, SHA-256)"

    @property
    def channels(self) -> Sequence[OpenChannel]:
        """The open channels; none while the pool is away."""
        return tuple(self._pool.open.values()) if self._pool else ()

    @property
    def latency_s(self) -> float | None:
        """From the request to open the first channel to its answer."""
        return self._pool.latency_s if self._pool else None

    @property
    def new_block_at(self) -> float | None:
        """When the pool last announced a new previous hash, on the loop's clock."""
        return self._pool.new_block_at if self._pool else None

    async def run(self) -> None:
        """Mine until stop(); SessionError where going on is pointless."""
        self._last_worked = self._loop.time()
        try:
            while await self._somebody_mines():
                reason = await self._one_connection()
                if not self._stopping.is_set():
                    await self._wait_after(reason)
        finally:
            self.state = SessionState.CLOSED

    async def stop(self, answer_timeout_s: float) -> None:
        """Wait briefly for the answers to shares in flight, then leave the pool."""
        if self._pool and self._pool.unanswered:
            self._pool.tell_stop()
            try:
                await asyncio.wait_for(self._pool.all_answered.wait(), answer_timeout_s)
            except TimeoutError:
                count = self._pool.unanswered
                self._report("warning", f"{count} shares were not acknowledged in time")
        self._stopping.set()
        self._called.set()
        if self._connecting is not None:
            self._connecting.cancel()
        if self._pool is not None:
            self._pool.close_all("the rig stops")
        if self._link is not None:
            self._link.close("the rig stops")

    def solutions(self, device_id: str, found: Sequence[Solution]) -> list[Judgement]:
        """What a device reports: re-hash and judge each, submit the shares."""
        now = self._loop.time()
        judgements = []
        for solution in found:
            judgement = self._context.scheduler.on_solution(device_id, solution, now)
            judgements.append(judgement)
            self._counting.count(device_id, judgement, self._pool is None)
            if judgement.share is not None and self._pool is not None:
                self._pool.submit(device_id, judgement.share)
        if self._pool is not None:
            self._pool.flush()
        return judgements

    def device_added(self, device_id: str) -> None:
        """A device can take work: it is in the context's rates and known to the scheduler."""
        self._called.set()
        if self._pool is None or self._link is None:
            return  # it is served when the next connection opens its channels
        try:
            with self._wishes():
                self._pool.device_added(device_id, self._loop.time())
        except SessionError as error:  # which run() is to raise, not the device that has come
            self._failure = error
            self._link.close(str(error))

    def device_gone(self, device_id: str) -> None:
        """A device has left the rig, for now or for good."""
        if self._pool is not None:
            self._pool.device_gone(device_id)

    def tick(self, now: float) -> None:
        """Once a second: tell changed hash rates, notice a pool that sends no job."""
        if self._pool is None or self._link is None:
            return
        if any(channel.job for channel in self._pool.open.values()):
            self._no_job_since = None
            self._note_that_it_works(now)
        elif self._pool.awaits_nothing:
            self._no_job_since = None
        elif self._no_job_since is None:
            self._no_job_since = now
        elif now - self._no_job_since > FIRST_JOB_TIMEOUT_S:
            missing = "sent no job" if self._pool.open else "did not answer our wish for a channel"
            self._link.close(f"the pool {missing} for {FIRST_JOB_TIMEOUT_S:g} s")
        self._pool.tell_rates(now)

    async def _somebody_mines(self) -> bool:
        """Waits for a device: without one a pool is of no use, nor we to it. False: stop."""
        while not (self._context.rates or self._stopping.is_set()):
            self.state, self.detail = SessionState.WAITING, "no device is ready to mine"
            self._called.clear()
            await self._called.wait()
            self._last_worked, self.detail = self._loop.time(), ""
        return not self._stopping.is_set()

    # -- one connection

    async def _one_connection(self) -> str:
        """Mine until the connection ends; says why it did. SessionError if it ended for good."""
        self.state = SessionState.CONNECTING
        # Where a pool has sent us is good for one try: then back to the address we were given.
        host, port = self._where = self._next
        self._next = self._home
        try:
            stream = await self._reach(host, port)
        except TransportError as error:
            return str(error)
        if stream is None:
            return "the rig stops"
        connection = ClientConnection(
            self.url.authority_key, self._setup(host, port), now=self._loop.time()
        )
        self._link = Link(stream, connection, self._context.utc)
        if self._stopping.is_set():  # it may come in the moment that the connection does
            self._link.close("the rig stops")
        try:
            closed = await self._link.run(self._on_event)
        finally:
            self._lost()
        where = f"{host}:{port}: "  # which a transport's own words begin with already
        reason = where + closed.reason.removeprefix(where)
        if self._failure is not None:
            raise self._failure
        if closed.fatal:
            raise SessionError(reason)
        return reason

    async def _reach(self, host: str, port: int) -> ByteStream | None:
        """A connection; None where stop() came first."""
        self._connecting = self._loop.create_task(self._open(host, port))
        try:
            return await self._connecting
        except asyncio.CancelledError:
            if self._stopping.is_set():
                return None
            raise
        finally:
            self._connecting = None

    async def _open(self, host: str, port: int) -> ByteStream:
        return await self._connect(host, port)

    def _setup(self, host: str, port: int) -> SetupConnection:
        standard = self._options.standard_channels
        return SetupConnection(
            protocol=Protocol.MINING,
            min_version=2,
            max_version=2,
            flags=MiningSetupFlags.REQUIRES_STANDARD_JOBS if standard else 0,
            endpoint_host=host,
            endpoint_port=port,
            vendor="sv2rig",
            hardware_version="",
            firmware=f"sv2rig {__version__}",
            device_id="",
        )

    def _on_event(self, event: Event) -> None:
        now = self._loop.time()
        match event:
            case MessageReceived(message):
                self._receive(message, now)
            case HandshakeCompleted():
                checked = "its key is right" if event.authenticated else "its key was NOT checked"
                self._report("info", f"connected to {self._where[0]}:{self._where[1]}, {checked}")
            case SetupCompleted():
                self._begin(event, now)
            case UnknownMessage(extension_type, msg_type):
                assert self._pool is not None  # nothing unknown is let through before the set-up
                self._pool.complain(
                    f"ignored an unknown message, 0x{msg_type:02x} of extension {extension_type}",
                    now,
                )
            case ConnectionClosed():
                self._lost()

    def _begin(self, event: SetupCompleted, now: float) -> None:
        link = self._link
        assert link is not None  # events come from a link only
        channels = ClientChannels(
            event.request.flags,
            event.success.flags,
            version_rolling_mask=self._options.version_rolling_mask,
            extensions=event.extensions,
        )
        options = self._options
        self._pool = PoolChannels(
            self._context, channels, link.send, options.user, options.standard_channels
        )
        self.connected_since = now
        self._no_job_since = now
        self.connections += 1
        with self._wishes():
            self._pool.open_all(now)

    @contextlib.contextmanager
    def _wishes(self) -> Iterator[None]:
        """What may go wrong in asking for a channel, as SessionError."""
        try:
            yield
        except EncodeError as error:
            raise SessionError(f"cannot ask for a channel: {error}") from error
        except ValueError as error:  # the server's flags refuse the kind of channel we want
            raise SessionError(
                f"{error}: use --channel "
                + ("extended" if self._options.standard_channels else "standard")
            ) from error

    def _receive(self, message: Message, now: float) -> None:
        assert self._pool is not None  # set up by _begin
        assert self._link is not None
        try:
            self._pool.receive(message, now)
        except ConnectionFault as fault:
            self._link.close(f"the pool broke the protocol: {fault}")
        except NoChannelLeftError as error:
            if error.refused:
                raise SessionError(str(error)) from error
            self._link.close(str(error))
        redirect = self._pool.redirect
        if redirect is not None:
            self._next = (redirect.host or self._where[0], redirect.port or self._where[1])
            to = "{!r}, port {}".format(*self._next)  # its words: never raw on a terminal
            self._link.close(f"the pool asks us to reconnect to {to}")
        elif self._pool.open and self.state is SessionState.CONNECTING:
            self.state = SessionState.MINING

    def _note_that_it_works(self, now: float) -> None:
        proven = self._pool is not None and self._pool.share_accepted
        lasted = self.connected_since is not None and now - self.connected_since > PROVEN_AFTER_S
        if proven or lasted:
            self._last_worked = now
            self._backoff.reset()

    def _lost(self) -> None:
        """The connection is gone: idle the devices, settle what was in flight."""
        self._context.assign(self._context.scheduler.idle_all(self._loop.time()))
        if self._pool is not None:
            self._pool.abandon()
        self._pool = None
        self._link = None
        self.connected_since = None

    async def _wait_after(self, reason: str) -> None:
        wait = self._backoff.next_wait()
        limit = self._options.give_up_after_s
        outage = self._loop.time() - self._last_worked
        if limit is not None:
            if outage >= limit:
                raise SessionError(f"{reason}; giving up after {outage:.0f} s without this pool")
            wait = min(wait, limit - outage)  # one last try when the time is up
        self.state, self.detail = SessionState.WAITING, reason
        self._report("warning", f"{reason}; devices idle, trying again in {wait:.1f} s")
        try:
            await asyncio.wait_for(self._stopping.wait(), wait)
        except TimeoutError:
            self.detail = ""

    def _report(self, level: str, text: str) -> None:
        self._context.report(level, text, None)
