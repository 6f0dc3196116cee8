"""Commands to boards: an emulated Bitaxe on a hub, with its pins; in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
from boards_in_rig import plan, plugged
from memory_net import MemoryNet
from rig_on_pool import Clock, PoolProcess, Run
from usb_hub import Hub
from virtual_time import run_virtual

from sv2rig.drivers.bitaxe_raw.emulator import EMULATOR as BITAXE
from sv2rig.rig.commands import CommandError, Commands
from sv2rig.rig.hotplug import Hotplug
from sv2rig.rig.snapshot import DeviceSnapshot
from sv2rig.rig.wishes import PassingWishes, Wishes

NO_BLOCKS = (1 << 200) - 1
PLACE, ID = "1-1", "bitaxe_raw:B1"


class Bench:
    """A rig whose only board is a Bitaxe."""

    def __init__(self, hub: Hub, run: Run, commands: Commands) -> None:
        self.hub, self.run, self.commands = hub, run, commands

    @property
    def pins(self) -> Mapping[str, float]:
        return self.hub.pins()[PLACE]

    @property
    def is_off(self) -> bool:
        return self.pins["reset_released"] == self.pins["power_on"] == 0

    @property
    def shown(self) -> DeviceSnapshot:
        [device] = self.run.rig._picture().devices
        return device

    def plug_in(self) -> None:
        self.hub.tell(added=[self.hub.plug_in(PLACE, ["/dev/ttyACM0", "/dev/ttyACM1"])])

    def unplug(self) -> None:
        self.hub.tell(removed=[self.hub.unplug(PLACE)])

    async def state(self, wanted: str, within_s: float = 120.0) -> None:
        await self.run.sees(lambda: self.shown.state == wanted, within_s)

    async def mines(self) -> None:
        await self.state("MINING")
        before = self.shown.shares.accepted
        await self.run.sees(lambda: self.shown.shares.accepted > before, 300)


@asynccontextmanager
async def bench(wishes: Wishes, hub: Hub | None = None) -> AsyncIterator[Bench]:
    """Plugged in from the start."""
    if hub is None:
        hub = Hub()
        hub.place(PLACE, BITAXE, serial="B1")
    net, clock = MemoryNet(), Clock()
    pool = PoolProcess(net, clock, first_target=NO_BLOCKS)
    run = Run([], net.connect, clock, waits_for_devices=True)
    commands = Commands(run.rig, pools=run.rig.pools, quit=lambda: None, wishes=wishes)
    hotplug = Hotplug(run.rig, plan(["serial:B1?driver=bitaxe_raw"]), hub, hub.open_line)
    async with plugged(hotplug):
        made = Bench(hub, run, commands)
        made.plug_in()
        await run.sees(lambda: run.rig._picture().devices)
        yield made
        await run.stop()
        assert made.is_off
        made.hub.unplug(PLACE)
    await pool.stop()


def test_a_disabled_board_is_off_over_replug_and_restart_until_it_is_enabled() -> None:
    async def main() -> None:
        wishes = PassingWishes()
        async with bench(wishes) as at:
            await at.mines()
            assert at.shown.port == "/dev/ttyACM0"
            assert at.shown.hot_c is not None
            before = at.shown.shares.accepted
            await at.commands.disable(ID)
            assert at.is_off
            await at.run.sees(lambda: at.shown.reason == "disabled", 75)
            assert not at.shown.enabled
            at.unplug()
            await asyncio.sleep(5)
            at.plug_in()
            await asyncio.sleep(300)
            assert at.is_off
            assert (at.shown.enabled, at.shown.state) == (False, "INIT")
            assert not at.run.lines.of("error")
            hub = at.hub
        async with bench(wishes, hub) as at:
            await asyncio.sleep(60)
            assert at.is_off
            assert not at.shown.enabled
            await at.commands.enable(ID)
            await at.mines()
            assert before > 0
            at.unplug()
            await at.state("LOST")
            at.plug_in()
            await at.mines()

    run_virtual(main())


def test_a_board_enabled_while_it_is_away_starts_when_it_comes() -> None:
    async def main() -> None:
        wishes = PassingWishes()
        wishes.keep_disabled(ID, True)
        async with bench(wishes) as at:
            at.unplug()
            await asyncio.sleep(1)
            await at.commands.enable(ID)
            assert (at.shown.state, at.shown.enabled) == ("LOST", True)
            at.plug_in()
            await at.mines()

    run_virtual(main())


def test_a_paused_board_keeps_its_power_and_is_not_taken_for_sick() -> None:
    async def main() -> None:
        async with bench(PassingWishes()) as at:
            await at.mines()
            at.commands.pause(ID)
            await at.state("READY")
            await asyncio.sleep(3600)
            assert at.shown.state == "READY"
            assert at.pins["power_on"] == 1
            assert at.run.lines.of("error") == []
            at.commands.resume(ID)
            await at.mines()

    run_virtual(main())


def test_what_was_set_holds_over_replug_and_restart() -> None:
    async def main() -> None:
        wishes = PassingWishes()
        async with bench(wishes) as at:
            await at.mines()
            at.commands.set_values(ID, {"frequency": 450})
            await asyncio.sleep(20)
            at.unplug()
            await at.state("LOST")
            at.plug_in()
            await at.mines()
            assert at.pins["mhz"] == pytest.approx(450, abs=2)
            hub = at.hub
        async with bench(wishes, hub) as at:
            await at.mines()
            assert at.pins["mhz"] == pytest.approx(450, abs=2)
            assert at.shown.frequency_mhz == 450
            at.commands.tune(ID, "hashrate", {})
            assert wishes.settings(ID) == {"frequency": 450}, "nothing is chosen yet"

    run_virtual(main())


def test_reset_starts_a_board_anew_at_work_dead_or_cut_off() -> None:
    async def main() -> None:
        async with bench(PassingWishes()) as at:
            with pytest.raises(CommandError, match="starting up already"):
                await at.commands.reset(ID)
            await at.mines()
            assert at.commands.device(ID).can_reset
            await at.commands.reset(ID)
            await at.state("RESETTING", 1)
            await at.mines()
            emulator = at.hub.sockets[PLACE].wires.emulator.board  # type: ignore[attr-defined]
            emulator.ambient = 110.0
            await at.state("DEAD", 600)
            assert "then reset it" in at.shown.reason
            emulator.ambient = 25.0
            await asyncio.sleep(3600)
            assert at.shown.state == "DEAD"
            await at.commands.reset(ID)
            assert at.shown.state == "COOLDOWN", "not yet known to be cool"
            with pytest.raises(CommandError, match="by itself when it is cool"):
                await at.commands.reset(ID)
            await at.state("THROTTLED")
            await at.state("MINING", 1200)
            await at.mines()

    run_virtual(main())


def test_reset_revives_a_board_that_died_of_its_faults() -> None:
    async def main() -> None:
        async with bench(PassingWishes()) as at:
            await at.mines()
            socket = at.hub.sockets[PLACE]
            answers = socket.wires.deliver
            socket.wires.deliver = lambda *_: None  # type: ignore[method-assign]
            await at.state("DEAD", 1800)
            socket.wires.deliver = answers  # type: ignore[method-assign]
            await asyncio.sleep(600)
            assert at.shown.state == "DEAD"
            await at.commands.reset(ID)
            await at.mines()
            assert at.run.lines.with_words("RESETTING", "started by hand")

    run_virtual(main())
