"""Settings and fixtures for every test."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from sv2rig.compute.engine import Engine
from sv2rig.compute.hashlib_engine import HashlibEngine
from sv2rig.compute.native import usable_variants
from sv2rig.compute.opencl_probe import OpenClDevice, probe
from sv2rig.compute.variants import variants

# No deadline: tests share their cores, and speed is measured in bench/. In CI the examples are
# always the same, so that a red run is a change's doing; elsewhere they are fresh.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


# OpenCL is probed once a session, and each engine built once: kernels take seconds to compile.


@pytest.fixture(scope="session")
def opencl_devices() -> tuple[OpenClDevice, ...]:
    return probe().devices


@pytest.fixture(scope="session")
def judge() -> Iterator[HashlibEngine]:
    engine = HashlibEngine()
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def engines(opencl_devices: tuple[OpenClDevice, ...]) -> Iterator[dict[str, Engine]]:
    """Every engine of this machine by its name; OpenCL devices with their first style only."""
    built: dict[str, Engine] = {}
    seen: set[str] = set()
    for variant in variants(opencl_devices):
        backend = variant.name.partition(" ")[0]
        if not (backend.startswith("opencl") and backend in seen):
            built[variant.name] = variant.factory()
        seen.add(backend)
    assert len(built) > len(usable_variants())
    yield built
    for engine in built.values():
        engine.close()
