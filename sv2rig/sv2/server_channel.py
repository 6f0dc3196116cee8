"""One open channel of a pool: the jobs it was sent and the shares not acknowledged yet."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from fractions import Fraction

from sv2rig.sv2.messages import error_codes
from sv2rig.sv2.messages.mining import (
    OpenExtendedMiningChannelSuccess,
    OpenStandardMiningChannelSuccess,
    SubmitSharesSuccess,
)
from sv2rig.sv2.share_check import ServedJob
from sv2rig.sv2.share_policy import ShareRate
from sv2rig.sv2.template_job import MiningTemplate

GROUP_CHANNEL_ID = 1  # all channels of a connection are in one group
MAX_FUTURE_JOBS = 8
MAX_ACTIVE_JOBS = 128
_REMEMBERED_STALE = 256
_U64 = (1 << 64) - 1


@dataclass(slots=True)
class AckBatch:
    """Accepted shares that no SubmitShares.Success told of yet, the first at `since`."""

    count: int = 0
    difficulty: Fraction = Fraction(0)
    last_sequence_number: int = 0
    since: float = 0.0

    def add(self, sequence_number: int, difficulty: Fraction, now: float) -> None:
        """One more accepted share."""
        if not self.count:
            self.since = now
        self.count += 1
        self.difficulty += difficulty
        self.last_sequence_number = sequence_number

    def take(self, channel_id: int) -> SubmitSharesSuccess:
        """The acknowledgement; the next batch starts empty. The sum is cut to whole units."""
        message = SubmitSharesSuccess(
            channel_id, self.last_sequence_number, self.count, min(int(self.difficulty), _U64)
        )
        self.count, self.difficulty = 0, Fraction(0)
        return message


@dataclass(slots=True)
class ServerChannel:
    """`extranonce_size` is 0 on a standard channel, whose prefix is the whole extranonce.

    The first `unique_bytes` of the prefix are no other channel's. `future` is keyed by template,
    `active` by job id.
    """

    channel_id: int
    is_extended: bool
    user_identity: str
    target: int
    max_target: int
    extranonce_prefix: bytes
    extranonce_size: int
    unique_bytes: int
    rate: ShareRate
    batch: AckBatch = field(default_factory=AckBatch)
    acknowledged: bool = False  # whether any share was: the first is at once
    future: dict[int, ServedJob] = field(default_factory=dict)
    active: dict[int, ServedJob] = field(default_factory=dict)
    held_prefixes: list[bytes] = field(default_factory=list)
    _min_ntime: int = 0
    _stale: deque[int] = field(default_factory=lambda: deque(maxlen=_REMEMBERED_STALE))
    _standard_jobs: int = 0

    def success(
        self, request_id: int
    ) -> OpenExtendedMiningChannelSuccess | OpenStandardMiningChannelSuccess:
        """The answer that opens it."""
        if self.is_extended:
            return OpenExtendedMiningChannelSuccess(
                request_id=request_id,
                channel_id=self.channel_id,
                target=self.target,
                extranonce_size=self.extranonce_size,
                extranonce_prefix=self.extranonce_prefix,
                group_channel_id=GROUP_CHANNEL_ID,
            )
        return OpenStandardMiningChannelSuccess(
            request_id=request_id,
            channel_id=self.channel_id,
            target=self.target,
            extranonce_prefix=self.extranonce_prefix,
            group_channel_id=GROUP_CHANNEL_ID,
        )

    def own_extranonce(self) -> bytes:
        """What a job sent to this channel alone carries: the prefix, or a whole extranonce.

        Each standard job gets another one behind the channel's unique bytes, so that two jobs on
        one template have no header in common. The first is the announced prefix itself.
        """
        if self.is_extended:
            return self.extranonce_prefix
        filler = len(self.extranonce_prefix) - self.unique_bytes
        number = self._standard_jobs
        self._standard_jobs += 1
        return self.extranonce_prefix[: self.unique_bytes] + number.to_bytes(filler, "big")

    def add_future(self, job: ServedJob) -> None:
        """Keeps a job sent ahead of its previous hash."""
        self.future.pop(job.template.template_id, None)
        self.future[job.template.template_id] = job
        if len(self.future) > MAX_FUTURE_JOBS:
            del self.future[next(iter(self.future))]

    def set_prev_hash(self, template: MiningTemplate) -> ServedJob:
        """Voids all jobs but the future one on `template`, which becomes active."""
        job = self.future.pop(template.template_id)
        self.future.clear()
        self._stale.extend(self.active)
        self.active.clear()
        self._min_ntime = template.min_ntime
        job.template = template  # its previous hash, where the job was sent before that was known
        self.add_active(job)
        return job

    def add_active(self, job: ServedJob) -> None:
        """A job to be mined at once; its target is the channel's of this moment (5.3.21)."""
        job.target = self.target
        job.min_ntime = self._min_ntime
        self.active[job.job_id] = job
        if len(self.active) > MAX_ACTIVE_JOBS:
            oldest = next(iter(self.active))
            del self.active[oldest]
            self._stale.append(oldest)

    def job(self, job_id: int) -> ServedJob | str:
        """The valid job of this id, or the error code for a share on it."""
        job = self.active.get(job_id)
        if job is not None:
            return job
        return error_codes.STALE_SHARE if job_id in self._stale else error_codes.INVALID_JOB_ID

    def drop_unused_prefixes(self) -> list[bytes]:
        """Earlier prefixes that no job carries any more, to be given back."""
        jobs = [*self.active.values(), *self.future.values()]
        used = {self.extranonce_prefix[: self.unique_bytes]}
        used |= {job.extranonce_prefix[: self.unique_bytes] for job in jobs}
        unused = [p for p in self.held_prefixes if p[: self.unique_bytes] not in used]
        self.held_prefixes = [p for p in self.held_prefixes if p not in unused]
        return unused
