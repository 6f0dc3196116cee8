"""Templates: what a node offers to be mined, and how a pool turns one into jobs and blocks."""

from __future__ import annotations

from dataclasses import dataclass

from sv2rig.bitcoin.coinbase import (
    CoinbaseParts,
    coinbase_for_block,
    coinbase_parts,
    witness_commitment,
)
from sv2rig.bitcoin.merkle import merkle_path
from sv2rig.bitcoin.reader import compact_size
from sv2rig.bitcoin.target import bits_to_target
from sv2rig.bitcoin.transaction import Transaction, TxOutput
from sv2rig.sv2.extranonce import EXTRANONCE_SIZE
from sv2rig.sv2.template_job import MiningTemplate

POOL_TAG = b"sv2rig"


@dataclass(frozen=True, slots=True)
class Template:
    """A block without its coinbase. `prev_hash` is raw; times are Unix seconds, values satoshi."""

    template_id: int
    height: int
    version: int
    prev_hash: bytes
    nbits: int
    min_ntime: int
    coinbase_value: int
    transactions: tuple[Transaction, ...]


def mining_template(template: Template, payout_script: bytes) -> MiningTemplate:
    """The parts that jobs carry: the coinbase around its extranonce, and the merkle path."""
    wtxids = [transaction.wtxid() for transaction in template.transactions]
    parts: CoinbaseParts = coinbase_parts(
        template.height,
        [TxOutput(template.coinbase_value, payout_script)],
        EXTRANONCE_SIZE,
        POOL_TAG,
        commitment=witness_commitment(wtxids),
    )
    txids = [transaction.txid() for transaction in template.transactions]
    return MiningTemplate(
        template_id=template.template_id,
        version=template.version,
        coinbase_prefix=parts.prefix,
        coinbase_suffix=parts.suffix,
        merkle_path=merkle_path([bytes(32), *txids]),
        prev_hash=template.prev_hash,
        nbits=template.nbits,
        min_ntime=template.min_ntime,
        network_target=bits_to_target(template.nbits),
    )


def block_bytes(template: Template, header: bytes, stripped_coinbase: bytes) -> bytes:
    """The whole block as a node takes it, from a solved 80-byte header and its coinbase."""
    others = b"".join(transaction.serialise() for transaction in template.transactions)
    count = compact_size(1 + len(template.transactions))
    return header + count + coinbase_for_block(stripped_coinbase) + others
