"""The search space of Jobs, cut into disjoint Works.

The space under one previous hash is a set of slabs: one merkle root (that is, one extranonce) at
one run of ntimes, with every combination of the version bits that may be rolled and every nonce.
Slabs are opened in this order: an extended job takes the next extranonce (a big-endian counter) at
its lowest unused ntime and begins anew with later ntimes when the counter wraps; a standard job
takes its lowest unused ntime. Within a slab, versions are handed out in aligned blocks of 2^k
combinations, lowest first, for devices that roll k bits, and a block's nonces in ascending ranges.

No header is handed out twice while its previous hash is remembered, whatever jobs come: ntimes are
used up per merkle root, and a slab belongs to one set of rollable bits.
"""

from __future__ import annotations

import heapq
import math
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from sv2rig.devices.device import Capabilities, Shape
from sv2rig.devices.work import NONCES, Work
from sv2rig.sv2.job import Job

NONCE_STEP = 1 << 16  # the smallest nonce range, and what ranges are multiples of
_MAX_TIPS = 8  # previous hashes remembered: channels change over one by one, chains reorganise
_MAX_SLABS = 256  # slabs kept open per previous hash; the rest of older ones goes unsearched
_MAX_TRIES = 256  # extranonces looked at for a free ntime once the counter has wrapped
_NEVER = 1 << 32  # the first ntime that a header cannot hold


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is left to search until `until` (monotonic seconds; infinite: until a new job)."""

    until: float


@dataclass(frozen=True, slots=True)
class Request:
    """What a device wants: about this many hashes, shaped to its capabilities, for this ticket."""

    capabilities: Capabilities
    hashes: int
    ticket: int


def _bits(mask: int) -> list[int]:
    return [1 << i for i in range(mask.bit_length()) if mask >> i & 1]


@dataclass(slots=True)
class _Slab:
    """One merkle root at a run of ntimes, and what of it is not handed out yet."""

    extranonce: bytes
    merkle_root: bytes
    ntime: int
    ntime_count: int
    version: int
    bits: list[int]  # the rollable bits, lowest first
    free: list[list[int]] = field(init=False)  # by order: heaps of aligned blocks' first index
    ranges: dict[int, tuple[int, int]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.free = [[] for _ in range(len(self.bits) + 1)]
        self.free[-1].append(0)

    def _take_block(self, order: int) -> int:
        """The smallest, then lowest, free aligned block that holds 2^order version combinations,
        cut down to that size (a buddy allocator that never merges)."""
        larger = next(o for o in range(order, len(self.free)) if self.free[o])
        index = heapq.heappop(self.free[larger])
        for half in range(order, larger):
            heapq.heappush(self.free[half], index + (1 << half))
        return index

    def offers(self, order: int) -> bool:
        """Whether anything is left for a device that rolls `order` bits."""
        return order in self.ranges or any(self.free[order:])

    def take(self, order: int, nonces: int) -> tuple[int, int, int]:
        """(first version index, first nonce, nonce count) of what it `offers`."""
        if order in self.ranges:
            index, start = self.ranges.pop(order)
        else:
            index, start = self._take_block(order), 0
        count = min(nonces, NONCES - start)
        if start + count < NONCES:
            self.ranges[order] = (index, start + count)
        return index, start, count

    def version_at(self, index: int, order: int) -> tuple[int, int]:
        """(version, version_bits) of a block. Index 0 is the job's own version's block."""
        rolled = sum(self.bits[:order])
        spread = sum(bit for i, bit in enumerate(self.bits) if index >> i & 1)
        return (self.version ^ spread) & ~rolled, rolled


@dataclass(slots=True)
class _Tip:
    """What was handed out under one previous hash."""

    next_ntime: dict[bytes, int] = field(default_factory=dict)  # by merkle root
    next_extranonce: dict[Hashable, int] = field(default_factory=dict)  # by job content
    slabs: OrderedDict[Hashable, _Slab] = field(default_factory=OrderedDict)


class SearchSpace:
    """Hands out disjoint Works of the jobs it is shown, for any mix of devices."""

    def __init__(self) -> None:
        self._tips: OrderedDict[bytes, _Tip] = OrderedDict()
        self._next_work_id = 1

    @property
    def next_work_id(self) -> int:
        """Works handed out from now on have at least this id."""
        return self._next_work_id

    def take(self, job: Job, request: Request, now: float) -> Work | Wait:
        """The next Work of `job`, or when to ask again.

        A Work is about as large as asked for: at least NONCE_STEP nonces of each version, at most
        what one slab holds. Devices that hold a table of jobs search every nonce of each, so theirs
        are never cut by nonce.
        """
        tip = self._tip(job.prev_hash)
        mask = job.version_rolling_mask
        order = min(request.capabilities.version_bits, mask.bit_count())
        ntimes = _ntimes_wanted(job, request, order, now)
        # A slab of several ntimes suits only devices that roll them; those can use the other, too.
        kinds = (True, False) if ntimes > 1 else (False,)
        keys = [(job.content, job.version & ~mask, mask, several) for several in kinds]
        slab = tip.slabs.get(keys[0])
        if slab is None or not slab.offers(order):
            opened = _open_slab(tip, job, ntimes, now)
            if isinstance(opened, _Slab):
                slab = tip.slabs[keys[0]] = opened
                tip.slabs.move_to_end(keys[0])
                if len(tip.slabs) > _MAX_SLABS:
                    tip.slabs.popitem(last=False)
            else:
                left = _leftover(tip, keys, order)
                if left is None:
                    return opened
                slab, order = left
        return self._cut(job, slab, order, request)

    def _cut(self, job: Job, slab: _Slab, order: int, request: Request) -> Work:
        nonces = NONCES
        if request.capabilities.shape is not Shape.TABLE:
            steps = request.hashes // (slab.ntime_count << order) // NONCE_STEP
            nonces = min(max(1, steps) * NONCE_STEP, NONCES)
        index, nonce_start, nonce_count = slab.take(order, nonces)
        version, version_bits = slab.version_at(index, order)
        work_id = self._next_work_id
        self._next_work_id += 1
        return Work(
            work_id=work_id,
            channel_id=job.channel_id,
            job_id=job.job_id,
            version=version,
            prev_hash=job.prev_hash,
            merkle_root=slab.merkle_root,
            ntime=slab.ntime,
            nbits=job.nbits,
            target=job.target,
            ticket=request.ticket,
            extranonce=slab.extranonce,
            version_bits=version_bits,
            ntime_count=slab.ntime_count,
            nonce_start=nonce_start,
            nonce_count=nonce_count,
        )

    def _tip(self, prev_hash: bytes) -> _Tip:
        tip = self._tips.setdefault(prev_hash, _Tip())
        self._tips.move_to_end(prev_hash)
        if len(self._tips) > _MAX_TIPS:
            self._tips.popitem(last=False)
        return tip


def _ntimes_wanted(job: Job, request: Request, order: int, now: float) -> int:
    if not request.capabilities.ntime_rolls:
        return 1
    wanted = max(1, request.hashes // (NONCES << order))
    return min(wanted, job.max_ntime(now) - job.min_ntime + 1)


def _open_slab(tip: _Tip, job: Job, ntimes: int, now: float) -> _Slab | Wait:
    """A slab of up to `ntimes` ntimes at the next extranonce that has one free and allowed."""
    extranonces = 1 << 8 * job.extranonce_size
    last_ntime = job.max_ntime(now)
    earliest = _NEVER
    for _ in range(min(extranonces, _MAX_TRIES)):
        counter = tip.next_extranonce.get(job.content, 0)
        tip.next_extranonce[job.content] = (counter + 1) % extranonces
        extranonce = counter.to_bytes(job.extranonce_size, "big")
        root = job.merkle_root_for(extranonce)
        first = max(job.min_ntime, tip.next_ntime.get(root, 0))
        count = min(ntimes, last_ntime - first + 1)
        if count > 0:
            tip.next_ntime[root] = first + count
            bits = _bits(job.version_rolling_mask)
            return _Slab(extranonce, root, first, count, job.version, bits)
        earliest = min(earliest, first)
    return Wait(math.inf if earliest >= _NEVER else job.ntime_allowed_at(earliest))


def _leftover(tip: _Tip, keys: Sequence[Hashable], order: int) -> tuple[_Slab, int] | None:
    """What open slabs still offer to a device that could roll `order` bits but may roll fewer."""
    for smaller in range(order, -1, -1):
        for key in keys:
            slab = tip.slabs.get(key)
            if slab is not None and slab.offers(smaller):
                return slab, smaller
    return None
