"""Every engine that can be built on this machine, for the self-test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from sv2rig.bitcoin.sha256 import K
from sv2rig.compute.autotune import candidates
from sv2rig.compute.cpu import CpuEngine
from sv2rig.compute.engine import EngineFactory
from sv2rig.compute.hashlib_engine import HashlibEngine
from sv2rig.compute.native import usable_variants
from sv2rig.compute.opencl import OpenClContext, OpenClEngine, Styles
from sv2rig.compute.opencl_probe import OpenClDevice
from sv2rig.kernels.opencl import Style
from sv2rig.kernels.program import Program, search_program


@dataclass(frozen=True, slots=True)
class Variant:
    """An engine by name, like "cpu avx512" or "opencl:0 uint16-plain-v1-l16"; made when called."""

    name: str
    factory: EngineFactory


def variants(devices: tuple[OpenClDevice, ...], corrupt: bool = False) -> Iterator[Variant]:
    """The native variants, each OpenCL device's candidates, and hashlib.

    `corrupt` gives those with kernels a wrong round constant: a self-test that passes then is
    worth nothing.
    """
    program = wrong_program() if corrupt else search_program()
    for native in usable_variants():
        yield Variant(f"cpu {native.name}", partial(CpuEngine, variant=native, program=program))
    for device in devices:
        for style in candidates(device):
            factory = partial(_opencl_engine, device, style, program)
            yield Variant(f"{device.device_id} {style.name}", factory)
    if not corrupt:
        yield Variant("hashlib", HashlibEngine)


def wrong_program() -> Program:
    """The search with one bit of one round constant changed."""
    return search_program((*K[:40], K[40] ^ 1, *K[41:]))


def _opencl_engine(device: OpenClDevice, style: Style, program: Program) -> OpenClEngine:
    return OpenClEngine(OpenClContext(device), Styles(style, style), program)
