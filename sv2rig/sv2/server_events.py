"""What a client's messages mean to a pool, one typed event each."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class ChannelOpened:
    """A channel was opened and has its first job, if there is a template."""

    channel_id: int
    is_extended: bool
    user_identity: str
    nominal_hash_rate: float
    target: int


@dataclass(frozen=True, slots=True)
class OpenRefused:
    """A channel was not opened."""

    user_identity: str
    code: str


@dataclass(frozen=True, slots=True)
class ChannelUpdated:
    """The client stated a new hash rate or easiest target."""

    channel_id: int
    nominal_hash_rate: float
    target: int


@dataclass(frozen=True, slots=True)
class TargetAdjusted:
    """The shares that came asked for another target."""

    channel_id: int
    target: int


@dataclass(frozen=True, slots=True)
class BlockFound:
    """A share that meets the network's target; comes before its ShareAccepted.

    `coinbase` is without witness and `share_hash` raw; `template_id` names the rest of the block.
    """

    channel_id: int
    sequence_number: int
    user_identity: str
    worker: str | None
    template_id: int
    header: bytes
    coinbase: bytes
    share_hash: bytes


@dataclass(frozen=True, slots=True)
class ShareAccepted:
    """A good share. `worker` is the TLV of extension 0x0002, where the client sent one."""

    channel_id: int
    sequence_number: int
    user_identity: str
    worker: str | None
    job_id: int
    difficulty: Fraction
    share_hash: bytes
    header: bytes
    is_block: bool


@dataclass(frozen=True, slots=True)
class ShareRejected:
    """A share refused; `user_identity` is None where the channel is not open."""

    channel_id: int
    sequence_number: int
    code: str
    user_identity: str | None


@dataclass(frozen=True, slots=True)
class ChannelClosed:
    """The client closed these channels."""

    channel_ids: tuple[int, ...]
    reason: str


ServerEvent = (
    ChannelOpened
    | OpenRefused
    | ChannelUpdated
    | TargetAdjusted
    | BlockFound
    | ShareAccepted
    | ShareRejected
    | ChannelClosed
)
