"""What a person does to the devices of a running rig, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from loop_board import LoopBoard
from loop_device import LoopDevice
from memory_net import MemoryNet
from rig_on_pool import Clock, PoolProcess, Run
from virtual_time import run_virtual

from sv2rig.devices.device import DeviceState, Telemetry
from sv2rig.mining.context import ShareDone
from sv2rig.rig.commands import CommandError, Commands
from sv2rig.rig.snapshot import DeviceSnapshot, Event, ShareRecord
from sv2rig.rig.wishes import PassingWishes, Wishes

NO_BLOCKS = (1 << 200) - 1


class FreshDevice(LoopDevice):
    """Can be made anew, unless it hangs."""

    made: list[FreshDevice]

    def __init__(self, device_id: str = "loop:0") -> None:
        super().__init__(device_id)
        self.made = [self]

    def anew(self) -> FreshDevice | None:
        if self.hangs:
            return None
        again = FreshDevice(self.info.device_id)
        again.made = self.made
        self.made.append(again)
        return again


class WarmBoard(LoopBoard):
    """With a power reading."""

    def telemetry(self) -> Telemetry:
        return Telemetry(temperature_c=50.0, power_w=12.5)


class Bench:
    """A rig on a pool with its commands."""

    def __init__(self, *devices: LoopDevice, wishes: Wishes | None = None) -> None:
        self.net, clock = MemoryNet(), Clock()
        self.pool = PoolProcess(self.net, clock, first_target=NO_BLOCKS)
        self.run = Run(list(devices), self.net.connect, clock)
        self.quits = 0
        self.commands = Commands(
            self.run.rig,
            pools=self.run.rig.pools,
            quit=self._quit,
            wishes=wishes or PassingWishes(),
        )

    def _quit(self) -> None:
        self.quits += 1

    def shown(self, device_id: str) -> DeviceSnapshot:
        return next(one for one in self.run.rig._picture().devices if one.id == device_id)

    def accepted(self, device_id: str) -> int:
        return self.shown(device_id).shares.accepted

    async def mines(self, device_id: str, within_s: float = 120.0) -> None:
        before = self.accepted(device_id)
        await self.run.sees(lambda: self.accepted(device_id) > before, within_s)

    async def end(self) -> None:
        await self.run.stop()
        await self.pool.stop()


async def refused(wish: Coroutine[Any, Any, object], words: str, kind: str = "refused") -> None:
    with pytest.raises(CommandError, match=words) as caught:
        await wish
    assert caught.value.kind == kind


# -- pause


@pytest.mark.parametrize("paused", [LoopBoard("board:0"), LoopDevice("board:0")], ids=type)
def test_a_paused_device_does_nothing_and_the_others_go_on(paused: LoopDevice) -> None:
    async def main() -> None:
        at = Bench(paused, LoopBoard("board:1"))
        await at.mines("board:0")
        at.commands.pause("board:0")
        assert paused.work is None
        await asyncio.sleep(5)  # until the pool has answered what was under way
        hashes, shares = paused.hashes_done(), at.accepted("board:0")
        await asyncio.sleep(600)
        await at.mines("board:1")
        assert paused.hashes_done() == hashes
        assert at.accepted("board:0") == shares
        shown = at.shown("board:0")
        assert (shown.paused, shown.enabled, shown.hashrate_hs) == (True, True, 0.0)
        assert shown.state == "READY"
        assert not at.run.lines.of("error")
        at.commands.resume("board:0")
        assert not at.shown("board:0").paused
        await at.mines("board:0")
        assert at.run.rig.snapshot().hardware_errors == 0
        await at.end()
        assert at.pool.server.counts.shares_rejected == 0

    run_virtual(main())


def test_the_users_pause_and_the_devices_own_state_both_hold_work_back() -> None:
    async def main() -> None:
        board = LoopBoard("board:0")
        at = Bench(board, LoopBoard("board:1"))
        at.commands.pause("board:0")  # before it is ready
        await at.mines("board:1")
        assert at.shown("board:0").state == "READY"
        assert board.works == []
        at.commands.resume("board:0")
        await at.mines("board:0")
        at.commands.pause("board:0")
        board.says(DeviceState.COOLDOWN, "90 °C")
        at.commands.resume("board:0")
        assert board.work is None
        at.commands.pause("board:0")
        board.says(DeviceState.READY, "cool")
        assert board.work is None
        at.commands.resume("board:0")
        assert board.works[-1] is not None
        await at.end()

    run_virtual(main())


def test_all_pause_also_those_that_come_and_the_rig_stays() -> None:
    async def main() -> None:
        at = Bench(LoopDevice("loop:0"))
        await at.mines("loop:0")
        at.commands.pause(None)
        at.run.rig.attach(board := LoopBoard("board:0"))
        await asyncio.sleep(60)
        assert [one.paused for one in at.run.rig.snapshot().devices] == [True, True]
        assert board.works == []
        assert not at.run.task.done()
        await at.pool.kill()
        await asyncio.sleep(60)
        at.pool.start()
        at.commands.resume(None)
        await at.mines("loop:0")
        await at.mines("board:0")
        await at.end()

    run_virtual(main())


# -- disable, enable, reset


def test_a_disabled_device_is_stopped_keeps_its_row_and_comes_back_anew() -> None:
    async def main() -> None:
        wishes = PassingWishes()
        device = FreshDevice()
        at = Bench(device, wishes=wishes)
        await at.mines("loop:0")
        await at.commands.disable("loop:0")
        assert device.is_stopped
        assert wishes.disabled() == {"loop:0"}
        await asyncio.sleep(300)
        shown = at.shown("loop:0")
        assert (shown.enabled, shown.state, shown.reason) == (False, "INIT", "disabled")
        assert not at.run.task.done(), "it may be enabled again"
        assert at.run.rig.snapshot().state != "mining" or shown.hashrate_hs == 0.0
        await refused(at.commands.reset("loop:0"), "disabled: enable it")
        await at.commands.disable("loop:0")
        before = at.accepted("loop:0")
        await at.commands.enable("loop:0")
        assert wishes.disabled() == frozenset()
        await at.mines("loop:0")
        assert at.accepted("loop:0") > before
        assert len(device.made) == 2
        assert at.shown("loop:0").enabled
        assert at.run.rig.snapshot().hardware_errors == 0
        await at.end()

    run_virtual(main())


def test_a_device_disabled_in_an_earlier_rig_is_not_started() -> None:
    async def main() -> None:
        wishes = PassingWishes()
        wishes.keep_disabled("loop:0", True)
        wishes.keep_disabled("board:0", True)
        off, board = FreshDevice("loop:0"), LoopBoard("board:0")
        at = Bench(off, board, FreshDevice("loop:1"), wishes=wishes)
        await at.mines("loop:1")
        assert off.sink is None
        assert board.sink is None
        assert [one.enabled for one in at.run.rig.snapshot().devices] == [False, False, True]
        await at.commands.enable("loop:0")
        await at.mines("loop:0")
        wishes.keep_disabled("board:9", True)
        await at.commands.enable("board:9")  # which is not there
        assert wishes.disabled() == {"board:0"}
        await at.end()

    run_virtual(main())


def test_a_rig_that_stops_starts_nothing_any_more() -> None:
    async def main() -> None:
        bench = Bench(FreshDevice(), FreshDevice("loop:1"))
        await bench.mines("loop:0")
        await bench.commands.disable("loop:0")
        ending = asyncio.create_task(bench.end())
        await asyncio.sleep(0)
        await refused(bench.commands.enable("loop:0"), "the rig stops")
        await refused(bench.commands.reset("loop:1"), "the rig stops")
        await ending
        first = bench.run.rig.device("loop:0")
        assert isinstance(first, FreshDevice)
        assert len(first.made) == 1

    run_virtual(main())


def test_reset_renews_what_can_be_renewed_and_refuses_the_rest_in_words() -> None:
    async def main() -> None:
        device, plain = FreshDevice(), LoopBoard("board:0")
        at = Bench(device, plain)
        await at.mines("loop:0")
        assert at.commands.device("loop:0").can_reset
        assert not at.commands.device("board:0").can_reset
        await at.commands.reset("loop:0")
        await refused(at.commands.reset("loop:0"), "being started or stopped")
        await at.mines("loop:0")
        assert [one.is_stopped for one in device.made] == [True, False]
        await refused(at.commands.reset("board:0"), "board:0 cannot be reset")
        device.made[1].hangs = True
        began = asyncio.get_running_loop().time()
        await refused(at.commands.reset("loop:0"), "hangs and cannot be started again")
        assert asyncio.get_running_loop().time() - began < 20
        assert at.shown("loop:0").state == "DEAD"
        await at.end()

    run_virtual(main())


def test_unknown_devices_and_settings_out_of_bounds() -> None:
    async def main() -> None:
        at = Bench(LoopBoard("board:0"))
        commands = at.commands
        for wish in (commands.disable, commands.enable, commands.reset, commands.identify):
            await refused(wish("x:1"), "no device x:1; it has: board:0", "unknown")
        for told in (
            lambda: commands.pause("x:1"),
            lambda: commands.resume("x:1"),
            lambda: commands.set_values("x:1", {}),
            lambda: commands.tune("x:1", "hashrate", {}),
            lambda: commands.device("x:1"),
        ):
            with pytest.raises(CommandError) as unknown:
                told()
            assert unknown.value.kind == "unknown"
        for value in (49.9, 600.5):
            with pytest.raises(CommandError, match="50 to 600 MHz, default 400") as caught:
                commands.set_values("board:0", {"frequency_mhz": value})
            assert (caught.value.kind, caught.value.field) == ("invalid", "frequency_mhz")
        with pytest.raises(CommandError, match="no setting 'volts'") as caught:
            commands.set_values("board:0", {"volts": 1})
        assert (caught.value.kind, caught.value.field) == ("invalid", "volts")
        with pytest.raises(CommandError, match="cannot be tuned") as caught:
            commands.tune("board:0", "hashrate", {})
        assert caught.value.kind == "refused"
        assert at.run.rig.wishes.settings("board:0") == {}
        commands.quit()
        assert at.quits == 1
        await at.end()

    run_virtual(main())


def test_what_was_set_holds_in_the_next_rig() -> None:
    async def main() -> None:
        wishes = PassingWishes()
        at = Bench(LoopBoard("board:0"), wishes=wishes)
        await at.mines("board:0")
        at.commands.set_values("board:0", {"frequency_mhz": 600})
        assert at.shown("board:0").frequency_mhz == 600
        await at.end()
        wishes.keep_settings("board:1", {"frequency_mhz": 700, "gone": 1})
        again, other = LoopBoard("board:0"), LoopBoard("board:1")
        at = Bench(again, other, wishes=wishes)
        assert again.settings == {"frequency_mhz": 600}
        assert other.settings == {}
        assert at.run.lines.with_words("left out", "700 MHz is out of range")
        assert at.run.lines.with_words("left out", "no setting 'gone'")
        await at.end()

    run_virtual(main())


# -- the picture


def test_the_picture_shows_the_rig_over_a_quarter_of_an_hour() -> None:
    async def main() -> None:
        at = Bench(WarmBoard("board:0"), LoopDevice("loop:0"))
        await at.mines("board:0")
        await asyncio.sleep(880)
        assert at.run.rig.snapshot().hashrate_15m_hs is None
        await asyncio.sleep(60)
        picture = at.run.rig.snapshot()
        assert picture.hashrate_15m_hs == pytest.approx(800, rel=0.03)
        assert picture.power_w == 12.5
        at.commands.pause(None)
        await asyncio.sleep(450)
        assert at.run.rig.snapshot().hashrate_15m_hs == pytest.approx(400, rel=0.1)
        board = at.shown("board:0")
        assert (board.rated_hs, board.frequency_mhz, board.hot_c) == (400, 400, None)
        assert board.best_difficulty is not None
        assert at.shown("loop:0").frequency_mhz is None
        await at.end()

    run_virtual(main())


def test_shares_are_kept_numbered_and_heard() -> None:
    async def main() -> None:
        at = Bench(LoopBoard("board:0"))
        shares: list[ShareRecord] = []
        events: list[Event] = []
        at.run.rig.hear_shares(shares.append)
        at.run.rig.hear_events(events.append)
        before = at.run.rig.shares_after(0)
        last = before[-1].number if before else 0
        target = (1 << 256) // 3
        at.run.rig.share_done(
            ShareDone("board:0", "home", "accepted", target >> 4, target, 1e9, 0.25, is_block=True)
        )
        at.run.rig.share_done(
            ShareDone("board:0", "home", "rejected", target, target, 1e9 + 1, reason="stale-share")
        )
        [good, bad] = at.run.rig.shares_after(last)
        assert shares == [good, bad]
        assert (good.number, bad.number) == (last + 1, last + 2)
        assert (good.time, good.latency_ms, good.is_block, good.pool) == (1e9, 250, True, "home")
        assert good.difficulty == pytest.approx(16 * good.wanted)
        assert (bad.verdict, bad.reason, bad.latency_ms) == ("rejected", "stale-share", None)
        at.run.rig.report("error", "something")
        assert [event.text for event in events] == ["something"]
        await at.end()

    run_virtual(main())
