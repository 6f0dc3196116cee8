"""The base of boards whose clock can be set: throttled where they are hot, tuned where asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from sv2rig.boards.board import Board
from sv2rig.boards.tuning_run import TuningRun, tuning_limits
from sv2rig.devices.device import DeviceSink, Setting
from sv2rig.devices.tuning import Tuner
from sv2rig.devices.tuning_points import Goal, TuningError
from sv2rig.devices.work import Solution


class ClockedBoard(Board):
    """A driver overrides `set_clock`, and starts up at `clock_mhz`. `clock` names the setting."""

    clock: ClassVar[str] = "frequency"
    _tuning: TuningRun | None = None

    # -- what drivers override

    async def set_clock(self, mhz: float) -> None:
        """Run at this from now on; set `rate_hs` to what follows from it."""
        raise NotImplementedError

    # -- for drivers

    @property
    def clock_mhz(self) -> float:
        """What it is to run at: what the user set or the tuning tries, less where it is hot."""
        wanted = self.setting(self.clock) if self._tuning is None else self._tuning.mhz
        return max(wanted * self.heat_factor, self._clock_setting.minimum)

    # -- Tunable

    def tune(self, goal: str, limits: Mapping[str, float]) -> None:
        """Begins, or goes on where it was. ValueError says why it cannot."""
        if self.thermal is not None and self._telemetry.temperature_c is None:
            raise TuningError("it has not run yet: tune it when it mines")
        has_power = self._telemetry.power_w is not None
        self._begin_tuning(Goal(goal), limits, has_power)

    def adjust(self, name: str, value: float) -> None:
        super().adjust(name, value)
        if name == self.clock:  # a person has decided; what was measured stays on record
            self._tuning = None
            if self.plug.tuning is not None:
                self._keep({**self.plug.tuning, "active": False, "chosen_mhz": None})

    def recall(self, name: str, value: float) -> None:
        """As adjust, of an earlier life: a search that was begun after it stands above it."""
        super().adjust(name, value)

    # -- its life

    def start(self, sink: DeviceSink) -> None:
        super().start(sink)
        if self.plug.tuning is not None:
            self._take_up(self.plug.tuning)

    def _take_up(self, record: dict[str, Any]) -> None:
        """What an earlier life of this board found, or was looking for."""
        try:
            if record["active"]:
                self._begin_tuning(Goal(record["goal"]), record["limits"], has_power=True)
            elif record["chosen_mhz"] is not None:  # else a person has set it since
                chosen = self._clock_setting.check(record["chosen_mhz"])
                self.plug.settings[self.clock] = chosen
        except (
            ValueError,
            KeyError,
        ):  # the record is another program's, or the limits are others now
            self.plug.tuning = None

    async def start_up(self) -> None:
        raise NotImplementedError

    async def apply(self, name: str, _value: float) -> None:
        if name == self.clock:
            await self.set_clock(self.clock_mhz)

    async def throttle(self, _factor: float) -> None:
        await self.set_clock(self.clock_mhz)

    async def each_second(self) -> None:
        tuning = self._tuning
        if tuning is None:
            return
        now, faults = self.now(), self.plug.supervisor.faults.total()
        if self._work is None:
            tuning.pause()
        elif tuning.is_measuring:
            if tuning.second(now, self._telemetry, self.heat_factor, faults):
                await self._next_point(tuning)
        elif tuning.done:
            await self._next_point(tuning)
        elif self.heat_factor == 1:
            await self.set_clock(self.clock_mhz)
            self._expect()
            tuning.measure(self.now(), self._reply_hashes, faults)

    async def _next_point(self, tuning: TuningRun) -> None:
        self._keep(tuning.record())
        if tuning.done:
            self.plug.settings[self.clock] = tuning.chosen_mhz
            self._tuning = None
            self._tell(self.plug.supervisor.state, tuning.words())
        await self.set_clock(self.clock_mhz)

    def _begin_tuning(self, goal: Goal, limits: Mapping[str, float], has_power: bool) -> None:
        """A search that was not finished goes on from its own start."""
        record = self.plug.tuning
        if record is not None and (record["done"] or record["goal"] != goal):
            record = None
        if record is not None:
            before = record["limits"]
            assert isinstance(before, dict)
            limits = {"start_mhz": before["start_mhz"], **limits}
        allowed = tuning_limits(self._clock_setting, self.setting(self.clock), limits)
        if record is not None:
            tuner = Tuner.resume(record["state"], allowed, has_power)
        else:
            tuner = Tuner(goal, allowed, has_power)
        self._tuning = TuningRun(tuner, limits)
        self._keep(self._tuning.record())
        self._wake.set()

    def _keep(self, record: dict[str, object]) -> None:
        self.plug.tuning = record
        self.plug.keep_tuning(record)

    @property
    def _clock_setting(self) -> Setting:
        return next(setting for setting in self.settings if setting.name == self.clock)

    # -- Host

    def solution(self, solution: Solution, valid: bool) -> None:
        super().solution(solution, valid)
        if self._tuning is not None:
            self._tuning.nonce(self.now(), valid)
