"""One engine in a process of its own, so that its cores and its runtime's threads are set first.

`python bench/hashrate_child.py BACKEND` answers each line `MIDSTATES LATENCY_S SECONDS` on its
standard input with one JSON line: what it hashed, and how much CPU time that took, of which on the
thread that launches.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace

from sv2rig.compute.autotune import measure, tuned_engine
from sv2rig.compute.cpu import CpuEngine
from sv2rig.compute.engine import Engine, EngineError
from sv2rig.compute.known_answers import questions
from sv2rig.compute.opencl_probe import DeviceKind, probe
from sv2rig.devices.work import NONCES

_VERSION_BITS = {1: 0, 2: 0x2000, 4: 0x6000, 8: 0xE000}


def open_engine(backend: str) -> Engine:
    if backend == "cpu":
        return CpuEngine()
    found = probe()
    for device in found.devices:
        if device.kind is DeviceKind.CPU:
            return tuned_engine(device)
    raise EngineError("no OpenCL CPU device: " + "; ".join(found.problems))


def answer(engine: Engine, midstates: int, latency_s: float, seconds: float) -> dict[str, float]:
    work = replace(
        questions()[0].work,
        version_bits=_VERSION_BITS[midstates],
        version=0,
        ticket=0,
        nonce_start=0,
        nonce_count=NONCES,
    )
    loaded = engine.load(work)
    wall, own, cpu = time.monotonic(), time.thread_time(), time.process_time()
    speed = measure(engine, loaded, seconds, latency_s)
    wall = time.monotonic() - wall
    return {
        "hashrate_hs": speed,
        "cores_busy": (time.process_time() - cpu) / wall,
        "launching_share": (time.thread_time() - own) / wall,
    }


def main() -> None:
    engine = open_engine(sys.argv[1])
    print(json.dumps({"variant": engine.info.variant}), flush=True)
    for line in sys.stdin:
        midstates, latency_s, seconds = line.split()
        result = answer(engine, int(midstates), float(latency_s), float(seconds))
        print(json.dumps(result), flush=True)
    engine.close()


if __name__ == "__main__":
    main()
