"""How fast one device hashes, and how soon it turns to new work."""

from __future__ import annotations

import asyncio
import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sv2rig.compute.worker import PushDevice
from sv2rig.devices.device import DeviceState
from sv2rig.devices.work import Solution
from sv2rig.rig.calibration import no_ones_work

FIRST_HASHES_TIMEOUT_S = 60.0  # kernels may be tuned first
SWITCH_EVERY_S = 0.25
_POLL_S = 0.02


class BenchmarkError(Exception):
    """The device does not hash; the text says why."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """`hashrate_hs` while new work came four times a second. Latencies in ms, from new work handed
    over to its first launch running: the median, the 99th of 100, and our own median share of it
    (without waiting for launches under way)."""

    device_id: str
    name: str
    variant: str
    version_bits: int
    seconds: float
    hashrate_hs: float
    latency_ms: float
    latency_p99_ms: float
    own_latency_ms: float


class _Bench:
    """The sink of a device under test: remembers why it failed, gives it more when it is done."""

    def __init__(self, device: PushDevice) -> None:
        self.failure: str | None = None
        self._device = device
        self._work_ids = itertools.count(1)

    def next_work(self) -> None:
        work = no_ones_work(self._device.info.capabilities.version_bits)
        number = next(self._work_ids)
        self._device.assign(replace(work, work_id=number, ntime=number))

    def solutions(self, _device_id: str, _found: Sequence[Solution]) -> None:
        pass  # the ticket is impossible

    def exhausted(self, _device_id: str, _work_id: int) -> None:
        self.next_work()

    def state_changed(self, _device_id: str, state: DeviceState, reason: str) -> None:
        if state in (DeviceState.DEAD, DeviceState.LOST, DeviceState.SICK):
            self.failure = reason

    def comm_error(self, _device_id: str, text: str) -> None:
        self.failure = text


async def benchmark(device: PushDevice, seconds: float) -> Benchmark:
    """Run the device for so long; BenchmarkError if it does not hash."""
    loop = asyncio.get_running_loop()
    sink = _Bench(device)
    device.start(sink)
    try:
        sink.next_work()
        await _first_hashes(device, sink)
        await asyncio.sleep(min(1.0, seconds))  # launches grow to their size
        device.switches.clear()
        began, before = loop.time(), device.hashes_done()
        while loop.time() - began < seconds:
            sink.next_work()
            await asyncio.sleep(SWITCH_EVERY_S)
        elapsed, hashes = loop.time() - began, device.hashes_done() - before
    finally:
        await asyncio.to_thread(device.stop)
    if sink.failure or not hashes or not device.switches:
        raise BenchmarkError(sink.failure or "the device computed nothing")
    latencies = sorted(switch.hashed_s * 1000 for switch in device.switches)
    own = [(switch.queued_s - switch.free_s) * 1000 for switch in device.switches]
    return Benchmark(
        device_id=device.info.device_id,
        name=device.info.name,
        variant=device.info.variant or "",
        version_bits=device.info.capabilities.version_bits,
        seconds=round(elapsed, 3),
        hashrate_hs=hashes / elapsed,
        latency_ms=round(statistics.median(latencies), 3),
        latency_p99_ms=round(latencies[min(len(latencies) - 1, len(latencies) * 99 // 100)], 3),
        own_latency_ms=round(statistics.median(own), 3),
    )


async def _first_hashes(device: PushDevice, sink: _Bench) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + FIRST_HASHES_TIMEOUT_S
    while not device.hashes_done():
        if sink.failure:
            raise BenchmarkError(sink.failure)
        if loop.time() > deadline:
            raise BenchmarkError(f"the device hashed nothing in {FIRST_HASHES_TIMEOUT_S:g} s")
        await asyncio.sleep(_POLL_S)
