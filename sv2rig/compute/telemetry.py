"""Temperature, fan and power of what kernels run on; None for what the hardware does not tell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pynvml

from sv2rig.compute.opencl_probe import DeviceKind, OpenClDevice
from sv2rig.devices.device import Telemetry

Reader = Callable[[], Telemetry]

_SYSFS = Path("/sys")
_CPU_SENSORS = ("coretemp", "k10temp", "zenpower", "cpu_thermal")


def opencl_telemetry(device: OpenClDevice, sysfs: Path = _SYSFS) -> Reader:
    """What reads an OpenCL device: the CPU's sensors, NVIDIA's library, or AMD's sysfs files."""
    if device.kind is DeviceKind.CPU:
        return cpu_telemetry
    if device.pci_bus_id is None:
        return Telemetry
    return _nvidia(device.pci_bus_id) or _hwmon(device.pci_bus_id, sysfs) or Telemetry


def cpu_telemetry() -> Telemetry:
    """The hottest sensor of the CPU's package."""
    sensors: dict[str, list[Any]] = getattr(psutil, "sensors_temperatures", dict)()
    readings = [entry.current for name in _CPU_SENSORS for entry in sensors.get(name, [])]
    return Telemetry(temperature_c=max(readings, default=None))


def _nvidia(pci_bus_id: str) -> Reader | None:
    """None if NVIDIA's library is missing or does not know the card."""
    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByPciBusId(pci_bus_id.encode())
    except pynvml.NVMLError:
        return None

    def ask(question: Callable[..., int], *details: int) -> int | None:
        try:
            return question(handle, *details)
        except pynvml.NVMLError:  # cards without a fan, virtual cards
            return None

    def read() -> Telemetry:
        milliwatts = ask(pynvml.nvmlDeviceGetPowerUsage)
        return Telemetry(
            temperature_c=ask(pynvml.nvmlDeviceGetTemperature, pynvml.NVML_TEMPERATURE_GPU),
            fan_percent=ask(pynvml.nvmlDeviceGetFanSpeed),
            power_w=None if milliwatts is None else milliwatts / 1000,
        )

    return read


def _hwmon(pci_bus_id: str, sysfs: Path) -> Reader | None:
    """Linux's hardware monitor files of a card, as amdgpu writes them; None without any."""
    folders = sorted((sysfs / "bus/pci/devices" / pci_bus_id / "hwmon").glob("hwmon*"))
    if not folders:
        return None
    folder = folders[0]

    def number(name: str, scale: float) -> float | None:
        try:
            return int((folder / name).read_text()) / scale
        except (OSError, ValueError):
            return None

    def read() -> Telemetry:
        power_w = number("power1_average", 1e6)
        return Telemetry(
            temperature_c=number("temp1_input", 1e3),
            fan_percent=number("pwm1", 2.55),
            power_w=number("power1_input", 1e6) if power_w is None else power_w,
        )

    return read
