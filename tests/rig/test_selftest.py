"""The self-test passes on sound engines, fails on broken ones, and says what it skips."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from sv2rig.compute.opencl_probe import Probe
from sv2rig.rig.device_choice import Choice, DeviceChoiceError
from sv2rig.rig.known_blocks import known_blocks
from sv2rig.rig.selftest import SelfTest


def no_opencl() -> Probe:
    return Probe((), ("PoCL cannot link kernels: `ld` is missing; install binutils",))


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "sv2rig", "selftest", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_blocks_of_at_least_six_years_prove_themselves() -> None:
    blocks = known_blocks()
    assert blocks[0].height == 0
    assert 413567 in [block.height for block in blocks]
    years = {block.name.rpartition("(")[2] for block in blocks[1:]}
    assert len(years) >= 6


def test_sound_engines_pass_and_one_json_object_a_line_says_so() -> None:
    done = run("--json", "--device", "cpu")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    *checks, summary = lines
    assert done.returncode == 0, done.stdout
    assert summary["failed"] == 0
    assert summary["passed"] == sum(check["ok"] is True for check in checks) > 20
    assert all({"check", "subject", "ok", "detail", "seconds"} <= check.keys() for check in checks)


def test_a_wrong_kernel_fails_with_status_1() -> None:
    done = run("--device", "cpu", "--break-kernel")
    assert done.returncode == 1
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    assert any("genesis block" in line for line in failed)
    assert any("random headers" in line for line in failed)


def test_a_broken_opencl_runtime_is_skipped_with_its_reason() -> None:
    test = SelfTest((), 1, find_opencl=no_opencl)
    skipped = [outcome for outcome in test.run() if outcome.ok is None]
    assert "install binutils" in skipped[-1].detail


def test_a_device_that_is_not_there_is_an_error_in_words() -> None:
    test = SelfTest([Choice("opencl", 7)], 1, find_opencl=no_opencl)
    with pytest.raises(DeviceChoiceError, match="install binutils"):
        list(test.run())
