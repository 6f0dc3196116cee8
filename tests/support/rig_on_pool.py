"""A whole rig and a pool in virtual time, joined in memory."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from memory_net import MemoryNet

from sv2rig.devices.device import Device
from sv2rig.mining.backoff import Backoff
from sv2rig.mining.context import MiningContext, ShareDone
from sv2rig.mining.failover import PoolEntry
from sv2rig.mining.pool_connection import Connector
from sv2rig.mining.scheduler import VERSION_MASK
from sv2rig.mining.session import Session, SessionError, SessionOptions
from sv2rig.pool.keys import PoolKeys
from sv2rig.pool.node import SimulatedNode
from sv2rig.pool.server import PoolServer
from sv2rig.pool.simulated_chain import SimulatedChain
from sv2rig.rig.rig import Rig
from sv2rig.rig.snapshot import Event
from sv2rig.sv2.secp256k1 import xonly_public_key
from sv2rig.sv2.url import PoolUrl

AUTHORITY_SECRET = b"\x44" * 32
HOST, PORT = "pool.example", 34254
URL = PoolUrl("stratum2+tcp", HOST, PORT, xonly_public_key(AUTHORITY_SECRET))
NOBODYS_SCRIPT = bytes.fromhex("0014751e76e8199196d454941c45d1b3a323f1433bd6")  # BIP173's example
FIRST_UTC = 1_800_000_000.0
EASY_BLOCKS = (1 << 256) // 20_000  # of the rate of a LoopDevice, one in 50 s


class Clock:
    """The wall clock, which somebody may set; it runs as fast as the loop's."""

    def __init__(self) -> None:
        self.stepped_s = 0.0

    def __call__(self) -> float:
        return FIRST_UTC + asyncio.get_running_loop().time() + self.stepped_s


@dataclass
class Lines:
    """What was reported, as (level, text), and when, on the loop's clock."""

    all: list[tuple[str, str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def add(self, level: str, text: str) -> None:
        self.all.append((level, text))
        self.times.append(asyncio.get_running_loop().time())

    def event(self, event: Event) -> None:
        self.add(event.level, event.text)

    def with_words(self, *words: str) -> list[str]:
        """The lines that hold all of these words."""
        return [text for _, text in self.all if all(word in text for word in words)]

    def first_at(self, word: str) -> float:
        """When the first line with this word came."""
        return next(at for (_, text), at in zip(self.all, self.times, strict=True) if word in text)

    def of(self, *levels: str) -> list[str]:
        """The lines of these levels."""
        return [text for level, text in self.all if level in levels]


class PoolProcess:
    """A pool that can be killed and started again at one address; its keys and chain stay."""

    def __init__(
        self,
        net: MemoryNet,
        clock: Clock,
        shares_per_minute: float = 60.0,
        address: tuple[str, int] = (HOST, PORT),
        first_target: int = EASY_BLOCKS,
    ) -> None:
        self.lines = Lines()
        self._net = net
        self._clock = clock
        self._shares_per_minute = shares_per_minute
        self._address = address
        self._loop = asyncio.get_running_loop()
        now = self._loop.time()
        self.chain = SimulatedChain(random.Random(1), 60.0, now, clock(), first_target)
        self.start()

    def start(self) -> None:
        self.server = PoolServer(
            SimulatedNode(self.chain, self._clock),
            PoolKeys(AUTHORITY_SECRET),
            NOBODYS_SCRIPT,
            self.lines.add,
            self._clock,
            shares_per_minute=self._shares_per_minute,
        )
        self._running = self._loop.create_task(self.server.run())
        self._net.servers[self._address] = self.server.serve

    async def kill(self) -> None:
        """As SIGKILL does: no good-bye."""
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
        del self._net.servers[self._address]
        await self._net.close()

    async def stop(self) -> None:
        """In order."""
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
        del self._net.servers[self._address]
        await self.server.stop()
        await self._net.close()


class Run:
    """A rig that runs as a task."""

    def __init__(
        self,
        devices: Sequence[Device],
        connect: Connector,
        clock: Clock,
        *,
        url: PoolUrl = URL,
        standard: bool = False,
        give_up_after_s: float | None = None,
        user: str = "alice.rig1",
        waits_for_devices: bool = False,
        pools: Sequence[PoolEntry] = (),
        options: SessionOptions | None = None,
    ) -> None:
        self.lines = Lines()
        self.clock = clock
        self._loop = asyncio.get_running_loop()
        entries = pools or [PoolEntry("pool", url, user, standard)]
        options = replace(
            options or SessionOptions(),
            version_rolling_mask=VERSION_MASK,
            give_up_after_s=give_up_after_s,
        )
        self.shares: list[ShareDone] = []

        def make_session(context: MiningContext) -> Session:
            self.context = context
            context.share_done = self.shares.append
            seeds = itertools.count(7)
            self.session = Session(
                entries, options, connect, context, lambda: Backoff(random.Random(next(seeds)))
            )
            return self.session

        self.rig = Rig(
            "test",
            devices,
            make_session,
            VERSION_MASK,
            clock,
            self.lines.event,
            waits_for_devices=waits_for_devices,
        )
        self.task = self._loop.create_task(self.rig.run())

    async def until(self, state: str, timeout_s: float = 600.0) -> None:
        """Wait until the session is in this state; the rig's own end is an error."""
        await self.sees(
            lambda: self.session.state == state and self.rig.snapshot().state != "starting",
            timeout_s,
        )

    async def sees(self, condition: Callable[[], object], timeout_s: float = 600.0) -> None:
        """Wait until this holds; the rig's own end is an error."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                if self.task.done():
                    self.task.result()
                    raise AssertionError("the rig has ended")
                await asyncio.sleep(0.01)

    async def stop(self) -> float:
        """Stop in order; how many seconds it took."""
        began = self._loop.time()
        await self.rig.stop()
        await self.task
        return self._loop.time() - began

    async def fails(self) -> str:
        """Wait for the SessionError that ends the rig, and return its text."""
        try:
            async with asyncio.timeout(600):
                await self.task
        except SessionError as error:
            return str(error)
        raise AssertionError("the rig ended in order")
