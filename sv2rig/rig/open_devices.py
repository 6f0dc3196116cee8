"""From names to devices: which back ends work on this machine, and one Device for each choice."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sv2rig.compute.cpu import CpuEngine, cpu_name
from sv2rig.compute.engine import Engine, EngineError
from sv2rig.compute.hashlib_engine import HashlibEngine
from sv2rig.compute.simulated import SimulatedEngine, ThermalModel
from sv2rig.compute.worker import LATENCY, PushDevice
from sv2rig.devices.device import Device, Telemetry
from sv2rig.rig.device_choice import Choice, DeviceChoiceError, behaviour

Report = Callable[[str, str, str | None], None]


@dataclass(frozen=True, slots=True)
class DeviceOptions:
    """What holds for every device. `version_bits` 0 turns version-rolling midstates off."""

    latency_ms: float = LATENCY.default
    version_bits: int = 3
    threads: int | None = None


def open_devices(choices: Sequence[Choice], options: DeviceOptions, report: Report) -> list[Device]:
    """A Device for each choice; DeviceChoiceError where one is not there."""
    simulated = itertools.count()
    devices: list[Device] = []
    for choice in choices:
        match choice.backend:
            case "cpu":
                devices.append(_cpu(options, report))
            case "simulated":
                devices.append(_simulated(choice, next(simulated), options))
            case _:
                devices += _opencl(choice, options, report)
    ids = [device.info.device_id for device in devices]
    twice = {name for name in ids if ids.count(name) > 1}
    if twice:
        raise DeviceChoiceError(f"chosen twice: {', '.join(sorted(twice))}")
    return devices


def _cpu(options: DeviceOptions, report: Report) -> Device:
    def factory() -> Engine:
        try:
            return CpuEngine(options.threads)
        except EngineError as error:
            report("warning", f"{error}; hashing with Python's hashlib, slowly", "cpu:0")
            return HashlibEngine()

    return PushDevice(
        "cpu:0",
        "cpu",
        cpu_name(),
        factory,
        latency_ms=options.latency_ms,
        version_bits=options.version_bits,
    )


def _simulated(choice: Choice, index: int, options: DeviceOptions) -> Device:
    conduct = behaviour(choice.options)
    heat = ThermalModel(time.monotonic())

    def telemetry() -> Telemetry:
        return heat.telemetry(time.monotonic())

    return PushDevice(
        f"simulated:{index}",
        "simulated",
        "simulated board",
        lambda: SimulatedEngine(conduct, heat),
        latency_ms=options.latency_ms,
        version_bits=options.version_bits,
        telemetry=telemetry,
    )


def _opencl(choice: Choice, options: DeviceOptions, report: Report) -> Iterator[Device]:
    raise DeviceChoiceError("no OpenCL yet")


def default_choices(report: Report) -> list[Choice]:
    """What to mine with when nobody said."""
    return [Choice("cpu")]


def demo_choices(report: Report) -> list[str]:
    """What the demo mines with: the first of the best devices, and a simulated board."""
    return ["cpu", "simulated"]
