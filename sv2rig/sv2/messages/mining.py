"""Messages of the mining protocol (specification 5.3).

Hashes are raw bytes in header order; targets are integers. `version` is the full nVersion.
"""

from dataclasses import dataclass

from sv2rig.sv2.messages.registry import Message, message
from sv2rig.sv2.wire import (
    B0_32,
    B0_64K,
    B0_255,
    F32,
    U16,
    U32,
    U64,
    U256,
    Bool,
    Code0_255,
    Hash256,
    Option,
    Seq0_64K,
    Seq0_255,
    Str0_255,
)


@message(0x10, "OpenStandardMiningChannel", spec="5.3.2")
@dataclass(slots=True)
class OpenStandardMiningChannel(Message):
    """Client to server. `nominal_hash_rate` in hashes a second, 0.0 where nothing hashes yet."""

    request_id: U32
    user_identity: Str0_255
    nominal_hash_rate: F32
    max_target: U256


@message(0x11, "OpenStandardMiningChannel.Success", spec="5.3.3")
@dataclass(slots=True)
class OpenStandardMiningChannelSuccess(Message):
    """Server to client: the channel is open; its prefix is the whole extranonce."""

    request_id: U32
    channel_id: U32
    target: U256
    extranonce_prefix: B0_32
    group_channel_id: U32


@message(0x12, "OpenMiningChannel.Error", spec="5.3.6")
@dataclass(slots=True)
class OpenMiningChannelError(Message):
    """Server to client: neither kind of channel was opened."""

    request_id: U32
    error_code: Code0_255


@message(0x13, "OpenExtendedMiningChannel", spec="5.3.4")
@dataclass(slots=True)
class OpenExtendedMiningChannel(Message):
    """Client to server. `min_extranonce_size` in bytes."""

    request_id: U32
    user_identity: Str0_255
    nominal_hash_rate: F32
    max_target: U256
    min_extranonce_size: U16


@message(0x14, "OpenExtendedMiningChannel.Success", spec="5.3.5")
@dataclass(slots=True)
class OpenExtendedMiningChannelSuccess(Message):
    """Server to client. `extranonce_size` bytes are the client's, after `extranonce_prefix`."""

    request_id: U32
    channel_id: U32
    target: U256
    extranonce_size: U16
    extranonce_prefix: B0_32
    group_channel_id: U32


@message(0x15, "NewMiningJob", spec="5.3.15", channel=True)
@dataclass(slots=True)
class NewMiningJob(Message):
    """Server to client, on a standard channel. No `min_ntime`: a future job."""

    channel_id: U32
    job_id: U32
    min_ntime: Option[U32]
    version: U32
    merkle_root: Hash256


@message(0x16, "UpdateChannel", spec="5.3.7", channel=True)
@dataclass(slots=True)
class UpdateChannel(Message):
    """Client to server: the hash rate, or the easiest target wanted, has changed."""

    channel_id: U32
    nominal_hash_rate: F32
    maximum_target: U256


@message(0x17, "UpdateChannel.Error", spec="5.3.8", channel=True)
@dataclass(slots=True)
class UpdateChannelError(Message):
    """Server to client: the update was invalid. There is no message of success."""

    channel_id: U32
    error_code: Code0_255


@message(0x18, "CloseChannel", spec="5.3.9", channel=True)
@dataclass(slots=True)
class CloseChannel(Message):
    """Either way. A group's id closes all of its channels."""

    channel_id: U32
    reason_code: Code0_255


@message(0x19, "SetExtranoncePrefix", spec="5.3.10", channel=True)
@dataclass(slots=True)
class SetExtranoncePrefix(Message):
    """Server to client: holds for the jobs that are sent after it."""

    channel_id: U32
    extranonce_prefix: B0_32


@message(0x1A, "SubmitSharesStandard", spec="5.3.11", channel=True)
@dataclass(slots=True)
class SubmitSharesStandard(Message):
    """Client to server, on a standard channel."""

    channel_id: U32
    sequence_number: U32
    job_id: U32
    nonce: U32
    ntime: U32
    version: U32


@message(0x1B, "SubmitSharesExtended", spec="5.3.12", channel=True)
@dataclass(slots=True)
class SubmitSharesExtended(Message):
    """Client to server, on an extended channel; `extranonce` is exactly extranonce_size long."""

    channel_id: U32
    sequence_number: U32
    job_id: U32
    nonce: U32
    ntime: U32
    version: U32
    extranonce: B0_32


@message(0x1C, "SubmitShares.Success", spec="5.3.13", channel=True)
@dataclass(slots=True)
class SubmitSharesSuccess(Message):
    """Server to client, for a batch. `new_shares_sum` is the batch's summed difficulty."""

    channel_id: U32
    last_sequence_number: U32
    new_submits_accepted_count: U32
    new_shares_sum: U64


@message(0x1D, "SubmitShares.Error", spec="5.3.14", channel=True)
@dataclass(slots=True)
class SubmitSharesError(Message):
    """Server to client, one for each share refused."""

    channel_id: U32
    sequence_number: U32
    error_code: Code0_255


@message(0x1F, "NewExtendedMiningJob", spec="5.3.16", channel=True)
@dataclass(slots=True)
class NewExtendedMiningJob(Message):
    """Server to client, on an extended or a group channel. No `min_ntime`: a future job.

    The coinbase parts carry no BIP141 bytes (3.7.1); `merkle_path` is ordered from the deepest.
    """

    channel_id: U32
    job_id: U32
    min_ntime: Option[U32]
    version: U32
    version_rolling_allowed: Bool
    merkle_path: Seq0_255[Hash256]
    coinbase_tx_prefix: B0_64K
    coinbase_tx_suffix: B0_64K


@message(0x20, "SetNewPrevHash", spec="5.3.17", channel=True)
@dataclass(slots=True)
class SetNewPrevHash(Message):
    """Server to client: only the (future) job named is valid from now on."""

    channel_id: U32
    job_id: U32
    prev_hash: Hash256
    min_ntime: U32
    nbits: U32


@message(0x21, "SetTarget", spec="5.3.21", channel=True)
@dataclass(slots=True)
class SetTarget(Message):
    """Server to client: holds for jobs not active yet, on one channel or a whole group."""

    channel_id: U32
    maximum_target: U256


@message(0x22, "SetCustomMiningJob", spec="5.3.18", channel=True)
@dataclass(slots=True)
class SetCustomMiningJob(Message):
    """Client to server: a job of the client's own making.

    `coinbase_tx_outputs` is an array of consensus-serialised outputs with its CompactSize count.
    """

    channel_id: U32
    request_id: U32
    mining_job_token: B0_255
    version: U32
    prev_hash: Hash256
    min_ntime: U32
    nbits: U32
    coinbase_tx_version: U32
    coinbase_prefix: B0_255
    coinbase_tx_input_n_sequence: U32
    coinbase_tx_outputs: B0_64K
    coinbase_tx_locktime: U32
    merkle_path: Seq0_255[Hash256]


@message(0x23, "SetCustomMiningJob.Success", spec="5.3.19", channel=True)
@dataclass(slots=True)
class SetCustomMiningJobSuccess(Message):
    """Server to client: shares may name this job id."""

    channel_id: U32
    request_id: U32
    job_id: U32


@message(0x24, "SetCustomMiningJob.Error", spec="5.3.20", channel=True)
@dataclass(slots=True)
class SetCustomMiningJobError(Message):
    """Server to client: the custom job was refused."""

    channel_id: U32
    request_id: U32
    error_code: Code0_255


@message(0x25, "SetGroupChannel", spec="5.3.22")
@dataclass(slots=True)
class SetGroupChannel(Message):
    """Server to client: these open channels now belong to the group."""

    group_channel_id: U32
    channel_ids: Seq0_64K[U32]
