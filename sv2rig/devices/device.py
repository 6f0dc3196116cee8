"""The device abstraction: what the rig can say to any device and what any device says back.

Two shapes, no more. A *push* device has one Work in flight and the host pushes the next (kernels,
Icarus, FPGA); a *table* device holds many by id (BM13xx). Threads end at the device: a device may
run any threads it likes, and calls its sink only on the event loop's thread.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, runtime_checkable

from sv2rig.devices.work import Solution, Work


class Shape(StrEnum):
    """How work reaches a device."""

    PUSH = "push"
    TABLE = "table"


class DeviceState(StrEnum):
    """The life of a device; each change carries a reason and a time."""

    INIT = "INIT"
    READY = "READY"
    MINING = "MINING"
    THROTTLED = "THROTTLED"
    COOLDOWN = "COOLDOWN"
    SICK = "SICK"
    RESETTING = "RESETTING"
    DEAD = "DEAD"
    LOST = "LOST"


@dataclass(frozen=True, slots=True)
class Setting:
    """A settable knob, published so that every front end refuses with the same words."""

    name: str
    unit: str
    minimum: float
    maximum: float
    default: float
    help: str

    def check(self, value: float) -> float:
        """The value, or ValueError saying what is allowed."""
        if not self.minimum <= value <= self.maximum:
            raise ValueError(
                f"{self.name} = {value:g} {self.unit} is out of range: "
                f"{self.minimum:g} to {self.maximum:g} {self.unit}, default {self.default:g}"
            )
        return value


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a device searches by itself within one Work.

    `version_bits`: how many version bits it likes to roll (0: none; 3: eight midstates).
    `ntime_rolls`: whether it accepts Work with ntime_count above 1. `nonce_ranges`: whether it can
    search a part of the nonces; a device that cannot gets all 2**32 in every Work. `ticket`: the
    highest hash (little-endian integer) that its hardware reports, where that cannot be set.
    """

    shape: Shape = Shape.PUSH
    version_bits: int = 0
    ntime_rolls: bool = False
    nonce_ranges: bool = True
    ticket: int | None = None


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """Who a device is. `device_id` is like "opencl:0"; `variant` names the kernel in use.

    `rated_hs`: the hash rate expected of it, where that is known before it has hashed; its rate is
    then what its proved solutions show, not a counter of its own. `emulated`: it is no hardware.
    `port`: where it is plugged in. `hot_c`: the temperature from which it is throttled.
    """

    device_id: str
    backend: str
    name: str
    capabilities: Capabilities = field(default_factory=Capabilities)
    variant: str | None = None
    settings: tuple[Setting, ...] = ()
    rated_hs: float | None = None
    emulated: bool = False
    port: str | None = None
    hot_c: float | None = None


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Readings; None where the hardware does not say. `counted_hs`: the hash rate by the
    hardware's own counters."""

    temperature_c: float | None = None
    fan_percent: float | None = None
    power_w: float | None = None
    counted_hs: float | None = None
    fan_rpm: float | None = None


class DeviceSink(Protocol):
    """Where a device reports; every method is called on the event loop's thread."""

    def solutions(self, device_id: str, found: Sequence[Solution]) -> None:
        """A batch of candidate nonces."""

    def exhausted(self, device_id: str, work_id: int) -> None:
        """The Work's whole space is searched or about to be: more work is wanted."""

    def state_changed(self, device_id: str, state: DeviceState, reason: str) -> None:
        """A new state, with its reason in words a person can act on. A device that is LOST has
        freed all it held and reports nothing more."""

    def comm_error(self, device_id: str, text: str) -> None:
        """Bytes from the device that were no answer of its: damaged, or out of step."""


class Device(Protocol):
    """One thing that hashes. All methods return at once unless they say otherwise."""

    @property
    def info(self) -> DeviceInfo: ...

    def start(self, sink: DeviceSink) -> None:
        """Begin to accept work; called on the event loop's thread."""

    def assign(self, work: Work | None) -> None:
        """Search this Work instead of the present one, at once (latest wins); None: idle."""

    def hashes_done(self) -> int:
        """Hashes computed since start (monotonic; safe from any thread)."""

    def telemetry(self) -> Telemetry:
        """The latest readings, never blocking."""

    def stop(self) -> None:
        """Stop hashing and free everything; blocks 1 s at most. Safe to call twice."""


@runtime_checkable
class Adjustable(Protocol):
    """A device whose `info.settings` can be set while it runs."""

    def setting(self, name: str) -> float:
        """What is set now, of a name in `info.settings`."""

    def adjust(self, name: str, value: float) -> None:
        """Takes effect soon; ValueError says what is allowed."""


@runtime_checkable
class Recalling(Protocol):
    """An Adjustable that has a later word than a setting of an earlier life: it tuned itself."""

    def recall(self, name: str, value: float) -> None:
        """As adjust, before it starts; what was found since then stands above it."""


@runtime_checkable
class Identifiable(Protocol):
    """A device that can show where it is, as by a blinking light."""

    def identify(self) -> Awaitable[None] | None:
        """Shows itself for some seconds."""


@runtime_checkable
class Tunable(Protocol):
    """A device that can look for its best frequency by itself."""

    def tune(self, goal: str, limits: Mapping[str, float]) -> None:
        """Begins to look for the most "hashrate" or the best "efficiency" within limits by name,
        as maximum_temperature_c; ValueError says why it cannot."""


class ResetRefusedError(Exception):
    """A device cannot be reset, and why."""


@runtime_checkable
class Resettable(Protocol):
    """A device that can start anew by itself."""

    def reset(self) -> None:
        """Begins, from any state: what it was stopped for is forgiven. ResetRefusedError says why
        it cannot."""


@runtime_checkable
class Renewable(Protocol):
    """A device that is bound to no plug: another of the same id can follow it."""

    def anew(self) -> Device | None:
        """The same device with the same settings once more, not started; None while the present
        one has not ended after its stop()."""


@runtime_checkable
class EndsLater(Protocol):
    """A device whose stop() only begins its end: a board that has to cool first."""

    async def stopped(self) -> None:
        """Returns when it may be left alone."""
