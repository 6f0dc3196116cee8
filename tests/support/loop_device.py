"""A device without a thread: it really hashes, on the event loop, at a chosen rate."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections.abc import Iterator

from sv2rig.devices.device import (
    Capabilities,
    DeviceInfo,
    DeviceSink,
    DeviceState,
    Telemetry,
)
from sv2rig.devices.work import Solution, Work

STEP_S = 0.25


class LoopDevice:
    """A push device for tests (a Device). `works` holds what it was told to do, in order.

    `idle_hands`: it claims to hash and finds nothing by itself; the test digs for it.
    """

    def __init__(
        self, device_id: str = "loop:0", rate_hs: float = 400.0, idle_hands: bool = False
    ) -> None:
        self.info = DeviceInfo(device_id, "loop", "a test's device", Capabilities(version_bits=1))
        self.rate_hs = rate_hs
        self.idle_hands = idle_hands
        self.hangs = False
        self.works: list[Work | None] = []
        self.is_stopped = False
        self.sink: DeviceSink | None = None
        self._hashes = 0
        self._headers: Iterator[tuple[int, int, int]] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def work(self) -> Work | None:
        """What it searches now."""
        return self.works[-1] if self.works else None

    def start(self, sink: DeviceSink) -> None:
        self.sink = sink
        sink.state_changed(self.info.device_id, DeviceState.READY, "waiting for work")

    def assign(self, work: Work | None) -> None:
        self.works.append(work)
        if self._timer is not None:
            self._timer.cancel()
        self._headers = None if work is None else headers(work)
        self._plan()

    def hashes_done(self) -> int:
        return self._hashes

    def telemetry(self) -> Telemetry:
        return Telemetry()

    def stop(self) -> None:
        self.is_stopped = True
        if self._timer is not None:
            self._timer.cancel()

    def fail(self, state: DeviceState, reason: str) -> None:
        """It breaks down."""
        assert self.sink is not None
        self.stop()
        self.sink.state_changed(self.info.device_id, state, reason)

    def report(self, *found: Solution) -> None:
        """Whatever the test wants it to say."""
        assert self.sink is not None
        self.sink.solutions(self.info.device_id, found)

    def _plan(self) -> None:
        if self.work is not None and not self.is_stopped:
            self._timer = asyncio.get_running_loop().call_later(STEP_S, self._step)

    def _step(self) -> None:
        work, headers_left = self.work, self._headers
        assert work is not None
        assert headers_left is not None
        count = int(self.rate_hs * STEP_S)
        if self.hangs:
            count = 0
        self._hashes += count
        if self.idle_hands or not work.ticket:  # calibration's ticket of 0 asks for nothing
            count = 0
        found = [
            Solution(work.work_id, nonce, version, ntime)
            for version, ntime, nonce in itertools.islice(headers_left, count)
            if hash_value(work, version, ntime, nonce) <= work.ticket
        ]
        self._plan()
        if found:
            self.report(*found)


def headers(work: Work) -> Iterator[tuple[int, int, int]]:
    """Every (version, ntime, nonce) of a Work."""
    for version in work.versions():
        for ntime in range(work.ntime, work.ntime + work.ntime_count):
            for nonce in range(work.nonce_start, work.nonce_start + work.nonce_count):
                yield version, ntime, nonce


def hash_value(work: Work, version: int, ntime: int, nonce: int) -> int:
    """hashlib's SHA-256d of one header, as a little-endian integer."""
    header = work.header(nonce, version, ntime)
    return int.from_bytes(hashlib.sha256(hashlib.sha256(header).digest()).digest(), "little")


def dig(work: Work, target: int | None = None, skip: int = 0) -> Solution:
    """The first Solution of a Work (after `skip` others) that meets the target, by default its."""
    bound = work.target if target is None else target
    for version, ntime, nonce in headers(work):
        if hash_value(work, version, ntime, nonce) <= bound:
            if not skip:
                return Solution(work.work_id, nonce, version, ntime)
            skip -= 1
    raise AssertionError("no solution in this Work")


def miss(work: Work) -> Solution:
    """A Solution of a Work that is worse than its ticket: what faulty hardware reports."""
    for version, ntime, nonce in headers(work):
        if hash_value(work, version, ntime, nonce) > max(work.ticket, work.target):
            return Solution(work.work_id, nonce, version, ntime)
    raise AssertionError("every header of this Work is good")
