"""Nothing is lost at a boundary: between jobs, targets, groups and connections.

The overfull result buffer is in tests/compute/test_compute_engines.py, the wall clock stepped by an
hour in tests/rig/test_rig_on_pool.py.
"""

from __future__ import annotations

import asyncio
import threading

import pytest
from hand_pool import HandPool, job, prev_hash
from loop_device import LoopDevice, dig, miss
from memory_net import MemoryNet
from rig_on_pool import FIRST_UTC, HOST, PORT, URL, Clock, PoolProcess, Run
from virtual_time import run_virtual

from sv2rig.bitcoin.target import MAX_TARGET, target_for_rate
from sv2rig.compute.engine import EngineInfo, Loaded
from sv2rig.compute.hashlib_engine import HashlibEngine, HashlibLaunch
from sv2rig.compute.worker import PushDevice
from sv2rig.devices.device import Capabilities
from sv2rig.devices.work import Solution, Work
from sv2rig.mining.context import MiningContext
from sv2rig.mining.failover import PoolEntry
from sv2rig.mining.pool_channels import PoolChannels
from sv2rig.mining.scheduler import Assignment, Scheduler
from sv2rig.mining.tally import Tally
from sv2rig.pool.template import mining_template
from sv2rig.sv2 import server_events
from sv2rig.sv2.client_channels import ClientChannels
from sv2rig.sv2.extranonce import ExtranonceAllocator
from sv2rig.sv2.messages import mining
from sv2rig.sv2.messages.registry import Message
from sv2rig.sv2.server_channels import ServerChannels
from sv2rig.sv2.share_policy import SharePolicy
from sv2rig.sv2.tlv import TLV
from sv2rig.transport.interface import ByteStream


def work_of(device: LoopDevice) -> Work:
    assert device.work is not None
    return device.work


# -- a queued launch of stale work answering late


class GatedEngine:
    """hashlib, whose launches end only while the gate is open."""

    info = EngineInfo("gated", "gated")

    def __init__(self) -> None:
        self._engine = HashlibEngine()
        self.gate = threading.Event()
        self.gate.set()
        self.held = threading.Semaphore(0)  # launches held back at the gate

    def load(self, work: Work) -> Loaded:
        return self._engine.load(work)

    def launch(self, loaded: Loaded, ntime: int, nonce_start: int, nonce_count: int) -> GatedLaunch:
        return GatedLaunch(self, self._engine.launch(loaded, ntime, nonce_start, nonce_count))

    def close(self) -> None:
        self._engine.close()


class GatedLaunch:
    def __init__(self, engine: GatedEngine, inner: HashlibLaunch) -> None:
        self._engine = engine
        self._inner = inner

    def collect(self) -> list[Solution]:
        found = self._inner.collect()
        if not self._engine.gate.is_set():
            self._engine.held.release()
            assert self._engine.gate.wait(10)
        return found


@pytest.mark.parametrize("new_block", [True, False], ids=["new block", "same block"])
async def test_a_queued_launch_of_replaced_work_answers_late(new_block: bool) -> None:
    net, clock = MemoryNet(), Clock()
    engine = GatedEngine()
    connected: asyncio.Future[HandPool] = asyncio.get_running_loop().create_future()

    async def serve(stream: ByteStream) -> None:
        pool = await HandPool.open(stream)
        await pool.mine(job_id=1)
        connected.set_result(pool)
        await pool.hear_out()

    net.servers[HOST, PORT] = serve
    # Launches of about 80,000 hashes, with a ticket that 50 meet in a second: some find something.
    device = PushDevice("cpu:0", "gated", "gated", lambda: engine, latency_ms=400, version_bits=0)
    run = Run([device], net.connect, clock)
    pool = await connected
    await run.sees(lambda: any(isinstance(m, mining.SubmitSharesExtended) for m in pool.received))
    engine.gate.clear()
    await asyncio.to_thread(engine.held.acquire, True, 10)  # one held, one queued behind it
    await asyncio.sleep(0.05)  # what was reported before the gate shut is on its way
    sent_before = len(pool.received)
    if new_block:
        await pool.send(job(2, None), prev_hash(2, prev=b"\x08"))
    else:
        await pool.send(job(2, int(FIRST_UTC)))
    job_id = run.session.channels[0]
    await run.sees(lambda: job_id.job is not None and job_id.job.job_id == 2)
    assert run.context.tallies.total().stale == 0
    engine.gate.set()
    await run.sees(
        lambda: any(
            isinstance(m, mining.SubmitSharesExtended) and m.job_id == 2
            for m in pool.received[sent_before:]
        )
    )
    assert await run.stop() < 2
    late = [
        m
        for m in pool.received[sent_before:]
        if isinstance(m, mining.SubmitSharesExtended) and m.job_id == 1
    ]
    total = run.context.tallies.total()
    assert total.hardware_errors == 0
    assert (total.stale > 0, len(late) > 0) == (new_block, not new_block)
    assert not run.lines.with_words("came too late"), "judged by us, before the channel's own guard"
    await net.close()


# -- SetTarget between job and share


def test_a_share_is_judged_by_the_target_of_its_job_at_both_ends() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock, first_target=(1 << 200) - 1)
        device = LoopDevice(idle_hands=True)
        run = Run([device], net.connect, clock)
        await run.until("mining")
        before = work_of(device)
        harder = before.target // 50
        found = (dig(before, skip=number) for number in range(100))
        weak = next(s for s in found if s.hash_value(before) > harder)
        assert run.session._connection is not None
        channels = run.session._connection.pool
        assert channels is not None
        # The pool answers a rate 50 times higher with SetTarget and a job for it to hold on.
        rate = run.context.rates[device.info.device_id] * 50
        (channel_id,) = channels.open
        channels._channels.update(channel_id, rate, MAX_TARGET)
        channels.flush()
        await run.sees(lambda: work_of(device).target < before.target)
        after = work_of(device)
        assert after.target == pytest.approx(harder, rel=0.01)
        assert after.prev_hash == before.prev_hash
        device.report(weak)
        await asyncio.sleep(40)
        assert run.rig.snapshot().shares.accepted == 1
        assert pool.server.counts.shares_accepted == 1

        found = (dig(after, before.target, skip=number) for number in range(100))
        weak = next(s for s in found if s.hash_value(after) > after.target)
        device.report(weak)
        device.report(dig(after))
        await asyncio.sleep(40)
        await run.stop()
        shares = run.rig.snapshot().shares
        assert (shares.accepted, shares.rejected, shares.stale) == (2, 0, 0)
        assert pool.server.counts.shares_accepted == 2
        assert pool.server.counts.shares_rejected == 0
        assert run.rig.snapshot().hardware_errors == 0
        await pool.stop()

    run_virtual(main())


# -- group jobs after the first


class Sides:
    """Standard channels without flag bit 0, as most miners open them, and the pool's side of them,
    joined without a wire."""

    ENTRY = PoolEntry("pool", URL, "alice", standard_channels=True)
    DEVICES = ("a", "b", "c")

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.clock = Clock()
        self.pool = PoolProcess(MemoryNet(), self.clock, first_target=(1 << 200) - 1)
        self.works: dict[str, Work | None] = {}
        self.sent: list[Message] = []
        self.heard: list[server_events.ServerEvent] = []
        scheduler = Scheduler()
        self.context = MiningContext(scheduler, self._assign, self._report, self.clock)
        for name in self.DEVICES:
            self.context.rates[name] = 400.0
            scheduler.add_device(name, Capabilities(), 400.0, None, loop.time())
        easy = target_for_rate(400.0, 60)
        policy = SharePolicy(ack_shares=1, easiest_target=easy, hardest_target=easy)
        self.server = ServerChannels(0, ExtranonceAllocator(), policy)
        self.client = PoolChannels(self.context, ClientChannels(0, 0), self._to_server, self.ENTRY)

    def _assign(self, assignments: list[Assignment] | object) -> None:
        assert isinstance(assignments, list)
        for assignment in assignments:
            self.works[assignment.device_id] = assignment.work

    def _report(self, level: str, text: str, _device_id: str | None) -> None:
        assert level == "info", text

    def _to_server(self, message: Message, tlvs: tuple[TLV, ...]) -> None:
        now = asyncio.get_running_loop().time()
        self.heard += self.server.handle(message, now, self.clock(), tlvs)

    def to_client(self) -> None:
        now = asyncio.get_running_loop().time()
        while messages := self.server.messages_to_send():
            for message, _ in messages:
                self.sent.append(message)
                self.client.receive(message, now)

    def new_template(self) -> None:
        now = asyncio.get_running_loop().time()
        template = self.pool.chain.template(now)
        self.server.set_template(mining_template(template, b"\x51"), now)
        self.to_client()

    def submit_one_each(self) -> None:
        now = asyncio.get_running_loop().time()
        for name in self.DEVICES:
            work = self.works[name]
            assert work is not None
            judgement = self.context.scheduler.on_solution(name, dig(work), now)
            assert judgement.share is not None, judgement
            self.client.submit(name, judgement.share, now)
        self.client.flush()
        self.to_client()


def test_group_jobs_after_the_first_reach_every_standard_channel() -> None:
    async def main() -> None:
        sides = Sides()
        sides.new_template()
        sides.client.open_all(asyncio.get_running_loop().time())
        sides.to_client()
        first = {name: sides.works[name] for name in sides.DEVICES}
        sides.submit_one_each()
        for round_number in (2, 3):
            sides.sent.clear()
            sides.pool.chain.receive_transactions(3)
            if round_number == 3:  # and a new block's
                sides.pool.chain.tip = b"\x09" * 32
            sides.new_template()
            (later,) = (m for m in sides.sent if isinstance(m, mining.NewExtendedMiningJob))
            assert later.channel_id not in sides.client.open, "a job for the group"
            works = [sides.works[name] for name in sides.DEVICES]
            assert all(work and work.job_id == later.job_id for work in works)
            assert len({work.merkle_root for work in works if work}) == 3
            assert {work.channel_id for work in works if work} == set(sides.client.open)
            assert works != list(first.values())
            sides.submit_one_each()
        total = sides.context.tallies.total()
        assert (total.accepted, total.rejected, total.stale) == (9, 0, 0)
        accepted = [e for e in sides.heard if isinstance(e, server_events.ShareAccepted)]
        assert len(accepted) == 9

    run_virtual(main())


# -- a share found while the connection is down


def test_a_share_found_while_the_connection_is_down_is_stale_with_a_line() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock, first_target=(1 << 200) - 1)
        device = LoopDevice(idle_hands=True)
        run = Run([device], net.connect, clock)
        await run.until("mining")
        work = work_of(device)
        await pool.kill()
        await asyncio.sleep(0.2)
        device.report(dig(work))
        assert run.context.tallies.total() == Tally(
            stale=1, best_hash=dig(work).hash_value(work), last_share_utc=None
        )
        assert len(run.lines.with_words("while the pool was away", "gone with the connection")) == 1
        # Nor is one sent that comes when the pool is back and numbers its channels as before.
        pool.start()
        await run.until("mining", 60)
        now = work_of(device)
        assert now.channel_id == work.channel_id
        device.report(dig(work, skip=1))
        assert run.context.tallies.total().stale == 2
        device.report(dig(now))
        await asyncio.sleep(40)
        shares = run.rig.snapshot().shares
        assert (shares.accepted, shares.rejected, shares.stale) == (1, 0, 2)
        assert pool.server.counts.shares_accepted == 1
        assert pool.server.counts.shares_rejected == 0
        assert run.rig.snapshot().hardware_errors == 0
        await run.stop()
        await pool.stop()

    run_virtual(main())


# -- what is no solution at all


def test_wrong_nonces_and_garbage_are_hardware_errors_and_never_sent() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock, first_target=(1 << 200) - 1)
        device = LoopDevice(idle_hands=True)
        run = Run([device], net.connect, clock)
        await run.until("mining")
        work = work_of(device)
        good = dig(work)
        device.report(
            miss(work),  # worse than the ticket
            Solution(work.work_id + 1000, 1, 2, 3),  # of no work
            Solution(work.work_id, 1 << 33, work.version, work.ntime),  # no header holds it
            Solution(
                work.work_id, good.nonce, work.version ^ 0x1000, work.ntime
            ),  # another version
        )
        device.report(good, good)  # the same twice: one share
        await asyncio.sleep(40)
        end = run.rig.snapshot()
        assert end.hardware_errors == end.devices[0].hardware_errors == 4
        assert (end.shares.accepted, end.shares.rejected, end.shares.stale) == (1, 0, 0)
        assert pool.server.counts.shares_accepted == 1
        assert pool.server.counts.shares_rejected == 0
        assert len(run.lines.with_words("hardware error")) == 3, "two are alike"
        await run.stop()
        await pool.stop()

    run_virtual(main())
