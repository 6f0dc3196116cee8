"""Heights and rewards out of real coinbases, of made ones, and of bytes that are none."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sv2rig.bitcoin.address import address_to_script
from sv2rig.bitcoin.block import Block
from sv2rig.bitcoin.coinbase import coinbase_for_block, coinbase_parts, height_push
from sv2rig.bitcoin.coinbase_reward import coinbase_reward, pushed_height
from sv2rig.bitcoin.transaction import OutPoint, Transaction, TxInput, TxOutput
from sv2rig.rig.known_blocks import block_413567

VECTORS = Path(__file__).parents[1] / "vectors/bitcoin"
# One of each kind, out of BIP173, BIP350 and the genesis block.
ADDRESSES = {
    "p2pkh": "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
    "p2sh": "3P14159f73E4gFr7JterCCQh9QjiTjiZrG",
    "p2wpkh": "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    "p2wsh": "bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3",
    "p2tr": "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
    "testnet": "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx",
}


def test_block_413567_of_mainnet() -> None:
    coinbase = Block.parse(block_413567()).transactions[0]
    paid = max(coinbase.outputs, key=lambda output: output.value)
    reward = coinbase_reward(coinbase.serialise(), paid.script)
    assert reward.height == 413_567
    # The subsidy before the halving at 420,000, and the fees of 1556 transactions.
    assert 25 * 100_000_000 < reward.total < 26 * 100_000_000
    assert reward.paid == reward.total


def test_a_real_share_of_mainnet() -> None:
    share = json.loads((VECTORS / "share.json").read_text())
    parts = ("coinbase_prefix", "extranonce", "coinbase_suffix")
    coinbase = b"".join(bytes.fromhex(share[name]) for name in parts)
    paid = bytes.fromhex("0020984a77c289084ff2d434c316bdada021c6c183d507c8a20d3b159b09ac02fe28")
    reward = coinbase_reward(coinbase, paid)
    assert reward.height == 901_936
    assert reward.paid == reward.total == 315_012_581
    assert coinbase_reward(coinbase_for_block(coinbase), paid) == reward
    assert coinbase_reward(coinbase, paid[:-1] + b"\x00").paid == 0
    assert coinbase_reward(coinbase).paid == 0


def test_a_testnet_block() -> None:
    block = Block.parse((VECTORS / "testnet_segwit_block.raw").read_bytes())
    coinbase = block.transactions[0]
    height = coinbase_reward(coinbase.serialise()).height
    assert height is not None
    assert coinbase.inputs[0].script.startswith(height_push(height))


@pytest.mark.parametrize("address", ADDRESSES.values(), ids=ADDRESSES)
def test_each_kind_of_address_gets_its_part(address: str) -> None:
    mine, others = address_to_script(address), bytes.fromhex("51")
    outputs = [TxOutput(2_000_000, others), TxOutput(90_000_000, mine), TxOutput(8_000_000, mine)]
    coinbase = coinbase_parts(903_412, outputs, 8).stripped(b"\xff" * 8)
    reward = coinbase_reward(coinbase, mine)
    assert (reward.height, reward.total, reward.paid) == (903_412, 100_000_000, 98_000_000)


@given(st.integers(0, (1 << 31) - 1), st.binary(max_size=20))
def test_every_height_is_read_back(height: int, more: bytes) -> None:
    assert pushed_height(height_push(height) + more) == height


@pytest.mark.parametrize(
    "script",
    [
        "",
        "03",  # announces three bytes
        "0330c3",
        "0105",  # not minimal: 5 is OP_5
        "020500",
        "0430c30d00",
        "0181",  # -1
        "050000000001",
        "0a00000000000000000001",
        "4c0330c30d",
        "4f",
        "61",
    ],
)
def test_no_height_is_made_up(script: str) -> None:
    assert pushed_height(bytes.fromhex(script)) is None


def test_the_edges_of_small_heights() -> None:
    scripts = ("00", "51", "60", "0111", "017f", "028000", "04ffffff7f")
    heights = [pushed_height(bytes.fromhex(script)) for script in scripts]
    assert heights == [0, 1, 16, 17, 127, 128, (1 << 31) - 1]


@given(st.binary(max_size=200))
def test_garbage_is_a_value_error_at_most(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        coinbase_reward(data)


@given(st.integers(0, 109), st.binary(max_size=3))
def test_a_damaged_coinbase_is_a_value_error_at_most(at: int, put: bytes) -> None:
    whole = coinbase_parts(903_412, [TxOutput(98, b"\x51")], 8).stripped(bytes(8))
    with contextlib.suppress(ValueError):
        reward = coinbase_reward(whole[:at] + put + whole[at + 1 :], b"\x51")
        assert 0 <= reward.paid <= reward.total


def test_a_transaction_that_spends_is_no_coinbase() -> None:
    spends = TxInput(OutPoint(b"\x01" * 32, 0), height_push(903_412))
    transaction = Transaction(2, (spends,), (TxOutput(1, b"\x51"),))
    with pytest.raises(ValueError, match="spends an output"):
        coinbase_reward(transaction.serialise())
