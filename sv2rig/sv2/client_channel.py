"""One open channel of a client: its jobs, its target, and the shares sent on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from sv2rig.bitcoin.target import bits_to_target
from sv2rig.sv2.channel_faults import ChannelFault
from sv2rig.sv2.job import Job
from sv2rig.sv2.messages.mining import NewExtendedMiningJob, NewMiningJob, SetNewPrevHash
from sv2rig.sv2.messages.registry import Message
from sv2rig.sv2.pending_shares import PendingShares

T = TypeVar("T")
JobMessage = NewMiningJob | NewExtendedMiningJob

# A hostile server must not make us keep jobs without end. Real ones keep one or two future jobs,
# and send an active one every half minute: 128 last an hour under one previous hash.
MAX_FUTURE_JOBS = 32
MAX_ACTIVE_JOBS = 128

_BIP141_WITNESS = b"\x01\x20"  # one item of 32 bytes, the witness reserved value


@dataclass(frozen=True, slots=True)
class PrevHash:
    """What a SetNewPrevHash carried, and when it came (monotonic seconds)."""

    prev_hash: bytes
    nbits: int
    min_ntime: int
    received_at: float

    @classmethod
    def of(cls, message: SetNewPrevHash, now: float) -> PrevHash:
        """The previous hash in `message`."""
        return cls(message.prev_hash, message.nbits, message.min_ntime, now)


@dataclass(frozen=True, slots=True)
class AnnouncedJob:
    """A job as it was sent, with the extranonce prefix that held when it was."""

    message: JobMessage
    extranonce_prefix: bytes


@dataclass(slots=True)
class ClientChannel:
    """`extranonce_size` is None on a standard channel. `rolling_mask` is what the user allows."""

    channel_id: int
    group_channel_id: int
    target: int
    extranonce_prefix: bytes
    extranonce_size: int | None
    rolling_mask: int
    shares: PendingShares
    prev_hash: PrevHash | None = None
    future: dict[int, AnnouncedJob] = field(default_factory=dict)
    active: dict[int, Job] = field(default_factory=dict)

    @property
    def is_extended(self) -> bool:
        """Whether its shares carry an extranonce."""
        return self.extranonce_size is not None

    @property
    def full_extranonce_size(self) -> int:
        """Bytes of prefix and client's part together, equal across a group (5.2.3)."""
        return len(self.extranonce_prefix) + (self.extranonce_size or 0)

    def fault(self, message: Message, name: str, reason: str) -> ChannelFault:
        """What to raise when `message` cannot hold for this channel."""
        return ChannelFault(self.channel_id, message, name, reason)

    def announce(self, message: JobMessage) -> AnnouncedJob:
        """A job sent now: it carries the prefix that holds now (5.3.10)."""
        return AnnouncedJob(message, self.extranonce_prefix)

    def add_future(self, message: JobMessage) -> None:
        """Keeps a job for the SetNewPrevHash that names it."""
        self.active.pop(message.job_id, None)
        put_bounded(self.future, message.job_id, self.announce(message), MAX_FUTURE_JOBS)

    def set_prev_hash(self, message: SetNewPrevHash, announced: AnnouncedJob, now: float) -> Job:
        """Voids every job but the one named, and activates that (5.3.17)."""
        try:
            bits_to_target(message.nbits)
        except ValueError as error:
            raise self.fault(message, "nbits", str(error)) from None
        self.future.clear()
        self.active.clear()
        self.prev_hash = PrevHash.of(message, now)
        return self.activate(announced, self.prev_hash, message.min_ntime)

    def activate(self, announced: AnnouncedJob, tip: PrevHash, min_ntime: int) -> Job:
        """The job on `tip`, bound to the target that holds now (5.3.21)."""
        message = announced.message
        if isinstance(message, NewMiningJob):
            job = self._job(message, tip, min_ntime, merkle_root=message.merkle_root)
        else:
            job = self._extended_job(message, announced.extranonce_prefix, tip, min_ntime)
        self.future.pop(job.job_id, None)
        self.active.pop(job.job_id, None)  # a reused id counts as the newest
        put_bounded(self.active, job.job_id, job, MAX_ACTIVE_JOBS)
        return job

    def _extended_job(
        self, message: NewExtendedMiningJob, extranonce_prefix: bytes, tip: PrevHash, min_ntime: int
    ) -> Job:
        job = self._job(
            message,
            tip,
            min_ntime,
            coinbase_prefix=message.coinbase_tx_prefix,
            coinbase_suffix=message.coinbase_tx_suffix,
            merkle_path=message.merkle_path,
            extranonce_prefix=extranonce_prefix,
            extranonce_size=self.extranonce_size or 0,
        )
        if self.is_extended:
            return job
        # A group's job on a standard channel: the prefix is the whole extranonce (5.3.16).
        return self._job(message, tip, min_ntime, merkle_root=job.merkle_root_for(b""))

    def _job(self, message: JobMessage, tip: PrevHash, min_ntime: int, **room: object) -> Job:
        rolls = isinstance(message, NewMiningJob) or message.version_rolling_allowed
        return Job(
            channel_id=self.channel_id,
            job_id=message.job_id,
            version=message.version,
            prev_hash=tip.prev_hash,
            nbits=tip.nbits,
            min_ntime=min_ntime,
            prevhash_ntime=tip.min_ntime,
            prevhash_received_at=tip.received_at,
            target=self.target,
            version_rolling_mask=self.rolling_mask if rolls else 0,
            **room,  # type: ignore[arg-type]
        )


def without_witness(message: NewExtendedMiningJob) -> NewExtendedMiningJob | str:
    """The job with stray BIP141 bytes taken out of its coinbase, or why they cannot be (3.7.1).

    An input count of 0, where a coinbase has 1, is the marker of a serialisation with witness.
    """
    prefix, suffix = message.coinbase_tx_prefix, message.coinbase_tx_suffix
    if len(prefix) < 6 or prefix[4] != 0 or prefix[5] == 0:
        return message
    witness, lock_time = suffix[-38:-4], suffix[-4:]
    if not witness.startswith(_BIP141_WITNESS) or len(witness) != 34:
        return "the prefix has the BIP141 marker, but no 32-byte witness ends the suffix"
    return NewExtendedMiningJob(
        channel_id=message.channel_id,
        job_id=message.job_id,
        min_ntime=message.min_ntime,
        version=message.version,
        version_rolling_allowed=message.version_rolling_allowed,
        merkle_path=message.merkle_path,
        coinbase_tx_prefix=prefix[:4] + prefix[6:],
        coinbase_tx_suffix=suffix[:-38] + lock_time,
    )


def put_bounded(store: dict[int, T], key: int, value: T, limit: int) -> None:
    store[key] = value
    if len(store) > limit:
        del store[next(iter(store))]
