"""How a state looks: a mark, a colour, and always the word itself."""

from __future__ import annotations

from sv2rig.rig.snapshot import DeviceSnapshot

GOOD = "#5fd787"
CALM = "#87afd7"
WARN = "#ffd75f"
BAD = "#ff6b6b"
DIM = "#8a8a8a"

_LOOKS = {
    **dict.fromkeys(("MINING",), ("●", GOOD)),
    **dict.fromkeys(("INIT", "READY", "CONNECTING", "STARTING", "STOPPING", "IDLE"), ("○", CALM)),
    **dict.fromkeys(("DEAD", "LOST", "CLOSED", "FAILED"), ("✗", BAD)),
}


def look(state: str) -> tuple[str, str]:
    """Mark and colour. A state that this screen does not know is shown as one to look at."""
    return _LOOKS.get(state.upper(), ("▲", WARN))


def is_flat(device: DeviceSnapshot) -> bool:
    """It says that it mines and no hashes arrive."""
    return device.state == "MINING" and device.hashrate_hs == 0


def is_troubled(device: DeviceSnapshot) -> bool:
    return is_flat(device) or device.state not in ("MINING", "READY", "INIT")
