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
from collections.abc import Hashable
from dataclasses import dataclass, field

from sv2rig.devices.device import Capabilities
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


@dataclass(frozen=True, slots=True)
class _Ask:
    """A Request against a Job. Slabs are kept by `key`, and apart where they hold several ntimes,
    which suits only devices that roll ntime."""

    key: tuple[Hashable, int, int]
    order: int  # log2 of the versions in a block
    ntimes: int
    whole: bool


def _bits(mask: int) -> list[int]:
    return [1 << i for i in range(mask.bit_length()) if mask >> i & 1]


def _take_block(blocks: list[list[tuple[int, int]]], order: int) -> tuple[int, int]:
    """The smallest, then lowest, block of at least this order, cut down to it: a buddy allocator
    that never merges."""
    larger = next(o for o in range(order, len(blocks)) if blocks[o])
    index, start = heapq.heappop(blocks[larger])
    for half in range(order, larger):
        heapq.heappush(blocks[half], (index + (1 << half), start))
    return index, start


@dataclass(slots=True)
class _Slab:
    """One merkle root at a run of ntimes, and what of it is not handed out yet."""

    extranonce: bytes
    merkle_root: bytes
    ntime: int
    ntime_count: int
    version: int
    bits: list[int]  # the rollable bits, lowest first
    # What is left, by order k: heaps of aligned blocks of 2^k version combinations, each (index of
    # the first combination, first nonce left). Fresh ones have every nonce left.
    fresh: list[list[tuple[int, int]]] = field(init=False)
    started: list[list[tuple[int, int]]] = field(init=False)

    def __post_init__(self) -> None:
        self.fresh = [[] for _ in range(len(self.bits) + 1)]
        self.started = [[] for _ in range(len(self.bits) + 1)]
        self.fresh[-1].append((0, 0))

    def suits(self, job: Job, now: float) -> bool:
        """Whether its ntimes are within what `job` allows: another job may have opened it."""
        last = self.ntime + self.ntime_count - 1
        return job.min_ntime <= self.ntime and last <= job.max_ntime(now)

    def offers(self, order: int, whole: bool) -> bool:
        """Whether anything is left for a device that rolls `order` bits; `whole`: every nonce."""
        return any(self.fresh[order:]) or (any(self.started[order:]) and not whole)

    def take(self, order: int, nonces: int) -> tuple[int, int, int]:
        """(first version index, first nonce, nonce count) of what it `offers`."""
        if self.started[order] and nonces < NONCES:
            index, start = heapq.heappop(self.started[order])
        elif any(self.fresh[order:]):
            index, start = _take_block(self.fresh, order)
        else:
            index, start = _take_block(self.started, order)
        count = min(nonces, NONCES - start)
        if start + count < NONCES:
            heapq.heappush(self.started[order], (index, start + count))
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

    def keep(self, key: Hashable, slab: _Slab) -> None:
        """Hand out from this slab; what the one before it still offers goes unsearched."""
        self.slabs[key] = slab
        self.slabs.move_to_end(key)
        if len(self.slabs) > _MAX_SLABS:
            self.slabs.popitem(last=False)


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
        what one slab holds.
        """
        tip = self._tip(job.prev_hash)
        ask = _ask(job, request, now)
        key = (*ask.key, ask.ntimes > 1)
        slab = tip.slabs.get(key)
        if slab is not None and slab.suits(job, now) and slab.offers(ask.order, ask.whole):
            return self._cut(job, slab, ask.order, request)
        opened = _open_slab(tip, job, ask.ntimes, now)
        if isinstance(opened, _Slab):
            tip.keep(key, opened)
            return self._cut(job, opened, ask.order, request)
        left = _leftover(tip, job, ask, now)
        return opened if left is None else self._cut(job, *left, request)

    def _cut(self, job: Job, slab: _Slab, order: int, request: Request) -> Work:
        nonces = NONCES
        if request.capabilities.nonce_ranges:
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


def _ask(job: Job, request: Request, now: float) -> _Ask:
    mask = job.version_rolling_mask
    able = request.capabilities
    order = min(able.version_bits, mask.bit_count())
    ntimes = 1
    if able.ntime_rolls:
        wanted = request.hashes // (NONCES << order)
        ntimes = max(1, min(wanted, job.max_ntime(now) - job.min_ntime + 1))
    key = (job.content, job.version & ~mask, mask)
    return _Ask(key, order, ntimes, whole=not able.nonce_ranges)


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


def _leftover(tip: _Tip, job: Job, ask: _Ask, now: float) -> tuple[_Slab, int] | None:
    """What open slabs still offer to a device that may roll fewer bits and ntimes than it could."""
    kinds = (True, False) if ask.ntimes > 1 else (False,)
    slabs = [slab for several in kinds if (slab := tip.slabs.get((*ask.key, several)))]
    for smaller in range(ask.order, -1, -1):
        for slab in slabs:
            if slab.suits(job, now) and slab.offers(smaller, ask.whole):
                return slab, smaller
    return None
