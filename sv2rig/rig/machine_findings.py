"""What the machine itself is like for a rig: its clock, its disk, what it can compute on."""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

from sv2rig.compute.native import usable_variants
from sv2rig.compute.opencl_probe import DeviceKind, Probe
from sv2rig.rig.finding import Finding, Level
from sv2rig.sv2.certificate import utc_text

# A month of history and shares of 64 devices stays under 200 MB.
ENOUGH_DISK = 500 * 1000 * 1000
LITTLE_DISK = 50 * 1000 * 1000
ENOUGH_FILES = 1024
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_TIMEX_BYTES = 512  # more than struct timex has anywhere; its first field, modes, is 0: only read
_SOFTWARE_MADE = 1_760_000_000  # UTC seconds; a clock before that is certainly behind


def clock(utc: float, synchronised: bool | None) -> Finding:
    """`synchronised`: what the kernel says of it; None where it says nothing."""
    now = utc_text(utc)
    if utc < _SOFTWARE_MADE:
        text = f"this machine's clock says {now}, which is long ago: certificates will not hold"
        return Finding("clock", Level.ERROR, text, "sudo timedatectl set-ntp true")
    if synchronised is False:
        text = f"{now}, but nothing keeps this machine's clock right"
        return Finding("clock", Level.WARNING, text, "sudo timedatectl set-ntp true")
    kept = "kept right by the network" if synchronised else "nobody says whether it is kept right"
    return Finding("clock", Level.OK, f"{now}, {kept}")


def clock_is_synchronised() -> bool | None:
    """What adjtimex(2) says; None where there is none."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        state = libc.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _TIME_ERROR


def disk(folder: Path) -> Finding:
    """Whether the daemon's state can be written where it belongs."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        text = f"{there} cannot be written, and the rig's state belongs in {folder}"
        way = f"sudo chown $USER {there}, or set state_dir in the configuration"
        return Finding("disk", Level.ERROR, text, way)
    free = shutil.disk_usage(there).free
    text = f"{free / 1e9:.1f} GB free for {folder}"
    if free < LITTLE_DISK:
        way = "make room, or set state_dir in the configuration; mining goes on meanwhile"
        return Finding("disk", Level.ERROR, f"only {text}: shares cannot be logged", way)
    if free < ENOUGH_DISK:
        return Finding("disk", Level.WARNING, f"only {text}", "make room: a month takes 200 MB")
    return Finding("disk", Level.OK, text)


def files() -> Finding:
    """How many files a process may have open: boards, miners and screens each take some."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit < ENOUGH_FILES:
        text = f"a process may open {limit} files only"
        return Finding("files", Level.WARNING, text, f"ulimit -n {ENOUGH_FILES}")
    return Finding("files", Level.OK, f"a process may open {limit}")


def opencl(found: Probe, root: Path = Path("/")) -> Iterator[Finding]:
    """Each OpenCL device, each platform that does not work, and why there is no GPU."""
    for device in found.devices:
        text = f"{device.device_id}: {device.kind.value} {device.name} ({device.platform})"
        yield Finding("opencl", Level.OK, text)
    for problem in found.problems:
        words, _, way = problem.partition("; ")
        yield Finding("opencl", Level.WARNING, words, way or "see `sv2rig selftest`")
    if not any(device.kind is DeviceKind.GPU for device in found.devices):
        yield from _no_gpu(root)


def _no_gpu(root: Path) -> Iterator[Finding]:
    vendors = sorted((root / "etc/OpenCL/vendors").glob("*.icd"))
    named = f"; OpenCL drivers installed: {', '.join(path.stem for path in vendors)}"
    told = named if vendors else "; no OpenCL driver is installed in /etc/OpenCL/vendors"
    for node, what, way in _GPU_NODES:
        if (root / node).exists():
            yield Finding("opencl", Level.WARNING, f"{what} is here, but not in OpenCL{told}", way)
            return
    yield Finding("opencl", Level.NOTE, "no GPU is seen on this machine")


_GPU_NODES = (
    (
        "dev/nvidiactl",
        "an NVIDIA driver",
        "install its OpenCL part (Debian: nvidia-opencl-icd) of the driver's own version",
    ),
    (
        "dev/kfd",
        "an AMD GPU",
        "install rocm-opencl-icd or mesa-opencl-icd, and join the groups render and video",
    ),
    (
        "dev/dri/renderD128",
        "a GPU",
        "install its OpenCL part (Debian: intel-opencl-icd or mesa-opencl-icd), and join the group "
        "render",
    ),
)


def cpu() -> Finding:
    """Whether native code can be made, which the cpu back end needs."""
    names = [variant.name for variant in usable_variants()]
    if not names:
        way = "mine with other devices (--device)"
        return Finding("cpu", Level.WARNING, "no native code can be made for this processor", way)
    return Finding("cpu", Level.OK, f"native code: {', '.join(names)}")
