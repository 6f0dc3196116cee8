"""Several pools in memory, each on a net of its own, so that one can be killed alone."""

from __future__ import annotations

from dataclasses import replace

from memory_net import MemoryNet
from rig_on_pool import PORT, URL, Clock, PoolProcess

from sv2rig.mining.failover import PoolEntry
from sv2rig.transport.interface import ByteStream, OnConnection, TransportError


class PoolFarm:
    """Pools called "a", "b", ..., dialled at a.example, b.example, ...; each has its own user."""

    def __init__(self, names: str, clock: Clock) -> None:
        self.clock = clock
        self.nets = {name: MemoryNet() for name in names}
        self.pools: dict[str, PoolProcess] = {}
        self.entries = [self.entry(name) for name in names]

    @staticmethod
    def entry(name: str) -> PoolEntry:
        return PoolEntry(name, replace(URL, host=f"{name}.example"), f"user-of-{name}")

    def start(self, names: str) -> None:
        """Our own pool, at each of these; one that was killed comes back with its chain."""
        for name in names:
            if name in self.pools:
                self.pools[name].start()
                continue
            address = (f"{name}.example", PORT)
            self.pools[name] = PoolProcess(self.nets[name], self.clock, address=address)

    def serve(self, name: str, server: OnConnection) -> None:
        """A server that the test drives."""
        self.nets[name].servers[f"{name}.example", PORT] = server

    async def connect(self, host: str, port: int) -> ByteStream:
        net = self.nets.get(host.removesuffix(".example"))
        if net is None:
            raise TransportError(f"{host}:{port}: no such host")
        return await net.connect(host, port)

    def dialled(self, name: str) -> int:
        """How often this pool was dialled."""
        return len(self.nets[name].dialled)

    async def close(self) -> None:
        for net in self.nets.values():
            await net.close()
        for pool in self.pools.values():
            pool._running.cancel()
