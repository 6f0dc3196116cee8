"""A pool whose chain has a new tip all the time (bench switch's child, in a process of its own).

Prints its URL; at the end of its standard input, one JSON object with the monotonic time at which
each previous hash (in hexadecimal) was sent to the miner.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from dataclasses import replace

from sv2rig.bitcoin.address import address_to_script
from sv2rig.bitcoin.networks import Network
from sv2rig.cli.pool import NOBODYS_ADDRESS
from sv2rig.pool.keys import PoolKeys
from sv2rig.pool.node import SimulatedNode
from sv2rig.pool.server import PoolServer
from sv2rig.pool.simulated_chain import SimulatedChain
from sv2rig.pool.template import Template
from sv2rig.sv2.secp256k1 import generate_secret
from sv2rig.transport.interface import ByteStream
from sv2rig.transport.tcp import listen

NO_BLOCKS = 1 << 180
BLOCK_INTERVAL_S = 1e5  # the chain's own blocks: none in a run


class RestlessNode(SimulatedNode):
    """Each template has another previous hash, after a moment that keeps no step with launches."""

    def __init__(self, rng: random.Random, jitter_s: float) -> None:
        now = asyncio.get_running_loop().time()
        super().__init__(
            SimulatedChain(rng, BLOCK_INTERVAL_S, now, time.time(), NO_BLOCKS), time.time
        )
        self.unsent: bytes | None = None
        self._tips = random.Random(rng.random())
        self._jitter = jitter_s

    async def template(self) -> Template:
        await asyncio.sleep(self._tips.uniform(0, self._jitter))
        template = await super().template()
        self.unsent = self._tips.randbytes(32)
        return replace(template, prev_hash=self.unsent)


class StampedStream:
    """Notes when the bytes that carry a new previous hash are handed to the socket."""

    def __init__(self, stream: ByteStream, node: RestlessNode, sent: dict[str, float]) -> None:
        self.description = stream.description
        self.read = stream.read
        self.close = stream.close
        self._stream = stream
        self._node = node
        self._sent = sent

    async def write(self, data: bytes) -> None:
        if self._node.unsent is not None:
            self._sent[self._node.unsent.hex()] = time.monotonic()
            self._node.unsent = None
        await self._stream.write(data)


def report(level: str, text: str) -> None:
    if level != "info":
        print(f"pool: {level}: {text}", file=sys.stderr)


async def serve(every_s: float) -> dict[str, float]:
    sent: dict[str, float] = {}
    node = RestlessNode(random.Random(1), every_s / 2)
    keys = PoolKeys(generate_secret())
    script = address_to_script(NOBODYS_ADDRESS, Network.REGTEST)
    pool = PoolServer(node, keys, script, report, time.time, job_interval_s=every_s)

    async def accept(stream: ByteStream) -> None:
        await pool.serve(StampedStream(stream, node, sent))

    listener = await listen("127.0.0.1", 0, accept)
    running = asyncio.create_task(pool.run())
    print(f"stratum2+tcp://{listener.address}/{keys.authority_text}", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await pool.stop()
    await listener.close()
    return sent


if __name__ == "__main__":
    print(json.dumps(asyncio.run(serve(float(sys.argv[1])))))
