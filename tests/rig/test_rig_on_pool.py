"""A whole rig on our own pool, in virtual time: it mines, loses the pool, comes back, and stops."""

from __future__ import annotations

import asyncio

import pytest
from loop_device import LoopDevice
from memory_net import MemoryNet
from rig_on_pool import Clock, PoolProcess, Run
from virtual_time import run_virtual

from sv2rig.devices.device import DeviceState


@pytest.mark.parametrize("standard", [True, False], ids=["standard", "extended"])
def test_a_rig_mines_and_both_ends_count_the_same(standard: bool) -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock)
        devices = [LoopDevice("loop:0", 300), LoopDevice("loop:1", 600)]
        run = Run(devices, net.connect, clock, standard=standard)
        await asyncio.sleep(300)
        took = await run.stop()
        await pool.stop()
        end = run.rig.snapshot()
        assert took < 2
        assert end.shares.rejected == end.shares.stale == end.shares.pending == 0
        assert end.shares.accepted == pool.server.counts.shares_accepted
        assert pool.server.counts.shares_rejected == 0
        assert end.blocks_found == pool.server.counts.blocks_found > 0
        assert end.blocks_found == sum(device.blocks for device in end.devices)
        assert end.hardware_errors == 0
        assert all(device.shares.accepted > 0 for device in end.devices)
        assert end.shares.accepted > 150  # of 300 (600 on two standard channels), with luck
        assert end.state == "stopped"
        assert all(device.is_stopped for device in devices)
        assert end.hashrate_hs == pytest.approx(900, rel=0.05)
        kind = "standard x2" if standard else "extended"
        assert run.lines.with_words("channel", "is open")
        assert kind.split()[0] in run.lines.with_words("channel", "is open")[0]

    run_virtual(main())


def test_the_rigs_minute_counts_those_that_have_no_minute_yet() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock)
        run = Run([LoopDevice("loop:0", 300), LoopDevice("loop:1", 600)], net.connect, clock)
        await asyncio.sleep(30)
        early = run.rig.snapshot()
        assert [device.hashrate_1m_hs for device in early.devices] == [None, None]
        assert early.hashrate_1m_hs == early.hashrate_hs == pytest.approx(900, rel=0.1)
        await asyncio.sleep(60)
        run.rig.switching.pause("loop:1")
        run.rig.switching.resume("loop:1")  # its minute begins anew
        await asyncio.sleep(30)
        mixed = run.rig.snapshot()
        old, new = mixed.devices
        assert old.hashrate_1m_hs is not None
        assert new.hashrate_1m_hs is None
        assert mixed.hashrate_1m_hs == pytest.approx(900, rel=0.1)
        await run.stop()
        await pool.stop()

    run_virtual(main())


@pytest.mark.parametrize("step_s", [3600, -3600])
@pytest.mark.parametrize("who", ["rig", "pool", "both"])
def test_the_wall_clock_stepped_by_an_hour_loses_nothing(step_s: float, who: str) -> None:
    async def main() -> None:
        net, clock, pools_clock = MemoryNet(), Clock(), Clock()
        pool = PoolProcess(net, pools_clock)
        run = Run([LoopDevice()], net.connect, clock)
        await asyncio.sleep(60)
        before = run.rig.snapshot().shares.accepted
        assert before > 0
        if who != "pool":
            clock.stepped_s = step_s
        if who != "rig":
            pools_clock.stepped_s = step_s
        await asyncio.sleep(240)
        after = run.rig.snapshot()
        await run.stop()
        await pool.stop()
        assert after.shares.accepted > before + 100
        assert after.shares.rejected == after.shares.stale == after.hardware_errors == 0
        assert pool.server.counts.blocks_refused == 0
        assert after.pool.reconnects == 0
        assert after.uptime_s == pytest.approx(300, abs=2)
        # The chain shows at once that our clock is behind; of one that is ahead by no more than the
        # median time's lag it shows nothing.
        is_behind = who != "pool" and step_s < 0
        warnings = run.lines.of("warning", "error")
        assert warnings == (run.lines.with_words("clock", "min behind") if is_behind else [])
        assert len(warnings) == is_behind

    run_virtual(main())


def test_a_new_connection_after_the_clock_was_stepped_back_is_trusted() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock)
        run = Run([LoopDevice()], net.connect, clock)
        await run.until("mining")
        clock.stepped_s = -3600  # on both machines: a certificate must not begin in the future
        await pool.kill()
        pool.start()
        await asyncio.sleep(5)
        await run.until("mining")
        await run.stop()
        await pool.stop()

    run_virtual(main())


def test_a_pool_killed_for_ten_seconds_is_found_again() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock)
        devices = [LoopDevice("loop:0"), LoopDevice("loop:1")]
        run = Run(devices, net.connect, clock, standard=True)
        await asyncio.sleep(60)
        before = run.rig.snapshot()
        await pool.kill()
        await asyncio.sleep(0.1)
        assert all(device.work is None for device in devices), "devices idle at once"
        await asyncio.sleep(9.9)
        away = run.rig.snapshot()
        assert away.pool.state == "waiting"
        assert "refused" in away.pool.detail
        assert away.shares.pending == 0
        pool.start()
        await run.until("mining", 30)
        await asyncio.sleep(60)
        after = run.rig.snapshot()
        await run.stop()
        await pool.stop()
        assert after.shares.accepted > before.shares.accepted + 30
        assert after.shares.rejected == after.hardware_errors == 0
        assert after.pool.reconnects == 1
        lines = run.lines.with_words("devices idle", "trying again in")
        assert "closed the connection" in lines[0]
        waits = [float(line.rsplit(" ", 2)[1]) for line in lines]
        assert 3 <= len(waits) <= 8
        for attempt, wait in enumerate(waits):  # back-off with jitter
            assert 0.5 * 2**attempt - 0.06 <= wait <= 2**attempt + 0.06

    run_virtual(main())


def test_shares_in_flight_when_the_connection_breaks_are_unacknowledged() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock)
        run = Run([LoopDevice()], net.connect, clock)
        await run.until("mining")
        await run.sees(lambda: run.rig._picture().shares.pending)
        await net.streams[-1].reset()
        await asyncio.sleep(0.05)
        shares = run.rig._picture().shares
        assert shares.pending == 0
        assert shares.unacknowledged >= 1
        assert run.session.state == "waiting"
        await run.stop()
        await pool.stop()

    run_virtual(main())


def test_an_unplugged_device_is_lost_and_the_others_mine_on() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock)
        devices = [LoopDevice("loop:0"), LoopDevice("loop:1")]
        run = Run(devices, net.connect, clock, standard=True)
        await run.until("mining")
        await asyncio.sleep(30)
        devices[0].fail(DeviceState.LOST, "the board was unplugged")
        before = run.rig.snapshot()
        await asyncio.sleep(120)
        after = run.rig.snapshot()
        lost, other = after.devices
        assert (lost.state, lost.reason) == ("LOST", "the board was unplugged")
        assert lost.hashrate_hs is None
        assert lost.shares.accepted >= before.devices[0].shares.accepted > 0
        assert other.shares.accepted > before.devices[1].shares.accepted + 30
        assert run.lines.with_words("LOST", "unplugged")
        assert len(run.session.channels) == 1, "nobody mines on the lost device's channel"
        # The pool comes back: a channel is asked for the device that is left, and no other.
        await pool.kill()
        pool.start()
        await asyncio.sleep(5)
        await run.until("mining", 60)
        assert [c.device_ids for c in run.session.channels] == [("loop:1",)]
        await run.stop()
        await pool.stop()

    run_virtual(main())


def test_when_the_last_device_is_lost_the_rig_ends_and_says_so() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock)
        device = LoopDevice()
        run = Run([device], net.connect, clock)
        await run.until("mining")
        device.fail(DeviceState.DEAD, "it burns")
        async with asyncio.timeout(3):
            assert "no device is left" in await run.fails()
        await pool.stop()

    run_virtual(main())


def test_a_device_lost_while_the_pool_opens_its_channel() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock)
        devices = [LoopDevice("loop:0"), LoopDevice("loop:1")]
        net.latency_s = 0.1
        run = Run(devices, net.connect, clock, standard=True)
        await run.sees(lambda: run.session.connected_since)  # set up; the channels are asked for
        assert not run.session.channels
        devices[0].fail(DeviceState.LOST, "the board was unplugged")
        await run.until("mining")
        await asyncio.sleep(30)
        assert [c.device_ids for c in run.session.channels] == [("loop:1",)]
        assert run.rig.snapshot().devices[1].shares.accepted > 0
        await run.stop()
        await pool.stop()

    run_virtual(main())


def test_a_device_lost_while_the_others_are_still_measured_gets_no_work() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock)
        devices = [LoopDevice("loop:0"), LoopDevice("loop:1")]
        devices[1].rate_hs = 0  # measured for as long as it takes to lose patience
        run = Run(devices, net.connect, clock)
        await asyncio.sleep(5)
        devices[0].fail(DeviceState.LOST, "the board was unplugged")
        assert "no device hashes" in await run.fails()
        assert run.lines.with_words("hashed nothing when measured")
        await pool.stop()

    run_virtual(main())


def test_a_hanging_device_is_sick_in_words_and_well_again_when_it_hashes() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock)
        devices = [LoopDevice("loop:0"), LoopDevice("loop:1")]
        run = Run(devices, net.connect, clock)
        await run.until("mining")
        await asyncio.sleep(90)
        devices[0].hangs = True
        await asyncio.sleep(9)
        assert run.rig.snapshot().devices[0].state != "SICK"
        await asyncio.sleep(4)
        sick = run.rig.snapshot()
        assert sick.devices[0].state == "SICK"
        assert "it hangs" in sick.devices[0].reason
        assert sick.devices[0].since == pytest.approx(clock(), abs=4)
        await asyncio.sleep(100)
        rates = [run.context.rates[device.info.device_id] for device in devices]
        assert rates[0] == 0, "a hanging device is not planned with at its old rate"
        devices[0].hangs = False
        await asyncio.sleep(3)
        well = run.rig.snapshot().devices[0]
        assert (well.state, well.reason) == ("MINING", "hashes again")
        assert len(run.lines.with_words("it hangs")) == 1
        await run.stop()
        await pool.stop()

    run_virtual(main())


def test_after_its_channel_hung_the_rate_told_is_never_zero() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock)
        device = LoopDevice()
        run = Run([device], net.connect, clock)
        await run.until("mining")
        await asyncio.sleep(90)
        target = run.session.channels[0].target
        device.hangs = True
        await asyncio.sleep(100)
        # The pool would answer a rate of 0 with the easiest target there is.
        assert run.session.channels[0].target < target * 64
        await run.stop()
        await pool.stop()

    run_virtual(main())


@pytest.mark.parametrize("moment_s", [0.0, 0.3, 1.5, 30.0])
def test_it_stops_within_two_seconds_at_any_moment(moment_s: float) -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock)
        run = Run([LoopDevice()], net.connect, clock)
        await asyncio.sleep(moment_s)
        assert await run.stop() < 2
        assert run.rig.snapshot().state == "stopped"
        assert run.rig.snapshot().shares.pending == 0
        await pool.stop()

    run_virtual(main())


def test_what_breaks_in_the_ticks_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock)
        run = Run([LoopDevice()], net.connect, clock)
        await run.until("mining")

        def broken(_now: float) -> None:
            raise ZeroDivisionError("a mistake")

        monkeypatch.setattr(run.session, "tick", broken)
        with pytest.raises(ZeroDivisionError):
            await run.task
        await pool.stop()

    run_virtual(main())
