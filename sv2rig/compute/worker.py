"""A push device made of an engine: its thread, its queue of launches and its reports."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from sv2rig.compute.engine import (
    MAX_VERSION_BITS,
    Engine,
    EngineFactory,
    EngineLostError,
    Launch,
    Loaded,
)
from sv2rig.compute.pacing import QUEUED, Pace, Piece, Remaining
from sv2rig.devices.device import (
    Capabilities,
    DeviceInfo,
    DeviceSink,
    DeviceState,
    Setting,
    Telemetry,
)
from sv2rig.devices.work import Work

LATENCY = Setting(
    name="latency_ms",
    unit="ms",
    minimum=2,
    maximum=1000,
    default=50,
    help="how long the launches under way may take together before new work starts",
)
_TELEMETRY_S = 2.0
_RECOVERY_S = 60.0  # a second failure within this time is final
_STOP_S = 1.0


@dataclass(frozen=True, slots=True)
class Switch:
    """How long new work took, in seconds since `assign`: until the launch that the device's thread
    was waiting for had ended, to be seen by the thread, to be queued as a launch, to be hashed. Our
    own share is `queued_s - free_s`; the rest is waiting for launches under way.
    """

    work_id: int
    free_s: float
    seen_s: float
    queued_s: float
    hashed_s: float


@dataclass(frozen=True, slots=True)
class _Assignment:
    work: Work | None
    assigned_at: float


@dataclass(slots=True, eq=False)
class _Search:
    """The Work being searched; `queued_at` is when its first launch was queued."""

    loaded: Loaded
    remaining: Remaining
    assigned_at: float
    free_at: float
    seen_at: float
    queued_at: float | None = None
    exhausted: bool = False


@dataclass(frozen=True, slots=True)
class _UnderWay:
    """A launch with what is needed to account for it."""

    launch: Launch
    search: _Search
    piece: Piece
    queued_at: float

    @property
    def hashes(self) -> int:
        return self.piece.nonce_count * len(self.search.loaded.versions)


class PushDevice:
    """A Device around any engine. `info.variant` is None until the engine is made.

    The engine is made on the device's own thread, by `factory`; after a failure it is made again
    once a minute at most, and what was under way is searched again.
    """

    def __init__(
        self,
        device_id: str,
        backend: str,
        name: str,
        factory: EngineFactory,
        *,
        latency_ms: float = LATENCY.default,
        version_bits: int = MAX_VERSION_BITS,
        telemetry: Callable[[], Telemetry] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._info = DeviceInfo(
            device_id,
            backend,
            name,
            Capabilities(version_bits=version_bits, ntime_rolls=True),
            settings=(LATENCY,),
        )
        self.switches: deque[Switch] = deque(maxlen=1024)
        self._factory = factory
        self._pace = Pace(LATENCY.check(latency_ms) / 1000)
        self._read_telemetry = telemetry
        self._telemetry = Telemetry()
        self._telemetry_at = float("-inf")
        self._clock = clock
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sink: DeviceSink | None = None
        self._changed = threading.Condition()
        self._assignment: _Assignment | None = None  # what the thread has not seen yet
        self._stopping = False
        self._state: DeviceState | None = None
        self._hashes = 0
        self._last_end = 0.0
        self._failed_at = float("-inf")
        self._search: _Search | None = None
        self._under_way: deque[_UnderWay] = deque()

    # Called from outside

    @property
    def info(self) -> DeviceInfo:
        return self._info

    @property
    def switch_latency_s(self) -> float | None:
        """How long the newest Work took from `assign` to being hashed; None before the first."""
        return self.switches[-1].hashed_s if self.switches else None

    @property
    def latency_ms(self) -> float:
        return self._pace.latency_s * 1000

    @latency_ms.setter
    def latency_ms(self, value: float) -> None:
        self._pace.latency_s = LATENCY.check(value) / 1000

    def setting(self, name: str) -> float:
        """KeyError for another name than latency_ms."""
        return {LATENCY.name: self.latency_ms}[name]

    def adjust(self, name: str, value: float) -> None:
        if name != LATENCY.name:
            raise ValueError(f"there is no setting {name!r}; there is {LATENCY.name}")
        self.latency_ms = value

    def start(self, sink: DeviceSink) -> None:
        self._sink = sink
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name=self._info.device_id, daemon=True)
        self._thread.start()

    def assign(self, work: Work | None) -> None:
        """ValueError if the Work rolls more version bits than the device can."""
        limit = self._info.capabilities.version_bits
        if work is not None and work.version_bits.bit_count() > limit:
            raise ValueError(
                f"{self._info.device_id}: Work {work.work_id} rolls "
                f"{work.version_bits.bit_count()} version bits, the device at most {limit}"
            )
        with self._changed:
            self._assignment = _Assignment(work, self._clock())
            self._changed.notify()

    def hashes_done(self) -> int:
        return self._hashes

    def telemetry(self) -> Telemetry:
        return self._telemetry

    def stop(self) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(_STOP_S)

    def anew(self) -> PushDevice | None:
        """The same device once more; None while this one's thread has not ended: it may hang."""
        if self._thread is not None and self._thread.is_alive():
            return None
        return PushDevice(
            self._info.device_id,
            self._info.backend,
            self._info.name,
            self._factory,
            latency_ms=self.latency_ms,
            version_bits=self._info.capabilities.version_bits,
            telemetry=self._read_telemetry,
            clock=self._clock,
        )

    # On the device's thread

    def _run(self) -> None:
        self._set_state(DeviceState.INIT, "preparing kernels")
        engine: Engine | None = None
        while not self._stopping:
            try:
                if engine is None:
                    engine = self._factory()
                    self._info = replace(self._info, variant=engine.info.variant)
                    self._set_state(DeviceState.READY, f"{engine.info.variant}, waiting for work")
                self._work(engine)
            except Exception as error:  # a driver may raise anything; the device must say so
                if engine is not None:
                    self._close(engine)
                    engine = None
                if not self._may_recover(error):
                    return
        if engine is not None:
            self._close(engine)

    def _work(self, engine: Engine) -> None:
        """Until told to stop: keeps the queue full, and collects its oldest launch."""
        while self._next_assignment(engine):
            self._sample_telemetry()
            self._fill_queue(engine)
            if self._under_way:
                self._collect_oldest()
        while self._under_way:
            self._collect_oldest()

    def _next_assignment(self, engine: Engine) -> bool:
        """Takes new work if there is any, waits if there is nothing else to do; False: stop."""
        with self._changed:
            while not (self._stopping or self._assignment or self._busy):
                self._idle()
                self._changed.wait(_TELEMETRY_S if self._read_telemetry else None)
                self._sample_telemetry()
            if self._stopping:
                return False
            assignment, self._assignment = self._assignment, None
        if assignment is not None:
            self._take(engine, assignment)
        return True

    @property
    def _busy(self) -> bool:
        return bool(self._under_way) or (
            self._search is not None and not self._search.remaining.done
        )

    def _idle(self) -> None:
        if self._state is DeviceState.MINING:
            self._set_state(DeviceState.READY, "waiting for work")

    def _take(self, engine: Engine, assignment: _Assignment) -> None:
        self._search = None
        if assignment.work is None:
            return
        seen_at = self._clock()
        try:
            loaded = engine.load(assignment.work)
        except Exception:
            with self._changed:  # for the engine made after this one, unless there is newer work
                self._assignment = self._assignment or assignment
            raise
        remaining = Remaining(assignment.work)
        assigned_at = assignment.assigned_at
        free_at = max(assigned_at, self._last_end)
        self._search = _Search(loaded, remaining, assigned_at, free_at, seen_at)

    def _fill_queue(self, engine: Engine) -> None:
        search = self._search
        while search and not search.remaining.done and len(self._under_way) < QUEUED:
            self._launch_piece(engine, search)

    def _launch_piece(self, engine: Engine, search: _Search) -> None:
        loaded = search.loaded
        nonces = self._pace.nonces(len(loaded.versions), engine.info.granularity)
        piece = search.remaining.take(nonces)
        try:
            launch = engine.launch(loaded, piece.ntime, piece.nonce_start, piece.nonce_count)
        except Exception:
            search.remaining.back_to(piece)
            raise
        queued_at = self._clock()
        self._under_way.append(_UnderWay(launch, search, piece, queued_at))
        search.queued_at = search.queued_at or queued_at
        self._set_state(DeviceState.MINING, engine.info.variant)
        if search.remaining.done and not search.exhausted:
            search.exhausted = True
            self._post(lambda sink, device_id: sink.exhausted(device_id, loaded.work.work_id))

    def _collect_oldest(self) -> None:
        entry = self._under_way[0]
        found = entry.launch.collect()
        ended_at = self._clock()
        self._under_way.popleft()
        started_at = max(entry.queued_at, self._last_end)
        self._last_end = ended_at
        self._hashes += entry.hashes
        self._pace.measured(entry.hashes, ended_at - started_at)
        search = entry.search
        if entry.queued_at == search.queued_at:
            since = search.assigned_at
            self.switches.append(
                Switch(
                    search.loaded.work.work_id,
                    search.free_at - since,
                    search.seen_at - since,
                    entry.queued_at - since,
                    started_at - since,
                )
            )
        if found:
            self._post(lambda sink, device_id: sink.solutions(device_id, found))

    def _may_recover(self, error: Exception) -> bool:
        """Says what happened; gives back what was under way, to be searched by a new engine."""
        if isinstance(error, EngineLostError):
            self._set_state(DeviceState.LOST, str(error))
            return False
        now = self._clock()
        if now - self._failed_at < _RECOVERY_S:
            self._set_state(DeviceState.DEAD, f"failed again soon after a restart: {error}")
            return False
        self._failed_at = now
        lost = [entry.piece for entry in self._under_way if entry.search is self._search]
        if self._search is not None and lost:
            self._search.remaining.back_to(lost[0])
        self._under_way.clear()
        self._set_state(DeviceState.SICK, f"{error}; starting its kernels again")
        return True

    def _close(self, engine: Engine) -> None:
        with contextlib.suppress(Exception):  # it failed already; what matters is known
            engine.close()

    def _sample_telemetry(self) -> None:
        now = self._clock()
        if self._read_telemetry is not None and now - self._telemetry_at >= _TELEMETRY_S:
            self._telemetry_at = now
            self._telemetry = self._read_telemetry()

    def _set_state(self, state: DeviceState, reason: str) -> None:
        if state is not self._state:
            self._state = state
            self._post(lambda sink, device_id: sink.state_changed(device_id, state, reason))

    def _post(self, report: Callable[[DeviceSink, str], None]) -> None:
        assert self._loop is not None
        assert self._sink is not None
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(report, self._sink, self._info.device_id)
