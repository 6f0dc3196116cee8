"""What a job's coinbase says of height and payout, and what cannot be known of it."""

from __future__ import annotations

from sv2rig.bitcoin.coinbase import coinbase_parts
from sv2rig.bitcoin.transaction import TxOutput
from sv2rig.mining.payout import Payout, payout
from sv2rig.sv2.job import Job

MINE = bytes.fromhex("0014751e76e8199196d454941c45d1b3a323f1433bd6")
PARTS = coinbase_parts(903_412, [TxOutput(98, MINE), TxOutput(2, b"\x51")], 12)


def job(prefix: bytes = PARTS.prefix, suffix: bytes = PARTS.suffix, size: int = 8) -> Job:
    return Job(
        channel_id=1,
        job_id=7,
        version=0x20000000,
        prev_hash=bytes(32),
        nbits=0x207FFFFF,
        min_ntime=0,
        prevhash_received_at=0.0,
        target=1,
        coinbase_prefix=prefix,
        coinbase_suffix=suffix,
        extranonce_prefix=b"\x01\x02\x03\x04",
        extranonce_size=size,
    )


def test_height_and_share() -> None:
    assert payout(job(), MINE) == Payout(903_412, 0.98)
    assert payout(job(), b"\x52") == Payout(903_412, 0.0)
    assert payout(job(), None) == Payout(903_412, None)


def test_what_is_no_coinbase_is_unknown_and_no_error() -> None:
    for suffix in (b"", PARTS.suffix[:-1], PARTS.suffix + b"\x00", b"\xff" * 300):
        assert payout(job(suffix=suffix), MINE) == Payout()
    assert payout(job(size=7), MINE) == Payout()
    assert payout(job(prefix=b""), MINE) == Payout()


def test_a_reward_of_nothing_has_no_parts() -> None:
    parts = coinbase_parts(17, [TxOutput(0, MINE)], 12)
    assert payout(job(parts.prefix, parts.suffix), MINE) == Payout(17, None)
