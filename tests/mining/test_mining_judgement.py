"""Verdicts by the header alone, against real blocks."""

import json
import struct
from dataclasses import replace
from importlib.resources import files

import pytest

from sv2rig.bitcoin.target import DIFFICULTY_1, MAX_TARGET, bits_to_target
from sv2rig.devices.work import Solution, Work
from sv2rig.mining.judgement import Verdict, judge

REAL = json.loads((files("sv2rig.rig") / "vectors/headers.json").read_text())["headers"]


def real_work(header: bytes) -> tuple[Work, Solution]:
    version, prev_hash, root, ntime, nbits, nonce = struct.unpack("<I32s32sIII", header)
    work = Work(
        work_id=5,
        channel_id=2,
        job_id=7,
        version=version,
        prev_hash=prev_hash,
        merkle_root=root,
        ntime=ntime,
        nbits=nbits,
        target=DIFFICULTY_1,
        ticket=DIFFICULTY_1,
        extranonce=b"\x01\x02",
    )
    return work, Solution(5, nonce, version, ntime)


@pytest.mark.parametrize("vector", REAL, ids=lambda v: str(v["height"]))
def test_real_blocks_are_shares_and_blocks(vector: dict[str, str]) -> None:
    work, solution = real_work(bytes.fromhex(vector["header"]))
    judgement = judge(work, solution)
    assert judgement.verdict is Verdict.SHARE
    share = judgement.share
    assert share is not None
    assert share.is_block
    assert share.hash_value == judgement.hash_value == int(vector["hash"], 16)
    assert (share.channel_id, share.job_id, share.extranonce) == (2, 7, b"\x01\x02")
    assert (share.nonce, share.version, share.ntime) == (
        solution.nonce,
        solution.version,
        solution.ntime,
    )


def genesis() -> tuple[Work, Solution, int]:
    work, solution = real_work(bytes.fromhex(REAL[0]["header"]))
    return work, solution, int(REAL[0]["hash"], 16)


@pytest.mark.parametrize("change", [{"nonce": 2083236894}, {"version": 2}, {"ntime": 1231006506}])
def test_wrong_hash_is_a_hardware_error_wherever_it_lies(change: dict[str, int]) -> None:
    work, solution, _ = genesis()
    judgement = judge(work, replace(solution, **change))
    assert judgement.verdict is Verdict.HARDWARE_ERROR
    assert judgement.share is None
    assert not judgement.proves_work


@pytest.mark.parametrize(
    ("target", "ticket", "verdict"),
    [
        (0, 0, Verdict.SHARE),
        (-1, 0, Verdict.COUNTED),
        (-1, -1, Verdict.HARDWARE_ERROR),
        (0, -1, Verdict.SHARE),  # rightly found, though easier than the device was to report
    ],
)
def test_targets_bound_at_the_hash_itself(target: int, ticket: int, verdict: Verdict) -> None:
    work, solution, value = genesis()
    work = replace(work, target=value + target, ticket=value + ticket)
    judgement = judge(work, solution)
    assert judgement.verdict is verdict
    assert judgement.proves_work == (ticket == 0)


@pytest.mark.parametrize(("offset", "is_block"), [(0, True), (-1, False)])
def test_block_or_not_is_the_networks_target(offset: int, is_block: bool) -> None:
    work, solution, value = genesis()
    hard = 0x1B0404CB  # a later, harder target: the genesis hash does not meet it
    assert bits_to_target(hard) < value < bits_to_target(work.nbits)
    judgement = judge(
        work if offset == 0 else replace(work, nbits=hard, target=MAX_TARGET), solution
    )
    assert judgement.share is not None
    assert judgement.share.is_block == is_block


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"nonce_start": 2083236894, "nonce_count": 16}, "nonce 0x7c2bac1d"),
        ({"nonce_start": 2083236800, "nonce_count": 93}, "nonce 0x7c2bac1d"),
        ({"ntime": 1231006506}, "ntime 1231006505"),
        ({"version": 0, "version_bits": 2}, "version 0x00000001"),
    ],
)
def test_good_hash_outside_of_the_work_is_out_of_range(change: dict[str, int], says: str) -> None:
    work, solution, _ = genesis()
    judgement = judge(replace(work, ticket=MAX_TARGET, **change), solution)  # type: ignore[arg-type]
    assert judgement.verdict is Verdict.OUT_OF_RANGE
    assert says in judgement.reason
    assert judgement.share is None
    assert not judgement.proves_work


@pytest.mark.parametrize("field", ["nonce", "version", "ntime"])
@pytest.mark.parametrize("value", [-1, 1 << 32])
def test_garbage_that_fits_no_header_is_a_hardware_error(field: str, value: int) -> None:
    work, solution, _ = genesis()
    judgement = judge(work, replace(solution, **{field: value}))
    assert judgement.verdict is Verdict.HARDWARE_ERROR
    assert judgement.hash_value is None
    assert f"{field} {value}" in judgement.reason
