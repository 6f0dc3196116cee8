"""Jobs: merkle roots against a real block, ntime bounds, refused values."""

from dataclasses import replace

import pytest

from sv2rig.bitcoin.hashing import sha256d
from sv2rig.sv2.job import Job

# Block 170, mainnet: its coinbase, the one other transaction's id, and its header's merkle root.
COINBASE_170 = bytes.fromhex(
    "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff0704ffff001d"
    "0102ffffffff0100f2052a01000000434104d46c4968bde02899d2aa0963367c7a6ce34eec332b32e42e5f3407e052"
    "d64ac625da6f0718e7b302140434bd725706957c092db53805b821a85b23a7ac61725bac00000000"
)
TXID_170_1 = bytes.fromhex("f4184fc596403b9d638783cf57adfe4c75c605f6356fbc91338530e9831e9e16")[::-1]
ROOT_170 = bytes.fromhex("7dac2c5666815c17a3b36427de37bb9d2e2c5ccec3f8633eb91a4205cb4c10ff")[::-1]

STANDARD = Job(
    channel_id=2,
    job_id=7,
    version=0x20000000,
    prev_hash=bytes(32),
    nbits=0x1D00FFFF,
    min_ntime=1_700_000_000,
    prevhash_received_at=500.0,
    target=1 << 240,
    merkle_root=b"\x01" * 32,
)
EXTENDED = replace(
    STANDARD,
    merkle_root=None,
    coinbase_prefix=COINBASE_170[:43],
    extranonce_prefix=COINBASE_170[43:45],
    extranonce_size=3,
    coinbase_suffix=COINBASE_170[48:],
    merkle_path=(TXID_170_1,),
)


def test_extended_job_gives_the_merkle_root_of_block_170() -> None:
    assert EXTENDED.is_extended
    assert EXTENDED.merkle_root_for(COINBASE_170[45:48]) == ROOT_170


def test_path_of_none_leaves_the_coinbase_txid() -> None:
    job = replace(EXTENDED, merkle_path=())
    assert job.merkle_root_for(COINBASE_170[45:48]) == sha256d(COINBASE_170)


def test_standard_job_has_its_merkle_root() -> None:
    assert not STANDARD.is_extended
    assert STANDARD.merkle_root_for() == b"\x01" * 32


@pytest.mark.parametrize("size", [0, 2, 4])
def test_extranonce_of_the_wrong_size_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"extranonce has {size} bytes, extranonce_size is 3"):
        EXTENDED.merkle_root_for(bytes(size))


def test_network_target_is_that_of_nbits() -> None:
    assert STANDARD.network_target == 0xFFFF << 208


def test_content_ignores_ids_times_and_targets_but_not_the_coinbase() -> None:
    other = replace(EXTENDED, job_id=8, channel_id=3, min_ntime=1_700_000_001, target=5)
    assert other.content == EXTENDED.content
    assert replace(EXTENDED, extranonce_prefix=b"\x00\x00").content != EXTENDED.content


@pytest.mark.parametrize(
    ("elapsed", "highest"), [(-5.0, 0), (0.0, 0), (0.999, 0), (1.0, 1), (59.5, 59), (3600.0, 3600)]
)
def test_ntime_follows_the_seconds_since_the_previous_hash(elapsed: float, highest: int) -> None:
    assert STANDARD.max_ntime(500.0 + elapsed) == STANDARD.min_ntime + highest


def test_later_job_counts_from_the_previous_hash_not_from_its_own_min_ntime() -> None:
    later = replace(STANDARD, prevhash_ntime=STANDARD.min_ntime, min_ntime=STANDARD.min_ntime + 30)
    assert later.max_ntime(500.0 + 29) == later.min_ntime  # the server's clock is a little ahead
    assert later.max_ntime(500.0 + 31) == later.min_ntime + 1


# 0.1 + 4, 0.3 + 2 and 85.7 + 73 round so that the difference comes out below the whole second.
@pytest.mark.parametrize("received_at", [0.1, 0.3, 85.7, 500.0, 123456.789, 1e7 + 1 / 3])
@pytest.mark.parametrize("ahead", [1, 2, 3, 4, 60, 73, 7201])
def test_ntime_is_allowed_from_the_time_it_says(received_at: float, ahead: int) -> None:
    job = replace(STANDARD, prevhash_received_at=received_at)
    at = job.ntime_allowed_at(job.min_ntime + ahead)
    assert job.max_ntime(at) == job.min_ntime + ahead
    assert job.max_ntime(at - 0.01) == job.min_ntime + ahead - 1


def test_ntime_stops_at_what_a_header_holds() -> None:
    job = replace(STANDARD, min_ntime=0xFFFFFFFE)
    assert job.max_ntime(500.0 + 10) == 0xFFFFFFFF


@pytest.mark.parametrize(
    ("job", "change", "names"),
    [
        (STANDARD, {"prev_hash": bytes(31)}, "prev_hash has 31 bytes"),
        (STANDARD, {"merkle_root": bytes(33)}, "merkle_root has 33 bytes"),
        (STANDARD, {"extranonce_size": 1}, "no extranonce"),
        (STANDARD, {"target": 1 << 256}, "target"),
        (STANDARD, {"target": -1}, "target"),
        (STANDARD, {"version": 1 << 32}, "version"),
        (STANDARD, {"min_ntime": -1}, "min_ntime"),
        (STANDARD, {"nbits": 0x1D800001}, "negative"),
        (EXTENDED, {"extranonce_size": 33}, "extranonce_size is 33"),
        (EXTENDED, {"merkle_path": (bytes(32), bytes(5))}, "merkle_path has 5 bytes"),
        (EXTENDED, {"merkle_path": (bytes(32),) * 256}, "merkle_path has 256 hashes"),
    ],
)
def test_what_no_message_can_carry_is_refused(
    job: Job, change: dict[str, int | bytes | tuple[bytes, ...]], names: str
) -> None:
    with pytest.raises(ValueError, match=names):
        replace(job, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [0, 1, 32])
def test_extranonce_sizes_at_the_limits_are_accepted(size: int) -> None:
    job = replace(EXTENDED, extranonce_size=size, merkle_path=(bytes(32),) * 255)
    assert len(job.merkle_root_for(bytes(size))) == 32
