"""Readings: AMD's files as amdgpu writes them, and unknown told as None."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from sv2rig.compute.opencl_probe import DeviceKind, OpenClDevice
from sv2rig.compute.telemetry import cpu_telemetry, opencl_telemetry
from sv2rig.devices.device import Telemetry

GPU = OpenClDevice("opencl:0", "p", 0, 0, "g", "1", DeviceKind.GPU, 60, "0000:03:00.0")


@pytest.fixture
def card(tmp_path: Path) -> Path:
    folder = tmp_path / "bus/pci/devices/0000:03:00.0/hwmon/hwmon4"
    folder.mkdir(parents=True)
    return folder


def test_amd_s_files_are_read_in_their_units(card: Path, tmp_path: Path) -> None:
    (card / "temp1_input").write_text("61000\n")
    (card / "pwm1").write_text("102\n")
    (card / "power1_average").write_text("143000000\n")
    read = opencl_telemetry(GPU, tmp_path)
    assert read() == Telemetry(temperature_c=61.0, fan_percent=40.0, power_w=143.0)
    (card / "temp1_input").write_text("nonsense")
    (card / "pwm1").unlink()
    (card / "power1_average").rename(card / "power1_input")  # newer cards have only this one
    assert read() == Telemetry(power_w=143.0)


@pytest.mark.parametrize(
    "device", [GPU, replace(GPU, pci_bus_id=None), replace(GPU, pci_bus_id="0000:7f:00.0")]
)
def test_a_card_that_tells_nothing_is_unknown(device: OpenClDevice, tmp_path: Path) -> None:
    assert opencl_telemetry(device, tmp_path)() == Telemetry()


def test_the_cpu_s_hottest_sensor_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    sensors = {
        "coretemp": [SimpleNamespace(current=51.0), SimpleNamespace(current=64.0)],
        "nvme": [SimpleNamespace(current=90.0)],
    }
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: sensors, raising=False)
    read = opencl_telemetry(replace(GPU, kind=DeviceKind.CPU))
    assert read() == Telemetry(temperature_c=64.0)
    sensors.clear()
    assert cpu_telemetry() == Telemetry()
