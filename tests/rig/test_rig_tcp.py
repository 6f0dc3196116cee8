"""Real threads, real sockets: simulated boards with every fault on our own pool over loopback."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from rig_on_pool import AUTHORITY_SECRET, NOBODYS_SCRIPT, URL, Clock, Lines, Run

from sv2rig.compute.hashlib_engine import HashlibEngine
from sv2rig.compute.simulated import Behaviour, Fault, SimulatedEngine, ThermalModel
from sv2rig.compute.worker import PushDevice
from sv2rig.pool.keys import PoolKeys
from sv2rig.pool.node import SimulatedNode
from sv2rig.pool.server import PoolServer
from sv2rig.pool.simulated_chain import SimulatedChain
from sv2rig.sv2.url import PoolUrl
from sv2rig.transport.tcp import connect, listen

RATE_HS = 90_000.0
SHARES_PER_MINUTE = 1200.0


@asynccontextmanager
async def pool_on_tcp(clock: Clock) -> AsyncIterator[tuple[PoolServer, PoolUrl]]:
    loop = asyncio.get_running_loop()
    # No blocks: a share that crosses one is rightly refused as stale, and blurs the counts.
    chain = SimulatedChain(random.Random(1), 60.0, loop.time(), clock(), (1 << 200) - 1)
    lines = Lines()
    pool = PoolServer(
        SimulatedNode(chain, clock),
        PoolKeys(AUTHORITY_SECRET),
        NOBODYS_SCRIPT,
        lines.add,
        clock,
        shares_per_minute=SHARES_PER_MINUTE,
    )
    running = loop.create_task(pool.run())
    listener = await listen("127.0.0.1", 0, pool.serve)
    port = int(listener.address.rsplit(":", 1)[1])
    try:
        yield pool, PoolUrl("stratum2+tcp", "127.0.0.1", port, URL.authority_key)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await pool.stop()
        await listener.close()


def board(device_id: str, behaviour: Behaviour) -> PushDevice:
    def engine() -> SimulatedEngine:
        return SimulatedEngine(behaviour, ThermalModel(time.monotonic()))

    return PushDevice(device_id, "simulated", "simulated board", engine)


async def test_a_rig_with_real_threads_mines_on_real_sockets() -> None:
    clock = Clock()
    device = PushDevice("cpu:0", "cpu", "hashlib", HashlibEngine)
    async with pool_on_tcp(clock) as (pool, url):
        run = Run([device], connect, clock, url=url)
        await run.sees(lambda: run.rig._picture().shares.accepted > 10, 30)
        assert await run.stop() < 2
        end = run.rig.snapshot()
        assert end.shares.accepted == pool.counts.shares_accepted
        assert pool.counts.shares_rejected <= end.shares.stale  # shares that crossed a block
        assert end.shares.rejected == end.hardware_errors == 0
        assert end.shares.pending == end.shares.unacknowledged == 0


@pytest.mark.parametrize("fault", [Fault.WRONG, Fault.GARBAGE])
async def test_what_a_faulty_board_reports_is_never_sent(fault: Fault) -> None:
    clock = Clock()
    faulty = board("simulated:0", Behaviour(RATE_HS, fault, seed=3))
    sound = board("simulated:1", Behaviour(RATE_HS))
    async with pool_on_tcp(clock) as (pool, url):
        run = Run([faulty, sound], connect, clock, url=url, standard=True)

        def devices_did_it() -> bool:
            first, second = run.rig._picture().devices
            return first.hardware_errors > 1 and second.shares.accepted > 1

        await run.sees(devices_did_it, 60)
        assert await run.stop() < 2
        end = run.rig.snapshot()
        assert end.devices[1].hardware_errors == 0
        # A share that crosses the other board's block is stale, and the pool says so; no more.
        assert end.shares.rejected == 0
        assert pool.counts.shares_rejected <= end.shares.stale
        assert end.shares.accepted == pool.counts.shares_accepted


async def test_an_unplugged_board_is_lost_and_the_other_mines_on() -> None:
    clock = Clock()
    # Its fault counts from its start; measuring takes two of these seconds.
    unplugged = board("simulated:0", Behaviour(RATE_HS, Fault.UNPLUG, fault_after_s=4))
    sound = board("simulated:1", Behaviour(RATE_HS))
    async with pool_on_tcp(clock) as (pool, url):
        run = Run([unplugged, sound], connect, clock, url=url, standard=True)
        await run.sees(lambda: run.rig._picture().devices[0].state == "LOST", 30)
        assert "unplugged" in run.rig._picture().devices[0].reason
        before = run.rig._picture().devices[1].shares.accepted
        await run.sees(lambda: run.rig._picture().devices[1].shares.accepted > before + 5, 60)
        assert [c.device_ids for c in run.session.channels] == [("simulated:1",)]
        assert await run.stop() < 2
        assert run.rig.snapshot().hardware_errors == pool.counts.shares_rejected == 0
