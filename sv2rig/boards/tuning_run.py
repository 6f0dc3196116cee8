"""A search for one board's best frequency while it mines, and the record that it goes on from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sv2rig.devices.device import Setting, Telemetry
from sv2rig.devices.tuning import Tuner
from sv2rig.devices.tuning_points import NoPowerReadingError, TuningError, TuningLimits

STEP_MHZ = 25.0
# What a person may limit, and its name in TuningLimits.
LIMITS = {
    "minimum_mhz": "lowest_mhz",
    "maximum_mhz": "highest_mhz",
    "start_mhz": "start_mhz",
    "step_mhz": "step_mhz",
    "maximum_temperature_c": "highest_c",
    "maximum_power_w": "highest_power_w",
    "error_ratio": "error_ratio",
    "samples": "samples",
    "measure_s": "measure_s",
    "longest_s": "longest_s",
    "settle_s": "settle_s",
}


def tuning_limits(setting: Setting, now_mhz: float, named: Mapping[str, float]) -> TuningLimits:
    """From `now_mhz`, within the setting's range and what the user set; TuningError says what
    cannot be."""
    unknown = ", ".join(sorted(named.keys() - LIMITS.keys()))
    if unknown:
        raise TuningError(
            f"no limit of a tuning is called {unknown}; there are {', '.join(LIMITS)}"
        )
    given: dict[str, Any] = {LIMITS[name]: value for name, value in named.items()}
    if "samples" in given:
        given["samples"] = int(given["samples"])
    limits = {
        "lowest_mhz": setting.minimum,
        "highest_mhz": setting.maximum,
        "start_mhz": now_mhz,
        "step_mhz": STEP_MHZ,
    } | given
    limits["lowest_mhz"] = max(limits["lowest_mhz"], setting.minimum)
    limits["highest_mhz"] = min(limits["highest_mhz"], setting.maximum)
    if "start_mhz" not in given:  # what it runs at may be outside what is allowed now
        within = min(limits["start_mhz"], limits["highest_mhz"])
        limits["start_mhz"] = max(within, limits["lowest_mhz"])
    return TuningLimits(**limits)


class TuningRun:
    """Feed it nonces and, once a second, `second`; it says when its `mhz` has changed.

    A point is measured only while the board has work and runs at its full clock.
    """

    def __init__(self, tuner: Tuner, named: Mapping[str, float]) -> None:
        self.tuner = tuner
        self.trouble: str | None = None  # why it ended without a result
        self.is_measuring = False
        self._named = dict(named)
        self._faults = 0

    @property
    def done(self) -> bool:
        return self.trouble is not None or self.tuner.done

    @property
    def mhz(self) -> float:
        """What to run at now."""
        return self.tuner.mhz

    @property
    def chosen_mhz(self) -> float:
        """At the end: the best, or where it began if none was stable."""
        best = self.tuner.best
        return self.tuner.limits.start_mhz if best is None else best.mhz

    def record(self) -> dict[str, object]:
        """As plain values: what was asked and found, whether it is done, whether it goes on by
        itself when the board is back, and what to run at if it is done."""
        limits = {**self._named, "start_mhz": self.tuner.limits.start_mhz}
        state = self.tuner.state()
        return {
            "goal": str(self.tuner.goal),
            "limits": limits,
            "state": state,
            "done": self.done,
            "active": not self.done,
            "chosen_mhz": self.chosen_mhz if self.done else None,
        }

    def words(self) -> str:
        """The result for a person."""
        if self.trouble is not None:
            return f"tuning ended: {self.trouble}"
        best = self.tuner.best
        if best is None:
            return f"tuned: no frequency was stable; back at {self.chosen_mhz:g} MHz"
        found = f"tuned for {self.tuner.goal}: {best.mhz:g} MHz, {best.rate_hs / 1e9:.1f} GH/s"
        joules = best.joules_per_terahash
        return found if joules is None else f"{found}, {joules:.2f} J/TH"

    def nonce(self, now: float, valid: bool) -> None:
        if self.is_measuring:
            self.tuner.nonce(now, valid)

    def measure(self, now: float, hashes_per_nonce: float, faults: int) -> None:
        """`mhz` is set, and the board works. `faults`: how many it has had ever."""
        self.tuner.begin(now, hashes_per_nonce)
        self.is_measuring = True
        self._faults = faults

    def pause(self) -> None:
        """There is nothing to measure with: this point begins again later."""
        self.is_measuring = False

    def second(self, now: float, telemetry: Telemetry, heat_factor: float, faults: int) -> bool:
        """Whether the point at hand is over: then `mhz` is to be set, and `record` kept."""
        if not self.is_measuring:
            return False
        before = len(self.tuner.points)
        self.tuner.reading(now, telemetry.power_w, telemetry.temperature_c)
        if faults != self._faults:
            self.tuner.unstable(now, "it failed and was reset")
        elif heat_factor < 1:
            self.tuner.unstable(now, f"too hot: throttled to {heat_factor:.0%}")
        else:
            try:
                self.tuner.on_time(now)
            except NoPowerReadingError as error:
                self.trouble = str(error)
                self.is_measuring = False
                return True
        if len(self.tuner.points) == before:
            return False
        self.is_measuring = False
        return True
