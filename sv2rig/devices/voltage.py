"""How far a board's voltage may go."""

from __future__ import annotations

MAXIMUM_SETTING = "core_voltage_max_v"


class VoltageError(ValueError):
    """A voltage above what this board is allowed, or a limit that makes no sense."""


def voltage_limit(default_v: float, maximum_v: float | None) -> float:
    """The highest voltage allowed: the profile's default, unless the user has set another maximum
    for this one device."""
    if maximum_v is None:
        return default_v
    if not 0 < maximum_v < 100:
        raise VoltageError(f"{MAXIMUM_SETTING} = {maximum_v:g} V is no voltage")
    return maximum_v


def check_voltage(wanted_v: float, default_v: float, maximum_v: float | None) -> float:
    """The wanted voltage; VoltageError where it is above the limit."""
    limit = voltage_limit(default_v, maximum_v)
    if not wanted_v > 0:
        raise VoltageError(f"core voltage {wanted_v:g} V is no voltage")
    if wanted_v <= limit:
        return wanted_v
    if maximum_v is None:
        words = f"this board's default of {default_v:g} V; to allow more, set {MAXIMUM_SETTING}"
    else:
        words = f"{MAXIMUM_SETTING} = {maximum_v:g} V, which you have set"
    raise VoltageError(f"core voltage {wanted_v:g} V is above {words} for this device")
