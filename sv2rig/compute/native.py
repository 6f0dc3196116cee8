"""Search code for this machine's CPU, made by LLVM when asked for."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import llvmlite.binding as llvm

from sv2rig.compute.engine import EngineError
from sv2rig.kernels.llvm import Body, VectorBody, VectorUnit, scan_source
from sv2rig.kernels.llvm_sha import ShaBody, sha_words
from sv2rig.kernels.prepare import Prepare, preparation
from sv2rig.kernels.program import Program

_SCAN = ctypes.CFUNCTYPE(
    ctypes.c_uint32,
    ctypes.c_void_p,
    ctypes.c_uint32,
    ctypes.c_uint32,
    ctypes.c_uint32,
    ctypes.c_uint32,
    ctypes.c_void_p,
    ctypes.c_uint32,
)
_building = threading.Lock()  # LLVM's set-up and code generation are not for two threads at once


@cache
def _set_up() -> None:
    """LLVM's own reordering of these kernels costs 2 to 5 %: the program's order is kept."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.set_option("sv2rig", "-enable-misched=false")


@dataclass(frozen=True, slots=True)
class NativeVariant:
    """One way to use the CPU: with vectors, or (`unit` None) with its SHA extensions.

    `needs` are features without which the code cannot run; `features` switches others on or off,
    as LLVM has it.
    """

    name: str
    unit: VectorUnit | None
    needs: tuple[str, ...] = ()
    features: str = ""


# LLVM prefers 256-bit vectors on most CPUs with AVX-512: a quarter slower here.
_NO_AVX512 = ",-avx512f,-evex512"
VARIANTS = (
    NativeVariant("avx512", VectorUnit(16, True), ("avx512f",), ",-prefer-256-bit"),
    NativeVariant("sha", None, ("sha", "sse4.1"), _NO_AVX512),
    NativeVariant("avx2", VectorUnit(8, False), ("avx2",), _NO_AVX512),
    NativeVariant("vector4", VectorUnit(4, False), (), _NO_AVX512),
)


class NativeScan:
    """A compiled `scan`; `lanes` nonces a step. Calls release the GIL."""

    def __init__(self, engine: Any, lanes: int) -> None:
        self._engine = engine  # owns the code's memory
        self.lanes = lanes
        self.call: Callable[..., int] = _SCAN(engine.get_function_address("scan"))


@cache
def host_features() -> frozenset[str]:
    """What this CPU can do, in LLVM's words."""
    return frozenset(name for name, has in llvm.get_host_cpu_features().items() if has)


def usable_variants() -> list[NativeVariant]:
    """Variants that this CPU can run, the fastest first."""
    return [variant for variant in VARIANTS if host_features().issuperset(variant.needs)]


def native_preparation(program: Program, variant: NativeVariant) -> Prepare:
    """What makes the words that the variant's code reads."""
    return sha_words if variant.unit is None else preparation(program)


def build_scan(program: Program, variant: NativeVariant, several: bool) -> NativeScan:
    """Compiles for one midstate or several: a tenth of a second. EngineError if LLVM refuses."""
    body: Body = (
        ShaBody(program.constants, program.big_endian)
        if variant.unit is None
        else VectorBody(program, variant.unit, several)
    )
    source = scan_source(body, several)
    try:
        with _building:
            _set_up()
            module = llvm.parse_assembly(source)
            machine = llvm.Target.from_default_triple().create_target_machine(
                cpu=llvm.get_host_cpu_name(),
                features=llvm.get_host_cpu_features().flatten() + variant.features,
                opt=3,
                codemodel="default",  # the JIT's own default loads addresses of 64 bits
            )
            engine = llvm.create_mcjit_compiler(module, machine)
            engine.finalize_object()
    except (RuntimeError, OSError) as error:
        raise EngineError(f"LLVM cannot make {variant.name} code for this CPU: {error}") from error
    return NativeScan(engine, body.unit.lanes)
