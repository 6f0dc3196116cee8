"""The pool: templates from a node out to miners, shares in, blocks back to the node."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

from sv2rig.bitcoin.header import to_display
from sv2rig.pool.client import PoolClient, Report
from sv2rig.pool.keys import PoolKeys
from sv2rig.pool.node import Node
from sv2rig.pool.simulated_chain import BlockRefusedError
from sv2rig.pool.template import Template, block_bytes, mining_template
from sv2rig.sv2 import server_events
from sv2rig.sv2.certificate import CertificateIssuer
from sv2rig.sv2.extranonce import ExtranonceAllocator
from sv2rig.sv2.messages.extensions import WORKER_HASHRATE_TRACKING
from sv2rig.sv2.noise import KeyPair
from sv2rig.sv2.server_connection import ServerConnection, SetupPolicy
from sv2rig.sv2.share_policy import SharePolicy
from sv2rig.sv2.template_job import MiningTemplate
from sv2rig.transport.interface import ByteStream
from sv2rig.units import si

T = TypeVar("T")

JOB_INTERVAL_S = 30.0
TICK_S = 0.1
TEMPLATE_RETRY_S = 5.0
# Templates whose jobs may still bring a block.
KEPT_TEMPLATES = 64
# Miners see their first share acknowledged at once, later ones together: it saves bytes.
ACK_SECONDS = 30.0


@dataclass(slots=True)
class PoolCounts:
    """What the pool has seen since it started. `work` is the sum of the shares' difficulties."""

    connections: int = 0
    shares_accepted: int = 0
    shares_rejected: int = 0
    blocks_found: int = 0
    blocks_refused: int = 0
    work: Fraction = Fraction(0)


class PoolServer:
    """Serves every miner that connects; transports hand their streams to `serve`."""

    def __init__(
        self,
        node: Node,
        keys: PoolKeys,
        payout_script: bytes,
        report: Report,
        utc: Callable[[], float],
        *,
        shares_per_minute: float = 6.0,
        job_interval_s: float = JOB_INTERVAL_S,
        ack_seconds: float = ACK_SECONDS,
    ) -> None:
        self.counts = PoolCounts()
        self.clients: set[PoolClient] = set()
        self._node = node
        self._payout_script = payout_script
        self._report = report
        self._utc = utc
        self._job_interval = job_interval_s
        self._loop = asyncio.get_running_loop()
        self._static = KeyPair.generate()
        self._certificates = CertificateIssuer(keys.authority_secret, self._static.xonly)
        self._setup = SetupPolicy(extensions=frozenset({WORKER_HASHRATE_TRACKING}))
        self._policy = SharePolicy(shares_per_minute=shares_per_minute, ack_seconds=ack_seconds)
        self._allocator = ExtranonceAllocator()
        self._templates: dict[int, Template] = {}
        self._current: MiningTemplate | None = None
        self._template_due = 0.0
        self._submitting: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Keep the miners in fresh jobs until cancelled."""
        while True:
            if self._loop.time() >= self._template_due:
                await self._refresh()
            now = self._loop.time()
            self._each_client(PoolClient.tick, now)
            await asyncio.sleep(TICK_S)

    async def _refresh(self) -> None:
        try:
            await self._new_template()
        except Exception as error:  # whatever ails a node, miners keep the jobs that they have
            self._template_due = self._loop.time() + TEMPLATE_RETRY_S
            again = f"trying again in {TEMPLATE_RETRY_S:g} s"
            self._report("error", f"the node gave no template: {error!r}; {again}")

    async def serve(self, stream: ByteStream) -> None:
        """One miner, from its first byte to its last."""
        connection = ServerConnection(
            self._static, self._certificates.at, self._setup, now=self._loop.time()
        )
        client = PoolClient(
            stream,
            connection,
            self._allocator,
            self._policy,
            self._on_event,
            self._report,
            self._utc,
        )
        self.counts.connections += 1
        self.clients.add(client)
        if self._current is not None:
            client.set_template(self._current)
        try:
            closed = await client.run()
            self._report("info", f"{client.name}: gone: {closed.reason}")
        except Exception as error:  # a mistake of ours: told, and paid by this connection alone
            self._report("error", f"{client.name}: dropped over {error!r}")
        finally:
            self.clients.discard(client)

    async def _new_template(self) -> None:
        self._template_due = self._loop.time() + self._job_interval
        template = await self._node.template()
        self._templates[template.template_id] = template
        while len(self._templates) > KEPT_TEMPLATES:
            del self._templates[next(iter(self._templates))]
        self._current = mining_template(template, self._payout_script)
        self._each_client(PoolClient.set_template, self._current)

    def _each_client(self, tell: Callable[[PoolClient, T], None], what: T) -> None:
        """Tell every miner; what fails for one is paid by its connection alone."""
        for client in self.clients:
            try:
                tell(client, what)
            except Exception as error:
                self._report("error", f"{client.name}: dropped over {error!r}")
                client.drop(f"internal error: {error!r}")

    def _on_event(self, client: PoolClient, event: server_events.ServerEvent) -> None:
        match event:
            case server_events.BlockFound():
                # The block goes out before anything is written down about it.
                task = self._loop.create_task(self._submit_block(event))
                self._submitting.add(task)
                task.add_done_callback(self._submitting.discard)
            case server_events.ShareAccepted():
                self.counts.shares_accepted += 1
                self.counts.work += event.difficulty
            case server_events.ShareRejected():
                self.counts.shares_rejected += 1
                who = f" of {event.user_identity!r}" if event.user_identity else ""
                client.say("warning", f"share{who} rejected: {event.code}")
            case server_events.ChannelOpened():
                kind = "an extended" if event.is_extended else "a standard"
                rate = si(event.nominal_hash_rate, "H/s")
                user = repr(event.user_identity) if event.user_identity else "a nameless user"
                client.say("info", f"{user} opened {kind} channel, {rate}")
            case server_events.OpenRefused():
                client.say("warning", f"channel refused: {event.code}")
            case _:
                pass  # closed and retargeted channels are the miner's business

    async def _submit_block(self, event: server_events.BlockFound) -> None:
        template = self._templates.get(event.template_id)
        if template is None:  # its shares are stale long before it is forgotten
            self._report("error", f"a block came on the forgotten template {event.template_id}")
            return
        shown = to_display(event.share_hash)
        try:
            await self._node.submit_block(block_bytes(template, event.header, event.coinbase))
        except BlockRefusedError as error:
            self.counts.blocks_refused += 1
            self._report("error", f"block {shown} at height {template.height} refused: {error}")
            return
        self.counts.blocks_found += 1
        self._report("good", f"BLOCK {template.height} {shown} found by {event.user_identity!r}")
        await self._new_template()

    async def stop(self) -> None:
        """Say good-bye to every miner and wait for blocks under way."""
        for client in self.clients:
            client.close("the pool stops")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await asyncio.gather(*self._submitting, return_exceptions=True)
