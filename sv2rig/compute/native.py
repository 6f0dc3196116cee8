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
from sv2rig.kernels.llvm import VectorUnit, scan_source
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
    """One way to use the CPU. `cpu` "" is this one; `features` switches on or off, as LLVM has it.

    `needs` are features without which the code cannot run.
    """

    name: str
    unit: VectorUnit
    needs: tuple[str, ...] = ()
    cpu: str = ""
    features: str = ""


# LLVM prefers 256-bit vectors on most CPUs with AVX-512: a quarter slower here.
_NO_AVX512 = ",-avx512f,-evex512"
VARIANTS = (
    NativeVariant("avx512", VectorUnit(16, True), ("avx512f",), features=",-prefer-256-bit"),
    NativeVariant("avx2", VectorUnit(8, False), ("avx2",), features=_NO_AVX512),
    NativeVariant("vector4", VectorUnit(4, False), features=_NO_AVX512),
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


def build_scan(program: Program, variant: NativeVariant, several: bool) -> NativeScan:
    """Compiles for one midstate or several: a tenth of a second. EngineError if LLVM refuses."""
    source = scan_source(program, variant.unit, several)
    try:
        with _building:
            _set_up()
            module = llvm.parse_assembly(source)
            machine = llvm.Target.from_default_triple().create_target_machine(
                cpu=variant.cpu or llvm.get_host_cpu_name(),
                features=llvm.get_host_cpu_features().flatten() + variant.features,
                opt=3,
                codemodel="default",  # the JIT's own default loads addresses of 64 bits
            )
            engine = llvm.create_mcjit_compiler(module, machine)
            engine.finalize_object()
    except (RuntimeError, OSError) as error:
        raise EngineError(f"LLVM cannot make {variant.name} code for this CPU: {error}") from error
    return NativeScan(engine, variant.unit.lanes)
