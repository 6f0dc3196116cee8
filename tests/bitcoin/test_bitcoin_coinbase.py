import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sv2rig.bitcoin.block import Block
from sv2rig.bitcoin.coinbase import (
    MAX_MONEY,
    coinbase_for_block,
    coinbase_parts,
    find_witness_commitment,
    height_push,
    witness_commitment,
)
from sv2rig.bitcoin.hashing import sha256d
from sv2rig.bitcoin.header import BlockHeader, to_display
from sv2rig.bitcoin.merkle import merkle_root, root_from_path
from sv2rig.bitcoin.reader import ParseError
from sv2rig.bitcoin.transaction import Transaction, TxOutput

VECTORS = Path(__file__).parents[1] / "vectors/bitcoin"
EMPTY_COMMITMENT = bytes.fromhex(
    "6a24aa21a9ede2f61c3f71d1defd3fa999dfa36953755c690689799962b48bebd836974e8cf9"
)
PAY = TxOutput(5_000_000_000, bytes.fromhex("0014ebe1b7dcc293ccaa0ee743a86f89df8258c208fc"))


def test_sris_known_job() -> None:
    # stratum-mining/stratum, sv2/channels-sv2/src/server/jobs/factory.rs, test_new_pool_job:
    # height 2, tag "Sv2/Stratum V2 SRI Pool//", 32 bytes of extranonce.
    parts = coinbase_parts(2, [PAY], 32, b"Sv2/Stratum V2 SRI Pool//", commitment=EMPTY_COMMITMENT)
    assert parts.prefix.hex() == (
        "02000000010000000000000000000000000000000000000000000000000000000000000000ffffffff3d5200"
        "195376322f5374726174756d2056322053524920506f6f6c2f2f20"
    )
    assert parts.suffix.hex() == (
        "ffffffff0200f2052a01000000160014ebe1b7dcc293ccaa0ee743a86f89df8258c208fc0000000000000000"
        "266a24aa21a9ede2f61c3f71d1defd3fa999dfa36953755c690689799962b48bebd836974e8cf900000000"
    )


def test_a_real_share_from_coinbase_to_hash() -> None:
    share = json.loads((VECTORS / "share.json").read_text())
    prefix, extranonce, suffix = (
        bytes.fromhex(share[key]) for key in ("coinbase_prefix", "extranonce", "coinbase_suffix")
    )
    coinbase = Transaction.parse(prefix + extranonce + suffix)
    assert coinbase.inputs[0].script.startswith(height_push(901_936))
    path = [bytes.fromhex(item) for item in share["merkle_path"]]
    header = BlockHeader.unpack(bytes.fromhex(share["header"]))
    assert root_from_path(coinbase.txid(), path) == header.merkle_root
    assert to_display(header.hash()) == share["hash"]
    # The share's coinbase is stripped but has a commitment: a block needs the witness back.
    whole = Transaction.parse(coinbase_for_block(coinbase.serialise_stripped()))
    assert whole.witnesses == ((bytes(32),),)
    assert whole.txid() == coinbase.txid()


# Bitcoin Core, CScript() << height; block 227,931 is BIP34's first, 0x7fff and 0x8000 the sign bit.
@pytest.mark.parametrize(
    ("height", "push"),
    [
        (0, "00"),
        (1, "51"),
        (16, "60"),
        (17, "0111"),
        (127, "017f"),
        (128, "028000"),
        (255, "02ff00"),
        (256, "020001"),
        (32767, "02ff7f"),
        (32768, "03008000"),
        (227931, "035b7a03"),
        (413567, "037f4f06"),
        (8388607, "03ffff7f"),
        (8388608, "0400008000"),
        ((1 << 31) - 1, "04ffffff7f"),
    ],
)
def test_bip34_heights(height: int, push: str) -> None:
    assert height_push(height).hex() == push


@pytest.mark.parametrize("height", [-1, 1 << 31])
def test_heights_that_cannot_be_are_refused(height: int) -> None:
    with pytest.raises(ValueError, match=f"height {height}"):
        height_push(height)


@given(
    st.integers(0, (1 << 31) - 1),
    st.integers(0, 32),
    st.binary(max_size=40),
    st.lists(st.builds(TxOutput, st.integers(0, 10**9), st.binary(max_size=40)), min_size=1),
    st.booleans(),
)
def test_parts_make_a_valid_coinbase(
    height: int, size: int, tag: bytes, outputs: list[TxOutput], segwit: bool
) -> None:
    commitment = EMPTY_COMMITMENT if segwit else None
    outputs = [item for item in outputs if find_witness_commitment([item]) is None] or [PAY]
    parts = coinbase_parts(height, outputs, size, tag, commitment=commitment)
    extranonce = bytes(range(200, 200 + size))
    stripped = parts.stripped(extranonce)
    coinbase = Transaction.parse(stripped)
    script = coinbase.inputs[0].script
    assert coinbase.is_coinbase
    assert coinbase.serialise_stripped() == stripped
    assert 2 <= len(script) <= 100
    assert script.startswith(height_push(height))
    assert script.endswith(bytes([size]) + extranonce)
    assert tag in script
    assert list(coinbase.outputs[: len(outputs)]) == outputs
    full = Transaction.parse(coinbase_for_block(stripped))
    assert full.txid() == sha256d(stripped)
    assert bool(full.witnesses) == segwit
    header = BlockHeader(4, bytes(32), merkle_root([full.txid()]), 0, 0, 0)
    assert Block(header, (full,)).check_witness_commitment()


def test_the_script_sig_limit_is_exact() -> None:
    # Height 4 bytes, push of the tag 1, push of the extranonce 1, extranonce 32: 62 are left.
    script = (
        Transaction.parse(coinbase_parts(900_000, [PAY], 32, b"t" * 62).stripped(bytes(32)))
        .inputs[0]
        .script
    )
    assert len(script) == 100
    with pytest.raises(ValueError, match=r"scriptSig would have 101 bytes .* shorten the tag"):
        coinbase_parts(900_000, [PAY], 32, b"t" * 63)


def test_impossible_coinbases_are_refused() -> None:
    with pytest.raises(ValueError, match="extranonce size 76"):
        coinbase_parts(1, [PAY], 76)
    with pytest.raises(ValueError, match="extranonce size -1"):
        coinbase_parts(1, [PAY], -1)
    with pytest.raises(ValueError, match="tag has 76 bytes"):
        coinbase_parts(1, [PAY], 0, b"t" * 76)
    with pytest.raises(ValueError, match="0 outputs"):
        coinbase_parts(1, [], 8)
    with pytest.raises(ValueError, match="2 outputs paying 2100000000000001 satoshi"):
        coinbase_parts(1, [TxOutput(MAX_MONEY, b""), TxOutput(1, b"")], 8)
    parts = coinbase_parts(1, [TxOutput(MAX_MONEY, b"")], 8)
    for size in (7, 9):
        with pytest.raises(ValueError, match=f"extranonce has {size} bytes.*exactly 8"):
            parts.stripped(bytes(size))


def test_the_commitment_of_an_empty_block() -> None:
    # What every pool sends for a block without transactions; in SRI's known job too.
    assert witness_commitment([]) == EMPTY_COMMITMENT


def test_a_real_blocks_commitment() -> None:
    block = Block.parse((VECTORS / "testnet_segwit_block.raw").read_bytes())
    others = [item.wtxid() for item in block.transactions[1:]]
    found = find_witness_commitment(block.transactions[0].outputs)
    assert found == witness_commitment(others)
    assert found is not None
    assert found.hex().startswith("6a24aa21a9edf91c46b49eb8a290")
    assert found != witness_commitment(others, b"\x01" * 32)


def test_the_last_commitment_counts() -> None:
    first, last = (TxOutput(0, EMPTY_COMMITMENT + bytes([n])) for n in range(2))
    short = TxOutput(0, EMPTY_COMMITMENT[:-1])
    assert find_witness_commitment([first, last, short, PAY]) == last.script
    assert find_witness_commitment([short, PAY]) is None


def test_only_stripped_coinbases_go_into_blocks() -> None:
    block = Block.parse((VECTORS / "testnet_segwit_block.raw").read_bytes())
    coinbase, other = block.transactions[:2]
    assert coinbase_for_block(coinbase.serialise_stripped()) == coinbase.serialise()
    for transaction in (coinbase, other):
        with pytest.raises(ValueError, match="not a stripped coinbase"):
            coinbase_for_block(transaction.serialise())
    with pytest.raises(ParseError, match="transaction version"):
        coinbase_for_block(b"")
