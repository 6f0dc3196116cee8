"""A rig with several pools: which it mines on, whom it tells what it found, and what it says."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import pytest
from hand_pool import HandPool, job
from hostile_servers import certificate, certified, refuses_channel
from loop_device import LoopDevice, dig
from pool_farm import PoolFarm
from rig_on_pool import AUTHORITY_SECRET, FIRST_UTC, Clock, Run
from virtual_time import run_virtual

from sv2rig.mining.failover import FailoverLimits, PoolRefusedError
from sv2rig.mining.pool_connection import MOST_IN_A_BATCH, Silence
from sv2rig.mining.session import SessionOptions
from sv2rig.sv2.messages import mining
from sv2rig.sv2.messages.registry import Message
from sv2rig.transport.interface import ByteStream

Test = Callable[[PoolFarm], Awaitable[None]]


def on_farm(names: str, test: Test) -> None:
    async def main() -> None:
        farm = PoolFarm(names, Clock())
        await test(farm)
        await farm.close()

    run_virtual(main())


def rig(farm: PoolFarm, options: SessionOptions | None = None, *devices: LoopDevice) -> Run:
    return Run(
        devices or [LoopDevice()], farm.connect, farm.clock, pools=farm.entries, options=options
    )


def states(run: Run) -> dict[str, str]:
    return {one.name: one.state for one in run.rig._picture().pools}


def mines_on(run: Run, name: str) -> Callable[[], bool]:
    return lambda: states(run).get(name) == "mining"


def test_the_next_pool_takes_over_at_once_and_a_steady_primary_takes_over_again() -> None:
    async def test(farm: PoolFarm) -> None:
        farm.start("ab")
        loop = asyncio.get_running_loop()
        run = rig(farm)
        await run.sees(mines_on(run, "a"))
        await asyncio.sleep(60)
        assert farm.dialled("b") == 0, "a standby pool is left alone"
        await farm.pools["a"].kill()
        began = loop.time()
        await run.sees(mines_on(run, "b"))
        assert loop.time() - began < 1
        picture = run.rig._picture()
        assert (picture.pool.name, picture.pool.user) == ("b", "user-of-b")
        await asyncio.sleep(100)
        assert states(run) == {"a": "down", "b": "mining"}
        farm.start("a")
        came_back = loop.time()
        await run.sees(mines_on(run, "a"))
        assert 120 <= loop.time() - came_back <= 120 + 3 * 20
        assert states(run)["b"] == "standby"
        assert run.lines.with_words("leaving pool 'b' for pool 'a'")
        assert all(pool.server.counts.shares_rejected == 0 for pool in farm.pools.values())
        await run.stop()

    on_farm("ab", test)


def test_a_primary_that_flaps_does_not_take_the_rig_with_it() -> None:
    async def test(farm: PoolFarm) -> None:
        farm.start("ab")
        run = rig(farm)
        await run.sees(mines_on(run, "a"))
        for _ in range(20):  # a minute there, half a minute away
            await farm.pools["a"].kill()
            await run.sees(mines_on(run, "b"))
            await asyncio.sleep(30)
            farm.start("a")
            await asyncio.sleep(60)
            assert states(run)["b"] == "mining"
        assert run.session.connections == 2
        await run.stop()

    on_farm("ab", test)


def test_what_was_found_for_one_pool_is_never_sent_to_another() -> None:
    """Same channel and job numbers on both; the device reports late."""

    async def test(farm: PoolFarm) -> None:
        heard: dict[str, list[Message]] = {"a": [], "b": []}

        def server(name: str, prev: bytes) -> Callable[[ByteStream], Awaitable[None]]:
            async def serve(stream: ByteStream) -> None:
                pool = await HandPool.open(stream, channel_id=2)
                heard[name] = pool.received
                await pool.mine(job_id=1, channel_id=2, prev=prev)
                await pool.hear_out()

            return serve

        farm.serve("a", server("a", b"\x07"))
        farm.serve("b", server("b", b"\x08"))
        device = LoopDevice(idle_hands=True)
        run = rig(farm, None, device)
        await run.sees(mines_on(run, "a"))
        await run.sees(lambda: device.work)
        of_a = device.work
        assert of_a is not None
        device.report(dig(of_a))
        await asyncio.sleep(1)
        run.session.switch("b")
        await run.sees(lambda: device.work and device.work.prev_hash == b"\x08" * 32)
        of_b = device.work
        assert of_b is not None
        assert (of_a.channel_id, of_a.job_id) == (of_b.channel_id, of_b.job_id)
        device.report(dig(of_a, skip=1), dig(of_b))
        await asyncio.sleep(1)
        for name, messages in heard.items():
            users = [m.user_identity for m in opened(messages)]
            assert users == [f"user-of-{name}"]
            assert len(shares_in(messages)) == 1
        assert [(done.pool, done.verdict) for done in run.shares] == [
            ("a", "unacknowledged"),
            ("a", "stale"),
        ]
        await run.stop()
        assert [(done.pool, done.verdict) for done in run.shares[2:]] == [("b", "unacknowledged")]

    on_farm("ab", test)


def opened(messages: Sequence[Message]) -> list[mining.OpenExtendedMiningChannel]:
    return [m for m in messages if isinstance(m, mining.OpenExtendedMiningChannel)]


def shares_in(messages: Sequence[Message]) -> list[mining.SubmitSharesExtended]:
    return [m for m in messages if isinstance(m, mining.SubmitSharesExtended)]


def test_each_share_is_told_with_its_pool_and_its_fate() -> None:
    async def test(farm: PoolFarm) -> None:
        farm.start("ab")
        run = rig(farm)
        await run.sees(mines_on(run, "a"))
        await asyncio.sleep(120)
        await farm.pools["a"].kill()
        await asyncio.sleep(120)
        await run.stop()
        shares = run.rig.snapshot().shares
        told = Counter(done.verdict for done in run.shares)
        assert told["accepted"] == shares.accepted > 100
        assert told["unacknowledged"] == shares.unacknowledged
        assert told["stale"] == shares.stale
        assert {done.pool for done in run.shares} == {"a", "b"}
        for done in run.shares:
            assert done.hash_value <= done.target
            assert (done.latency_s is None) == (done.verdict in ("unacknowledged", "stale"))
            assert FIRST_UTC < done.sent_utc < FIRST_UTC + 2000
        accepted = Counter(done.pool for done in run.shares if done.verdict == "accepted")
        # A killed pool may have accepted what it had not said yet.
        assert 0 <= farm.pools["a"].server.counts.shares_accepted - accepted["a"] <= 40
        assert farm.pools["b"].server.counts.shares_accepted == accepted["b"]

    on_farm("ab", test)


async def no_more_jobs(stream: ByteStream) -> None:
    pool = await HandPool.open(stream)
    await pool.mine()
    with contextlib.suppress(EOFError):
        while True:  # it acknowledges, but its node has stopped
            share = await pool.next()
            if isinstance(share, mining.SubmitSharesExtended):
                await pool.send(mining.SubmitSharesSuccess(2, share.sequence_number, 1, 1))


async def no_answers(stream: ByteStream) -> None:
    pool = await HandPool.open(stream)
    await pool.mine()

    async def jobs() -> None:
        number = 2
        while True:
            await asyncio.sleep(30)
            await pool.send(job(number, int(FIRST_UTC)))
            number += 1

    sending = asyncio.create_task(jobs())
    try:
        await pool.hear_out()
    finally:
        sending.cancel()


@pytest.mark.parametrize(
    ("server", "words", "after_s"),
    [(no_more_jobs, "sent no new job for 300 s", 300), (no_answers, "has not answered", 180)],
)
def test_a_silent_pool_is_left_for_the_next(
    server: Callable[[ByteStream], Awaitable[None]], words: str, after_s: float
) -> None:
    async def test(farm: PoolFarm) -> None:
        farm.serve("a", server)
        farm.start("b")
        run = rig(farm, SessionOptions(silence=Silence(job_s=300, ack_s=180)))
        await run.sees(mines_on(run, "a"))
        began = asyncio.get_running_loop().time()
        await run.sees(mines_on(run, "b"), 700)
        assert asyncio.get_running_loop().time() - began == pytest.approx(after_s, abs=3)
        assert run.lines.with_words(words, "pool 'a'", "trying pool 'b' now")
        await run.stop()

    on_farm("ab", test)


def test_a_shorter_limit_of_silence_holds_for_the_connection_that_is_there() -> None:
    async def test(farm: PoolFarm) -> None:
        farm.serve("a", no_more_jobs)
        farm.start("b")
        run = rig(farm)
        await run.sees(mines_on(run, "a"))
        run.session.limit(SessionOptions(silence=Silence(job_s=60)))
        await asyncio.sleep(63)
        assert states(run)["b"] == "mining"
        await run.stop()

    on_farm("ab", test)


def test_a_connection_that_is_being_left_disturbs_nobody() -> None:
    """That a device has gone can no longer be said on a channel that is closed."""

    async def test(farm: PoolFarm) -> None:
        farm.start("ab")
        entries = [replace(entry, standard_channels=True) for entry in farm.entries]
        device = LoopDevice()
        run = Run([device], farm.connect, farm.clock, pools=entries)
        await run.sees(mines_on(run, "a"))
        run.session.switch("b")
        run.session.device_gone(device.info.device_id)
        await run.sees(mines_on(run, "b"))
        await run.stop()

    on_farm("ab", test)


def test_a_few_shares_of_a_batch_may_wait_for_long() -> None:
    async def test(farm: PoolFarm) -> None:
        farm.serve("a", no_answers)
        farm.start("b")
        device = LoopDevice(idle_hands=True)
        run = rig(farm, SessionOptions(silence=Silence(ack_s=30)), device)
        await run.sees(mines_on(run, "a"))
        await run.sees(lambda: device.work)
        assert device.work is not None
        for number in range(MOST_IN_A_BATCH):
            device.report(dig(device.work, skip=number))
        await asyncio.sleep(290)
        assert states(run)["a"] == "mining"
        await asyncio.sleep(15)
        assert states(run)["b"] == "mining"
        await run.stop()

    on_farm("ab", test)


def test_when_every_pool_is_down_devices_idle_until_one_is_back() -> None:
    async def test(farm: PoolFarm) -> None:
        farm.start("ab")
        device = LoopDevice()
        run = rig(farm, None, device)
        await run.sees(mines_on(run, "a"))
        await farm.pools["b"].kill()
        await farm.pools["a"].kill()
        await run.until("waiting")
        assert device.work is None
        assert "connection refused" in run.rig._picture().pool.detail
        hashes = device.hashes_done()
        before = farm.dialled("a") + farm.dialled("b")
        await asyncio.sleep(600)
        assert device.hashes_done() == hashes, "no power is burnt"
        assert 40 <= farm.dialled("a") + farm.dialled("b") - before <= 100
        assert states(run) == {"a": "down", "b": "down"}
        farm.start("b")
        await run.sees(mines_on(run, "b"), 35)
        await run.sees(lambda: device.work)
        await run.stop()

    on_farm("ab", test)


def test_a_pool_that_refuses_us_is_passed_over_and_tried_again_when_the_user_says_so() -> None:
    async def test(farm: PoolFarm) -> None:
        farm.serve("a", refuses_channel)
        farm.start("b")
        run = rig(farm)
        await run.sees(mines_on(run, "b"))
        assert states(run)["a"] == "refused"
        assert run.lines.with_words("unknown-user", "trying pool 'b' now")
        await asyncio.sleep(590)
        assert farm.dialled("a") == 1
        del farm.nets["a"].servers["a.example", 34254]
        farm.start("a")
        run.session.switch("a")
        await run.sees(mines_on(run, "a"), 5)
        await run.stop()

    on_farm("ab", test)


def test_a_daemon_waits_where_its_only_pool_refuses_it_and_says_why() -> None:
    async def test(farm: PoolFarm) -> None:
        farm.serve("a", refuses_channel)
        farm.entries = [farm.entry("a")]
        device = LoopDevice()
        run = rig(farm, SessionOptions(never_give_up=True), device)
        await run.until("waiting")
        assert "unknown-user" in run.rig._picture().pool.detail
        await asyncio.sleep(500)
        assert device.work is None
        assert farm.dialled("a") == 1
        await asyncio.sleep(200)
        assert farm.dialled("a") == 2
        run.session.replace([farm.entry("a"), farm.entry("b")])
        farm.start("b")
        await run.sees(mines_on(run, "b"), 40)
        await run.stop()

    on_farm("ab", test)


@pytest.mark.parametrize("how", ["switch", "disable", "remove"])
def test_the_user_moves_the_rig_to_another_pool(how: str) -> None:
    async def test(farm: PoolFarm) -> None:
        farm.start("abc")
        run = rig(farm)
        await run.sees(mines_on(run, "a"))
        getattr(run.session, how)("b" if how == "switch" else "a")
        await run.sees(mines_on(run, "b"), 2)
        after = {"switch": "standby", "disable": "disabled", "remove": None}[how]
        assert states(run).get("a") == after
        await asyncio.sleep(300)
        assert states(run)["b"] == "mining", "and there it stays"
        with pytest.raises(PoolRefusedError, match="no pool 'x'"):
            run.session.switch("x")
        if how == "disable":
            for name in "bc":
                run.session.disable(name)
            await run.until("waiting")
            assert run.session.detail == "every pool is disabled"
            run.session.enable("c")
            await run.sees(mines_on(run, "c"), 2)
        await run.stop()

    on_farm("abc", test)


def test_a_reload_while_nothing_changes_disturbs_nothing() -> None:
    async def test(farm: PoolFarm) -> None:
        farm.start("ab")
        run = rig(farm)
        await run.sees(mines_on(run, "a"))
        run.session.replace([*farm.entries, farm.entry("c")])
        run.session.order(["c", "a", "b"])
        await asyncio.sleep(100)
        assert run.session.connections == 1
        assert states(run) == {"c": "down", "a": "mining", "b": "standby"}
        await run.stop()

    on_farm("ab", test)


def test_a_clock_that_is_behind_is_said_once_and_mining_begins_when_it_is_set() -> None:
    async def test(farm: PoolFarm) -> None:
        farm.serve("a", certified(certificate(AUTHORITY_SECRET, 3480 + 1000, 86400)))
        run = rig(farm, SessionOptions(never_give_up=True))
        await run.until("waiting")
        lines = run.lines.with_words("clock is about 58 min behind what pool a says", "timedatectl")
        assert len(lines) == 1
        error_s = run.rig._picture().clock_error_s
        assert error_s is not None
        assert error_s == pytest.approx(-3480, abs=5)
        await asyncio.sleep(30)
        del farm.nets["a"].servers["a.example", 34254]
        farm.start("a")
        farm.clock.stepped_s = 3480
        await run.sees(mines_on(run, "a"), 5)
        assert run.rig._picture().clock_error_s is None
        assert len(run.lines.with_words("clock is about")) == 1
        await run.stop()

    on_farm("a", test)


def test_an_expired_certificate_is_the_clocks_fault_only_until_another_pools_job_fits() -> None:
    async def test(farm: PoolFarm) -> None:
        farm.serve("a", certified(certificate(AUTHORITY_SECRET, -86400, -7200)))
        run = rig(farm)
        farm.serve("b", farm.nets["a"].servers["a.example", 34254])
        await run.until("waiting")
        assert run.rig._picture().clock_error_s == pytest.approx(8200, abs=5)
        assert run.lines.with_words("ahead of what the certificate of pool a allows", "out of date")
        del farm.nets["b"].servers["b.example", 34254]
        farm.start("b")
        await run.sees(mines_on(run, "b"), 700)
        await asyncio.sleep(2000)
        assert farm.dialled("a") > 3
        assert run.rig._picture().clock_error_s is None
        assert len(run.lines.with_words("clock is about")) == 1
        await run.stop()

    on_farm("ab", test)


def test_a_rig_that_may_give_up_does_so_when_no_pool_worked_for_long() -> None:
    async def main() -> None:
        farm = PoolFarm("ab", Clock())
        began = asyncio.get_running_loop().time()
        run = Run([LoopDevice()], farm.connect, farm.clock, pools=farm.entries, give_up_after_s=60)
        assert "giving up after 60 s without any pool" in await run.fails()
        assert asyncio.get_running_loop().time() - began == pytest.approx(60, abs=2)
        assert farm.dialled("a") == pytest.approx(farm.dialled("b"), abs=1)

    run_virtual(main())


@pytest.mark.parametrize(
    ("step_s", "words"),
    [
        (-590, None),
        (-610, "10 min behind"),
        (6 * 3600 - 60, None),
        (6 * 3600 + 60, "6 h ahead of"),
    ],
)
def test_a_clock_that_jobs_show_to_be_off(step_s: float, words: str | None) -> None:
    async def test(farm: PoolFarm) -> None:
        utc = FIRST_UTC + asyncio.get_running_loop().time()

        async def serve(stream: ByteStream) -> None:
            pool = await HandPool.open(stream)
            await pool.send(
                job(1, None),
                mining.SetNewPrevHash(2, 1, b"\x07" * 32, int(utc), 0x1C7FFF80),
            )
            await pool.hear_out()

        farm.serve("a", serve)
        unchecked = replace(farm.entries[0].url, authority_key=None)
        farm.entries = [replace(farm.entries[0], url=unchecked)]
        farm.clock.stepped_s = step_s
        run = rig(farm)
        await run.sees(lambda: run.session.channels and run.session.channels[0].job)
        await asyncio.sleep(3)
        assert len(run.lines.with_words("clock is about")) == (words is not None)
        if words:
            assert run.lines.with_words(words, "the jobs of pool a say")
        assert (run.rig._picture().clock_error_s is None) == (words is None)
        await run.stop()

    on_farm("a", test)


def test_probes_are_no_miners() -> None:
    async def test(farm: PoolFarm) -> None:
        farm.start("ab")
        await farm.pools["a"].kill()
        run = rig(farm, SessionOptions(failover=FailoverLimits(steady_s=600, probe_s=20)))
        await run.sees(mines_on(run, "b"))
        farm.start("a")
        await asyncio.sleep(300)
        assert 12 <= farm.pools["a"].server.counts.connections <= 16
        assert farm.pools["a"].server.counts.shares_accepted == 0
        standing = run.session.pools()[0]
        assert standing.probed is not None
        assert asyncio.get_running_loop().time() - standing.probed < 21
        await run.stop()

    on_farm("ab", test)
