"""The simulated chain: real blocks extend it, every broken rule is named, difficulty follows."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from sv2rig.bitcoin.address import address_to_script
from sv2rig.bitcoin.block import Block
from sv2rig.bitcoin.header import BlockHeader
from sv2rig.bitcoin.networks import Network
from sv2rig.bitcoin.target import bits_to_target, target_to_bits
from sv2rig.pool.simulated_chain import SUBSIDY, BlockRefusedError, SimulatedChain
from sv2rig.pool.template import Template, block_bytes, mining_template
from sv2rig.sv2.extranonce import EXTRANONCE_SIZE

UTC = 1_700_000_000
EASY = 1 << 250  # one block in 64 hashes
PAYOUT = bytes.fromhex("0014") + bytes(range(20))


def new_chain(interval_s: float = 10.0, seed: int = 1) -> SimulatedChain:
    return SimulatedChain(random.Random(seed), interval_s, now=0.0, utc=UTC, first_target=EASY)


def solve(
    template: Template, ntime: int = UTC, extranonce: bytes = bytes(EXTRANONCE_SIZE)
) -> bytes:
    job = mining_template(template, PAYOUT)
    header = BlockHeader(
        template.version, template.prev_hash, job.merkle_root(extranonce), ntime, template.nbits, 0
    )
    while header.hash_value() > bits_to_target(template.nbits):
        header = replace(header, nonce=header.nonce + 1)
    return block_bytes(template, header.pack(), job.coinbase(extranonce))


def test_solved_blocks_make_the_chain_grow_and_pay_subsidy_and_fees() -> None:
    chain = new_chain()
    for height in range(1, 6):
        template = chain.template(now=height * 10.0)
        assert template.height == height
        assert template.coinbase_value > SUBSIDY
        block = solve(template, UTC + height)
        chain.submit(block, now=height * 10.0, utc=UTC + height)
        assert chain.height == height
        assert chain.tip == Block.parse(block).header.hash()
        chain.receive_transactions(5)


def test_the_first_blocks_of_a_fast_clock_leave_the_miners_time_allowed() -> None:
    chain = new_chain()
    for height in range(1, 6):  # within one second, by a miner whose clock is a minute fast
        template = chain.template(now=0.1 * height)
        assert template.min_ntime <= UTC
        chain.submit(solve(template, UTC + 60), now=0.1 * height, utc=UTC)


def test_mined_transactions_leave_the_mempool() -> None:
    chain = new_chain()
    template = chain.template(0.0)
    chain.submit(solve(template), 1.0, UTC)
    assert chain.template(1.0).transactions == ()


def test_a_payout_address_is_paid() -> None:
    script = address_to_script("bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", Network.REGTEST)
    job = mining_template(new_chain().template(0.0), script)
    assert script in job.coinbase_suffix


def change_header(block: bytes, **changes: int | bytes) -> bytes:
    header = replace(BlockHeader.unpack(block[:80]), **changes)  # type: ignore[arg-type]
    while header.hash_value() > EASY:
        header = replace(header, nonce=(header.nonce + 1) & 0xFFFFFFFF)
    return header.pack() + block[80:]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda b: b[:-1], "cannot be decoded"),
        (lambda b: change_header(b, prev_hash=bytes(32)), "prev-blk-not-found"),
        (lambda b: change_header(b, nbits=0x207FFFFF), "bad-diffbits"),
        (lambda b: change_header(b, ntime=UTC - 51), "time-too-old"),
        (lambda b: change_header(b, ntime=UTC + 7201), "time-too-new"),
        (lambda b: change_header(b, merkle_root=bytes(32)), "bad-txnmrklroot"),
    ],
)
def test_broken_blocks_are_refused_by_the_rule_they_break(change: object, reason: str) -> None:
    chain = new_chain()
    block = solve(chain.template(0.0))
    with pytest.raises(BlockRefusedError, match=reason):
        chain.submit(change(block), 1.0, UTC)  # type: ignore[operator]
    assert chain.height == 0
    chain.submit(change_header(block, ntime=UTC + 7200), 1.0, UTC)


def test_a_hash_above_the_target_is_refused() -> None:
    chain = new_chain()
    block = solve(chain.template(0.0))
    header = BlockHeader.unpack(block[:80])
    while header.hash_value() <= EASY:
        header = replace(header, nonce=header.nonce + 1)
    with pytest.raises(BlockRefusedError, match="high-hash"):
        chain.submit(header.pack() + block[80:], 1.0, UTC)


def test_a_coinbase_that_pays_too_much_is_refused() -> None:
    chain = new_chain()
    template = chain.template(0.0)
    with pytest.raises(BlockRefusedError, match="bad-cb-amount"):
        chain.submit(solve(replace(template, coinbase_value=template.coinbase_value + 1)), 1.0, UTC)


def test_a_wrong_height_in_the_coinbase_is_refused() -> None:
    chain = new_chain()
    with pytest.raises(BlockRefusedError, match="bad-cb-height"):
        chain.submit(solve(replace(chain.template(0.0), height=17)), 1.0, UTC)


def test_blocks_that_come_too_fast_make_the_next_ones_harder_and_late_ones_easier() -> None:
    fast, slow = new_chain(interval_s=10.0), new_chain(interval_s=10.0)
    for step in range(1, 4):
        fast.submit(solve(fast.template(step * 1.0), UTC + step), step * 1.0, UTC + step)
        slow.submit(solve(slow.template(step * 25.0), UTC + step), step * 25.0, UTC + step)
    assert (
        bits_to_target(fast.template(3.0).nbits) < EASY < bits_to_target(slow.template(75.0).nbits)
    )


def test_a_stuck_chain_eases_so_that_a_slow_rig_finds_blocks() -> None:
    chain = new_chain(interval_s=10.0)
    before = bits_to_target(chain.template(29.0).nbits)
    after = bits_to_target(chain.template(31.0).nbits)
    assert after == bits_to_target(target_to_bits(before * 4))
