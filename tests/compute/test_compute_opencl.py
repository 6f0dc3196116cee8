"""Probing and tuning: broken runtimes and broken caches cost a sentence, not the process."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from sv2rig.compute import autotune
from sv2rig.compute.autotune import candidates, measure, tuned_engine
from sv2rig.compute.engine import EngineError
from sv2rig.compute.known_answers import questions, wrong_answers
from sv2rig.compute.opencl import OpenClContext, OpenClEngine, Styles
from sv2rig.compute.opencl_probe import DeviceKind, OpenClDevice, probe
from sv2rig.kernels.opencl import Logic, Style

QUICK = Style(4, 2, 8, Logic.SELECT)


def test_a_device_that_works_is_described(opencl_devices: tuple[OpenClDevice, ...]) -> None:
    assert opencl_devices, "the project installs an OpenCL runtime: is `ld` (binutils) missing?"
    for index, device in enumerate(opencl_devices):
        assert device.device_id == f"opencl:{index}"
        assert device.name
        assert device.driver_version
        assert device.compute_units >= 1


def test_without_a_linker_pocl_is_named_with_its_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PoCL aborts the whole process then: only the probe's own may die."""
    monkeypatch.setenv("PATH", str(tmp_path))
    found = probe()
    assert "PoCL cannot link kernels: `ld` is missing; install binutils" in found.problems
    assert not [device for device in found.devices if "Portable" in device.platform]


def test_without_any_platform_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCL_ICD_VENDORS", os.devnull)
    found = probe()
    assert found.devices == ()
    assert "no platform found" in found.problems[0]


def test_a_device_that_went_away_is_an_engine_error(
    opencl_devices: tuple[OpenClDevice, ...],
) -> None:
    gone = replace(opencl_devices[0], device_index=99)
    with pytest.raises(EngineError, match="opencl:0 cannot be opened"):
        OpenClContext(gone)


def test_several_vectors_an_item_and_select_logic_answer_right(
    opencl_devices: tuple[OpenClDevice, ...],
) -> None:
    engine = OpenClEngine(OpenClContext(opencl_devices[0]), Styles(QUICK, QUICK))
    assert list(wrong_answers(engine)) == []
    engine.close()


def test_a_launch_is_queued_while_another_runs(opencl_devices: tuple[OpenClDevice, ...]) -> None:
    """An event that is dropped too early makes the second wait, with Python's lock held."""
    engine = OpenClEngine(OpenClContext(opencl_devices[0]), Styles(QUICK, QUICK))
    loaded = engine.load(replace(questions()[0].work, ticket=0))
    speed = measure(engine, loaded, 0.02)
    half_a_second = int(speed / len(loaded.versions) / 2)
    began = time.monotonic()
    launches = [engine.launch(loaded, 0, 0, half_a_second) for _ in range(2)]
    queued = time.monotonic()
    for launch in launches:
        launch.collect()
    assert queued - began < (time.monotonic() - queued) / 4
    engine.close()


def test_gpu_candidates_are_distinct_and_start_with_scalars() -> None:
    gpu = OpenClDevice("opencl:0", "p", 0, 0, "g", "1", DeviceKind.GPU, 100)
    styles = candidates(gpu)
    assert len({style.name for style in styles}) == len(styles)
    assert styles[0].lanes == 1


def test_tuning_drops_what_does_not_build_and_remembers_the_rest(
    opencl_devices: tuple[OpenClDevice, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []
    unbuildable = Style(2, 1, 8, Logic.TERNARY)  # the builtin takes 16 lanes only

    def few(device: OpenClDevice) -> list[Style]:
        tried.append(device.device_id)
        return [unbuildable, QUICK]

    monkeypatch.setattr(autotune, "candidates", few)
    cache = tmp_path / "deep" / "autotune.json"
    with structlog.testing.capture_logs() as logs:
        engine = tuned_engine(opencl_devices[0], cache)
    assert engine.info.variant == QUICK.name
    dropped = [entry for entry in logs if entry["event"] == "kernel dropped"]
    assert [entry["style"] for entry in dropped] == [unbuildable.name]
    engine.close()

    tried.clear()
    again = tuned_engine(opencl_devices[0], cache)
    assert again.info.variant == QUICK.name
    assert len(tried) == 1  # for the key; tuning would ask again
    speed = measure(again, again.load(replace(questions()[0].work, ticket=0)), 0.02)
    assert speed > 1e5
    again.close()


def test_a_corrupt_cache_is_ignored(
    opencl_devices: tuple[OpenClDevice, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(autotune, "candidates", lambda device: [QUICK])
    cache = tmp_path / "autotune.json"
    for corrupt in (b"\x00\xff", b"[]", b'{"x": {"one": 1}}'):
        cache.write_bytes(corrupt)
        engine = tuned_engine(opencl_devices[0], cache)
        assert engine.info.variant == QUICK.name
        engine.close()


def test_a_device_on_which_nothing_works_says_why(
    opencl_devices: tuple[OpenClDevice, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Style(2, 1, 8, Logic.TERNARY)
    monkeypatch.setattr(autotune, "candidates", lambda device: [broken])
    with pytest.raises(EngineError, match=r"no kernel works on .*uint2-ternary"):
        tuned_engine(opencl_devices[0], tmp_path / "autotune.json")
