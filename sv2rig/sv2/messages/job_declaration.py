"""Messages of the job declaration protocol (specification 6.4).

The client is the job declarator client (JDC), the server the job declarator server (JDS).
"""

from dataclasses import dataclass

from sv2rig.sv2.messages.registry import Message, message
from sv2rig.sv2.wire import (
    B0_16M,
    B0_32,
    B0_64K,
    B0_255,
    U16,
    U32,
    Code0_255,
    Hash256,
    Seq0_64K,
    Str0_255,
)


@message(0x50, "AllocateMiningJobToken", spec="6.4.2")
@dataclass(slots=True)
class AllocateMiningJobToken(Message):
    """Client to server: a token for a job to be declared later."""

    user_identifier: Str0_255
    request_id: U32


@message(0x51, "AllocateMiningJobToken.Success", spec="6.4.3")
@dataclass(slots=True)
class AllocateMiningJobTokenSuccess(Message):
    """Server to client. The first output is the pool's payout; CompactSize count included."""

    request_id: U32
    mining_job_token: B0_255
    coinbase_tx_outputs: B0_64K


@message(0x55, "ProvideMissingTransactions", spec="6.4.7")
@dataclass(slots=True)
class ProvideMissingTransactions(Message):
    """Server to client: positions in the declared wtxid_list, from 0, coinbase not counted."""

    request_id: U32
    unknown_tx_position_list: Seq0_64K[U16]


@message(0x56, "ProvideMissingTransactions.Success", spec="6.4.8")
@dataclass(slots=True)
class ProvideMissingTransactionsSuccess(Message):
    """Client to server: the transactions in the order in which they were asked for."""

    request_id: U32
    transaction_list: Seq0_64K[B0_16M]


@message(0x57, "DeclareMiningJob", spec="6.4.4")
@dataclass(slots=True)
class DeclareMiningJob(Message):
    """Client to server. The coinbase parts keep their BIP141 bytes (3.7.2)."""

    request_id: U32
    mining_job_token: B0_255
    version: U32
    coinbase_tx_prefix: B0_64K
    coinbase_tx_suffix: B0_64K
    wtxid_list: Seq0_64K[Hash256]
    excess_data: B0_64K


@message(0x58, "DeclareMiningJob.Success", spec="6.4.5")
@dataclass(slots=True)
class DeclareMiningJobSuccess(Message):
    """Server to client: the new token stands for the declared job."""

    request_id: U32
    new_mining_job_token: B0_255


@message(0x59, "DeclareMiningJob.Error", spec="6.4.6")
@dataclass(slots=True)
class DeclareMiningJobError(Message):
    """Server to client: the declared job was refused."""

    request_id: U32
    error_code: Code0_255
    error_details: B0_64K


@message(0x60, "PushSolution", spec="6.4.9")
@dataclass(slots=True)
class PushSolution(Message):
    """Client to server: a block was found. `extranonce` is the full one."""

    extranonce: B0_32
    prev_hash: Hash256
    nonce: U32
    ntime: U32
    nbits: U32
    version: U32
