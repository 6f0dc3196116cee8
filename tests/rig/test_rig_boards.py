"""Boards in a running rig: they come, fall ill, go and come back; nobody measures them first."""

from __future__ import annotations

import asyncio
import math

import pytest
from hand_pool import EASY_TARGET, NETWORK_BITS, HandPool
from loop_board import STARTS_UP_S, TICKET, LoopBoard
from loop_device import LoopDevice, dig, miss
from memory_net import MemoryNet
from rig_on_pool import FIRST_UTC, HOST, PORT, Clock, PoolProcess, Run
from virtual_time import run_virtual

from sv2rig.devices.device import DeviceState
from sv2rig.rig.fleet import DeviceRefusedError
from sv2rig.rig.repeats import MOST_OF_ONE
from sv2rig.sv2.messages import mining
from sv2rig.transport.interface import ByteStream

KINDS = pytest.mark.parametrize("standard", [True, False], ids=["standard", "extended"])
NO_BLOCKS = (1 << 200) - 1


def accepted(run: Run) -> list[int]:
    return [device.shares.accepted for device in run.rig.snapshot().devices]


def test_a_board_is_not_measured_has_its_own_ticket_and_proves_its_rate() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock)
        board = LoopBoard(rated_hs=500.0)
        run = Run([board], net.connect, clock)
        await run.until("mining")
        assert run.context.rates == {"board:0": 500.0}
        assert run.rig._picture().devices[0].hashrate_hs is None, "nothing is proved yet"
        await asyncio.sleep(400)
        first = next(work for work in board.works if work is not None)
        assert first.work_id != 0
        assert first.ticket == TICKET
        assert not run.lines.with_words("measuring")
        [shown] = run.rig.snapshot().devices
        assert shown.hashrate_error == pytest.approx(1 / math.sqrt(300 * 400 / 50), rel=0.1)
        assert shown.hashrate_hs == pytest.approx(400, rel=4 * 0.0205)
        assert shown.hashrate_1m_hs == pytest.approx(400, rel=4 * 0.046)
        assert run.context.rates["board:0"] == shown.hashrate_hs, "20 % off is no chance"
        assert run.rig.snapshot().hashrate_hs == shown.hashrate_hs
        await run.stop()
        assert run.rig.snapshot().shares.accepted == pool.server.counts.shares_accepted > 0
        await pool.stop()

    run_virtual(main())


def test_what_is_proved_within_chance_leaves_the_rated_rate_to_plan_with() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock)
        run = Run([LoopBoard(rated_hs=410.0)], net.connect, clock)
        await run.until("mining")
        await asyncio.sleep(60)
        assert run.rig.snapshot().devices[0].hashrate_hs is not None
        assert run.context.rates["board:0"] == 410.0
        await run.stop()
        await pool.stop()

    run_virtual(main())


def test_time_without_a_pool_does_not_lower_a_proved_rate() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock)
        run = Run([LoopBoard()], net.connect, clock)
        await asyncio.sleep(320)
        await pool.kill()
        await asyncio.sleep(240)
        pool.start()
        await run.until("mining")
        await asyncio.sleep(5)
        assert run.rig.snapshot().devices[0].hashrate_hs == pytest.approx(400, rel=0.1)
        await run.stop()
        await pool.stop()

    run_virtual(main())


def test_worse_than_the_fixed_ticket_and_the_target_is_one_hardware_error() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock, first_target=NO_BLOCKS)
        board = LoopBoard(idle_hands=True)
        run = Run([board], net.connect, clock)
        await run.until("mining")
        await run.sees(lambda: board.work)
        assert board.work is not None
        board.report(miss(board.work))
        board.report(dig(board.work, TICKET))
        assert board.sink is not None
        for _ in range(9):
            board.sink.comm_error("board:0", "5 bytes of no frame")
        picture = run.rig._picture()
        assert picture.devices[0].hardware_errors == picture.hardware_errors == 1
        assert picture.devices[0].comm_errors == picture.comm_errors == 9
        [line] = run.lines.with_words("communication error")
        assert line == "communication error: 5 bytes of no frame"
        await asyncio.sleep(61)
        assert run.lines.with_words("earlier, 8 times more, the last ")
        await run.stop()
        await pool.stop()

    run_virtual(main())


@KINDS
def test_boards_attached_while_the_rig_runs_mine_beside_the_others(standard: bool) -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock, first_target=NO_BLOCKS)
        run = Run([LoopDevice()], net.connect, clock, standard=standard)
        await run.until("mining")
        await asyncio.sleep(30)
        boards = [LoopBoard(f"board:{number}") for number in range(3)]
        for board in boards:
            run.rig.attach(board)
        await asyncio.sleep(120)
        end = run.rig.snapshot()
        assert [device.id for device in end.devices] == ["loop:0", "board:0", "board:1", "board:2"]
        assert min(accepted(run)) > 10
        assert len(run.session.channels) == (4 if standard else 1)
        assert len(run.lines.with_words("READY", "its chips answer")) == 3
        assert len(run.lines.with_words("channel", "is open")) == 1, "not a line a board"
        works = [board.work for board in boards if board.work]
        assert len({(w.merkle_root, w.ntime, w.version, w.nonce_start) for w in works}) == 3
        with pytest.raises(DeviceRefusedError, match="no rated hash rate"):
            run.rig.attach(LoopDevice("loop:9"))
        await run.stop()
        assert pool.server.counts.shares_rejected == 0
        assert run.rig.snapshot().shares.accepted == pool.server.counts.shares_accepted
        assert all(board.is_stopped for board in boards)
        await pool.stop()

    run_virtual(main())


@KINDS
def test_a_rig_that_waits_for_boards_dials_when_the_first_is_ready_and_stays(
    standard: bool,
) -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock, first_target=NO_BLOCKS)
        run = Run([], net.connect, clock, standard=standard, waits_for_devices=True)
        await asyncio.sleep(100)
        waiting = run.rig.snapshot()
        assert (waiting.state, waiting.pool.detail) == ("waiting", "no device is ready to mine")
        assert net.dialled == []
        for _ in range(3):
            run.rig.attach(board := LoopBoard())
            await run.until("mining", 5)
            await asyncio.sleep(30)
            board.unplug()
            await asyncio.sleep(100)
            lost = run.rig.snapshot()
            assert lost.state == "mining", run.lines.all
            assert lost.devices[0].state == "LOST"
        assert len(net.dialled) == 1
        assert accepted(run)[0] > 30
        # A pool that goes meanwhile is not dialled for nobody.
        await pool.kill()
        await asyncio.sleep(100)
        assert len(net.dialled) == 1
        assert run.rig.snapshot().state == "waiting"
        pool.start()
        run.rig.attach(LoopBoard("board:1"))
        await run.until("mining", 5)
        await asyncio.sleep(30)
        assert accepted(run)[1] > 10
        assert await run.stop() < 2
        await pool.stop()

    run_virtual(main())


def test_a_rig_that_waits_for_boards_stops_at_once() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        run = Run([], net.connect, clock, waits_for_devices=True)
        await asyncio.sleep(3)
        assert await run.stop() < 2
        with pytest.raises(DeviceRefusedError, match="stops"):
            run.rig.attach(LoopBoard())

    run_virtual(main())


@KINDS
def test_a_board_plugged_in_again_goes_on_with_its_row_and_counts(standard: bool) -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock, first_target=NO_BLOCKS)
        first, other = LoopBoard("board:0"), LoopBoard("board:1")
        run = Run([first, other], net.connect, clock, standard=standard)
        await run.until("mining")
        await asyncio.sleep(60)
        work = first.work
        assert work is not None
        first.unplug()
        before = run.rig._picture().devices[0]
        assert (before.state, before.hashrate_hs, before.hashrate_error) == ("LOST", None, None)
        late = dig(work)
        first.report(late)  # nobody waits for it, nobody breaks
        await asyncio.sleep(20)
        assert len(run.session.channels) == 1
        again = LoopBoard("board:0")
        run.rig.attach(again)
        assert run.rig._picture().devices[0].state == "INIT"
        first.says(DeviceState.DEAD, "late words")
        first.report(late)
        await asyncio.sleep(60)
        after = run.rig.snapshot()
        assert [device.id for device in after.devices] == ["board:0", "board:1"]
        assert after.devices[0].state == "READY"
        assert after.devices[0].shares.accepted > before.shares.accepted + 10
        assert after.devices[0].hashrate_hs == pytest.approx(400, rel=0.25)
        assert after.hardware_errors == 0
        assert not run.lines.with_words("late words")
        assert len(run.session.channels) == (2 if standard else 1)
        assert pool.server.counts.shares_rejected == 0
        await run.stop()
        end = run.rig.snapshot().shares
        assert end.accepted + end.unacknowledged == pool.server.counts.shares_accepted
        await pool.stop()

    run_virtual(main())


@KINDS
def test_a_board_may_be_back_before_it_was_heard_to_be_lost(standard: bool) -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock, first_target=NO_BLOCKS)
        first = LoopBoard("board:0")
        run = Run([first, LoopBoard("board:1")], net.connect, clock, standard=standard)
        await run.until("mining")
        await asyncio.sleep(30)
        run.rig.attach(again := LoopBoard("board:0"))
        first.unplug()
        assert first.is_stopped
        before = accepted(run)[0]
        await asyncio.sleep(60)
        assert again.work is not None
        assert accepted(run)[0] > before + 10
        assert len(run.session.channels) == (2 if standard else 1)
        assert run.rig.snapshot().hardware_errors == 0
        await run.stop()
        await pool.stop()

    run_virtual(main())


@KINDS
def test_ten_boards_of_a_hub_that_resets_cost_two_lines_each(standard: bool) -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock, first_target=NO_BLOCKS)
        boards = [LoopBoard(f"board:{number}", 100) for number in range(10)]
        run = Run(boards, net.connect, clock, standard=standard, waits_for_devices=True)
        await run.until("mining")
        await asyncio.sleep(30)
        lines = len(run.lines.all)
        for board in boards:
            board.unplug()
            await asyncio.sleep(0.005)
        await asyncio.sleep(2)
        for board in reversed(boards):
            run.rig.attach(LoopBoard(board.info.device_id, 100))
        await asyncio.sleep(60)
        assert len(run.lines.all) - lines <= 25
        assert len(net.dialled) == 1
        assert all(device.state == "READY" for device in run.rig.snapshot().devices)
        assert min(accepted(run)) > 5 if standard else sum(accepted(run)) > 20
        assert len(run.session.channels) == (10 if standard else 1)
        assert pool.server.counts.shares_rejected == 0
        await run.stop()
        await pool.stop()

    run_virtual(main())


@pytest.mark.parametrize("state", ["SICK", "RESETTING", "COOLDOWN", "DEAD", "INIT"])
@KINDS
def test_a_board_that_is_not_able_gets_no_work_until_it_is(standard: bool, state: str) -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock, first_target=NO_BLOCKS)
        board, other = LoopBoard("board:0"), LoopBoard("board:1")
        run = Run([board, other], net.connect, clock, standard=standard)
        await run.until("mining")
        await asyncio.sleep(30)
        board.says(DeviceState(state), "as the supervisor says")
        idle_works = len(board.works)
        assert state == "DEAD" or board.work is None
        assert "board:0" not in run.context.rates
        pool.chain.receive_transactions(3)
        await asyncio.sleep(90)
        assert len(board.works) == idle_works, "new jobs bring it nothing"
        assert run.rig.snapshot().devices[0].state == state
        # The pool comes back meanwhile: it is asked for those that mine.
        await pool.kill()
        pool.start()
        await asyncio.sleep(5)
        await run.until("mining", 60)
        assert [channel.device_ids for channel in run.session.channels] == [("board:1",)]
        before = accepted(run)
        board.says(DeviceState.MINING, "well again")
        await asyncio.sleep(60)
        assert board.work is not None
        assert accepted(run)[0] > before[0] + 10
        assert bool(run.lines.with_words(f"{state}: as")) == (state != "INIT")
        assert len(run.lines.with_words("MINING: well again")) == 1
        await run.stop()
        await pool.stop()

    run_virtual(main())


def test_what_a_sick_board_found_before_is_still_a_share() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock, first_target=NO_BLOCKS)
        board = LoopBoard(idle_hands=True)
        run = Run([board], net.connect, clock)
        await run.until("mining")
        await run.sees(lambda: board.work)
        work = board.work
        assert work is not None
        board.says(DeviceState.COOLDOWN, "80 °C")
        board.report(dig(work))
        await asyncio.sleep(40)
        assert run.rig.snapshot().shares.accepted == 1
        board.says(DeviceState.THROTTLED, "70 °C: at half speed")
        assert board.work is not None
        assert run.session.connections == 1, "a rig of one resting board stays with its pool"
        await run.stop()
        await pool.stop()

    run_virtual(main())


@KINDS
def test_a_board_may_come_at_any_moment_of_a_connection(standard: bool) -> None:
    async def main(moment_s: float) -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock, first_target=NO_BLOCKS)
        net.latency_s = 0.25
        run = Run([LoopBoard("board:0")], net.connect, clock, standard=standard)
        await asyncio.sleep(moment_s)
        run.rig.attach(LoopBoard("board:1"))
        await run.until("mining", 10)
        await asyncio.sleep(60)
        assert min(accepted(run)) > 10, moment_s
        assert len(run.session.channels) == (2 if standard else 1)
        await pool.kill()
        await asyncio.sleep(1)
        run.rig.attach(LoopBoard("board:2"))
        await asyncio.sleep(1)
        pool.start()
        await asyncio.sleep(1)
        await run.until("mining", 60)
        await asyncio.sleep(60)
        assert min(accepted(run)) > 10, moment_s
        await run.stop()
        await pool.stop()

    for step in range(14):
        run_virtual(main(step * 0.1))


def test_a_board_that_comes_and_goes_while_its_channel_opens() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock, first_target=NO_BLOCKS)
        run = Run([LoopBoard("board:0")], net.connect, clock, standard=True)
        await run.until("mining")
        net.streams[-1].latency_s = 0.5
        run.rig.attach(board := LoopBoard("board:1"))
        await asyncio.sleep(STARTS_UP_S + 0.1)  # asked for
        board.unplug()
        await asyncio.sleep(5)
        assert [channel.device_ids for channel in run.session.channels] == [("board:0",)]
        run.rig.attach(board := LoopBoard("board:1"))
        await asyncio.sleep(STARTS_UP_S + 0.1)
        board.unplug()
        run.rig.attach(LoopBoard("board:1"))
        await asyncio.sleep(60)
        assert sorted(c.device_ids for c in run.session.channels) == [("board:0",), ("board:1",)]
        assert min(accepted(run)) > 10
        await run.stop()
        await pool.stop()

    run_virtual(main())


def test_a_channel_that_the_pool_refuses_a_board_is_told_and_the_others_mine_on() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        refusals: list[str] = []

        async def serve(stream: ByteStream) -> None:
            pool = await HandPool.set_up(stream)
            first = await pool.next()
            assert isinstance(first, mining.OpenStandardMiningChannel)
            await pool.send(
                mining.OpenStandardMiningChannelSuccess(
                    first.request_id, 2, EASY_TARGET, b"\x01\x02\x03\x04", 1
                ),
                mining.NewMiningJob(2, 1, None, 0x20000000, b"\x05" * 32),
                mining.SetNewPrevHash(2, 1, b"\x07" * 32, int(FIRST_UTC), NETWORK_BITS),
            )
            while True:
                message = await pool.next()
                if isinstance(message, mining.OpenStandardMiningChannel):
                    refusals.append(message.user_identity)
                    await pool.send(
                        mining.OpenMiningChannelError(message.request_id, "max-channels-reached")
                    )

        net.servers[HOST, PORT] = serve
        run = Run([first := LoopBoard("board:0")], net.connect, clock, standard=True)
        await run.until("mining")
        run.rig.attach(second := LoopBoard("board:1"))
        await asyncio.sleep(30)
        assert len(refusals) == 1
        [line] = run.lines.with_words("refused a channel")
        assert "board:1" in line
        assert "max-channels-reached" in line
        assert first.work is not None
        assert second.work is None
        assert run.session.state == "mining"
        await run.stop()
        await net.close()

    run_virtual(main())


@KINDS
def test_a_detached_board_is_stopped_and_forgotten_but_its_shares_stay(standard: bool) -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock, first_target=NO_BLOCKS)
        boards = [LoopBoard("board:0"), LoopBoard("board:1")]
        run = Run(boards, net.connect, clock, standard=standard)
        await run.until("mining")
        await asyncio.sleep(60)
        total = run.rig._picture().shares.accepted
        work = boards[0].work
        await run.rig.detach("board:0")
        assert boards[0].is_stopped
        assert boards[0].work is None
        assert work is not None
        boards[0].report(dig(work))
        picture = run.rig._picture()
        assert [device.id for device in picture.devices] == ["board:1"]
        assert picture.shares.accepted == total
        assert picture.hardware_errors == 0
        with pytest.raises(DeviceRefusedError, match="no device board:0"):
            await run.rig.detach("board:0")
        run.rig.attach(LoopBoard("board:0"))
        await asyncio.sleep(60)
        assert run.rig.snapshot().devices[1].shares.accepted > 10
        await run.stop()
        await pool.stop()

    run_virtual(main())


def test_a_rig_of_boards_goes_on_while_one_may_come_back_and_ends_with_the_last() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock)
        board = LoopBoard()
        run = Run([board], net.connect, clock)
        await run.until("mining")
        for state in (DeviceState.SICK, DeviceState.RESETTING, DeviceState.DEAD):
            board.says(state, "no answer")
            await asyncio.sleep(100)
            assert not run.task.done()
        board.unplug()
        async with asyncio.timeout(3):
            assert "no device is left" in await run.fails()
        await pool.stop()

    run_virtual(main())


def test_a_board_that_flaps_is_held_to_its_lines() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock)
        board, other = LoopBoard("board:0"), LoopBoard("board:1")
        run = Run([board, other], net.connect, clock)
        await run.until("mining")
        for number in range(100):
            board.says(DeviceState.SICK, f"bad nonces {number}")
            board.says(DeviceState.MINING, "well")
            board.says(DeviceState.MINING, "well")
            await asyncio.sleep(0.3)
        assert 0 < len(run.lines.with_words("SICK: bad")) <= MOST_OF_ONE
        assert len(run.lines.with_words("MINING")) <= MOST_OF_ONE
        other.says(DeviceState.SICK, "the other")
        assert run.lines.with_words("SICK: the other")
        await run.stop()
        await pool.stop()

    run_virtual(main())


class HotBoard(LoopBoard):
    """Its fan runs on for a while after stop()."""

    def __init__(self, device_id: str, cools_s: float) -> None:
        super().__init__(device_id)
        self.cool = asyncio.Event()
        self._cools_s = cools_s

    def stop(self) -> None:
        super().stop()
        asyncio.get_running_loop().call_later(self._cools_s, self.cool.set)

    async def stopped(self) -> None:
        await self.cool.wait()


def test_pictures_go_on_while_boards_cool() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock)
        run = Run([HotBoard("board:0", 50)], net.connect, clock)
        await run.until("mining")
        ending = asyncio.create_task(run.stop())
        await asyncio.sleep(20)
        before = run.rig.snapshot()
        await asyncio.sleep(20)
        later = run.rig.snapshot()
        assert later.state == "stopping"
        assert later.sequence >= before.sequence + 19
        await ending
        await pool.stop()

    run_virtual(main())


@pytest.mark.parametrize(("cools_s", "takes_s"), [(50, 50), (74, 74), (1e6, 76)])
def test_a_rig_ends_when_its_boards_have_cooled_and_no_later(cools_s: float, takes_s: int) -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock)
        run = Run([HotBoard("board:0", cools_s), HotBoard("board:1", 1)], net.connect, clock)
        await run.until("mining")
        began = asyncio.get_running_loop().time()
        await run.rig.detach("board:1")
        assert asyncio.get_running_loop().time() - began == pytest.approx(1)
        await asyncio.sleep(5)
        assert await run.stop() == pytest.approx(takes_s, abs=1)
        assert not run.session.channels, "the pool is left before that"
        await pool.stop()

    run_virtual(main())
