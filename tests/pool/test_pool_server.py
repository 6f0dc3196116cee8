"""The pool against miners that do not read, flood it, or break off; and how it stops."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from hand_miner import HandMiner
from loop_device import LoopDevice
from memory_net import MemoryNet
from rig_on_pool import HOST, PORT, Clock, PoolProcess, Run
from virtual_time import run_virtual

from sv2rig.pool.client import PoolClient
from sv2rig.quota import MOST_LINES
from sv2rig.sv2.messages import mining
from sv2rig.transport.interface import TransportError
from sv2rig.transport.link import MOST_UNSENT, WRITE_TIMEOUT_S


async def miner_of(net: MemoryNet, clock: Clock, vendor: str = "hand") -> HandMiner:
    return await HandMiner.set_up(await net.connect(HOST, PORT), clock(), vendor)


def test_a_miner_that_does_not_read_delays_nobody_and_is_cut_off() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        loop = asyncio.get_running_loop()
        pool = PoolProcess(net, clock)
        deaf = await miner_of(net, clock)
        await deaf.open()
        run = Run([LoopDevice()], net.connect, clock)
        await run.until("mining")
        for _ in range(300):  # more than the buffers between them hold
            before = loop.time()
            await pool.server._new_template()
            assert loop.time() == before, "a broadcast waits for nobody"
            await asyncio.sleep(0.01)
        assert len(pool.server.clients) == 2
        await asyncio.sleep(WRITE_TIMEOUT_S + 1)
        assert len(pool.server.clients) == 1
        assert pool.lines.with_words("gone", "took no data for 15 s")
        assert run.session.state == "mining"
        await asyncio.sleep(30)
        shares = run.rig.snapshot().shares
        assert shares.accepted + shares.pending > 20
        assert shares.rejected == shares.stale == 0
        await run.stop()
        await pool.stop()

    run_virtual(main())


def test_a_flood_of_requests_without_reading_is_held_back_and_cut_off() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock)
        flooder = await miner_of(net, clock)
        channel_id = await flooder.open()
        most = (1 << 256) - 1

        async def flood() -> None:
            rate = 1.0
            while True:  # each asks for a SetTarget and for a job
                rate = 1e6 if rate == 1.0 else 1.0
                update = mining.UpdateChannel(channel_id, rate, most)
                await flooder.stream.write(flooder.sealed(*[update] * 100))

        flooding = asyncio.create_task(flood())
        await asyncio.sleep(5)
        (client,) = pool.server.clients
        assert not flooding.done(), "the flooder waits for us, not we for it"
        assert len(client._link._unsent) < MOST_UNSENT / 4
        await asyncio.sleep(WRITE_TIMEOUT_S)
        assert not pool.server.clients
        with contextlib.suppress(TransportError):
            await flooding
        await pool.stop()

    run_virtual(main())


def test_no_miner_can_fill_the_log_or_write_on_the_terminal() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock)
        vandal = await miner_of(net, clock, vendor="\x1b[2J\nroot")
        for number in range(200):
            await vandal.open(user=f"\x1b[31m\n{number}")
            await vandal.send(mining.SubmitSharesExtended(77, number, 1, 0, 0, 0, bytes(4)))
            await vandal.stream.write(vandal.seal(b"\x34\x12\x99\x00\x00\x00"))
        assert len(pool.lines.with_words("hand", "set up")) <= 1
        await asyncio.sleep(1)
        assert len(pool.lines.all) <= MOST_LINES
        assert all(text.isprintable() for _, text in pool.lines.all)
        assert pool.lines.with_words("held back for a minute")
        assert pool.server.counts.shares_rejected == 200, "counted all the same"
        await asyncio.sleep(60)
        await vandal.open()
        assert "opened" in pool.lines.all[-1][1]
        await pool.stop()

    run_virtual(main())


def test_shares_are_acknowledged_when_the_pool_stops() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock)
        run = Run([LoopDevice()], net.connect, clock)
        await run.until("mining")
        await run.sees(lambda: run.rig._picture().shares.pending >= 3)
        await asyncio.sleep(0.1)  # the last of them arrives
        await pool.stop()
        await asyncio.sleep(0.1)
        shares = run.rig._picture().shares
        assert shares.unacknowledged == shares.pending == 0
        assert shares.accepted == pool.server.counts.shares_accepted >= 3
        assert run.session.state == "waiting"
        assert "the server closed the connection" in run.session.detail  # no CloseChannel
        await run.stop()

    run_virtual(main())


@pytest.mark.parametrize("moment", ["set_template", "tick", "_receive"])
def test_a_mistake_of_ours_over_one_miner_is_paid_by_its_connection_alone(
    moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock)
        unlucky = await miner_of(net, clock)
        channel_id = await unlucky.open()
        (client,) = pool.server.clients
        run = Run([LoopDevice()], net.connect, clock)
        await run.until("mining")
        right = getattr(PoolClient, moment)

        def wrong(self: PoolClient, *args: object) -> None:
            if self is client:
                raise ZeroDivisionError("a mistake")
            right(self, *args)

        monkeypatch.setattr(PoolClient, moment, wrong)
        await unlucky.send(mining.UpdateChannel(channel_id, 1.0, (1 << 256) - 1))
        await pool.server._new_template()
        await asyncio.sleep(60)
        assert client not in pool.server.clients
        assert len(pool.lines.with_words("dropped over", "ZeroDivisionError")) == 1
        assert run.session.state == "mining"
        assert run.session.connections == 1
        assert run.rig.snapshot().shares.accepted > 20
        await run.stop()
        await pool.stop()

    run_virtual(main())


def test_miners_that_break_off_anywhere_leave_nothing_behind() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock)
        for greeting in (b"", b"\x01" * 20, b"GET / HTTP/1.1\r\nHost: pool\r\n\r\n", b"\xff" * 200):
            stream = await net.connect(HOST, PORT)
            await stream.write(greeting)
            await asyncio.sleep(1)
            await stream.close()
        half = await miner_of(net, clock)
        await half.open()
        await half.stream.write(half.sealed(mining.CloseChannel(2, "bye"))[:-5])
        await half.stream.close()
        await asyncio.sleep(1)
        assert not pool.server.clients
        assert len(pool.lines.with_words("gone")) == 5
        assert not pool.lines.of("error")
        assert all(text.isprintable() for _, text in pool.lines.all)
        await pool.stop()

    run_virtual(main())
