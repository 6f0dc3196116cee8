"""The pool of bench boards, in a process of its own (boards_child says how to ask)."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Final, SupportsIndex

from boards_child import FIRST_NBITS, SHARE_TARGET, Options, run, say, serve_marks

from sv2rig.bitcoin.address import address_to_script
from sv2rig.bitcoin.networks import Network
from sv2rig.cli.pool import NOBODYS_ADDRESS
from sv2rig.pool.client import PoolClient
from sv2rig.pool.keys import PoolKeys
from sv2rig.pool.node import SimulatedNode
from sv2rig.pool.server import PoolServer
from sv2rig.pool.simulated_chain import SimulatedChain
from sv2rig.pool.template import Template
from sv2rig.sv2 import server_events
from sv2rig.sv2.messages.error_codes import STALE_SHARE
from sv2rig.sv2.secp256k1 import generate_secret
from sv2rig.sv2.share_policy import SharePolicy
from sv2rig.transport.tcp import READ_SIZE, TcpStream

_BLOCK_INTERVAL_S: Final = 1e5  # none in a run


class StampedReader(asyncio.StreamReader):
    """Notes when the loop last took bytes from the socket."""

    taken_at = 0.0

    def feed_data(self, data: Iterable[SupportsIndex]) -> None:
        self.taken_at = time.monotonic()
        super().feed_data(data)


class NumberedNode(SimulatedNode):
    """Each template has another previous hash, and its number in nbits, which every board sees."""

    def __init__(self) -> None:
        rng = random.Random(1)
        now = asyncio.get_running_loop().time()
        super().__init__(SimulatedChain(rng, _BLOCK_INTERVAL_S, now, time.time()), time.time)
        self.sent: dict[int, float] = {}
        self.unsent: int | None = None
        self._tips = random.Random(2)
        self._nbits = FIRST_NBITS

    async def template(self) -> Template:
        template = await super().template()
        self._nbits += 1
        self.unsent = self._nbits
        return replace(template, prev_hash=self._tips.randbytes(32), nbits=self._nbits)


class JobStream(TcpStream):
    """Notes when a new job's bytes are handed to the socket: on loopback they can be read on the
    other side before that call returns."""

    def __init__(
        self, reader: StampedReader, writer: asyncio.StreamWriter, node: NumberedNode
    ) -> None:
        super().__init__(reader, writer, "the rig")
        self._node = node

    async def write(self, data: bytes) -> None:
        if self._node.unsent is not None:
            self._node.sent[self._node.unsent] = time.monotonic()
            self._node.unsent = None
        await super().write(data)


class WatchedPool(PoolServer):
    """One target for ever, and when each share was there to be read."""

    def __init__(self, node: NumberedNode, keys: PoolKeys, every_s: float) -> None:
        script = address_to_script(NOBODYS_ADDRESS, Network.REGTEST)
        super().__init__(node, keys, script, tell, time.time, job_interval_s=every_s)
        self._policy = SharePolicy(easiest_target=SHARE_TARGET, hardest_target=SHARE_TARGET)
        self.readers: list[StampedReader] = []
        self.read: dict[str, float] = {}

    def _on_event(self, client: PoolClient, event: server_events.ServerEvent) -> None:
        if isinstance(event, server_events.ShareAccepted):
            self.read[event.share_hash.hex()] = self.readers[-1].taken_at
        super()._on_event(client, event)


def tell(level: str, text: str) -> None:
    if level != "info" and STALE_SHARE not in text:  # some cross a new job on the wire
        print(f"pool: {level}: {text}", file=sys.stderr)


async def pool(options: Options) -> None:
    node, keys = NumberedNode(), PoolKeys(generate_secret())
    server = WatchedPool(node, keys, options["every_s"])
    loop = asyncio.get_running_loop()

    def connected() -> asyncio.StreamReaderProtocol:
        reader = StampedReader(limit=READ_SIZE)
        server.readers.append(reader)

        async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await server.serve(JobStream(reader, writer, node))

        return asyncio.StreamReaderProtocol(reader, serve)

    listening = await loop.create_server(connected, "127.0.0.1", 0)
    running = asyncio.create_task(server.run())
    port = listening.sockets[0].getsockname()[1]
    say({"ready": f"stratum2+tcp://127.0.0.1:{port}/{keys.authority_text}"})
    await serve_marks(lambda: {"at": time.monotonic(), "rejected": server.counts.shares_rejected})
    running.cancel()
    listening.close()
    await asyncio.gather(running, return_exceptions=True)
    say({"sent": node.sent, "read": server.read})


if __name__ == "__main__":
    run(pool)
