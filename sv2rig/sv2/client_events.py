"""What a server's messages mean to a client, one typed event each."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from sv2rig.sv2.channel_faults import ChannelFault
from sv2rig.sv2.job import Job


@dataclass(frozen=True, slots=True)
class ChannelOpened:
    """A channel of ours is open. `extranonce_size` is 0 on a standard channel."""

    request_id: int
    channel_id: int
    is_extended: bool
    user_identity: str
    target: int
    extranonce_prefix: bytes
    extranonce_size: int
    group_channel_id: int


@dataclass(frozen=True, slots=True)
class OpenRefused:
    """No channel came of this request. `fault` is set where we refused what the server granted."""

    request_id: int
    code: str
    fault: ChannelFault | None = None


@dataclass(frozen=True, slots=True)
class PrevHashChanged:
    """All earlier jobs of these channels are void; a JobActivated follows for each."""

    channel_ids: tuple[int, ...]
    prev_hash: bytes
    nbits: int
    min_ntime: int


@dataclass(frozen=True, slots=True)
class JobActivated:
    """Work on this job from now on; earlier ones under the same previous hash stay valid."""

    job: Job


@dataclass(frozen=True, slots=True)
class TargetChanged:
    """Holds for jobs that become active from now on."""

    channel_ids: tuple[int, ...]
    target: int


@dataclass(frozen=True, slots=True)
class SharesAccepted:
    """The server acknowledged shares.

    `sequence_numbers` are those newly acknowledged and `difficulty` the sum of their jobs'. The
    server's own figures stand beside them; `disagreement` says in words where they do not fit.
    """

    channel_id: int
    sequence_numbers: tuple[int, ...]
    difficulty: Fraction
    server_count: int
    server_difficulty: int
    disagreement: str | None = None


@dataclass(frozen=True, slots=True)
class ShareRejected:
    """A share was refused; `known` is False for a sequence number that was not awaited."""

    channel_id: int
    sequence_number: int
    code: str
    known: bool = True


@dataclass(frozen=True, slots=True)
class UpdateRefused:
    """The server did not take an UpdateChannel."""

    channel_id: int
    code: str


@dataclass(frozen=True, slots=True)
class ExtranoncePrefixChanged:
    """Jobs sent from now on carry the new prefix; those sent before keep theirs."""

    channel_id: int
    extranonce_prefix: bytes


@dataclass(frozen=True, slots=True)
class GroupChanged:
    """These channels now belong to this group."""

    group_channel_id: int
    channel_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ChannelClosed:
    """The server closed these channels, or we closed one over a `fault` of the server's.

    `unacknowledged` holds (channel id, sequence number) of shares that were neither accepted nor
    rejected.
    """

    channel_ids: tuple[int, ...]
    code: str
    unacknowledged: tuple[tuple[int, int], ...] = ()
    fault: ChannelFault | None = None


@dataclass(frozen=True, slots=True)
class ReconnectRequested:
    """Connect anew; an empty host or port 0 means the present one. The authority key stays."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class EndpointChanged:
    """The channel's other end is a new one: what was negotiated about extensions is void."""

    channel_id: int


ClientEvent = (
    ChannelOpened
    | OpenRefused
    | PrevHashChanged
    | JobActivated
    | TargetChanged
    | SharesAccepted
    | ShareRejected
    | UpdateRefused
    | ExtranoncePrefixChanged
    | GroupChanged
    | ChannelClosed
    | ReconnectRequested
    | EndpointChanged
)
