"""How a state looks: a mark, a role that a theme gives a colour, and always the word itself."""

from __future__ import annotations

from sv2rig.rig.snapshot import DeviceSnapshot

# Roles: names that stand where a style stands, until themes.Palette turns them into colours.
GOOD, CALM, WARN, BAD, DIM = "good", "calm", "warn", "bad", "dim"

_LOOKS = {
    **dict.fromkeys(("MINING",), ("●", GOOD)),
    **dict.fromkeys(("INIT", "READY", "CONNECTING", "STARTING", "STOPPING"), ("○", CALM)),
    **dict.fromkeys(("IDLE", "STANDBY", "PAUSED"), ("○", CALM)),
    **dict.fromkeys(("OFF", "DISABLED"), ("–", DIM)),
    **dict.fromkeys(("DEAD", "LOST", "CLOSED", "FAILED", "DOWN", "REFUSED"), ("✖", BAD)),
}
_GONE = ("DEAD", "LOST")


def look(state: str) -> tuple[str, str]:
    """Mark and role. A state that this screen does not know is shown as one to look at."""
    return _LOOKS.get(state.upper(), ("▲", WARN))


def word(device: DeviceSnapshot) -> str:
    """Its state, or what the user made of it."""
    if device.state in _GONE:
        return device.state
    if not device.enabled:
        return "OFF"
    return "PAUSED" if device.paused else device.state


def device_look(device: DeviceSnapshot) -> tuple[str, str]:
    return ("▲", WARN) if is_flat(device) else look(word(device))


def is_flat(device: DeviceSnapshot) -> bool:
    """It says that it mines and no hashes arrive."""
    return word(device) == "MINING" and device.hashrate_hs == 0


def is_hot(device: DeviceSnapshot) -> bool:
    heat, limit = device.temperature_c, device.hot_c
    return heat is not None and limit is not None and heat >= limit


def is_troubled(device: DeviceSnapshot) -> bool:
    """Somebody should look at it: what the user wanted so is no trouble."""
    calm = ("MINING", "READY", "INIT", "PAUSED", "OFF")
    return is_flat(device) or is_hot(device) or word(device) not in calm
