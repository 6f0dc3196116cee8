"""What of a rig's course is worth calling somebody for, seen by comparing its snapshots."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from itertools import zip_longest

import msgspec

from sv2rig.rig.snapshot import DeviceSnapshot, PoolStanding, RigSnapshot

_GONE = ("LOST", "DEAD")
_HOT = ("THROTTLED", "COOLDOWN")
_POOL_DOWN = ("down", "refused")
_POOL_UP = ("mining", "standby")


class Kind(StrEnum):
    """The names that `[hooks] on` and a hook's SV2RIG_EVENT use."""

    BLOCK_FOUND = "block_found"
    DEVICE_LOST = "device_lost"
    DEVICE_BACK = "device_back"
    HOT = "hot"
    POOL_DOWN = "pool_down"
    POOL_BACK = "pool_back"
    TEST = "test"


class Happening(msgspec.Struct, frozen=True):
    """One of them: `time` in UTC seconds since 1970; `device` an id, `pool` a name."""

    kind: Kind
    time: float
    text: str
    device: str | None = None
    pool: str | None = None


class Watch:
    """Compares each picture with the one before; the first one is where the rig started.
    `earlier_blocks`: those of the rig's earlier lives, None where nobody keeps them."""

    def __init__(self, first: RigSnapshot, earlier_blocks: int | None = None) -> None:
        self._before = first
        self._earlier_blocks = earlier_blocks
        self._down: set[str] = set()

    def seen(self, now: RigSnapshot) -> list[Happening]:
        """What happened since the last picture that was given."""
        before, self._before = self._before, now
        found = list(_blocks(before, now, self._earlier_blocks))
        devices = {device.id: device for device in before.devices}
        for device in now.devices:
            found += _of_device(devices.get(device.id), device, now.time)
        for pool in now.pools:
            found += self._of_pool(pool, now)
        return found

    def _of_pool(self, pool: PoolStanding, now: RigSnapshot) -> Iterator[Happening]:
        was_down = pool.name in self._down
        if pool.state in _POOL_DOWN and not was_down:
            self._down.add(pool.name)
            text = f"pool {pool.name} is {pool.state}: {pool.detail or 'no reason known'}"
            if not any(other.state in _POOL_UP for other in now.pools):
                text += "; no pool is left, devices idle"
            yield Happening(Kind.POOL_DOWN, now.time, text, pool=pool.name)
        elif pool.state in _POOL_UP and was_down:
            self._down.discard(pool.name)
            yield Happening(Kind.POOL_BACK, now.time, f"pool {pool.name} is back", pool=pool.name)


def _blocks(before: RigSnapshot, now: RigSnapshot, earlier: int | None) -> Iterator[Happening]:
    known = {device.id: device.blocks for device in before.devices}
    finders = [
        device.id for device in now.devices for _ in range(known.get(device.id, 0), device.blocks)
    ]
    numbers = range(before.blocks_found + 1, now.blocks_found + 1)
    for number, device in zip_longest(numbers, finders[: len(numbers)]):
        text = f"block found{f' by {device}' if device else ''}, number {number} of this rig"
        if earlier is not None:
            text += f" since its start and {earlier + number} in all"
        yield Happening(Kind.BLOCK_FOUND, now.time, text, device, now.pool.name or None)


def _of_device(
    before: DeviceSnapshot | None, now: DeviceSnapshot, time: float
) -> Iterator[Happening]:
    state = "" if before is None else before.state
    if now.state == state:
        return
    words = f"{now.id} is {now.state}: {now.reason}"
    if now.state in _GONE and state not in _GONE:
        yield Happening(Kind.DEVICE_LOST, time, words, device=now.id)
    elif state in _GONE and now.state not in _GONE:
        yield Happening(Kind.DEVICE_BACK, time, words, device=now.id)
    if now.state in _HOT and state not in _HOT:
        yield Happening(Kind.HOT, time, words, device=now.id)
