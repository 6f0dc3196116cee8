"""From names to devices: which back ends work on this machine, and one Device for each choice."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sv2rig.compute.autotune import tuned_engine
from sv2rig.compute.cpu import CpuEngine, cpu_name
from sv2rig.compute.engine import Engine, EngineError
from sv2rig.compute.hashlib_engine import HashlibEngine
from sv2rig.compute.opencl_probe import DeviceKind, OpenClDevice, probe
from sv2rig.compute.simulated import SimulatedEngine, ThermalModel
from sv2rig.compute.telemetry import cpu_telemetry, opencl_telemetry
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
                devices += _opencl(choice, options)
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
        telemetry=cpu_telemetry,
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


def _opencl(choice: Choice, options: DeviceOptions) -> list[Device]:
    found = probe()
    first = choice.index or 0
    chosen = found.devices[first : None if choice.index is None else first + 1]
    if not chosen:
        there = ", ".join(device.device_id for device in found.devices) or "none"
        why = "".join(f"; {problem}" for problem in found.problems)
        wanted = "opencl" if choice.index is None else f"opencl:{choice.index}"
        raise DeviceChoiceError(f"{wanted} is not there; OpenCL devices that work: {there}{why}")
    return [_opencl_device(device, options) for device in chosen]


def _opencl_device(device: OpenClDevice, options: DeviceOptions) -> Device:
    return PushDevice(
        device.device_id,
        "opencl",
        device.name,
        lambda: tuned_engine(device),
        latency_ms=options.latency_ms,
        version_bits=options.version_bits,
        telemetry=opencl_telemetry(device),
    )


def default_choices(report: Report) -> list[Choice]:
    """What to mine with when nobody said: GPUs; without any an OpenCL CPU device; else cpu.

    A CPU beside a GPU adds heat and next to no hashes.
    """
    found = probe()
    for problem in found.problems:
        report("warning", problem, None)
    by_kind: dict[bool, list[Choice]] = {True: [], False: []}
    for index, device in enumerate(found.devices):
        by_kind[device.kind is DeviceKind.GPU].append(Choice("opencl", index))
    if by_kind[True] or by_kind[False]:
        return by_kind[True] or by_kind[False][:1]
    report("warning", "no OpenCL device works here: mining with cpu", None)
    return [Choice("cpu")]
