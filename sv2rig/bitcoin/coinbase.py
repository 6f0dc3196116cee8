"""Coinbase transactions: the reward, the height, the witness commitment, and room to search."""

from collections.abc import Sequence
from dataclasses import dataclass

from sv2rig.bitcoin.hashing import sha256d
from sv2rig.bitcoin.merkle import merkle_root
from sv2rig.bitcoin.reader import compact_size
from sv2rig.bitcoin.transaction import COINBASE_OUTPOINT, Transaction, TxInput, TxOutput

MAX_SCRIPT_SIG = 100  # consensus; the minimum of 2 is always met, see coinbase_parts
MAX_MONEY = 21_000_000 * 100_000_000
WITNESS_RESERVED = bytes(32)  # BIP141's witness reserved value
_COMMITMENT_HEADER = bytes.fromhex("6a24aa21a9ed")
_LARGEST_PUSH = 75  # bytes that a one-byte push opcode can announce


@dataclass(frozen=True, slots=True)
class CoinbaseParts:
    """A stripped coinbase around an extranonce: `prefix` + extranonce + `suffix`.

    This is what Stratum V2's NewExtendedMiningJob carries (spec 3.7.1): no BIP141 bytes.
    """

    prefix: bytes
    suffix: bytes
    extranonce_size: int

    def stripped(self, extranonce: bytes) -> bytes:
        """The stripped coinbase, whose sha256d is its txid."""
        if len(extranonce) != self.extranonce_size:
            raise ValueError(
                f"extranonce has {len(extranonce)} bytes, the job has room for exactly"
                f" {self.extranonce_size}"
            )
        return self.prefix + extranonce + self.suffix


def height_push(height: int) -> bytes:
    """The minimal script push of a block's height (BIP34), as Bitcoin Core makes it."""
    if not 0 <= height < 1 << 31:
        raise ValueError(f"block height {height} is outside 0..2^31-1")
    if height == 0:
        return b"\x00"
    if height <= 16:
        return bytes([0x50 + height])
    # Script numbers are signed: a set top bit needs a further byte.
    number = height.to_bytes(height.bit_length() // 8 + 1, "little")
    return bytes([len(number)]) + number


def coinbase_parts(
    height: int,
    outputs: Sequence[TxOutput],
    extranonce_size: int,
    tag: bytes = b"",
    *,
    commitment: bytes | None = None,
    version: int = 2,
    sequence: int = 0xFFFFFFFF,
    lock_time: int = 0,
) -> CoinbaseParts:
    """A coinbase paying `outputs`, with room for an extranonce.

    The scriptSig is the height, the pushed `tag` if any, then the pushed extranonce: SRI's layout.
    `commitment` is the script of witness_commitment(), added as a last output of no value.
    ValueError where the scriptSig would pass 100 bytes or a value is impossible.
    """
    if not 0 <= extranonce_size <= _LARGEST_PUSH:
        raise ValueError(f"extranonce size {extranonce_size} is outside 0..{_LARGEST_PUSH}")
    if len(tag) > _LARGEST_PUSH:
        raise ValueError(f"pool tag has {len(tag)} bytes, over {_LARGEST_PUSH}")
    script = height_push(height)
    if height <= 16:
        script += b"\x00"  # Bitcoin Core's block assembler adds OP_0, so that 2 bytes are there
    if tag:
        script += bytes([len(tag)]) + tag
    script += bytes([extranonce_size])
    size = len(script) + extranonce_size
    if size > MAX_SCRIPT_SIG:
        raise ValueError(
            f"coinbase scriptSig would have {size} bytes (height {height}, pool tag {len(tag)},"
            f" extranonce {extranonce_size}), over the limit of {MAX_SCRIPT_SIG}: shorten the tag"
        )
    if commitment is not None:
        outputs = [*outputs, TxOutput(0, commitment)]
    return _split(script, extranonce_size, outputs, (version, sequence, lock_time))


def _split(
    script: bytes, extranonce_size: int, outputs: Sequence[TxOutput], words: tuple[int, int, int]
) -> CoinbaseParts:
    total = sum(output.value for output in outputs)
    if not outputs or total > MAX_MONEY:
        raise ValueError(
            f"coinbase has {len(outputs)} outputs paying {total} satoshi in all; it needs one"
            f" output or more, paying at most {MAX_MONEY}"
        )
    version, sequence, lock_time = words
    whole = Transaction(
        version,
        (TxInput(COINBASE_OUTPOINT, script + bytes(extranonce_size), sequence),),
        tuple(outputs),
        lock_time=lock_time,
    ).serialise_stripped()
    start = 4 + 1 + 36 + 1 + len(script)  # version, input count, outpoint, script length
    return CoinbaseParts(whole[:start], whole[start + extranonce_size :], extranonce_size)


def witness_commitment(other_wtxids: Sequence[bytes], reserved: bytes = WITNESS_RESERVED) -> bytes:
    """The output script by which a coinbase commits to all witnesses (BIP141).

    `other_wtxids` are those of the block's transactions after the coinbase, in order; the
    coinbase's own counts as zeros.
    """
    root = merkle_root([bytes(32), *other_wtxids])
    return _COMMITMENT_HEADER + sha256d(root + reserved)


def find_witness_commitment(outputs: Sequence[TxOutput]) -> bytes | None:
    """The script of the commitment among a coinbase's outputs: the last one counts (BIP141)."""
    for output in reversed(outputs):
        if len(output.script) >= 38 and output.script.startswith(_COMMITMENT_HEADER):
            return output.script
    return None


def coinbase_for_block(stripped: bytes) -> bytes:
    """The coinbase as it goes into a block, from its stripped bytes.

    Where it has a witness commitment BIP141 wants the reserved value as its witness, elsewhere
    there must be none. ParseError where `stripped` is not a transaction, ValueError where it is
    not a stripped coinbase.
    """
    coinbase = Transaction.parse(stripped)
    if coinbase.witnesses or not coinbase.is_coinbase:
        raise ValueError("not a stripped coinbase: it has a witness or spends an output")
    if find_witness_commitment(coinbase.outputs) is None:
        return stripped
    witness = b"\x01" + compact_size(len(WITNESS_RESERVED)) + WITNESS_RESERVED
    return stripped[:4] + b"\x00\x01" + stripped[4:-4] + witness + stripped[-4:]
