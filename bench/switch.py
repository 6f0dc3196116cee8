"""From a new previous hash received to the first range of its work being hashed, in a whole rig.

The rig runs in this process, as `sv2rig mine` would; the pool in one of its own, on loopback, with
a chain that has a new tip several times a second. The time begins when the event loop takes the
bytes of the SetNewPrevHash from the socket, and ends when the first launch of the new Work starts.
Waiting for launches that were under way is the device's part of it; all else is ours.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import sys
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, SupportsIndex

import machine
from figures import Tail, table

from sv2rig.compute.worker import PushDevice, Switch
from sv2rig.mining.backoff import Backoff
from sv2rig.mining.context import MiningContext
from sv2rig.mining.failover import PoolEntry
from sv2rig.mining.scheduler import Assignment
from sv2rig.mining.session import Session, SessionOptions
from sv2rig.rig.device_choice import DeviceChoiceError, parse_choice
from sv2rig.rig.open_devices import DeviceOptions, open_devices
from sv2rig.rig.rig import Rig
from sv2rig.sv2.url import parse_pool_url
from sv2rig.transport.interface import ByteStream
from sv2rig.transport.tcp import READ_SIZE, TcpStream

DESCRIPTION = "new previous hash received to its first nonce range being hashed, in a whole rig"

TOTAL_GOAL_MS: Final = 100.0
OURS_GOAL_MS: Final = 10.0
DEVICES: Final = ("opencl:0", "cpu")
LATENCIES_MS: Final = (50.0, 5.0)
EVERY_S: Final = 0.15  # the pool looks for a due template ten times a second
STALL_S: Final = 60.0
WARM_UP: Final = 10  # launches grow to their size
_POLL_S: Final = 0.5

PARTS: Final = {
    "sent_ms": "sent to received (not counted)",
    "received_ms": "received to handed to the device",
    "running_ms": "  a launch that was running ends",
    "wake_ms": "the device's thread sees it",
    "load_ms": "midstates, first launch queued",
    "queue_ms": "  the launch queued before it ends",
    "ours_ms": "ours",
    "total_ms": "total",
}


@dataclass(frozen=True, slots=True)
class Arrival:
    """A new previous hash, as it reached a device. Times are monotonic."""

    work_id: int
    prev_hash: bytes
    received_at: float
    assigned_at: float


@dataclass(frozen=True, slots=True)
class Result:
    """Each of `parts` in ms; `lost` switches had newer work before they were hashed."""

    device: str
    variant: str
    latency_ms: float
    switches: int
    lost: int
    hashrate_hs: float
    others_cores: float
    parts: dict[str, Tail]

    @property
    def met(self) -> bool:
        ours, total = self.parts["ours_ms"].p99, self.parts["total_ms"].p99
        return total < TOTAL_GOAL_MS and ours < OURS_GOAL_MS


class StampedReader(asyncio.StreamReader):
    """Notes when the event loop first took bytes from the socket that nobody has read yet."""

    waiting_since: float | None = None

    def feed_data(self, data: Iterable[SupportsIndex]) -> None:
        if self.waiting_since is None:
            self.waiting_since = time.monotonic()
        super().feed_data(data)


class Watch:
    """Stands between the rig and its transport, and between its session and its device."""

    def __init__(self) -> None:
        self.arrivals: list[Arrival] = []
        self._received_at = 0.0
        self._prev_hash: bytes | None = None

    async def connect(self, host: str, port: int) -> ByteStream:
        loop = asyncio.get_running_loop()
        reader = StampedReader(limit=READ_SIZE)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await loop.create_connection(lambda: protocol, host, port)
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        return WatchedStream(reader, TcpStream(reader, writer, f"{host}:{port}"), self)

    def received(self, at: float) -> None:
        self._received_at = at

    def attach(self, context: MiningContext) -> MiningContext:
        carry_out = context.assign

        def assign(assignments: Iterable[Assignment]) -> None:
            batch = tuple(assignments)
            carry_out(batch)
            for assignment in batch:
                self._assigned(assignment)

        context.assign = assign
        return context

    def _assigned(self, assignment: Assignment) -> None:
        work = assignment.work
        if work is None or work.prev_hash == self._prev_hash:
            return
        self._prev_hash = work.prev_hash
        self.arrivals.append(
            Arrival(work.work_id, work.prev_hash, self._received_at, time.monotonic())
        )


class WatchedStream:
    def __init__(self, reader: StampedReader, stream: ByteStream, watch: Watch) -> None:
        self.description = stream.description
        self.write = stream.write
        self.close = stream.close
        self._reader = reader
        self._stream = stream
        self._watch = watch

    async def read(self) -> bytes:
        data = await self._stream.read()
        if self._reader.waiting_since is not None:
            self._watch.received(self._reader.waiting_since)
            self._reader.waiting_since = None
        return data


@contextlib.asynccontextmanager
async def pool(every_s: float) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("switch_pool.py")),
        str(every_s),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 24,  # its last line is long
    )
    assert child.stdout is not None
    try:
        yield (await child.stdout.readline()).decode().strip(), child
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


async def sent_times(child: asyncio.subprocess.Process) -> dict[str, float]:
    """Ends the pool; when it sent each previous hash."""
    output, _ = await child.communicate(b"")
    sent: dict[str, float] = json.loads(output)
    return sent


async def measure(device: PushDevice, switches: int, every_s: float) -> Result:
    async with pool(every_s) as (url, child):
        watch = Watch()
        rig = start_rig(device, url, watch)
        running = asyncio.create_task(rig.run())
        try:
            await watched(running, watch, WARM_UP)
            watch.arrivals.clear()
            device.switches = type(device.switches)(maxlen=4 * switches)
            others = machine.Others()
            began, before = time.monotonic(), device.hashes_done()
            await watched(running, watch, switches)
            others_cores = others.cores()
            hashrate = (device.hashes_done() - before) / (time.monotonic() - began)
        finally:
            await rig.stop()
            await running
        return result(device, watch, await sent_times(child), hashrate, others_cores)


def start_rig(device: PushDevice, url: str, watch: Watch) -> Rig:
    options = SessionOptions()
    return Rig(
        "bench",
        [device],
        lambda context: Session(
            [PoolEntry("pool", parse_pool_url(url), "bench.switch")],
            options,
            watch.connect,
            watch.attach(context),
            lambda: Backoff(random.Random()),
        ),
        options.version_rolling_mask,
        time.time,
    )


async def watched(running: asyncio.Task[None], watch: Watch, count: int) -> None:
    """Until so many new previous hashes have come, and the last has had time to be hashed."""
    have, since = -1, time.monotonic()
    while len(watch.arrivals) < count:
        if len(watch.arrivals) > have:
            have, since = len(watch.arrivals), time.monotonic()
        if running.done() or time.monotonic() - since > STALL_S:
            raise RuntimeError(f"the rig stopped switching after {len(watch.arrivals)}")
        await asyncio.sleep(_POLL_S)


def result(
    device: PushDevice,
    watch: Watch,
    sent: dict[str, float],
    hashrate_hs: float,
    others_cores: float,
) -> Result:
    by_work = {switch.work_id: switch for switch in device.switches}
    found = [(a, by_work[a.work_id]) for a in watch.arrivals if a.work_id in by_work]
    rows = [parts_of(arrival, switch, sent) for arrival, switch in found]
    return Result(
        device=device.info.device_id,
        variant=device.info.variant or "",
        latency_ms=device.latency_ms,
        switches=len(rows),
        lost=len(watch.arrivals) - len(rows),
        hashrate_hs=hashrate_hs,
        others_cores=others_cores,
        parts={name: Tail.of([row[name] for row in rows]) for name in PARTS},
    )


def parts_of(arrival: Arrival, switch: Switch, sent: dict[str, float]) -> dict[str, float]:
    received = arrival.assigned_at - arrival.received_at
    seconds = {
        "sent_ms": arrival.received_at - sent[arrival.prev_hash.hex()],
        "received_ms": received,
        "running_ms": switch.free_s,
        "wake_ms": switch.seen_s - switch.free_s,
        "load_ms": switch.queued_s - switch.seen_s,
        "queue_ms": switch.hashed_s - switch.queued_s,
        "ours_ms": received + switch.queued_s - switch.free_s,
        "total_ms": received + switch.hashed_s,
    }
    return {name: round(value * 1000, 3) for name, value in seconds.items()}


def open_device(name: str, latency_ms: float) -> PushDevice:
    options = DeviceOptions(latency_ms=latency_ms)
    [device] = open_devices([parse_choice(name)], options, no_report)
    assert isinstance(device, PushDevice)
    return device


def no_report(_level: str, _text: str, _device: str | None) -> None:
    pass


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench switch", description=DESCRIPTION)
    parser.add_argument("--device", action="append", help="a device; default: opencl:0 and cpu")
    parser.add_argument(
        "--latency-ms", type=float, action="append", help="launches' bound; default: 50 and 5"
    )
    parser.add_argument("--switches", type=int, default=300, help="new previous hashes for each")
    parser.add_argument("--every", type=float, default=EVERY_S, help="seconds between them")
    parser.add_argument("--json", action="store_true", help="one JSON object on one line")
    options = parser.parse_args(argv)
    if not options.json:
        print(machine.headline() + "\n")
    results, status = [], 0
    for name in options.device or DEVICES:
        for latency_ms in options.latency_ms or LATENCIES_MS:
            try:
                device = open_device(name, latency_ms)
            except DeviceChoiceError as error:
                print(f"bench switch: left out: {error}", file=sys.stderr)
                status = 1
                break
            done = asyncio.run(measure(device, options.switches, options.every))
            results.append(done)
            if not options.json:
                print_result(done)
    if options.json:
        print(json.dumps(report(results)))
    return status


def report(results: list[Result]) -> dict[str, Any]:
    return {
        "bench": "switch",
        "machine": machine.describe(),
        "goals_ms": {"total_p99": TOTAL_GOAL_MS, "ours_p99": OURS_GOAL_MS},
        "results": [asdict(result) | {"met": result.met} for result in results],
    }


def print_result(result: Result) -> None:
    print(
        f"{result.device} ({result.variant}), launches bounded to {result.latency_ms:g} ms: "
        f"{result.switches} switches ({result.lost} lost), {result.hashrate_hs / 1e6:.2f} MH/s; "
        f"other processes had {result.others_cores} cores"
    )
    rows: list[tuple[str, ...]] = [("ms", "min", "median", "p99", "max")]
    for name, words in PARTS.items():
        tail = result.parts[name]
        rows.append((words, *(f"{v:.2f}" for v in (tail.min, tail.median, tail.p99, tail.max))))
    print(table(rows))
    goals = f"p99 of the total under {TOTAL_GOAL_MS:g} ms, of ours under {OURS_GOAL_MS:g} ms"
    print(f"{goals}: {'met' if result.met else 'MISSED'}\n")
