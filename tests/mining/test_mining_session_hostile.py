"""What a server may do to a rig: one clear line each, in time, and nothing submitted.

Fatal: the rig ends at once. Else it backs off, tries again, and gives up when it was told to.
"""

from __future__ import annotations

import asyncio

import pytest
from hand_pool import HandPool, job
from hostile_servers import CASES, Case
from loop_device import LoopDevice
from memory_net import MemoryNet
from rig_on_pool import FIRST_UTC, HOST, PORT, Clock, Run
from virtual_time import run_virtual

from sv2rig.quota import MOST_LINES
from sv2rig.sv2.client_connection import CLIENT_LIMITS
from sv2rig.sv2.messages import mining
from sv2rig.transport.interface import ByteStream


def one_line(text: str) -> bool:
    return text.isprintable()


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_hostile_server_costs_one_clear_line_in_time_and_gets_no_share(case: Case) -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        dialled_at: list[float] = []
        loop = asyncio.get_running_loop()

        async def serve(stream: ByteStream) -> None:
            dialled_at.append(loop.time())
            await case.server(stream)

        net.servers[HOST, PORT] = serve
        device = LoopDevice()
        run = Run([device], net.connect, clock, give_up_after_s=None if case.fatal else 100)
        end = await run.fails()
        told_at = loop.time()
        assert all(one_line(text) for _, text in run.lines.all), run.lines.all
        assert one_line(end)
        shares = run.rig.snapshot().shares
        assert shares == type(shares)(), "no share was sent, none was lost"
        assert device.is_stopped
        if case.fatal:
            assert len(dialled_at) == 1, "at once"
            assert told_at - dialled_at[0] <= case.within_s
            assert all(word in end for word in case.words), end
            return
        lines = run.lines.with_words("trying again in")
        assert all(word in lines[0] for word in case.words), lines[0]
        assert all(word in end for word in (*case.words, "giving up after 1")), end
        assert len(dialled_at) == len(lines) + 1 >= 3
        first_line_at = run.lines.first_at("trying again in")
        assert first_line_at - dialled_at[0] <= case.within_s
        assert 100 <= told_at - dialled_at[0] <= 100 + case.within_s + 0.1
        await net.close()

    run_virtual(main())


def test_a_pool_silent_for_too_long_is_dropped_after_a_bound() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        loop = asyncio.get_running_loop()

        async def serve(stream: ByteStream) -> None:
            pool = await HandPool.open(stream)
            await pool.mine()
            await pool.hear_out()

        net.servers[HOST, PORT] = serve
        device = LoopDevice()
        run = Run([device], net.connect, clock)
        await run.until("mining")
        began = loop.time()
        await run.until("waiting")
        assert loop.time() - began == pytest.approx(CLIENT_LIMITS.silence_s, abs=1)
        assert device.work is None
        assert run.lines.with_words("nothing heard from the server for", "trying again in")
        shares = run.rig._picture().shares
        assert shares.pending == 0
        assert shares.unacknowledged > 0, "what it never answered is not lost silently"
        await run.stop()
        await net.close()

    run_virtual(main())


def test_a_flood_of_oddities_is_told_a_few_times_and_mining_goes_on() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()

        async def serve(stream: ByteStream) -> None:
            pool = await HandPool.open(stream)
            await pool.mine()
            unknown = b"\x34\x12\x99\x00\x00\x00"
            for number in range(300):
                await pool.stream.write(pool.seal(unknown))
                await pool.send_odd(mining.SubmitSharesError(2, 10_000 + number, "@@@@@"))
                await pool.send_odd(mining.UpdateChannelError(2, "@@@@@"))
                await pool.send(
                    mining.SubmitSharesSuccess(2, 10_000 + number, 5, 5),
                    mining.SetTarget(2, (1 << 256) // (400 + number)),
                    job(100 + number, int(FIRST_UTC)),
                )
            await pool.hear_out()

        net.servers[HOST, PORT] = serve
        device = LoopDevice()
        run = Run([device], net.connect, clock)
        await run.until("mining")
        await asyncio.sleep(20)
        assert len(set(run.lines.of("warning"))) == len(run.lines.of("warning")) < MOST_LINES
        assert run.lines.with_words("held back for a minute")
        assert all(one_line(text) for _, text in run.lines.all)
        assert device.work is not None
        assert device.work.job_id == 399
        assert run.session.state == "mining"
        await run.stop()
        await net.close()

    run_virtual(main())


def test_unknown_error_codes_of_shares_are_counted_and_no_more() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()

        async def serve(stream: ByteStream) -> None:
            pool = await HandPool.open(stream)
            await pool.mine()
            while True:
                share = await pool.next()
                if isinstance(share, mining.SubmitSharesExtended):
                    code = "@@@@@mercury-retrograde"
                    await pool.send_odd(mining.SubmitSharesError(2, share.sequence_number, code))

        net.servers[HOST, PORT] = serve
        run = Run([LoopDevice()], net.connect, clock)
        await run.until("mining")
        await asyncio.sleep(20)
        shares = run.rig.snapshot().shares
        assert shares.rejected > 5
        assert shares.accepted == shares.stale == 0
        assert run.session.state == "mining"
        lines = run.lines.with_words("mercury-retrograde")
        assert len(lines) == 2, "the first, and that more are held back"
        assert all(one_line(line) for line in lines)
        await run.stop()
        await net.close()

    run_virtual(main())
