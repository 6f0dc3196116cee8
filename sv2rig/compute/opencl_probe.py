"""Which OpenCL devices work. Asked in a process of its own, since a broken runtime may abort it.

`probe()` starts `python -m sv2rig.compute.opencl_probe`, which builds and runs a tiny kernel on
every device and prints one JSON object a line; where it dies, the platform that it was at is to
blame, and it is started again for those after.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import msgspec

_TIMEOUT_S = 60.0
_KERNEL = "__kernel void probe(__global uint *out) { out[get_global_id(0)] += 3u; }"


class DeviceKind(StrEnum):
    GPU = "GPU"
    CPU = "CPU"
    ACCELERATOR = "ACCELERATOR"


@dataclass(frozen=True, slots=True)
class OpenClDevice:
    """A device that ran a kernel. The two indexes find it again in this machine's list.

    `pci_bus_id` is like "0000:03:00.0", None where the runtime does not say.
    """

    device_id: str
    platform: str
    platform_index: int
    device_index: int
    name: str
    driver_version: str
    kind: DeviceKind
    compute_units: int
    pci_bus_id: str | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """Devices that work, in a fixed order, and for each platform that does not, why not."""

    devices: tuple[OpenClDevice, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """One line from the probing process: what it begins with, has found, or could not do."""

    begin: str | None = None
    platform_index: int = -1
    device: OpenClDevice | None = None
    problem: str | None = None


def probe() -> Probe:
    """Looks for devices afresh: about a second for each platform. Never raises."""
    devices: list[OpenClDevice] = []
    problems: list[str] = []
    first = 0
    while True:
        reports, ending = _run_child(first)
        devices += [report.device for report in reports if report.device]
        problems += [report.problem for report in reports if report.problem]
        last = reports[-1] if reports else Report()
        if ending is None:
            break
        problems.append(_explain(last.begin, ending))
        if last.platform_index < first:
            break  # it died before it came to any platform
        first = last.platform_index + 1
    numbered = (replace(d, device_id=f"opencl:{i}") for i, d in enumerate(devices))
    return Probe(tuple(numbered), tuple(problems))


def _run_child(first: int) -> tuple[list[Report], str | None]:
    """Reports on platforms from `first`, and how the process ended if not well."""
    command = [sys.executable, "-P", "-m", "sv2rig.compute.opencl_probe", str(first)]
    with tempfile.TemporaryDirectory() as cache:
        # A kernel from PoCL's cache would hide that it cannot link.
        environment = {**os.environ, "POCL_CACHE_DIR": cache, "PYOPENCL_NO_CACHE": "1"}
        try:
            child = subprocess.run(
                command, capture_output=True, env=environment, timeout=_TIMEOUT_S, check=False
            )
            output, ending = child.stdout, _ending(child)
        except subprocess.TimeoutExpired as expired:
            output, ending = expired.stdout or b"", f"did not answer for {_TIMEOUT_S:g} s"
        except OSError as error:
            output, ending = b"", f"could not be started: {error}"
    lines = [line for line in output.splitlines() if line.startswith(b"{")]
    return [msgspec.json.decode(line, type=Report) for line in lines], ending


def _ending(child: subprocess.CompletedProcess[bytes]) -> str | None:
    if child.returncode == 0:
        return None
    words = child.stderr.decode(errors="replace").strip().splitlines()
    if child.returncode < 0:
        how = f"was killed by {signal.Signals(-child.returncode).name}"
    else:
        how = f"ended with status {child.returncode}"
    return f"{how}: {words[-1]}" if words else how


def _explain(platform: str | None, ending: str) -> str:
    if platform is None:
        return f"OpenCL: listing the platforms failed; the probing process {ending}"
    if platform.startswith("Portable Computing Language") and shutil.which("ld") is None:
        return "PoCL cannot link kernels: `ld` is missing; install binutils"
    return f"{platform}: a small kernel could not be run; the probing process {ending}"


# In the process of its own


def _main(first: int) -> None:
    try:
        import pyopencl as cl

        platforms = cl.get_platforms()
    except Exception as error:
        _say(Report(problem=f"OpenCL: no platform found ({error}); install a driver's OpenCL part"))
        return
    for index, platform in enumerate(platforms):
        if index >= first:
            _say(Report(begin=platform.name, platform_index=index))
            _probe_platform(cl, platform, index)


def _probe_platform(cl: Any, platform: Any, index: int) -> None:
    try:
        devices = platform.get_devices()
    except cl.Error as error:
        _say(Report(platform.name, index, problem=f"{platform.name}: no devices ({error})"))
        return
    for device_index, device in enumerate(devices):
        try:
            _run_kernel(cl, device)
        except Exception as error:  # whatever the runtime raises, the next device is tried
            text = f"{platform.name}, {device.name}: {error}"
            _say(Report(platform.name, index, problem=text))
        else:
            found = _describe(cl, platform, device, index, device_index)
            _say(Report(platform.name, index, device=found))


def _run_kernel(cl: Any, device: Any) -> None:
    """RuntimeError if a kernel runs but computes something else."""
    import numpy as np

    context = cl.Context([device])
    queue = cl.CommandQueue(context)
    values = np.arange(64, dtype=np.uint32)
    flags = cl.mem_flags.READ_WRITE | cl.mem_flags.COPY_HOST_PTR
    buffer = cl.Buffer(context, flags, hostbuf=values)
    kernel = cl.Kernel(cl.Program(context, _KERNEL).build(cache_dir=False), "probe")
    kernel(queue, (64,), None, buffer)
    result = np.empty_like(values)
    cl.enqueue_copy(queue, result, buffer)
    if not np.array_equal(result, values + 3):
        raise RuntimeError("a small kernel computed a wrong result")


def _describe(
    cl: Any, platform: Any, device: Any, platform_index: int, device_index: int
) -> OpenClDevice:
    kind = DeviceKind.ACCELERATOR
    if device.type & cl.device_type.GPU:
        kind = DeviceKind.GPU
    elif device.type & cl.device_type.CPU:
        kind = DeviceKind.CPU
    return OpenClDevice(
        device_id="",
        platform=platform.name,
        platform_index=platform_index,
        device_index=device_index,
        name=" ".join(device.name.removeprefix("pthread-").split()),
        driver_version=f"{platform.version.strip()} {device.driver_version}",
        kind=kind,
        compute_units=device.max_compute_units,
        pci_bus_id=_pci_bus_id(cl, device),
    )


def _pci_bus_id(cl: Any, device: Any) -> str | None:
    """From NVIDIA's or AMD's extension."""
    try:
        slot = device.pci_slot_id_nv
        return f"0000:{device.pci_bus_id_nv:02x}:{slot >> 3:02x}.{slot & 7}"
    except (cl.Error, AttributeError):
        pass
    try:
        place = device.topology_amd
        return f"0000:{place.bus & 0xFF:02x}:{place.device:02x}.{place.function}"
    except (cl.Error, AttributeError):
        return None


def _say(report: Report) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    _main(int(sys.argv[1]))
