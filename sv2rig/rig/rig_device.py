"""What the rig knows of one of its devices beside what the device itself says."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sv2rig.devices.device import Device, DeviceInfo, DeviceSink, DeviceState, Telemetry
from sv2rig.devices.work import Solution, Work
from sv2rig.quota import LineQuota
from sv2rig.rig.device_rate import CountedRate, ProvedRate

# A device that has work and computes nothing for so long hangs.
HANG_AFTER_S = 10.0
# In these a device takes work; in all others it does not.
ABLE = (DeviceState.READY, DeviceState.MINING, DeviceState.THROTTLED)


class Reports:
    """A Device's way to its sink, which closes when the rig has done with that Device: another may
    have taken its id, and late words of the first must not be taken for the second's."""

    def __init__(self, sink: DeviceSink) -> None:
        self._sink: DeviceSink | None = sink

    def close(self) -> None:
        self._sink = None

    def solutions(self, device_id: str, found: Sequence[Solution]) -> None:
        if self._sink is not None:
            self._sink.solutions(device_id, found)

    def exhausted(self, device_id: str, work_id: int) -> None:
        if self._sink is not None:
            self._sink.exhausted(device_id, work_id)

    def state_changed(self, device_id: str, state: DeviceState, reason: str) -> None:
        if self._sink is not None:
            self._sink.state_changed(device_id, state, reason)

    def comm_error(self, device_id: str, text: str) -> None:
        if self._sink is not None:
            self._sink.comm_error(device_id, text)


class RigDevice:
    """A device, its state with reason and time, and its hash rate. `clock` is monotonic.

    A device with a rated hash rate has a supervisor of its own: its states say whether it can take
    work. Of any other the rig itself notices that it hangs, and measures its rate first
    (`is_measured`). `enabled` and `paused` are the user's wishes; `is_switching`: it is being
    started or stopped for such a wish.
    """

    def __init__(self, device: Device, utc: float, clock: Callable[[], float]) -> None:
        self.state = DeviceState.INIT
        self.reason = ""
        self.since = utc
        self.lines = LineQuota()
        self.is_supervised = device.info.rated_hs is not None
        self.is_measured = False
        self.enabled = True
        self.paused = False
        self.is_switching = False
        self._device = device
        self._reports: Reports | None = None
        self._hashes_told = 0
        self._counted = CountedRate()
        self._proved = ProvedRate(clock)
        self._has_work = False
        self._hashes = 0
        self._progress_at: float | None = None

    @property
    def device(self) -> Device:
        return self._device

    @property
    def info(self) -> DeviceInfo:
        return self._device.info

    @property
    def is_gone(self) -> bool:
        """Dead or unplugged: it gets no more work, unless it says that it is well again."""
        return self.state in (DeviceState.DEAD, DeviceState.LOST)

    @property
    def can_work(self) -> bool:
        """Whether it is to have work, as far as device and user are concerned."""
        if self.is_gone or self.paused or not self.enabled:
            return False
        return self.state in ABLE if self.is_supervised else self.is_measured

    @property
    def may_work_again(self) -> bool:
        """It may yet have work without being plugged in anew."""
        waits_for_user = not self.enabled or self.is_switching
        waits_for_user |= self.paused and not self.is_gone
        return waits_for_user or (self.is_supervised and self.state is not DeviceState.LOST)

    @property
    def rate_hs(self) -> float | None:
        """The rate to plan with."""
        if not self.is_supervised:
            return self._counted.planned_hs
        rated_hs = self._device.info.rated_hs
        return None if rated_hs is None else self._proved.planned_hs(rated_hs)

    @property
    def current_hs(self) -> float | None:
        """The rate to show."""
        if self.is_gone:
            return None
        return self._proved.shown_hs if self.is_supervised else self._counted.shown_hs

    @property
    def rate_error(self) -> float | None:
        """The relative standard deviation of a proved rate."""
        return self._proved.error if self.is_supervised and not self.is_gone else None

    @property
    def is_idle(self) -> bool:
        """Without work, as while the pool is away."""
        return not self._has_work

    @property
    def minute_hs(self) -> float | None:
        """The mean of the last minute."""
        return self._proved.minute_hs if self.is_supervised else self._counted.minute_hs

    def start(self, sink: DeviceSink) -> None:
        self._reports = Reports(sink)
        self._device.start(self._reports)

    def replaced_by(self, device: Device, utc: float, reason: str) -> None:
        """The same one is back, as a new Device that is to be started."""
        self.leave()
        self._device = device
        self.is_supervised = device.info.rated_hs is not None
        self.is_measured = False
        self._hashes_told = 0
        self.state_changed(DeviceState.INIT, reason, utc)

    def leave(self) -> None:
        """Nothing that this Device still says counts; it has no work to the rig's knowledge."""
        if self._reports is not None:
            self._reports.close()
        self._note_work(None)

    def assign(self, work: Work | None) -> None:
        self._note_work(work)
        self._device.assign(work)

    def _note_work(self, work: Work | None) -> None:
        if (work is None) == self._has_work:
            self._counted.begins_or_ends()
            (self._proved.begins if work is not None else self._proved.ends)()
            self._progress_at = None
        self._has_work = work is not None

    def measured(self, rate_hs: float) -> None:
        """What the first measurement showed."""
        self._counted.measured(rate_hs)

    def proved(self, ticket: int) -> None:
        """A valid solution of Work with this ticket."""
        if self.is_supervised:
            self._proved.proved(ticket)

    def hashes_done(self) -> int:
        return self._device.hashes_done()

    def more_hashes(self) -> int:
        """How many it did since the last call."""
        done = self._device.hashes_done()
        more, self._hashes_told = max(0, done - self._hashes_told), done
        return more

    def telemetry(self) -> Telemetry:
        return self._device.telemetry()

    def stop(self) -> None:
        self._device.stop()

    def state_changed(self, state: DeviceState, reason: str, utc: float) -> None:
        if state is not self.state:
            self.since = utc
        self.state, self.reason = state, reason
        if self.is_gone:
            self._note_work(None)

    def measure(self, now: float) -> tuple[DeviceState, str] | None:
        """Read the counter; the new state and why, where the device begins or ends to hang."""
        if not self._has_work or self.is_supervised:
            return None
        hashes = self._device.hashes_done()
        self._counted.update(now, hashes)
        if hashes != self._hashes or self._progress_at is None:
            self._hashes, self._progress_at = hashes, now
            return (DeviceState.MINING, "hashes again") if self.state is DeviceState.SICK else None
        if now - self._progress_at > HANG_AFTER_S and self.state is not DeviceState.SICK:
            reason = f"has work but computed nothing for {HANG_AFTER_S:g} s: it hangs"
            return DeviceState.SICK, reason
        return None
