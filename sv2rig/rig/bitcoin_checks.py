"""The self-test's checks of Bitcoin's own formats, against mainnet."""

from __future__ import annotations

from collections.abc import Iterator

from sv2rig.bitcoin.block import Block
from sv2rig.bitcoin.coinbase import CoinbaseParts, height_push
from sv2rig.bitcoin.hashing import sha256d
from sv2rig.bitcoin.header import BlockHeader, to_display
from sv2rig.bitcoin.merkle import merkle_path, merkle_root, root_from_path
from sv2rig.bitcoin.target import DIFFICULTY_1, bits_to_target, target_to_bits
from sv2rig.rig.check import Check, CheckFailedError, expect_equal
from sv2rig.rig.known_blocks import KnownBlock, block_413567, known_blocks

# Compact bits and their targets: genesis; Bitcoin Wiki, "Difficulty"; Bitcoin Core,
# arith_uint256_tests.cpp.
_COMPACT_BITS = (
    (0x1D00FFFF, DIFFICULTY_1),
    (0x1B0404CB, 0x0404CB << 192),
    (0x05009234, 0x92340000),
    (0x20123456, 0x123456 << 232),
)


def bitcoin_checks() -> Iterator[Check]:
    yield Check("block hashes", "bitcoin", _block_hashes)
    yield Check("compact bits", "bitcoin", _compact_bits)
    yield Check("block 413567 merkle root", "bitcoin", _merkle_root_of_413567)
    yield Check("block 413567 coinbase", "bitcoin", _coinbase_of_413567)


def _block_hashes() -> str:
    blocks = known_blocks()
    for block in blocks:
        header = block.header
        expect_equal(f"header {block.height}", BlockHeader.unpack(header.pack()), header)
        expect_equal(f"hash of block {block.height}", header.hash(), block.block_hash)
        if header.hash_value() > bits_to_target(header.nbits):
            raise CheckFailedError(f"block {block.height} does not meet its own target")
    return f"{len(blocks)} mainnet blocks: {_named(blocks)}"


def _named(blocks: tuple[KnownBlock, ...]) -> str:
    return ", ".join(block.name for block in blocks)


def _compact_bits() -> str:
    real = tuple((nbits, bits_to_target(nbits)) for nbits in _mainnet_bits())
    for nbits, target in _COMPACT_BITS + real:
        expect_equal(f"the target of {nbits:08x}", bits_to_target(nbits), target)
        expect_equal(f"the bits of target {target:064x}", target_to_bits(target), nbits)
    return f"{len(_COMPACT_BITS)} known encodings, {len(real)} of mainnet there and back"


def _mainnet_bits() -> list[int]:
    return sorted({block.header.nbits for block in known_blocks()})


def _merkle_root_of_413567() -> str:
    block = Block.parse(block_413567())
    expect_equal("the header", block.header, _known_413567().header)
    root = merkle_root([item.txid() for item in block.transactions])
    expect_equal("the merkle root", root, block.header.merkle_root)
    return f"{to_display(root)} from {len(block.transactions)} transactions"


def _coinbase_of_413567() -> str:
    """As a miner has it: two parts around an extranonce, and the path to the root."""
    block = Block.parse(block_413567())
    coinbase = block.transactions[0]
    script, height = coinbase.inputs[0].script, height_push(413567)
    expect_equal("the coinbase's height", script[: len(height)], height)
    stripped = coinbase.serialise_stripped()
    end = stripped.index(script) + len(script)
    parts = CoinbaseParts(stripped[: end - 8], stripped[end:], 8)
    txid = sha256d(parts.stripped(stripped[end - 8 : end]))
    path = merkle_path([item.txid() for item in block.transactions])
    expect_equal("the merkle root", root_from_path(txid, path), block.header.merkle_root)
    return f"height 413567, and its merkle root through a path of {len(path)} hashes"


def _known_413567() -> KnownBlock:
    return next(block for block in known_blocks() if block.height == 413567)
