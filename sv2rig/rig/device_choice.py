"""Devices as people name them: "opencl:0", "cpu", "simulated?rate=2M&fault=hang&after=10"."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from sv2rig.compute.simulated import DEFAULT_RATE_HS, Behaviour, Fault

BACKENDS = ("opencl", "cpu", "simulated")
_MULTIPLIERS = {"k": 1e3, "M": 1e6, "G": 1e9}


class DeviceChoiceError(Exception):
    """A device that is not there, or a name that means none; the text says what there is."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A device's name taken apart. `index` None: every device of the back end."""

    backend: str
    index: int | None = None
    options: dict[str, str] = field(default_factory=dict)


def parse_choice(text: str) -> Choice:
    """A device's name; DeviceChoiceError in words."""
    name, _, query = text.partition("?")
    backend, _, index = name.partition(":")
    if backend not in BACKENDS:
        raise DeviceChoiceError(
            f"--device {text!r}: there is no back end {backend!r}; there are "
            f"{', '.join(BACKENDS)}, and `sv2rig devices` lists what works here"
        )
    if index and not index.isdigit():
        raise DeviceChoiceError(f"--device {text!r}: {index!r} is no number, as 0 in {backend}:0")
    if index and int(index) and backend != "opencl":
        raise DeviceChoiceError(f"--device {text!r}: {backend} has no numbers, write {backend}")
    options = dict(parse_qsl(query, keep_blank_values=True))
    if options and backend != "simulated":
        raise DeviceChoiceError(f"--device {text!r}: only simulated devices take options")
    return Choice(backend, int(index) if index else None, options)


def behaviour(options: dict[str, str]) -> Behaviour:
    """What a simulated device is told behind its "?"; DeviceChoiceError for what it cannot do."""
    unknown = ", ".join(sorted(options.keys() - {"rate", "fault", "after", "seed"}))
    if unknown:
        raise DeviceChoiceError(
            f"a simulated device knows rate, fault, after and seed, not {unknown}"
        )
    try:
        return Behaviour(
            rate_hs=_quantity(options["rate"]) if "rate" in options else DEFAULT_RATE_HS,
            fault=Fault(options["fault"]) if "fault" in options else None,
            fault_after_s=float(options.get("after", 0)),
            seed=int(options.get("seed", 0)),
        )
    except ValueError as error:
        known = ", ".join(Fault)
        raise DeviceChoiceError(f"simulated device: {error} (faults: {known})") from error


def _quantity(text: str) -> float:
    multiplier = _MULTIPLIERS.get(text[-1:])
    return float(text[:-1]) * multiplier if multiplier else float(text)
