"""A chain for loopback: real headers, merkle trees, witnesses and rules, at its own difficulty.

It stands where a Bitcoin node would: it offers Templates and judges blocks byte by byte. Blocks are
only found by real SHA-256d work, and the difficulty follows the work it sees. Nothing here reads a
clock: `now` is monotonic seconds, `utc` Unix seconds.
"""

from __future__ import annotations

import random
from collections import deque

from sv2rig.bitcoin.block import Block
from sv2rig.bitcoin.coinbase import height_push
from sv2rig.bitcoin.header import to_display
from sv2rig.bitcoin.target import MAX_TARGET, bits_to_target, target_to_bits
from sv2rig.bitcoin.transaction import OutPoint, Transaction, TxInput, TxOutput
from sv2rig.pool.template import Template

FIRST_TARGET = (1 << 234) - 1  # one block in 2**22 hashes
EASIEST_TARGET = 1 << 255
SUBSIDY = 50 * 100_000_000
HALVING = 210_000
MAX_FUTURE_S = 7200
VERSION = 0x20000000
_MEDIAN_SPAN = 11
_RETARGET_SPAN = 4  # intervals averaged; short, since a rig's hash rate changes at once
_LARGEST_STEP = 4
_MEMPOOL_LIMIT = 500


class BlockRefusedError(Exception):
    """A block that does not extend the chain; the text is the reason, as a node would give it."""


class SimulatedChain:
    """A growing chain, its mempool, and the difficulty that aims at a block each `interval_s`."""

    def __init__(
        self,
        rng: random.Random,
        interval_s: float,
        now: float,
        utc: float,
        first_target: int = FIRST_TARGET,
    ) -> None:
        self.height = 0
        self.tip = rng.randbytes(32)
        self._rng = rng
        self._interval = interval_s
        self._target = bits_to_target(target_to_bits(first_target))
        self._found_at: deque[float] = deque([now], maxlen=_RETARGET_SPAN + 1)
        self._eased_at = now
        # As if blocks had come before: a miner whose clock is fast must not, by its first block,
        # put the median time past its own next ntime (SRI's mining device is 60 s ahead).
        past = (int(utc - 1 - back * interval_s) for back in reversed(range(_MEDIAN_SPAN)))
        self._times: deque[int] = deque(past, maxlen=_MEDIAN_SPAN)
        self._mempool: list[tuple[Transaction, int]] = []
        self._offered_bits: set[int] = set()
        self._template_id = 0
        self.receive_transactions(20)

    def receive_transactions(self, count: int) -> None:
        """New transactions reach the mempool; the oldest make room for them."""
        self._mempool += [self._random_transaction() for _ in range(count)]
        del self._mempool[:-_MEMPOOL_LIMIT]

    def template(self, now: float) -> Template:
        """The next block as this node would have it mined."""
        self._ease_when_stuck(now)
        nbits = target_to_bits(self._target)
        self._offered_bits.add(nbits)
        self._template_id += 1
        fees = sum(fee for _, fee in self._mempool)
        return Template(
            template_id=self._template_id,
            height=self.height + 1,
            version=VERSION,
            prev_hash=self.tip,
            nbits=nbits,
            min_ntime=self._median_time() + 1,
            coinbase_value=self._subsidy() + fees,
            transactions=tuple(transaction for transaction, _ in self._mempool),
        )

    def submit(self, data: bytes, now: float, utc: float) -> None:
        """Judge a block by the rules and make it the tip, or raise BlockRefusedError."""
        block = _parse(data)
        self._check_header(block, utc)
        self._check_body(block)
        self.height += 1
        self.tip = block.header.hash()
        self._times.append(block.header.ntime)
        self._found_at.append(now)
        self._eased_at = now
        self._offered_bits.clear()
        mined = {transaction.txid() for transaction in block.transactions}
        self._mempool = [entry for entry in self._mempool if entry[0].txid() not in mined]
        self._retarget()

    def _check_header(self, block: Block, utc: float) -> None:
        header = block.header
        if header.prev_hash != self.tip:
            raise BlockRefusedError(f"prev-blk-not-found: the tip is {to_display(self.tip)}")
        if header.nbits not in self._offered_bits:
            raise BlockRefusedError(f"bad-diffbits: {header.nbits:#x} was not offered")
        if header.hash_value() > bits_to_target(header.nbits):
            raise BlockRefusedError("high-hash: proof of work failed")
        if header.ntime <= self._median_time():
            raise BlockRefusedError(f"time-too-old: {header.ntime} <= {self._median_time()}")
        if header.ntime > utc + MAX_FUTURE_S:
            raise BlockRefusedError(f"time-too-new: {header.ntime} is over 2 h in the future")

    def _check_body(self, block: Block) -> None:
        if not block.check_merkle_root():
            raise BlockRefusedError("bad-txnmrklroot: the header's merkle root is another")
        if not block.check_witness_commitment():
            raise BlockRefusedError("bad-witness-merkle-match: the witness commitment is wrong")
        coinbase, *others = block.transactions
        if not coinbase.is_coinbase:
            raise BlockRefusedError("bad-cb-missing: the first transaction is no coinbase")
        if not coinbase.inputs[0].script.startswith(height_push(self.height + 1)):
            raise BlockRefusedError(f"bad-cb-height: the next height is {self.height + 1}")
        fees = {transaction.txid(): fee for transaction, fee in self._mempool}
        known = [fees.get(transaction.txid()) for transaction in others]
        if None in known:
            raise BlockRefusedError("bad-txns-inputs-missingorspent: unknown transaction")
        allowed = self._subsidy() + sum(fee for fee in known if fee is not None)
        paid = sum(output.value for output in coinbase.outputs)
        if paid > allowed:
            raise BlockRefusedError(f"bad-cb-amount: pays {paid}, at most {allowed} is allowed")

    def _retarget(self) -> None:
        spans = len(self._found_at) - 1
        average = (self._found_at[-1] - self._found_at[0]) / spans
        step = min(max(average / self._interval, 1 / _LARGEST_STEP), _LARGEST_STEP)
        self._set_target(self._target * int(step * 2**32) >> 32)

    def _ease_when_stuck(self, now: float) -> None:
        # As testnet does: a rig that is slower than the one before must not wait for ever.
        if now - self._eased_at > 3 * self._interval:
            self._eased_at = now
            self._set_target(self._target * 4)

    def _set_target(self, target: int) -> None:
        bounded = min(max(target, 1), EASIEST_TARGET, MAX_TARGET)
        self._target = bits_to_target(target_to_bits(bounded))

    def _median_time(self) -> int:
        return sorted(self._times)[len(self._times) // 2]

    def _subsidy(self) -> int:
        return SUBSIDY >> (self.height + 1) // HALVING

    def _random_transaction(self) -> tuple[Transaction, int]:
        """A pay-to-witness-public-key-hash spend as they are common, and its fee."""
        rng = self._rng
        inputs = rng.randint(1, 3)
        outputs = tuple(
            TxOutput(rng.randrange(546, 10**9), b"\x00\x14" + rng.randbytes(20))
            for _ in range(rng.randint(1, 2))
        )
        spends = tuple(
            TxInput(OutPoint(rng.randbytes(32), rng.randrange(4)), b"", 0xFFFFFFFD)
            for _ in range(inputs)
        )
        witness = tuple((rng.randbytes(71), b"\x02" + rng.randbytes(32)) for _ in range(inputs))
        return Transaction(2, spends, outputs, witness), rng.randrange(110, 30_000)


def _parse(data: bytes) -> Block:
    try:
        block = Block.parse(data)
    except ValueError as error:
        raise BlockRefusedError(f"cannot be decoded: {error}") from error
    if not block.transactions:
        raise BlockRefusedError("bad-blk-length: no transactions")
    return block
