"""`sv2rig selftest` as an operator runs it: lines, exit statuses, anywhere but in the checkout."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sv2rig.compute.native import usable_variants
from sv2rig.compute.opencl_probe import OpenClDevice

KEYS = {"check", "subject", "ok", "detail", "seconds"}
KERNEL_CHECKS = 9


def selftest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).parent / "sv2rig", "selftest", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def lines(output: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    *checks, summary = [json.loads(line) for line in output.splitlines()]
    assert all(check.keys() == KEYS for check in checks)
    for word, ok in (("passed", True), ("failed", False), ("skipped", None)):
        assert summary[word] == sum(check["ok"] is ok for check in checks)
    return checks, summary


def test_everything_of_this_machine_passes(
    tmp_path: Path, opencl_devices: tuple[OpenClDevice, ...]
) -> None:
    done = selftest(tmp_path, "--json", "--seed", "7")
    assert done.returncode == 0, done.stdout + done.stderr
    checks, summary = lines(done.stdout)
    assert summary["failed"] == 0
    assert summary["seed"] == 7
    assert summary["seconds"] > 0
    passed = [check for check in checks if check["ok"]]
    subjects = {check["subject"] for check in passed}
    native = {f"cpu {variant.name}" for variant in usable_variants()}
    assert native | {"hashlib", "simulated hashlib", "simulated native"} <= subjects
    assert {device.device_id for device in opencl_devices} == {
        subject.partition(" ")[0] for subject in subjects if subject.startswith("opencl")
    }
    for subject in subjects - {"bitcoin", "protocol"}:
        assert sum(check["subject"] == subject for check in passed) == KERNEL_CHECKS
    details = [check["detail"] for check in passed]
    assert any("413567 (2016)" in detail for detail in details)
    assert any("seed 7" in detail for detail in details)


def test_broken_kernels_are_all_found_out_and_end_with_status_1(
    tmp_path: Path, opencl_devices: tuple[OpenClDevice, ...]
) -> None:
    done = selftest(tmp_path, "--break-kernel", "--json")
    assert done.returncode == 1, done.stderr
    checks, summary = lines(done.stdout)
    kernels = [c for c in checks if c["subject"] not in ("bitcoin", "protocol")]
    searches = [check for check in kernels if check["check"] != "build"]
    assert all(check["ok"] is False for check in searches)
    assert summary["failed"] == len(searches)
    assert {check["subject"].partition(" ")[0] for check in searches} == {
        "cpu",
        *(device.device_id for device in opencl_devices),
    }
    native = {check["subject"] for check in searches if check["subject"].startswith("cpu ")}
    assert native == {f"cpu {variant.name}" for variant in usable_variants()}


def test_lines_for_people_end_with_a_count(tmp_path: Path) -> None:
    done = selftest(tmp_path, "--device", "simulated")
    assert done.returncode == 0, done.stderr
    *checks, summary = done.stdout.splitlines()
    assert all(line.startswith(("ok ", "skipped ")) for line in checks)
    assert summary.startswith(f"{len(checks)} passed, 0 failed, 0 skipped in ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--device", "gpu"], "there is no back end 'gpu'"),
        (["--device", "opencl:99"], "a chosen device is not there"),
        (["--device", "simulated?fault=wrong"], "leave out what is behind the ?"),
        (["--device", "simulated", "--break-kernel"], "no kernel to break"),
    ],
)
def test_what_cannot_be_tested_ends_with_status_2(
    tmp_path: Path, arguments: list[str], words: str
) -> None:
    done = selftest(tmp_path, *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_help_says_that_breaking_kernels_is_a_demonstration(tmp_path: Path) -> None:
    done = selftest(tmp_path, "--help")
    assert done.returncode == 0
    assert "the self-test can fail" in " ".join(done.stdout.split())
