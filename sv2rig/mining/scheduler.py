"""Which device searches what, and what its answers are worth. Pure: time is passed in, as monotonic
seconds; the caller hands the Assignments to the devices.

A device is bound to one channel: to its own (standard channels) or to the one that all share (an
extended channel).
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import TypeGuard

from sv2rig.bitcoin.target import target_for_rate
from sv2rig.devices.device import Capabilities
from sv2rig.devices.job_table import JobTable
from sv2rig.devices.work import Solution, Work
from sv2rig.mining.judgement import Judgement, Verdict, judge
from sv2rig.mining.search_space import Request, SearchSpace, Wait
from sv2rig.sv2.job import Job

VERSION_MASK = 0x1FFFE000  # what is rolled unless configured wider (BIP320); BIP323 has 0x1fffffe0
WORK_SECONDS = 20  # how long one Work keeps a device busy, as far as its space reaches
ASSUMED_HASHRATE_HS = 1e6  # for a device whose hash rate is not known yet
_USUAL_PER_MINUTE = 60
_MOST_PER_MINUTE = 50 * 60
_MISFIT = 4  # Work cut for a rate this many times too high or too low is replaced at once


@dataclass(frozen=True, slots=True)
class Assignment:
    """Tell this device to search this Work instead of what it has; None: idle."""

    device_id: str
    work: Work | None


@dataclass(slots=True)
class _Device:
    capabilities: Capabilities
    channel_id: int | None
    hashrate_hs: float = ASSUMED_HASHRATE_HS
    table: JobTable = field(default_factory=JobTable)
    work: Work | None = None
    cut_for_hs: float = ASSUMED_HASHRATE_HS
    wait_until: float = math.inf
    paused: bool = False
    searches_on: bool = False  # it has no Work that follows, but goes on with what it had


@dataclass(slots=True)
class _Channel:
    """Works with a lower id than `first_work_id` are stale: they come from an earlier previous
    hash, or from an earlier channel of the same id."""

    first_work_id: int
    job: Job | None = None


def ticket_for(job_target: int, hashrate_hs: float) -> int:
    """The ticket for a device: about one Solution a second, so that its hash rate can be checked;
    easier if the Job's target is, so that no share is missed, up to about 50 a second."""
    usual = target_for_rate(hashrate_hs, _USUAL_PER_MINUTE)
    return min(max(usual, job_target), target_for_rate(hashrate_hs, _MOST_PER_MINUTE))


def _is_rate(hashrate_hs: float | None) -> TypeGuard[float]:
    return hashrate_hs is not None and 0 < hashrate_hs < math.inf


class Scheduler:
    """Hands out Work and judges Solutions. Methods that can change what devices do return the
    Assignments to carry out, in order. KeyError for a device that was not added."""

    def __init__(self, version_mask: int = VERSION_MASK) -> None:
        self._version_mask = version_mask
        self._space = SearchSpace()
        self._devices: dict[str, _Device] = {}
        self._channels: dict[int, _Channel] = {}

    def add_device(
        self,
        device_id: str,
        capabilities: Capabilities,
        hashrate_hs: float | None,
        channel_id: int | None,
        now: float,
    ) -> list[Assignment]:
        """A device to keep busy; `channel_id` None: idle until it is bound. ValueError if known."""
        if device_id in self._devices:
            raise ValueError(f"device {device_id} is in the scheduler already")
        device = self._devices[device_id] = _Device(capabilities, channel_id)
        if _is_rate(hashrate_hs):
            device.hashrate_hs = hashrate_hs
        return self._assign([device_id], now)

    def pause(self, device_id: str, now: float) -> list[Assignment]:
        """No Work until resume(): the device idles, but may still answer for what it had."""
        device = self._devices[device_id]
        device.paused = True
        return self._assign([device_id], now)

    def resume(self, device_id: str, capabilities: Capabilities, now: float) -> list[Assignment]:
        """The device takes Work again, perhaps in another shape than before."""
        device = self._devices[device_id]
        device.capabilities = capabilities
        device.paused = False
        return self._assign([device_id], now)

    def remove_device(self, device_id: str) -> None:
        """Forget a device and its Works: what it still reports is of unknown work."""
        self._devices.pop(device_id, None)

    def bind(self, device_id: str, channel_id: int | None, now: float) -> list[Assignment]:
        """Let a device work for another channel, or none."""
        device = self._devices[device_id]
        if device.channel_id == channel_id:
            return []
        device.channel_id = channel_id
        return self._assign([device_id], now)

    def set_hashrate(
        self, device_id: str, hashrate_hs: float | None, now: float
    ) -> list[Assignment]:
        """A new measurement. It shapes the next Work; Work in hand is replaced only if it was cut
        for a rate several times off. None and 0 say nothing of a device's speed when it hashes:
        the last rate stands."""
        device = self._devices[device_id]
        if not _is_rate(hashrate_hs):
            return []
        device.hashrate_hs = hashrate_hs
        low, high = sorted((hashrate_hs, device.cut_for_hs))
        if device.work is None or high < low * _MISFIT:
            return []
        return self._assign([device_id], now)

    def set_job(self, job: Job, now: float) -> list[Assignment]:
        """A job became active on its channel: the channel's devices turn to it at once.

        Under a new previous hash all earlier Works of the channel are stale; under the same one
        they stay good for shares. The same job once more changes nothing.
        """
        job = replace(job, version_rolling_mask=job.version_rolling_mask & self._version_mask)
        channel = self._channels.get(job.channel_id)
        if channel is None:
            channel = self._channels[job.channel_id] = _Channel(self._space.next_work_id)
        elif channel.job == job:
            return []
        elif channel.job is not None and channel.job.prev_hash != job.prev_hash:
            channel.first_work_id = self._space.next_work_id
        channel.job = job
        return self._assign(self._devices_of(job.channel_id), now)

    def invalidate(self, channel_id: int, now: float) -> list[Assignment]:
        """The previous hash is replaced and no job for the new one is there yet: the channel's
        Works are stale and its devices idle."""
        channel = self._channels.get(channel_id)
        if channel is not None:
            channel.first_work_id = self._space.next_work_id
            channel.job = None
        return self._assign(self._devices_of(channel_id), now)

    def close_channel(self, channel_id: int, now: float) -> list[Assignment]:
        """The channel is gone: its Works are stale and its devices idle, bound to none."""
        self._channels.pop(channel_id, None)
        return self._unbind(self._devices_of(channel_id), now)

    @property
    def next_work_id(self) -> int:
        """Work handed out from now on has this id or a higher one."""
        return self._space.next_work_id

    def idle_all(self, now: float) -> list[Assignment]:
        """The pool is gone and every channel with it: all devices idle, bound to none."""
        self._channels.clear()
        return self._unbind(list(self._devices), now)

    def on_exhausted(
        self, device_id: str, work_id: int, now: float, *, early: bool = False
    ) -> list[Assignment]:
        """The device wants more Work. Reports of Work replaced since change nothing. `early`: it
        still searches what it has, and goes on with it for as long as nothing follows."""
        device = self._devices.get(device_id)
        if device is None or device.work is None or device.work.work_id != work_id:
            return []
        return self._assign([device_id], now, early=early)

    def on_time(self, now: float) -> list[Assignment]:
        """Time passed: devices that waited for the next ntime get Work."""
        due = [name for name, device in self._devices.items() if device.wait_until <= now]
        searching = [name for name in due if self._devices[name].searches_on]
        idle = [name for name in due if name not in searching]
        return self._assign(searching, now, early=True) + self._assign(idle, now)

    def next_timeout(self) -> float | None:
        """When to call `on_time`; None: no need."""
        earliest = min((d.wait_until for d in self._devices.values()), default=math.inf)
        return None if earliest == math.inf else earliest

    def on_solution(self, device_id: str, solution: Solution, now: float) -> Judgement:
        """What a reported Solution is worth."""
        device = self._devices.get(device_id)
        if device is None:
            return Judgement(Verdict.UNKNOWN_WORK, f"device {device_id} was removed")
        return self._judge(device, solution, now)

    def knows(self, device_id: str) -> bool:
        """Whether the device was added and not removed."""
        return device_id in self._devices

    def work_of(self, device_id: str) -> Work | None:
        """What the device was last told to search."""
        return self._devices[device_id].work

    def _judge(self, device: _Device, solution: Solution, now: float) -> Judgement:
        work = device.table.get(solution.work_id, now)
        if work is None:
            reason = f"work {solution.work_id} was never handed out or is forgotten"
            return Judgement(Verdict.UNKNOWN_WORK, reason)
        judgement = judge(work, solution)
        if judgement.verdict not in (Verdict.SHARE, Verdict.COUNTED):
            return judgement
        if not device.table.first_report(solution):
            return replace(
                judgement, verdict=Verdict.DUPLICATE, reason="reported before", share=None
            )
        channel = self._channels.get(work.channel_id)
        if channel is None or work.work_id < channel.first_work_id:
            gone = "the channel is closed" if channel is None else "the previous hash is replaced"
            return replace(judgement, verdict=Verdict.STALE, reason=gone, share=None)
        return judgement

    def _unbind(self, device_ids: Collection[str], now: float) -> list[Assignment]:
        # The next connection numbers its channels anew: an old number must not tie a device to
        # another's channel.
        for name in device_ids:
            self._devices[name].channel_id = None
        return self._assign(device_ids, now)

    def _devices_of(self, channel_id: int) -> list[str]:
        return [name for name, d in self._devices.items() if d.channel_id == channel_id]

    def _job_of(self, device: _Device) -> Job | None:
        if device.channel_id is None or device.paused:
            return None
        channel = self._channels.get(device.channel_id)
        return None if channel is None else channel.job

    def _assign(
        self, device_ids: Collection[str], now: float, *, early: bool = False
    ) -> list[Assignment]:
        next_works = (self._next_work(name, now, early) for name in device_ids)
        return [assignment for assignment in next_works if assignment is not None]

    def _next_work(self, device_id: str, now: float, early: bool) -> Assignment | None:
        """Give the device what comes next for it; None if nothing changes for it."""
        device = self._devices[device_id]
        searched = device.work is not None or device.searches_on
        if device.work is not None:
            device.table.replace(device.work.work_id, now)
        device.work, device.wait_until = None, math.inf
        job = self._job_of(device)
        if job is not None:
            self._take(device, job, now)
        waits = device.wait_until < math.inf
        device.searches_on = early and searched and waits
        if device.work is None and (device.searches_on or not searched):
            return None
        return Assignment(device_id, device.work)

    def _take(self, device: _Device, job: Job, now: float) -> None:
        """Its next Work of this Job, or the time when there may be some."""
        device.cut_for_hs = device.hashrate_hs
        fixed = device.capabilities.ticket
        request = Request(
            capabilities=device.capabilities,
            hashes=int(device.hashrate_hs * WORK_SECONDS),
            ticket=ticket_for(job.target, device.hashrate_hs) if fixed is None else fixed,
        )
        taken = self._space.take(job, request, now)
        if isinstance(taken, Wait):
            device.wait_until = taken.until
        else:
            device.work = taken
            device.table.add(taken)
