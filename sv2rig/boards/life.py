"""The life of a board: open its ports, make it safe, start it up, mine, and what follows a fault.

Everything runs on the event loop. One board's trouble stays its own: whatever goes wrong ends in a
state with a reason.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import ClassVar

from sv2rig.bitcoin.target import expected_hashes
from sv2rig.boards.board_ports import StoppedError
from sv2rig.boards.board_steps import BoardSteps
from sv2rig.boards.driver_fault import fault_text
from sv2rig.boards.engine import PATIENCE, Engine
from sv2rig.boards.line import BoardError, LineError, LineLostError, LineProfile
from sv2rig.boards.plug import Plug
from sv2rig.devices.device import DeviceSink, DeviceState, Setting, Telemetry
from sv2rig.devices.fan import Fan
from sv2rig.devices.fault import FaultKind
from sv2rig.devices.safe_stop import SafeStop
from sv2rig.devices.supervisor import RUNNING
from sv2rig.devices.thermal import Heat, HeatLevel, Thermal, ThermalLimits
from sv2rig.devices.work import Work

POLL_S = 1.0
SECURE_S = 10.0  # a board that takes longer to be made safe does not answer
LAST_CHANCE_S = 3.0  # the same, where the program is being torn down
SHUT_DOWN_S = 70.0  # to be made safe and to cool
ANSWER_S = 10.0  # a board that takes longer for its readings does not answer
UNSAFE_RETRY_S = 10.0
STARTING = frozenset({DeviceState.INIT, DeviceState.RESETTING})


class BoardLife(BoardSteps):
    """The steps (sv2rig.boards.board_steps) in their order, and `shut_down`.

    For drivers: `talks` (one Talk a port, open from make_safe to the end), `rate_hs` and `ticket`
    (set them in start_up if they depend on what was found), `thermal` and `fan` (before poll is
    called, or never), `heat_factor` (what to multiply the set clock with).
    """

    data_port: ClassVar[int] = 0  # which port the engine speaks on
    has_power: ClassVar[bool] = False  # make_safe switches something off: it must not fail unseen
    watts: float = 5.0

    def __init__(
        self,
        plug: Plug,
        name: str,
        rate_hs: float,
        profiles: Sequence[LineProfile],
        settings: Sequence[Setting],
        ticket: int,
    ) -> None:
        super().__init__(plug, name, profiles)
        self.rate_hs = rate_hs
        self.ticket = ticket
        self.settings = tuple(settings)
        self.engine: Engine
        self.thermal: Thermal | None = None
        self.fan: Fan | None = None
        self.heat_factor = 1.0
        self._loop = asyncio.get_running_loop()
        self._sink: DeviceSink
        self._life: asyncio.Task[None] | None = None
        self._work: Work | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._telemetry = Telemetry()
        self._fan_percent: float | None = None  # None: as make_safe left it
        self._is_serving = self._is_safe = self._wants_shown = False
        self._has_started = False  # something was written to it
        self._trouble: Exception | None = None  # of the engine, between two steps
        self._alarm: str | None = None
        self._changes: set[str] = set()
        self._reply_hashes = float(expected_hashes(self.ticket))

    # -- for drivers to override, as the steps

    async def shut_down(self) -> None:
        """The end in order: returns when the board may be left alone."""
        await self.make_safe()
        self._is_safe = True
        await self._cool()

    # -- for drivers

    def setting(self, name: str) -> float:
        """What the user set, or the default."""
        default = next(s.default for s in self.settings if s.name == name)
        return self.plug.settings.get(name, default)

    def patience_s(self) -> float:
        """How long a silence may be a chance, at the expected rate: 20 nonces were due."""
        return PATIENCE * self._reply_hashes / self.rate_hs

    def now(self) -> float:
        """The loop's monotonic seconds."""
        return self._loop.time()

    def watch_heat(self, limits: ThermalLimits) -> None:
        """Throttle, cool down and cut off by what `poll` reads from now on. What is known of the
        board's heat outlives an unplug."""
        if self.plug.thermal is None:
            self.plug.thermal = Thermal(limits, self._loop.time())
        self.thermal = self.plug.thermal

    def comm_error(self, reason: str) -> None:
        """Count one: damaged bytes, or an answer that did not come (also Host's)."""
        self.plug.supervisor.comm_error(self._loop.time())
        if self._life is not None:  # secure() has no rig to tell
            self._sink.comm_error(self.plug.device_id, reason)

    # -- the life

    async def _live_in_turn(self) -> None:
        """A board that is plugged in again waits until the one before it has let go."""
        async with self.plug.in_use:
            await self._live()

    async def _live(self) -> None:
        supervisor = self.plug.supervisor
        try:
            supervisor.opened(self._loop.time())
            while not self._is_stopping and supervisor.state is not DeviceState.LOST:
                self._settle()
                await self._next_step(supervisor.state)
            if self._is_stopping:
                await self._end_in_order()
        except asyncio.CancelledError:  # the program is torn down: a second Ctrl-C
            await self._secure_at_once()
            raise
        except Exception as error:  # whatever it is, it ends this board, never the rig
            await self._secure_at_once()
            self._tell(DeviceState.DEAD, fault_text(error))
        finally:
            self._pause_engine()
            self._close()
            if self.is_lost:
                self._settle()
            supervisor.lost(self._loop.time(), "let go")  # the next life of this plug opens anew

    async def _next_step(self, state: DeviceState) -> None:
        """What the state asks for, once; trouble becomes a new state."""
        try:
            if state in STARTING:
                await self._start()
            elif state in RUNNING:
                await self._run_a_while()
            else:
                await self._rest(state)
        except StoppedError:
            self._pause_engine()
        except LineLostError as lost:
            self._pause_engine()
            self._lost = self._lost or str(lost)
            self.plug.supervisor.lost(self._loop.time(), self._lost)
        except (LineError, BoardError) as error:
            self._fail(getattr(error, "kind", None) or self._kind_of(error, state), error)
        except Exception as error:
            self._fail(FaultKind.DRIVER, BoardError(fault_text(error)))

    def _kind_of(self, error: Exception, state: DeviceState) -> FaultKind:
        if state not in STARTING:
            return FaultKind.COMMUNICATION
        cannot_open = isinstance(error, LineError) and not self._has_started
        return FaultKind.PORT if cannot_open else FaultKind.START_UP

    async def _start(self) -> None:
        self._close()
        supervisor = self.plug.supervisor
        await self._take_turn(
            self.watts, self._tell_wait, lambda: self._tell_wait(supervisor.reason)
        )
        self._open()
        await self._within(self.plug.limits.start_limit_s, "start-up", self._to_ready)
        self.plug.supervisor.started(self._loop.time())
        self._expect()
        self._serve()

    def _tell_wait(self, why: str) -> None:
        if self.plug.supervisor.state is DeviceState.INIT:  # a reset has its own lines in the log
            self._tell(DeviceState.INIT, why)

    async def _to_ready(self) -> None:
        self._has_started = True
        await self.make_safe()
        self._is_safe = False
        self._fan_percent = None
        if self.thermal is not None:
            self.heat_factor = self.thermal.heat.factor or 1.0
        await self.start_up()

    def _serve(self) -> None:
        """The board is ready: what comes is the engine's."""
        self._trouble = None
        self.engine.reset()
        self._listen()
        self._is_serving = True
        self._settle()

    def _expect(self) -> None:
        """Tell the supervisor what this board should do from now on."""
        self._reply_hashes = float(expected_hashes(self.ticket))
        self.plug.supervisor.expect(self._loop.time(), self.rate_hs, self._reply_hashes)

    async def _run_a_while(self) -> None:
        await self._wait_until(self._loop.time() + POLL_S)
        self._check_end()
        if self._trouble is not None:
            trouble, self._trouble = self._trouble, None
            raise trouble
        supervisor = self.plug.supervisor
        limit_s = self.plug.limits.start_limit_s  # a clock that walks far takes its time
        await self._within(limit_s, "setting it", self._apply_changes)
        heat = await self._read_sensors()
        if supervisor.state in RUNNING:
            await self._within(limit_s, "minding it", lambda: self._mind(heat))
            self._expect()
        self._settle()
        if supervisor.state not in RUNNING:
            self._pause_engine()
            self._is_safe = False

    async def _apply_changes(self) -> None:
        changes, self._changes = self._changes, set()
        for name in sorted(changes):
            await self.apply(name, self.plug.settings[name])
        if self._wants_shown:
            self._wants_shown = False
            await self.show_itself()

    async def _mind(self, heat: Heat | None) -> None:
        if heat is not None:
            await self._follow(heat)
        await self.each_second()

    async def _rest(self, state: DeviceState) -> None:
        """Off: made safe once, then left alone until its time; one that cools is watched."""
        self._check_line()  # one that is gone has no port: its path may be another's by now
        is_watched = state is DeviceState.COOLDOWN
        if not self._is_safe or (is_watched and not self._is_open):
            await self._try_to_secure(state)
            if not is_watched:
                self._close()
        if is_watched:
            await self._wait_until(self._loop.time() + POLL_S)
            self._check_end()
            await self._watch_it_cool()
        else:
            await self._wait_until(self._next_try())
            self._check_end()

    async def _watch_it_cool(self) -> None:
        """A reading that does not come is a bad one, no new fault."""
        try:
            if self._is_safe and self._is_open:
                await self._read_sensors()
        except LineLostError:
            raise
        except (LineError, BoardError):
            self._judge_heat(Telemetry())

    def _next_try(self) -> float | None:
        due = self.plug.supervisor.next_timeout()
        if self._is_safe:
            return due
        return min(self._loop.time() + UNSAFE_RETRY_S, math.inf if due is None else due)

    async def _try_to_secure(self, state: DeviceState) -> None:
        """A board that no longer answers cannot be told; a person is, where that is dangerous."""
        trouble: Exception | None = None
        try:
            if not self._is_open:
                self._open()
            await self._within(SECURE_S, "making it safe", self.make_safe)
        except Exception as error:  # a fault in the driver too
            self._check_end()
            trouble = error
        self._is_safe = trouble is None or not self.has_power
        said = f"{self.plug.supervisor.reason}; NOT KNOWN TO BE SAFE ({trouble}): switch it off"
        if not self._is_safe and said != self._alarm:
            self._tell(state, said)
        self._alarm = None if self._is_safe else said

    async def _secure_at_once(self) -> None:
        """There is no time to cool: off, and the fan is left on."""
        if self._is_open and not self._is_safe:
            with suppress(Exception):
                async with asyncio.timeout(LAST_CHANCE_S):
                    await self.make_safe()

    async def _end_in_order(self) -> None:
        self._pause_engine()
        try:
            async with asyncio.timeout(SHUT_DOWN_S):
                if self._is_open:
                    await self.shut_down()
                elif not self._is_safe and self._has_started:
                    self._open()
                    await self.make_safe()
        except (LineError, BoardError, TimeoutError) as error:
            if self.has_power:
                why = str(error) or "it takes too long"
                self._tell(DeviceState.DEAD, f"not known to be safe: {why}; switch it off")

    # -- heat

    async def _read_sensors(self) -> Heat | None:
        """Poll, and tell the supervisor what thermal control makes of it."""
        return self._judge_heat(await self._within(ANSWER_S, "its readings", self.poll))

    def _judge_heat(self, telemetry: Telemetry) -> Heat | None:
        self._telemetry = telemetry
        if self.thermal is None:
            return None
        now = self._loop.time()
        heat = self.thermal.reading(now, self._telemetry.temperature_c)
        if heat.level >= HeatLevel.COOLDOWN and self._telemetry.fan_rpm == 0:
            heat = replace(heat, reason=f"{heat.reason}; its fan does not turn: check the fan")
        self.plug.supervisor.heat(now, heat)
        return heat

    async def _follow(self, heat: Heat) -> None:
        """Fan and clock of a board that runs."""
        if self.fan is not None:
            percent = round(self.fan.reading(self._loop.time(), self._telemetry.temperature_c))
            if percent != self._fan_percent:
                self._fan_percent = percent
                await self.set_fan(percent)
        if heat.factor != self.heat_factor:
            self.heat_factor = heat.factor
            await self.throttle(heat.factor)

    async def _cool(self) -> None:
        """The fan of a board that was made safe runs on until it is cool."""
        if self.fan is None:
            return
        cooling = SafeStop(self._loop.time())
        while True:
            with suppress(BoardError):
                cooling.reading((await self.poll()).temperature_c)
            if cooling.done(self._loop.time()):
                break
            await asyncio.sleep(POLL_S)
        await self.set_fan(0.0)

    # -- what all of it needs

    async def _wait_until(self, when: float | None) -> None:
        """Until then, or until something happens (None: only that)."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(when):
                await self._wake.wait()
        self._wake.clear()

    def _fail(self, kind: FaultKind, error: Exception) -> None:
        self._pause_engine()
        self._is_safe = not self._has_started  # what was never opened is not ours to judge
        self.plug.supervisor.fault(self._loop.time(), kind, str(error))

    def _pause_engine(self) -> None:
        self._is_serving = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for talk in self.talks:
            talk.hand_over(None)

    def _settle(self) -> None:
        """Let the supervisor think, and pass on what it says."""
        decision = self.plug.supervisor.on_time(self._loop.time())
        if decision is not None:
            self._tell(decision.state, decision.reason)

    def _tell(self, state: DeviceState, reason: str) -> None:
        self._sink.state_changed(self.plug.device_id, state, reason)

    def _listen(self) -> None:
        """The start-up is over: what comes is the engine's."""
        self.talks[self.data_port].hand_over(self._received)

    def _received(self, data: bytes) -> None:
        raise NotImplementedError
