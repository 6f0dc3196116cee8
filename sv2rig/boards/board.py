"""The life of a board: open its ports, make it safe, start it up, mine, and what follows a fault.

A driver subclasses Board: it names its ports, makes an engine (sv2rig.boards.engine) and overrides
the steps below that its hardware needs. Everything runs on the event loop. One board's trouble
stays its own: whatever goes wrong ends in a state with a reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from sv2rig.bitcoin.target import expected_hashes
from sv2rig.boards.engine import Engine
from sv2rig.boards.line import BoardError, Line, LineError, LineLostError, LineProfile, Talk
from sv2rig.boards.serial_line import open_serial
from sv2rig.boards.turns import Turns
from sv2rig.devices.device import (
    Capabilities,
    DeviceInfo,
    DeviceSink,
    DeviceState,
    Setting,
    Shape,
    Telemetry,
)
from sv2rig.devices.fault import FaultKind
from sv2rig.devices.sighting import Sighting
from sv2rig.devices.supervisor import RUNNING, Supervisor
from sv2rig.devices.supervisor_limits import SupervisorLimits
from sv2rig.devices.thermal import Thermal
from sv2rig.devices.work import Solution, Work

if TYPE_CHECKING:
    from sv2rig.boards.usb import UsbLine

POLL_S = 1.0
SECURE_S = 10.0  # a board that takes longer to be made safe does not answer
STARTING = frozenset({DeviceState.INIT, DeviceState.RESETTING})
ONE_IN_2_32 = (1 << 224) - 1  # what chips report unless told otherwise: 32 zero bits
VERSION_BITS = 16  # what boards are given of BIP320's bits, to cut as their hardware likes


@dataclass(slots=True)
class Plug:
    """What a board is made from, and what outlives it when it is unplugged: its supervisor,
    `settings`, which the user made, and what was `found` by its driver and need not be found again.
    `options` are the words of `--device`."""

    device_id: str
    sighting: Sighting
    options: dict[str, str] = field(default_factory=dict)
    settings: dict[str, float] = field(default_factory=dict)
    found: dict[str, float] = field(default_factory=dict)
    limits: SupervisorLimits = field(default_factory=SupervisorLimits)
    supervisor: Supervisor = field(init=False)
    turns: Turns = field(default_factory=Turns)
    open_line: Callable[[str, LineProfile], Line] = open_serial
    open_usb: Callable[[Sighting], UsbLine] | None = None  # None: sv2rig.boards.usb.open_usb

    def __post_init__(self) -> None:
        self.supervisor = Supervisor(self.limits)


class Board:
    """A board on one or more ports (sv2rig.devices.device.Device).

    Override `start_up` and what else applies; the names without underscore are for drivers:
    `talks` (one Talk a port, open from make_safe to the end), `rate_hs` (set it in start_up if it
    depends on what was found), `ticket`, `settings_now`, `damage` (count a communication error).
    """

    driver: ClassVar[str]
    shape: ClassVar[Shape] = Shape.PUSH
    data_port: ClassVar[int] = 0  # which port the engine speaks on
    watts: float = 5.0

    def __init__(
        self,
        plug: Plug,
        name: str,
        rate_hs: float,
        profiles: Sequence[LineProfile],
        settings: Sequence[Setting] = (),
        hardware_ticket: int = ONE_IN_2_32,
    ) -> None:
        claims = plug.sighting.emulator
        self.plug = plug
        self.rate_hs = claims.rate_hs if claims else rate_hs
        self.ticket = claims.ticket if claims else hardware_ticket
        self.settings = tuple(settings)
        self.talks: list[Talk] = []
        self.engine: Engine
        self.thermal: Thermal | None = None
        self.name = name
        self._profiles = tuple(profiles)
        self._loop = asyncio.get_running_loop()
        self._sink: DeviceSink
        self._life: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._work: Work | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._telemetry = Telemetry()
        self._lost: str | None = None
        self._is_serving = self._is_stopping = self._is_safe = self._wants_shown = False
        self._changes: set[str] = set()
        self._proved_hashes = 0.0
        self._reply_hashes = float(expected_hashes(self.ticket))

    # -- what drivers override

    async def make_safe(self) -> None:
        """Stop the hashing and cool: before the first job, after a fault, at the end. The ports
        are open; the board may be in any state."""

    async def start_up(self) -> None:
        """From safe to ready: BoardError if the board does not do what it should."""

    async def poll(self) -> Telemetry:
        """The readings, once a second."""
        return Telemetry()

    async def apply(self, _name: str, value: float) -> None:
        """A setting changed while the board runs (it is in plug.settings already)."""

    async def shut_down(self) -> None:
        """The end in order, for hardware that must cool: returns when it may be left alone."""
        await self.make_safe()

    async def show_itself(self) -> None:
        """Blink, for a person who looks for it."""

    # -- for drivers

    def setting(self, name: str) -> float:
        """What the user set, or the default."""
        default = next(s.default for s in self.settings if s.name == name)
        return self.plug.settings.get(name, default)

    def now(self) -> float:
        """The loop's monotonic seconds."""
        return self._loop.time()

    def set_engine(self, engine: Engine) -> None:
        """For boards that know only after start-up what they are."""
        self.engine = engine

    def damage(self, reason: str) -> None:
        """Count a communication error (Host.comm_error)."""
        self.plug.supervisor.comm_error(self._loop.time())
        if self._life is not None:  # secure() has no rig to tell
            self._sink.comm_error(self.plug.device_id, reason)

    # -- Device

    @property
    def info(self) -> DeviceInfo:
        claims = self.plug.sighting.emulator
        return DeviceInfo(
            device_id=self.plug.device_id,
            backend=self.driver,
            name=self.name,
            capabilities=Capabilities(
                shape=self.shape,
                version_bits=VERSION_BITS,
                ntime_rolls=True,
                nonce_ranges=False,
                ticket=self.ticket,
            ),
            variant="REPLAY" if claims and claims.replay else None,
            settings=self.settings,
            rated_hs=self.rate_hs,
            emulated=claims is not None,
        )

    def start(self, sink: DeviceSink) -> None:
        self._sink = sink
        self._life = self._loop.create_task(self._live(), name=self.plug.device_id)

    def assign(self, work: Work | None) -> None:
        self._work = work
        if self._is_serving:
            now = self._loop.time()
            self.engine.assign(work, now)
            self._arm()
            if work is None:
                self.plug.supervisor.idle(now)
            else:
                self.plug.supervisor.work_sent(now)
            self._settle()

    def hashes_done(self) -> int:
        return int(self._proved_hashes)

    def telemetry(self) -> Telemetry:
        return self._telemetry

    def stop(self) -> None:
        """Begins the end and returns; `stopped` waits for it. Any thread may call it."""
        with suppress(RuntimeError):  # the loop is closed: nothing is left to stop
            self._loop.call_soon_threadsafe(self._stop_soon)

    async def stopped(self) -> None:
        """Returns when the board is safe and its ports are closed."""
        if self._life is not None:
            await asyncio.wait([self._life])

    async def secure(self) -> None:
        """Without a rig: open it, make it safe, let it go. LineError or BoardError say why not."""
        try:
            self._open()
            async with asyncio.timeout(SECURE_S):
                await self.make_safe()
        except TimeoutError:
            raise BoardError(f"it does not answer within {SECURE_S:g} s") from None
        finally:
            self._close()

    @property
    def was_stopped(self) -> bool:
        """Whether its end was asked for."""
        return self._is_stopping

    def unplugged(self) -> None:
        """It was seen to go, perhaps before its line failed."""
        self._line_lost("unplugged")

    def adjust(self, name: str, value: float) -> None:
        """Set a knob now and for later starts. ValueError says what is allowed."""
        knob = next((s for s in self.settings if s.name == name), None)
        if knob is None:
            known = ", ".join(s.name for s in self.settings) or "nothing"
            raise ValueError(f"{self.plug.device_id} has no setting {name!r}; it has: {known}")
        self.plug.settings[name] = knob.check(value)
        self._changes.add(name)
        self._wake.set()

    def identify(self) -> None:
        """Show which one it is."""
        self._wants_shown = True
        self._wake.set()

    # -- Host (what the engine speaks to)

    def send(self, data: bytes) -> None:
        try:
            self.talks[self.data_port].write(data)
        except LineLostError as lost:
            self._line_lost(str(lost))

    def solution(self, solution: Solution, valid: bool) -> None:
        now = self._loop.time()
        if valid:
            self._proved_hashes += self._reply_hashes
            self.plug.supervisor.comm_ok(now)
        self.plug.supervisor.solution(now, valid)
        self._sink.solutions(self.plug.device_id, [solution])

    def exhausted(self, work_id: int) -> None:
        self._sink.exhausted(self.plug.device_id, work_id)

    def comm_error(self, reason: str) -> None:
        self.damage(reason)

    # -- the life

    async def _live(self) -> None:
        supervisor = self.plug.supervisor
        try:
            supervisor.opened(self._loop.time())
            while not self._is_stopping and supervisor.state is not DeviceState.LOST:
                self._settle()
                await self._next_step(supervisor.state)
            if self._is_stopping:
                await self._end_in_order()
        except Exception as error:  # a fault in a driver ends its board, never the rig
            self._tell(DeviceState.DEAD, f"fault in the driver: {error!r}; please report it")
        finally:
            self._pause_engine()
            self._close()
            self._settle()

    async def _next_step(self, state: DeviceState) -> None:
        """What the state asks for, once; trouble becomes a new state."""
        try:
            if state in STARTING:
                await self._start()
            elif state in RUNNING:
                await self._run_a_while()
            else:
                await self._rest(state)
        except LineLostError as lost:
            self._pause_engine()
            self.plug.supervisor.lost(self._loop.time(), str(lost))
        except (LineError, BoardError) as error:
            self._fail(FaultKind.START_UP if state in STARTING else FaultKind.COMMUNICATION, error)

    async def _start(self) -> None:
        limit_s = self.plug.limits.start_limit_s
        plug = self.plug
        self._close()
        if not await plug.turns.take(plug.device_id, plug.sighting.usb_path, self.watts):
            self._check_line()
            return
        self._open()
        try:
            async with asyncio.timeout(limit_s):
                await self.make_safe()
                await self.start_up()
        except TimeoutError:
            raise BoardError(f"no end of its start-up within {limit_s:g} s") from None
        self._check_line()
        now = self._loop.time()
        self._reply_hashes = float(expected_hashes(self.ticket))
        supervisor = self.plug.supervisor
        supervisor.started(now)
        supervisor.expect(now, self.rate_hs, self._reply_hashes)
        self.engine.reset()
        self._listen()
        self._is_serving = True
        self._settle()
        if self._work is not None:
            self.assign(self._work)

    async def _run_a_while(self) -> None:
        await self._wait_until(self._loop.time() + POLL_S)
        self._check_line()
        if self._is_stopping:
            return
        changes, self._changes = self._changes, set()
        for name in sorted(changes):
            await self.apply(name, self.plug.settings[name])
        await self._read_sensors()
        if self._wants_shown:
            self._wants_shown = False
            await self.show_itself()
        self._settle()
        if self.plug.supervisor.state not in RUNNING:
            self._pause_engine()
            self._is_safe = False

    async def _rest(self, state: DeviceState) -> None:
        """Off: made safe once, then left alone until its time; one that cools is watched."""
        self._check_line()  # one that is gone has no port: its path may be another's by now
        if not self._is_safe:
            self._is_safe = True
            await self._make_safe_if_it_can()
            if state is not DeviceState.COOLDOWN:
                self._close()
        if state is DeviceState.COOLDOWN:
            await self._wait_until(self._loop.time() + POLL_S)
            self._check_line()
            await self._read_sensors()
        else:
            await self._wait_until(self.plug.supervisor.next_timeout())
            self._check_line()

    async def _make_safe_if_it_can(self) -> None:
        """A board that no longer answers cannot be told."""
        with suppress(LineError, BoardError, TimeoutError):
            if not self._is_open:
                self._open()
            async with asyncio.timeout(self.plug.limits.start_limit_s):
                await self.make_safe()

    async def _read_sensors(self) -> None:
        self._telemetry = await self.poll()
        if self.thermal is not None:
            now = self._loop.time()
            heat = self.thermal.reading(now, self._telemetry.temperature_c)
            self.plug.supervisor.heat(now, heat)

    async def _end_in_order(self) -> None:
        self._pause_engine()
        if self.plug.supervisor.state not in RUNNING and self._is_safe:
            return
        try:
            if self._is_open:
                await self.shut_down()
        except (LineError, BoardError) as error:
            self._tell(DeviceState.DEAD, f"not known to be safe: {error}; switch it off")

    async def _wait_until(self, when: float | None) -> None:
        """Until then, or until something happens (None: only that)."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(when):
                await self._wake.wait()
        self._wake.clear()

    def _check_line(self) -> None:
        if self._lost is not None:
            raise LineLostError(self._lost)

    def _fail(self, kind: FaultKind, error: Exception) -> None:
        self._pause_engine()
        self._is_safe = False
        self.plug.supervisor.fault(self._loop.time(), kind, str(error))

    def _pause_engine(self) -> None:
        self._is_serving = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _settle(self) -> None:
        """Let the supervisor think, and pass on what it says."""
        decision = self.plug.supervisor.on_time(self._loop.time())
        if decision is not None:
            self._tell(decision.state, decision.reason)

    def _tell(self, state: DeviceState, reason: str) -> None:
        self._sink.state_changed(self.plug.device_id, state, reason)

    # -- ports and timers

    @property
    def _is_open(self) -> bool:
        return bool(self.talks)

    def _open(self) -> None:
        self._close_lines()
        for port, profile in zip(self.plug.sighting.ports, self._profiles, strict=False):
            talk = Talk(self.plug.open_line(port.path, profile))
            talk.when_lost(self._line_lost)
            self.talks.append(talk)
        if len(self.talks) < len(self._profiles):
            raise LineError(
                f"{self.name} needs {len(self._profiles)} ports, {len(self.talks)} were found: "
                "is its kernel driver loaded?"
            )

    def _listen(self) -> None:
        """The start-up is over: what comes is the engine's."""
        self.talks[self.data_port].hand_over(self._received)

    def _close_lines(self) -> None:
        for talk in self.talks:
            talk.line.close()
        self.talks.clear()

    def _close(self) -> None:
        self._close_lines()
        self.plug.turns.give_back(self.plug.device_id)

    def _line_lost(self, reason: str) -> None:
        if self._lost is None:
            self._lost = reason
            self._interrupt()

    def _stop_soon(self) -> None:
        self._is_stopping = True
        self._interrupt()

    def _interrupt(self) -> None:
        self.plug.turns.give_up(self.plug.device_id)
        self._wake.set()

    def _received(self, data: bytes) -> None:
        self.engine.received(data, self._loop.time())
        self._arm()

    def _arm(self) -> None:
        """One timer, moved only forward: an early one looks again, which is cheaper than a new
        timer for every reply."""
        due = self.engine.next_timeout()
        if due is None or not self._is_serving:
            return
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._is_serving:
            self.engine.on_time(self._loop.time())
            self._arm()
