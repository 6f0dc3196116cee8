"""Whole blocks: a header and its transactions."""

from dataclasses import dataclass

from sv2rig.bitcoin.coinbase import find_witness_commitment, witness_commitment
from sv2rig.bitcoin.header import HEADER_SIZE, BlockHeader
from sv2rig.bitcoin.merkle import merkle_root
from sv2rig.bitcoin.reader import Reader, compact_size
from sv2rig.bitcoin.transaction import Transaction

_TRANSACTION_SIZE = 51  # the smallest that parses: one input, no outputs


@dataclass(frozen=True, slots=True)
class Block:
    """A block as peers and nodes exchange it (submitblock takes its hex)."""

    header: BlockHeader
    transactions: tuple[Transaction, ...]

    def serialise(self) -> bytes:
        """The block's bytes, witnesses included."""
        body = b"".join(item.serialise() for item in self.transactions)
        return self.header.pack() + compact_size(len(self.transactions)) + body

    @classmethod
    def parse(cls, data: bytes) -> "Block":
        """The block that is all of `data`; ParseError names the field and offset."""
        reader = Reader(data)
        header = BlockHeader.unpack(reader.take(HEADER_SIZE, "block header"))
        count = reader.count(_TRANSACTION_SIZE, "transaction count")
        transactions = tuple(Transaction.read(reader) for _ in range(count))
        reader.end("block")
        return cls(header, transactions)

    def check_merkle_root(self) -> bool:
        """Whether the header's root is the root over the transactions."""
        if not self.transactions:
            return False
        return merkle_root([item.txid() for item in self.transactions]) == self.header.merkle_root

    def check_witness_commitment(self) -> bool:
        """Whether witnesses are as the coinbase commits to them (BIP141).

        Without a commitment no transaction may carry a witness.
        """
        if not self.transactions:
            return False
        coinbase, others = self.transactions[0], self.transactions[1:]
        found = find_witness_commitment(coinbase.outputs)
        if found is None:
            return not any(item.witnesses for item in self.transactions)
        if len(coinbase.witnesses) != 1 or list(map(len, coinbase.witnesses[0])) != [32]:
            return False
        reserved = coinbase.witnesses[0][0]
        return found.startswith(witness_commitment([item.wtxid() for item in others], reserved))
