"""Hash rates before a channel is opened, in virtual time."""

from __future__ import annotations

import loop_device
import pytest
from loop_device import LoopDevice
from virtual_time import run_virtual

from sv2rig.rig.calibration import FIRST_HASHES_TIMEOUT_S, MEASURE_S, calibrate
from sv2rig.rig.rig_device import RigDevice


@pytest.mark.parametrize("step_s", [0.01, MEASURE_S * 0.6, MEASURE_S * 1.3, MEASURE_S * 9])
def test_a_device_is_measured_however_long_its_launches_take(
    step_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_device, "STEP_S", step_s)
    slow = LoopDevice("slow:0", 50_000)

    rates = run_virtual(calibrate([RigDevice(slow, 0.0, lambda: 0.0)]))

    assert rates == {"slow:0": pytest.approx(50_000, rel=0.05)}
    assert slow.work is None


@pytest.mark.parametrize("steps", [0, 1])
def test_a_device_that_computes_nothing_in_time_is_left_out(
    steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One step within the time-out or none: a rate needs two.
    monkeypatch.setattr(loop_device, "STEP_S", FIRST_HASHES_TIMEOUT_S / (steps + 0.5))
    devices = [RigDevice(LoopDevice("never:0"), 0.0, lambda: 0.0)]

    assert run_virtual(calibrate(devices)) == {}
