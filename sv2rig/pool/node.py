"""Where a pool's templates come from and where its blocks go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from sv2rig.pool.simulated_chain import SimulatedChain
from sv2rig.pool.template import Template


class Node(Protocol):
    """A Bitcoin node, real or simulated."""

    async def template(self) -> Template:
        """What to mine on now; another template_id each time."""

    async def submit_block(self, block: bytes) -> None:
        """Hand over a solved block; BlockRefusedError with the node's reason."""


class SimulatedNode:
    """A SimulatedChain with a clock: transactions keep coming while the pool asks."""

    TRANSACTIONS_PER_S = 2.0

    def __init__(self, chain: SimulatedChain, utc: Callable[[], float]) -> None:
        self.chain = chain
        self._utc = utc
        self._loop = asyncio.get_running_loop()
        self._transactions_until = self._loop.time()

    async def template(self) -> Template:
        now = self._loop.time()
        count = int((now - self._transactions_until) * self.TRANSACTIONS_PER_S)
        self._transactions_until += count / self.TRANSACTIONS_PER_S
        self.chain.receive_transactions(count)
        return self.chain.template(now)

    async def submit_block(self, block: bytes) -> None:
        self.chain.submit(block, self._loop.time(), self._utc())
