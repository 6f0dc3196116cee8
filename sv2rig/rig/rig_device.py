"""What the rig knows of one of its devices beside what the device itself says."""

from __future__ import annotations

from sv2rig.devices.device import Device, DeviceInfo, DeviceSink, DeviceState, Telemetry
from sv2rig.devices.work import Work
from sv2rig.mining.hashrate import WINDOWS_S, HashMeter

SHORT_WINDOW_S, LONG_WINDOW_S, _ = WINDOWS_S
# A device that has work and computes nothing for so long hangs.
HANG_AFTER_S = 10.0


class RigDevice:
    """A device, its state with reason and time, and its measured hash rate."""

    def __init__(self, device: Device, utc: float) -> None:
        self.state = DeviceState.INIT
        self.reason = ""
        self.since = utc
        self._device = device
        self._meter = HashMeter()
        self._measured_hs: float | None = None
        self._has_work = False
        self._hashes = 0
        self._progress_at: float | None = None

    @property
    def info(self) -> DeviceInfo:
        return self._device.info

    @property
    def is_gone(self) -> bool:
        """Dead or unplugged: it gets no more work."""
        return self.state in (DeviceState.DEAD, DeviceState.LOST)

    @property
    def rate_hs(self) -> float | None:
        """The rate to plan with: a minute's mean, before that what was measured at the start."""
        rate = self._meter.rate(LONG_WINDOW_S)
        return self._measured_hs if rate is None else rate

    @property
    def current_hs(self) -> float | None:
        """The rate to show."""
        if self.is_gone:
            return None
        rate = self._meter.rate(SHORT_WINDOW_S)
        return self._measured_hs if rate is None else rate

    @property
    def is_idle(self) -> bool:
        """Without work, as while the pool is away."""
        return not self._has_work

    @property
    def minute_hs(self) -> float | None:
        """The mean of the last minute."""
        return self._meter.rate(LONG_WINDOW_S)

    def start(self, sink: DeviceSink) -> None:
        self._device.start(sink)

    def assign(self, work: Work | None) -> None:
        if (work is None) == self._has_work:  # rates are those of hashing, not of waiting
            rate = self._meter.rate(SHORT_WINDOW_S)
            if rate:  # newer than what was measured at the start
                self._measured_hs = rate
            self._meter.reset()
            self._progress_at = None
        self._has_work = work is not None
        self._device.assign(work)

    def measured(self, rate_hs: float) -> None:
        """What the first measurement showed."""
        self._measured_hs = rate_hs

    def hashes_done(self) -> int:
        return self._device.hashes_done()

    def telemetry(self) -> Telemetry:
        return self._device.telemetry()

    def stop(self) -> None:
        self._device.stop()

    def state_changed(self, state: DeviceState, reason: str, utc: float) -> None:
        if state is not self.state:
            self.since = utc
        self.state, self.reason = state, reason

    def measure(self, now: float) -> tuple[DeviceState, str] | None:
        """Read the counter; the new state and why, where the device begins or ends to hang."""
        if not self._has_work:
            return None
        hashes = self._device.hashes_done()
        self._meter.update(now, hashes)
        if hashes != self._hashes or self._progress_at is None:
            self._hashes, self._progress_at = hashes, now
            return (DeviceState.MINING, "hashes again") if self.state is DeviceState.SICK else None
        if now - self._progress_at > HANG_AFTER_S and self.state is not DeviceState.SICK:
            reason = f"has work but computed nothing for {HANG_AFTER_S:g} s: it hangs"
            return DeviceState.SICK, reason
        return None
