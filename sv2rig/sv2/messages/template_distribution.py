"""Messages of the template distribution protocol (specification 7).

The server is the template provider, the client a pool or a job declarator client.
"""

from dataclasses import dataclass

from sv2rig.sv2.messages.registry import Message, message
from sv2rig.sv2.wire import (
    B0_16M,
    B0_64K,
    B0_255,
    U16,
    U32,
    U64,
    U256,
    Bool,
    Code0_255,
    Hash256,
    Seq0_64K,
    Seq0_255,
)


@message(0x70, "CoinbaseOutputConstraints", spec="7.1")
@dataclass(slots=True)
class CoinbaseOutputConstraints(Message):
    """Client to server: serialised bytes and sigops to keep free for outputs added later."""

    coinbase_output_max_additional_size: U32
    coinbase_output_max_additional_sigops: U16


@message(0x71, "NewTemplate", spec="7.2")
@dataclass(slots=True)
class NewTemplate(Message):
    """Server to client. `coinbase_tx_value_remaining` in satoshis.

    `coinbase_tx_outputs` are consensus-serialised outputs without a CompactSize count; they come
    last in the coinbase. `merkle_path` is ordered from the deepest.
    """

    template_id: U64
    future_template: Bool
    version: U32
    coinbase_tx_version: U32
    coinbase_prefix: B0_255
    coinbase_tx_input_sequence: U32
    coinbase_tx_value_remaining: U64
    coinbase_tx_outputs_count: U32
    coinbase_tx_outputs: B0_64K
    coinbase_tx_locktime: U32
    merkle_path: Seq0_255[Hash256]


@message(0x72, "SetNewPrevHash", spec="7.3")
@dataclass(slots=True)
class TemplateSetNewPrevHash(Message):
    """Server to client: the (future) template to work on. Named apart from mining's message."""

    template_id: U64
    prev_hash: Hash256
    header_timestamp: U32
    nbits: U32
    target: U256


@message(0x73, "RequestTransactionData", spec="7.4")
@dataclass(slots=True)
class RequestTransactionData(Message):
    """Client to server: all transactions of a template but the coinbase."""

    template_id: U64


@message(0x74, "RequestTransactionData.Success", spec="7.5")
@dataclass(slots=True)
class RequestTransactionDataSuccess(Message):
    """Server to client: transactions and excess data, both opaque."""

    template_id: U64
    excess_data: B0_64K
    transaction_list: Seq0_64K[B0_16M]


@message(0x75, "RequestTransactionData.Error", spec="7.6")
@dataclass(slots=True)
class RequestTransactionDataError(Message):
    """Server to client: no transaction data."""

    template_id: U64
    error_code: Code0_255


@message(0x76, "SubmitSolution", spec="7.7")
@dataclass(slots=True)
class SubmitSolution(Message):
    """Client to server: a block was found. `coinbase_tx` keeps its BIP141 bytes (3.7.3)."""

    template_id: U64
    version: U32
    header_timestamp: U32
    header_nonce: U32
    coinbase_tx: B0_64K
