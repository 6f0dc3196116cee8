"""What the doctor says of clocks, disks and GPUs that this machine does not have."""

from __future__ import annotations

from pathlib import Path

import pytest

from sv2rig.compute.opencl_probe import DeviceKind, OpenClDevice, Probe
from sv2rig.rig import machine_findings
from sv2rig.rig.finding import Level

NOW = 1_795_000_000.0
CPU = OpenClDevice("opencl:0", "PoCL", 0, 0, "a processor", "3", DeviceKind.CPU, 2)


@pytest.mark.parametrize(
    ("utc", "synchronised", "level"),
    [
        (NOW, True, Level.OK),
        (NOW, None, Level.OK),
        (NOW, False, Level.WARNING),
        (1_500_000_000.0, True, Level.ERROR),
    ],
)
def test_clock(utc: float, synchronised: bool | None, level: Level) -> None:
    finding = machine_findings.clock(utc, synchronised)
    assert finding.level is level
    assert bool(finding.mend) == (level is not Level.OK)


@pytest.mark.parametrize("node", ["nvidiactl", "kfd", "dri/renderD128"])
def test_a_gpu_without_its_opencl_part_is_told_of(tmp_path: Path, node: str) -> None:
    (tmp_path / "dev" / node).parent.mkdir(parents=True)
    (tmp_path / "dev" / node).touch()
    first, second = machine_findings.opencl(Probe((CPU,), ()), tmp_path)
    assert first.level is Level.OK
    assert second.level is Level.WARNING
    assert "no OpenCL driver is installed" in second.text
    assert "install" in second.mend


def test_installed_drivers_are_named(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/nvidiactl").touch()
    (tmp_path / "etc/OpenCL/vendors").mkdir(parents=True)
    (tmp_path / "etc/OpenCL/vendors/mesa.icd").touch()
    [finding] = machine_findings.opencl(Probe((), ()), tmp_path)
    assert "installed: mesa" in finding.text


def test_a_platform_that_does_not_work_says_why() -> None:
    broken = "PoCL cannot link kernels: `ld` is missing; install binutils"
    finding = next(machine_findings.opencl(Probe((), (broken,))))
    assert (finding.level, finding.mend) == (Level.WARNING, "install binutils")


def test_a_full_disk(tmp_path: Path) -> None:
    assert machine_findings.disk(tmp_path / "not" / "yet" / "there").level is Level.OK
    [full] = [path for path in (Path("/sys/kernel"),) if path.is_dir()]
    assert machine_findings.disk(full).level is Level.ERROR  # no byte is ever free in sysfs
