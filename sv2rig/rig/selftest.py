"""The self-test: every engine of this machine, the protocol and Bitcoin's formats, against answers
that are known from outside.

What cannot run here (an instruction set, an OpenCL runtime, one style of kernel) is skipped with
the reason. A device of which not one variant can be built has failed.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from sv2rig.compute.engine import Engine, EngineError, EngineFactory
from sv2rig.compute.native import VARIANTS, host_features
from sv2rig.compute.opencl_probe import OpenClDevice, Probe, probe
from sv2rig.compute.simulated import HASHLIB_LIMIT_HS, Behaviour, SimulatedEngine, ThermalModel
from sv2rig.compute.variants import variants
from sv2rig.rig.bitcoin_checks import bitcoin_checks
from sv2rig.rig.check import Outcome, carry_out
from sv2rig.rig.device_choice import Choice, DeviceChoiceError
from sv2rig.rig.kernel_checks import FAST, SLOW, Reach, engine_checks
from sv2rig.rig.protocol_checks import protocol_checks

_UNHURRIED_HS = 1e12  # a simulated board's rate at which it holds nothing back


@dataclass(frozen=True, slots=True)
class Subject:
    """An engine to test, by name; the name's first word is the device."""

    name: str
    factory: EngineFactory
    reach: Reach = FAST

    @property
    def device(self) -> str:
        return self.name.partition(" ")[0]


def fresh_seed() -> int:
    """A seed for random headers that no earlier run had."""
    return secrets.randbelow(1 << 32)


@dataclass(slots=True)
class Tally:
    """How many checks ended in which way."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def count(self, outcome: Outcome) -> None:
        match outcome.ok:
            case None:
                self.skipped += 1
            case True:
                self.passed += 1
            case False:
                self.failed += 1


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What to test: no `choices` means every device, unless `only_chosen`. `seed` makes the fresh
    random headers.

    `break_kernel` gives every kernel a wrong round constant: a self-test that passes then is
    worth nothing.
    """

    choices: Sequence[Choice]
    seed: int
    break_kernel: bool = False
    only_chosen: bool = False
    find_opencl: Callable[[], Probe] = probe

    def run(self) -> Iterator[Outcome]:
        """Outcomes as they come. DeviceChoiceError where what is chosen cannot be tested."""
        self._check_choices()
        found = self.find_opencl() if self._wants("opencl") else Probe((), ())
        devices = self._chosen(found)
        yield from map(carry_out, bitcoin_checks())
        yield from map(carry_out, protocol_checks())
        if self._wants("cpu"):
            yield from missing_instruction_sets()
        yield from engine_outcomes(self._subjects(devices), self.seed)
        if self._wants("opencl"):
            yield from missing_runtimes(found)

    def _subjects(self, devices: tuple[OpenClDevice, ...]) -> Iterator[Subject]:
        for variant in variants(devices, self.break_kernel):
            reach = SLOW if variant.name == "hashlib" else FAST
            subject = Subject(variant.name, variant.factory, reach)
            if subject.device.startswith("opencl:") or self._wants("cpu"):
                yield subject
        if self._wants("simulated") and not self.break_kernel:
            yield from simulated_boards()

    def _check_choices(self) -> None:
        """What would pass without a test of what was asked for is refused."""
        if any(choice.options for choice in self.choices):
            raise DeviceChoiceError(
                "the self-test makes its own simulated boards: leave out what is behind the ?"
            )
        if self.break_kernel and not (self._wants("cpu") or self._wants("opencl")):
            raise DeviceChoiceError("simulated boards have no kernel to break: add cpu or opencl")

    def _wants(self, backend: str) -> bool:
        if not self.choices:
            return not self.only_chosen
        return any(choice.backend == backend for choice in self.choices)

    def _chosen(self, found: Probe) -> tuple[OpenClDevice, ...]:
        """Those of the devices that the choices name."""
        indexes = {choice.index for choice in self.choices if choice.backend == "opencl"}
        if not indexes:
            return found.devices
        there = range(len(found.devices))
        if not there or any(index not in there for index in indexes - {None}):
            works = ", ".join(device.device_id for device in found.devices) or "none"
            why = "".join(f"; {problem}" for problem in found.problems)
            raise DeviceChoiceError(
                f"a chosen device is not there; OpenCL devices that work: {works}{why}"
            )
        return tuple(found.devices[index] for index in there if indexes & {index, None})


def engine_outcomes(subjects: Iterable[Subject], seed: int) -> Iterator[Outcome]:
    """Each engine is built, checked and closed; subjects of one device follow each other."""
    for device, group in groupby(subjects, lambda subject: subject.device):
        buildable = False
        for subject in group:
            engine, outcome = _build(subject)
            buildable = buildable or outcome.ok is not None
            yield outcome
            if engine is not None:
                yield from _checked(engine, subject, seed)
        if not buildable:
            yield Outcome("build", device, False, "not one variant can be built, see above")


def _build(subject: Subject) -> tuple[Engine | None, Outcome]:
    began = time.perf_counter()
    engine: Engine | None = None
    try:
        engine = subject.factory()
        ok, detail = True, engine.info.name
    except EngineError as error:
        ok, detail = None, str(error)
    except Exception as error:  # not what an engine may raise; the others are tested all the same
        ok, detail = False, f"{type(error).__name__}: {error}"
    seconds = round(time.perf_counter() - began, 3)
    return engine, Outcome("build", subject.name, ok, detail, seconds)


def _checked(engine: Engine, subject: Subject, seed: int) -> Iterator[Outcome]:
    try:
        yield from map(carry_out, engine_checks(engine, subject.name, subject.reach, seed))
    finally:
        engine.close()


def missing_instruction_sets() -> Iterator[Outcome]:
    """The native variants that this CPU cannot run."""
    for variant in VARIANTS:
        if lacking := sorted(set(variant.needs) - host_features()):
            reason = f"this CPU has no {', '.join(lacking)}"
            yield Outcome("build", f"cpu {variant.name}", None, reason)


def missing_runtimes(found: Probe) -> Iterator[Outcome]:
    """Why there is no OpenCL device, or not each that there could be."""
    for problem in found.problems:
        yield Outcome("build", "opencl", None, problem)
    if not found.devices and not found.problems:
        reason = "no OpenCL device found; install the OpenCL part of your card's driver"
        yield Outcome("build", "opencl", None, reason)


def simulated_boards() -> Iterator[Subject]:
    """One slow enough for hashlib, and one that needs native code."""

    def board(rate_hs: float) -> Engine:
        return SimulatedEngine(Behaviour(rate_hs), ThermalModel(time.monotonic()))

    yield Subject("simulated hashlib", lambda: board(HASHLIB_LIMIT_HS), SLOW)
    yield Subject("simulated native", lambda: board(_UNHURRIED_HS))
