"""The base of all drivers: a board as a Device of the rig, and as the Host of its engine.

A driver subclasses Board: it names its ports, makes an engine (sv2rig.boards.engine) and overrides
the steps of its life (sv2rig.boards.life) that its hardware needs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import ClassVar

from sv2rig.boards.life import SECURE_S, STARTING, BoardLife
from sv2rig.boards.line import BoardError, LineLostError, LineProfile
from sv2rig.boards.plug import Plug as Plug
from sv2rig.devices.device import (
    Capabilities,
    DeviceInfo,
    DeviceSink,
    DeviceState,
    ResetRefusedError,
    Setting,
    Shape,
    Telemetry,
)
from sv2rig.devices.work import Solution, Work

ONE_IN_2_32 = (1 << 224) - 1  # what chips report unless told otherwise: 32 zero bits
NO_LIGHT = "it has no light of its own that could blink"
VERSION_BITS = 16  # what boards are given of BIP320's bits, to cut as their hardware likes


class Board(BoardLife):
    """A board on one or more ports (sv2rig.devices.device.Device, sv2rig.boards.engine.Host)."""

    driver: ClassVar[str]
    shape: ClassVar[Shape] = Shape.PUSH

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
        super().__init__(
            plug,
            name,
            claims.rate_hs if claims else rate_hs,
            profiles,
            settings,
            claims.ticket if claims else hardware_ticket,
        )
        self._proved_hashes = 0.0

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
            port=next((port.path for port in self.plug.sighting.ports), None)
            or self.plug.sighting.usb_path,
            hot_c=self.plug.thermal.limits.throttle_c if self.plug.thermal else None,
        )

    def start(self, sink: DeviceSink) -> None:
        self._sink = sink
        self._life = self._loop.create_task(self._live_in_turn(), name=self.plug.device_id)

    def assign(self, work: Work | None) -> None:
        self._work = work
        if self._is_serving:
            now, supervisor = self._loop.time(), self.plug.supervisor
            try:
                self.engine.assign(work, now)
                self._arm()
            except Exception as error:
                self._engine_failed(error)
                return
            before = supervisor.state
            if work is None:
                supervisor.idle(now)
            else:
                supervisor.work_sent(now)
            if supervisor.state is not before:
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
        """Without a rig: open it, make it safe, let it cool, let it go. LineError or BoardError
        say why not."""
        try:
            self._open()
            async with asyncio.timeout(SECURE_S):
                await self.make_safe()
            await self._cool()
        except TimeoutError:
            raise BoardError(f"it does not answer within {SECURE_S:g} s") from None
        finally:
            self._close()

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
        """Show which one it is; BoardError where it has nothing for that."""
        if type(self).show_itself is BoardLife.show_itself:
            raise BoardError(NO_LIGHT)
        self._wants_shown = True
        self._wake.set()

    def reset(self) -> None:
        """Start it anew, be it dead, cut off or at work. ResetRefusedError says why not."""
        supervisor, thermal, now = self.plug.supervisor, self.plug.thermal, self._loop.time()
        if self._life is None or self._life.done() or self._is_stopping or self._lost is not None:
            raise ResetRefusedError("it is not at work on its port: plug it in anew")
        if supervisor.state in STARTING:
            raise ResetRefusedError(f"it is starting up already: {supervisor.reason}")
        if supervisor.state is DeviceState.COOLDOWN:
            raise ResetRefusedError(f"it starts by itself when it is cool: {supervisor.reason}")
        if thermal is not None:
            thermal.clear_cut_off(now)
            supervisor.heat(now, thermal.heat)
        supervisor.revive(now)
        self._settle()
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

    # -- the engine's bytes and timers

    def _serve(self) -> None:
        before = self._work
        super()._serve()  # tells that it is READY, on which it may be given new work
        if before is not None and self._work is before:
            self.assign(before)

    def _received(self, data: bytes) -> None:
        try:
            self.engine.received(data, self._loop.time())
            self._arm()
        except Exception as error:
            self._engine_failed(error)

    def _engine_failed(self, error: Exception) -> None:
        """The board's trouble, not that of whoever called."""
        self._pause_engine()
        self._trouble = error
        self._wake.set()

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
            try:
                self.engine.on_time(self._loop.time())
                self._arm()
            except Exception as error:
                self._engine_failed(error)
