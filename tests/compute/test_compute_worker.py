"""The push device: latest wins, late answers keep their own name, failures are told and mended."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import pytest

from sv2rig.compute.engine import Engine, EngineError, EngineInfo, Loaded, search
from sv2rig.compute.hashlib_engine import HashlibEngine, HashlibLaunch
from sv2rig.compute.worker import PushDevice, Switch
from sv2rig.devices.device import DeviceState
from sv2rig.devices.work import Solution, Work

T = TypeVar("T")

DEVICES = ("cpu:0", "gpu:0")

WORK = Work(
    work_id=1,
    channel_id=1,
    job_id=1,
    version=0x20000000,
    prev_hash=bytes(range(32)),
    merkle_root=bytes(range(32, 64)),
    ntime=1_700_000_000,
    nbits=0x207FFFFF,
    target=1 << 248,
    ticket=1 << 248,
    nonce_count=1 << 12,
)
ENDLESS = replace(WORK, nonce_count=1 << 32)


class Sink:
    """Keeps what a device reports, in order, and lets a test wait for it."""

    def __init__(self) -> None:
        self.found: list[Solution] = []
        self.exhausted_works: list[int] = []
        self.states: list[tuple[DeviceState, str]] = []
        self._news = asyncio.Event()

    def solutions(self, device_id: str, found: Sequence[Solution]) -> None:
        assert device_id in DEVICES
        self.found += found
        self._news.set()

    def exhausted(self, device_id: str, work_id: int) -> None:
        assert device_id in DEVICES
        self.exhausted_works.append(work_id)
        self._news.set()

    def state_changed(self, device_id: str, state: DeviceState, reason: str) -> None:
        assert device_id in DEVICES
        self.states.append((state, reason))
        self._news.set()

    def comm_error(self, device_id: str, text: str) -> None:
        raise AssertionError(text)

    async def until_state(self, state: DeviceState) -> str:
        while not any(seen is state for seen, _ in self.states):
            await self.news()
        return next(reason for seen, reason in self.states if seen is state)

    async def news(self) -> None:
        async with asyncio.timeout(10):
            await self._news.wait()
        self._news.clear()


class GatedEngine:
    """hashlib behind a gate: a launch under way ends only when the test lets it."""

    info = EngineInfo("gated", "gated")

    def __init__(self) -> None:
        self._engine = HashlibEngine()
        self.gates: list[threading.Event] = []
        self.loaded: list[int] = []
        self.closed = False
        self.launched = threading.Semaphore(0)

    def load(self, work: Work) -> Loaded:
        self.loaded.append(work.work_id)
        return self._engine.load(work)

    def launch(self, loaded: Loaded, ntime: int, nonce_start: int, nonce_count: int) -> GatedLaunch:
        if self.closed:
            raise EngineError("closed")
        found = self._engine.launch(loaded, ntime, nonce_start, min(nonce_count, 1024)).collect()
        gate = threading.Event()
        self.gates.append(gate)
        self.launched.release()
        return GatedLaunch(gate, found)

    def close(self) -> None:
        self.closed = True
        self._engine.close()


class GatedLaunch:
    def __init__(self, gate: threading.Event, found: list[Solution]) -> None:
        self._gate = gate
        self._found = found

    def collect(self) -> list[Solution]:
        assert self._gate.wait(10)
        return self._found


class FailingEngine(HashlibEngine):
    """Fails at the launch of the given number, counted from 0."""

    def __init__(self, fails_at: int) -> None:
        super().__init__()
        self._left = fails_at

    def launch(
        self, loaded: Loaded, ntime: int, nonce_start: int, nonce_count: int
    ) -> HashlibLaunch:
        if self._left == 0:
            raise EngineError("out of memory on the device")
        self._left -= 1
        return super().launch(loaded, ntime, nonce_start, nonce_count)


def expected(work: Work) -> set[Solution]:
    engine = HashlibEngine()
    found = set(search(engine, work))
    engine.close()
    return found


async def in_thread(call: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(None, call)


@pytest.fixture
def sink() -> Sink:
    return Sink()


async def test_a_work_is_searched_to_its_end_and_more_is_asked_for(sink: Sink) -> None:
    work = replace(WORK, ntime_count=2, version_bits=0x2000)
    device = PushDevice("cpu:0", "cpu", "test", HashlibEngine)
    device.start(sink)
    device.assign(work)
    while not sink.exhausted_works or device.hashes_done() < work.hashes:
        await sink.news()
    device.stop()
    await asyncio.sleep(0)
    assert set(sink.found) == expected(work)
    assert len(sink.found) == len(set(sink.found))
    assert sink.exhausted_works == [1]
    assert device.hashes_done() == work.hashes
    assert [state for state, _ in sink.states][:3] == [
        DeviceState.INIT,
        DeviceState.READY,
        DeviceState.MINING,
    ]
    assert device.info.variant == "hashlib"
    assert device.switch_latency_s is not None


async def test_a_queued_launch_of_replaced_work_answers_late_under_its_own_name(
    sink: Sink,
) -> None:
    engine = GatedEngine()
    device = PushDevice("gpu:0", "opencl", "test", lambda: engine)
    device.start(sink)
    device.assign(ENDLESS)
    await in_thread(lambda: [engine.launched.acquire() for _ in range(2)])
    assert len(engine.gates) == 2  # one runs, one is queued
    device.assign(replace(ENDLESS, work_id=2, merkle_root=bytes(32)))
    engine.gates[0].set()
    await in_thread(engine.launched.acquire)  # the new work is queued behind the stale launch
    engine.gates[1].set()
    await in_thread(engine.launched.acquire)
    for gate in engine.gates:
        gate.set()
    while 2 not in {solution.work_id for solution in sink.found}:
        await sink.news()
    stop = asyncio.get_running_loop().run_in_executor(None, device.stop)
    while not stop.done():
        for gate in list(engine.gates):
            gate.set()
        await asyncio.sleep(0.001)
    by_work = {solution.work_id for solution in sink.found}
    assert by_work == {1, 2}
    for solution in sink.found:
        work = ENDLESS if solution.work_id == 1 else replace(ENDLESS, merkle_root=bytes(32))
        assert solution.hash_value(work) <= work.ticket


async def test_only_the_latest_of_several_works_is_searched(sink: Sink) -> None:
    engine = GatedEngine()
    device = PushDevice("gpu:0", "opencl", "test", lambda: engine)
    device.start(sink)
    device.assign(ENDLESS)
    await in_thread(lambda: [engine.launched.acquire() for _ in range(2)])
    for work_id in (2, 3, 4):
        device.assign(replace(ENDLESS, work_id=work_id))
    engine.gates[0].set()
    await in_thread(engine.launched.acquire)
    device.assign(None)
    for gate in engine.gates:
        gate.set()
    assert engine.loaded == [1, 4]
    await in_thread(device.stop)


async def test_a_switch_tells_waiting_for_launches_from_our_own_time(sink: Sink) -> None:
    now = 100.0
    engine = GatedEngine()
    device = PushDevice("gpu:0", "opencl", "test", lambda: engine, clock=lambda: now)
    device.start(sink)
    device.assign(ENDLESS)
    await in_thread(lambda: [engine.launched.acquire() for _ in range(2)])
    device.assign(replace(ENDLESS, work_id=2))
    for gate in range(3):  # two launches of the old work, then the first of the new
        now += 5.0
        engine.gates[gate].set()
        await in_thread(engine.launched.acquire)
    stop = asyncio.get_running_loop().run_in_executor(None, device.stop)
    while not stop.done():
        for gate_left in list(engine.gates):
            gate_left.set()
        await asyncio.sleep(0.001)
    [switch] = [switch for switch in device.switches if switch.work_id == 2]
    assert (switch.free_s, switch.seen_s, switch.queued_s, switch.hashed_s) == (5, 5, 5, 10)


async def test_a_switch_of_an_idle_device_waits_for_nothing(sink: Sink) -> None:
    now = 100.0
    device = PushDevice("cpu:0", "cpu", "test", HashlibEngine, clock=lambda: now)
    device.start(sink)
    device.assign(WORK)
    while device.hashes_done() < WORK.hashes:
        await sink.news()
    now += 50.0
    device.assign(replace(WORK, work_id=2))
    while sink.exhausted_works != [1, 2] or device.hashes_done() < 2 * WORK.hashes:
        await sink.news()
    device.stop()
    assert device.switches[-1] == Switch(2, 0, 0, 0, 0)


async def test_none_makes_it_idle_and_work_wakes_it(sink: Sink) -> None:
    device = PushDevice("cpu:0", "cpu", "test", HashlibEngine)
    device.start(sink)
    device.assign(ENDLESS)
    await sink.until_state(DeviceState.MINING)
    device.assign(None)
    while sink.states[-1][0] is not DeviceState.READY:
        await sink.news()
    done = device.hashes_done()
    assert sink.exhausted_works == []
    device.assign(replace(WORK, work_id=9))
    while sink.exhausted_works != [9]:
        await sink.news()
    device.stop()
    assert device.hashes_done() == done + WORK.hashes


async def test_stop_while_launching_ends_the_thread_within_a_second(sink: Sink) -> None:
    device = PushDevice("cpu:0", "cpu", "test", HashlibEngine)
    device.start(sink)
    device.assign(ENDLESS)
    await sink.until_state(DeviceState.MINING)
    began = asyncio.get_running_loop().time()
    device.stop()
    device.stop()
    assert asyncio.get_running_loop().time() - began < 1
    assert not any(thread.name == "cpu:0" for thread in threading.enumerate())


async def test_after_one_failure_a_new_engine_loses_nothing(sink: Sink) -> None:
    engines: list[Engine] = [FailingEngine(1), HashlibEngine()]
    device = PushDevice("gpu:0", "opencl", "test", lambda: engines.pop(0))
    work = replace(WORK, nonce_count=1 << 18, ticket=1 << 244)
    device.start(sink)
    device.assign(work)
    assert "out of memory" in await sink.until_state(DeviceState.SICK)
    while sink.exhausted_works != [1] or device.hashes_done() < work.hashes:
        await sink.news()
    device.stop()
    await asyncio.sleep(0)
    assert set(sink.found) == expected(work)
    assert len(sink.found) == len(set(sink.found))


async def test_a_second_failure_soon_after_is_final_and_says_why(sink: Sink) -> None:
    engines: list[Engine] = [FailingEngine(0), FailingEngine(0)]
    device = PushDevice("gpu:0", "opencl", "test", lambda: engines.pop(0), clock=lambda: 100.0)
    device.start(sink)
    device.assign(WORK)
    assert "out of memory" in await sink.until_state(DeviceState.DEAD)
    device.stop()


async def test_an_engine_that_cannot_be_made_is_dead_with_its_reason(sink: Sink) -> None:
    def factory() -> Engine:
        raise EngineError("no such device")

    device = PushDevice("gpu:0", "opencl", "test", factory)
    device.start(sink)
    assert "no such device" in await sink.until_state(DeviceState.DEAD)
    device.stop()


def test_work_that_rolls_too_much_is_refused_at_once() -> None:
    device = PushDevice("cpu:0", "cpu", "test", HashlibEngine)
    with pytest.raises(ValueError, match="rolls 4 version bits, the device at most 3"):
        device.assign(replace(WORK, version_bits=0x1E000))


@pytest.mark.parametrize(("value", "good"), [(1.9, False), (2, True), (1000, True), (1001, False)])
def test_the_latency_bound_has_bounds(value: float, good: bool) -> None:
    device = PushDevice("cpu:0", "cpu", "test", HashlibEngine)
    if good:
        device.latency_ms = value
        assert device.latency_ms == value
    else:
        with pytest.raises(ValueError, match=r"latency_ms = .* out of range: 2 to 1000 ms"):
            device.latency_ms = value


def test_a_device_is_made_anew_only_when_its_thread_has_ended() -> None:
    async def main() -> None:
        engine = GatedEngine()
        device = PushDevice("cpu:0", "cpu", "a test's", lambda: engine, latency_ms=20)
        device.start(Sink())
        device.adjust("latency_ms", 70)
        device.assign(ENDLESS)
        await asyncio.to_thread(engine.launched.acquire)
        await asyncio.to_thread(device.stop)
        assert device.anew() is None, "it hangs"
        while device.anew() is None:
            for gate in engine.gates:
                gate.set()
            await asyncio.to_thread(device.stop)
        again = device.anew()
        assert again is not None
        assert again is not device
        assert again.setting("latency_ms") == 70
        assert again.info.device_id == "cpu:0"

    asyncio.run(main())
