"""Where a session goes when a pool sends it away, stays away, or the rig is stopped meanwhile."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from hand_pool import HandPool
from hostile_servers import (
    Server,
    closes_at_once,
    for_ever,
    sends_no_job,
    silent,
    silent_after_handshake,
    silent_after_set_up,
)
from loop_device import LoopDevice
from memory_net import MemoryNet
from rig_on_pool import HOST, PORT, URL, Clock, PoolProcess, Run
from virtual_time import run_virtual

from sv2rig.mining import pool_channels
from sv2rig.sv2.messages import common
from sv2rig.transport.interface import ByteStream, TransportError

CALIBRATION_S = 1.5  # what the rig does before it dials


def test_a_redirect_loop_is_slowed_by_back_off_and_given_up() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        places = {(HOST, PORT): ("b.example", 1), ("b.example", 1): (HOST, PORT)}

        def redirects_to(place: tuple[str, int]) -> Server:
            async def serve(stream: ByteStream) -> None:
                pool = await HandPool.set_up(stream)
                await pool.next()
                await pool.send(common.Reconnect(*place))
                await pool.hear_out()

            return serve

        for here, there in places.items():
            net.servers[here] = redirects_to(there)
        run = Run([LoopDevice()], net.connect, clock, give_up_after_s=120)
        assert "asks us to reconnect to" in await run.fails()
        assert 5 <= len(net.dialled) <= 16
        assert net.dialled[:4] == [(HOST, PORT), ("b.example", 1)] * 2
        await net.close()

    run_virtual(main())


@pytest.mark.parametrize("place", [("b.example", 1), ("\x1b[2J\n" + "x" * 80, 1)])
def test_a_redirect_to_nowhere_leads_home_again(place: tuple[str, int]) -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()

        async def redirects(stream: ByteStream) -> None:
            pool = await HandPool.set_up(stream)
            await pool.next()
            await pool.send(common.Reconnect(*place))
            PoolProcess(net, clock)  # at home again when the miner returns
            await pool.hear_out()

        async def connect(host: str, port: int) -> ByteStream:
            if (host, port) == place:
                raise TransportError(f"{host!r}: no such place")
            return await net.connect(host, port)

        net.servers[HOST, PORT] = redirects
        run = Run([LoopDevice()], connect, clock)
        await run.until("mining", 30)
        assert net.dialled == [(HOST, PORT), (HOST, PORT)]
        assert all(text.isprintable() for _, text in run.lines.all)
        await run.stop()
        await net.close()

    run_virtual(main())


def test_an_empty_redirect_means_the_same_place() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        asked: list[bool] = []

        async def serve(stream: ByteStream) -> None:
            pool = await HandPool.open(stream)
            await pool.mine()
            if not asked:
                asked.append(True)
                await pool.send(common.Reconnect("", 0))
            await pool.hear_out()

        net.servers[HOST, PORT] = serve
        run = Run([LoopDevice()], net.connect, clock)
        await asyncio.sleep(10)
        assert run.session.state == "mining"
        assert net.dialled == [(HOST, PORT)] * 2
        await run.stop()
        await net.close()

    run_virtual(main())


def test_a_user_name_that_no_message_can_carry_is_told_at_once() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock)
        run = Run([LoopDevice()], net.connect, clock, user="x" * 256)
        end = await run.fails()
        assert "user_identity" in end
        assert "use --channel" not in end
        await pool.stop()

    run_virtual(main())


@pytest.mark.parametrize("standard", [True, False], ids=["standard", "extended"])
def test_a_server_whose_flags_refuse_the_kind_of_channel_is_obeyed(standard: bool) -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        heard: list[object] = []

        async def serve(stream: ByteStream) -> None:
            pool = await HandPool.set_up(stream, flags=0b10)  # REQUIRES_EXTENDED_CHANNELS
            heard.extend(await pool.hear_out())

        net.servers[HOST, PORT] = serve
        run = Run([LoopDevice()], net.connect, clock, standard=standard, give_up_after_s=60)
        end = await run.fails()
        assert ("--channel extended" in end) == standard
        await net.close()

    run_virtual(main())


def test_without_a_key_any_server_will_do_and_the_log_says_so() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock)
        run = Run([LoopDevice()], net.connect, clock, url=replace(URL, authority_key=None))
        await run.until("mining")
        assert run.lines.with_words("its key was NOT checked")
        await run.stop()
        await pool.stop()

    run_virtual(main())


def test_the_time_to_give_up_counts_from_when_the_pool_last_worked() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock)
        loop = asyncio.get_running_loop()
        run = Run([LoopDevice()], net.connect, clock, give_up_after_s=20)
        await asyncio.sleep(300)
        assert run.session.state == "mining"
        await pool.kill()
        killed_at = loop.time()
        assert "giving up after 2" in await run.fails()
        assert loop.time() - killed_at == pytest.approx(20, abs=1.5)

    run_virtual(main())


@pytest.mark.parametrize("limit_s", [0.0, 3.0])
def test_a_pool_that_never_was_there_is_given_up_on_time(limit_s: float) -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        loop = asyncio.get_running_loop()
        began = loop.time()
        run = Run([LoopDevice()], net.connect, clock, give_up_after_s=limit_s)
        assert "refused" in await run.fails()
        took = loop.time() - began
        assert limit_s <= took <= limit_s + CALIBRATION_S
        assert len(net.dialled) >= (1 if not limit_s else 3)

    run_virtual(main())


async def unreachable(_host: str, _port: int) -> ByteStream:
    await for_ever()
    raise AssertionError


@pytest.mark.parametrize(
    "server",
    [None, silent, silent_after_handshake, silent_after_set_up, sends_no_job, closes_at_once],
    ids=["connecting", "handshake", "set-up", "no channel", "no job", "back-off"],
)
def test_it_stops_at_once_wherever_the_pool_keeps_it_waiting(server: Server | None) -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        if server is not None:
            net.servers[HOST, PORT] = server
        run = Run([LoopDevice()], net.connect if server else unreachable, clock)
        await asyncio.sleep(4)
        assert not run.task.done()
        assert await run.stop() < 1
        await net.close()

    run_virtual(main())


def test_shares_of_a_pool_that_never_answers_are_told_and_unacknowledged_at_the_end() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()

        async def serve(stream: ByteStream) -> None:
            pool = await HandPool.open(stream)
            await pool.mine()
            await pool.hear_out()

        net.servers[HOST, PORT] = serve
        run = Run([LoopDevice()], net.connect, clock)
        await run.until("mining")
        await asyncio.sleep(20)
        pending = run.rig.snapshot().shares.pending
        assert pending > 5
        assert await run.stop() < 2
        shares = run.rig.snapshot().shares
        assert shares.pending == 0
        assert shares.unacknowledged >= pending
        assert run.lines.with_words("not acknowledged in time")
        await net.close()

    run_virtual(main())


def test_what_a_pool_never_answers_does_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        monkeypatch.setattr(pool_channels, "MOST_UNANSWERED", 5)
        net, clock = MemoryNet(), Clock()

        async def serve(stream: ByteStream) -> None:
            pool = await HandPool.open(stream)
            await pool.mine()
            await pool.hear_out()

        net.servers[HOST, PORT] = serve
        run = Run([LoopDevice()], net.connect, clock)
        await run.until("mining")
        await asyncio.sleep(30)
        shares = run.rig.snapshot().shares
        assert shares.pending == 5
        assert shares.unacknowledged > 5
        await run.stop()
        await net.close()

    run_virtual(main())


def test_a_mistake_of_ours_in_an_event_ends_the_rig_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock)
        run = Run([LoopDevice()], net.connect, clock)
        await run.until("mining")

        def broken(*_args: object) -> None:
            raise ZeroDivisionError("a mistake")

        assert run.session._connection is not None
        monkeypatch.setattr(run.session._connection.pool, "receive", broken)
        with pytest.raises(ZeroDivisionError):
            await run.task
        assert net.streams[-1]._out.ended, "the connection was closed"
        await pool.stop()

    run_virtual(main())
