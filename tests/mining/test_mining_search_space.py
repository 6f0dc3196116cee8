"""The search space: order and sizes by known answers, disjointness as a property."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sv2rig.devices.device import Capabilities
from sv2rig.devices.work import NONCES, Work
from sv2rig.mining.search_space import NONCE_STEP, Request, SearchSpace, Wait
from sv2rig.sv2.job import Job

MASK = 0x1FFFE000
FULL_MASK = 0x1FFFFFE0
T0 = 1_700_000_000
STANDARD = Job(
    channel_id=2,
    job_id=7,
    version=0x20000000,
    prev_hash=bytes(32),
    nbits=0x1D00FFFF,
    min_ntime=T0,
    prevhash_received_at=0.0,
    target=1 << 240,
    merkle_root=b"\x01" * 32,
    version_rolling_mask=MASK,
)
EXTENDED = replace(
    STANDARD,
    merkle_root=None,
    coinbase_prefix=b"prefix",
    coinbase_suffix=b"suffix",
    merkle_path=(b"\x02" * 32,),
    extranonce_prefix=b"\x99",
    extranonce_size=2,
)
NO_ROLLING = replace(STANDARD, version_rolling_mask=0)


def ask(
    hashes: int = 1 << 60, bits: int = 0, ntime_rolls: bool = False, nonce_ranges: bool = True
) -> Request:
    return Request(
        Capabilities(version_bits=bits, ntime_rolls=ntime_rolls, nonce_ranges=nonce_ranges),
        hashes,
        ticket=(1 << 256) - 1,
    )


def take(space: SearchSpace, job: Job, request: Request, now: float = 0.0) -> Work:
    work = space.take(job, request, now)
    assert isinstance(work, Work)
    return work


def box(work: Work) -> tuple[int, int, int, int, int, int]:
    return (
        work.version,
        work.version_bits,
        work.ntime - T0,
        work.ntime_count,
        work.nonce_start,
        work.nonce_count,
    )


def overlap(a: Work, b: Work) -> bool:
    """Whether two Works hold a header in common."""
    return (
        (a.prev_hash, a.merkle_root, a.nbits) == (b.prev_hash, b.merkle_root, b.nbits)
        and (a.version ^ b.version) & ~(a.version_bits | b.version_bits) == 0
        and max(a.ntime, b.ntime) < min(a.ntime + a.ntime_count, b.ntime + b.ntime_count)
        and max(a.nonce_start, b.nonce_start)
        < min(a.nonce_start + a.nonce_count, b.nonce_start + b.nonce_count)
    )


def assert_disjoint(works: list[Work]) -> None:
    for i, a in enumerate(works):
        for b in works[:i]:
            assert not overlap(a, b), f"{a} and {b} share headers"


# Order


def test_one_version_at_a_time_takes_whole_nonce_ranges_in_the_order_of_the_mask() -> None:
    space = SearchSpace()
    versions = [take(space, STANDARD, ask()).version for _ in range(5)]
    assert versions == [0x20000000, 0x20002000, 0x20004000, 0x20006000, 0x20008000]


def test_eight_midstates_take_aligned_blocks_of_eight_versions() -> None:
    space = SearchSpace()
    works = [take(space, STANDARD, ask(bits=3)) for _ in range(3)]
    assert [box(w) for w in works] == [
        (0x20000000, 0xE000, 0, 1, 0, NONCES),
        (0x20010000, 0xE000, 0, 1, 0, NONCES),
        (0x20020000, 0xE000, 0, 1, 0, NONCES),
    ]
    assert list(works[1].versions()) == [0x20010000 + 0x2000 * i for i in range(8)]


def test_the_jobs_own_version_is_in_the_first_block() -> None:
    job = replace(STANDARD, version=0x2000A000)
    space = SearchSpace()
    assert [take(space, job, ask()).version for _ in range(3)] == [
        0x2000A000,
        0x20008000,
        0x2000E000,
    ]
    assert 0x2000A000 in take(SearchSpace(), job, ask(bits=3)).versions()


def test_slow_device_takes_nonce_ranges_of_one_version() -> None:
    space = SearchSpace()
    works = [take(space, STANDARD, ask(hashes=1_000_000)) for _ in range(3)]
    step = 15 * NONCE_STEP  # 983040, the multiple of 2^16 at or below a million
    assert [box(w) for w in works] == [(0x20000000, 0, 0, 1, step * i, step) for i in range(3)]


def test_nonce_ranges_of_a_version_tile_it() -> None:
    space = SearchSpace()
    job = NO_ROLLING
    works = [take(space, job, ask(hashes=3 << 30)) for _ in range(2)]
    assert [box(w)[4:] for w in works] == [(0, 3 << 30), (3 << 30, 1 << 30)]
    assert isinstance(space.take(job, ask(hashes=3 << 30), 0.0), Wait)


def test_devices_of_different_widths_share_a_slab_without_gaps() -> None:
    space = SearchSpace()
    job = replace(STANDARD, version_rolling_mask=0xE000)
    works = [
        take(space, job, ask(bits=0)),
        take(space, job, ask(bits=2)),
        take(space, job, ask(bits=1)),
        take(space, job, ask(bits=0)),
    ]
    assert [(w.version, w.version_bits) for w in works] == [
        (0x20000000, 0),
        (0x20008000, 0x6000),
        (0x20004000, 0x2000),
        (0x20002000, 0),
    ]
    assert sum(w.hashes for w in works) == 8 * NONCES
    assert_disjoint(works)
    assert isinstance(space.take(job, ask(), 0.0), Wait)


def test_extended_job_counts_up_a_big_endian_extranonce() -> None:
    space = SearchSpace()
    works = [take(space, EXTENDED, ask(bits=16)) for _ in range(258)]
    assert [w.extranonce.hex() for w in (*works[:3], works[255], works[256])] == [
        "0000",
        "0001",
        "0002",
        "00ff",
        "0100",
    ]
    assert all(w.merkle_root == EXTENDED.merkle_root_for(w.extranonce) for w in works)
    assert {w.ntime for w in works} == {T0}


def test_standard_job_takes_the_next_ntime_when_the_clock_allows() -> None:
    space = SearchSpace()
    assert take(space, NO_ROLLING, ask()).ntime == T0
    wait = space.take(NO_ROLLING, ask(), 0.5)
    assert wait == Wait(NO_ROLLING.ntime_allowed_at(T0 + 1))
    assert isinstance(wait, Wait)
    assert take(space, NO_ROLLING, ask(), wait.until).ntime == T0 + 1
    assert [take(space, NO_ROLLING, ask(), 4.0).ntime for _ in range(3)] == [T0 + 2, T0 + 3, T0 + 4]
    assert isinstance(space.take(NO_ROLLING, ask(), 4.0), Wait)


def test_device_that_rolls_ntime_takes_several_when_the_clock_allows() -> None:
    space = SearchSpace()
    request = ask(hashes=10 * NONCES, ntime_rolls=True)
    assert box(take(space, NO_ROLLING, request, 0.0))[2:4] == (0, 1)
    assert box(take(space, NO_ROLLING, request, 5.0))[2:4] == (1, 5)
    assert box(take(space, NO_ROLLING, request, 100.0))[2:4] == (6, 10)
    assert box(take(space, NO_ROLLING, ask(), 100.0))[2:4] == (16, 1)


def test_device_that_cannot_roll_ntime_never_gets_several() -> None:
    space = SearchSpace()
    take(space, STANDARD, ask(hashes=10 * NONCES, ntime_rolls=True), 100.0)
    assert take(space, STANDARD, ask(), 100.0).ntime_count == 1


def test_wrapped_extranonce_goes_on_with_later_ntimes() -> None:
    space = SearchSpace()
    job = replace(EXTENDED, extranonce_size=1, version_rolling_mask=0)
    first = [take(space, job, ask(), 0.0) for _ in range(256)]
    assert [w.extranonce[0] for w in first] == list(range(256))
    assert space.take(job, ask(), 0.0) == Wait(job.ntime_allowed_at(T0 + 1))
    later = [take(space, job, ask(), 1.0) for _ in range(256)]
    assert {w.ntime for w in later} == {T0 + 1}
    assert_disjoint(first + later)


def test_nothing_is_left_when_ntime_cannot_grow() -> None:
    space = SearchSpace()
    job = replace(NO_ROLLING, min_ntime=0xFFFFFFFF)
    take(space, job, ask(), 0.0)
    assert space.take(job, ask(), 1e6) == Wait(math.inf)


# Shape and size


def test_device_that_likes_more_bits_than_the_mask_has_gets_fewer() -> None:
    work = take(SearchSpace(), replace(STANDARD, version_rolling_mask=0x6000), ask(bits=16))
    assert work.version_bits == 0x6000


def test_leftovers_are_searched_before_waiting() -> None:
    space = SearchSpace()
    job = replace(STANDARD, version_rolling_mask=0x6000)
    take(space, job, ask(bits=0))
    works = [take(space, job, ask(bits=2)) for _ in range(2)]
    assert [(w.version, w.version_bits) for w in works] == [(0x20004000, 0x2000), (0x20002000, 0)]
    assert isinstance(space.take(job, ask(bits=2), 0.0), Wait)


@pytest.mark.parametrize("mask", [0, 0x2000, MASK, FULL_MASK, 0xFFFFFFFF])
@pytest.mark.parametrize("bits", [0, 1, 3, 16, 24, 32])
def test_masks_at_the_limits(mask: int, bits: int) -> None:
    job = replace(STANDARD, version_rolling_mask=mask)
    work = take(SearchSpace(), job, ask(bits=bits))
    assert work.version_bits & ~mask == 0
    assert work.version_bits.bit_count() == min(bits, mask.bit_count())
    assert work.version & ~mask == job.version & ~mask
    assert work.version & work.version_bits == 0


@pytest.mark.parametrize("size", [0, 1, 2, 8, 31, 32])
def test_extranonce_sizes_at_the_limits(size: int) -> None:
    job = replace(EXTENDED, extranonce_size=size)
    work = take(SearchSpace(), job, ask(bits=16))
    assert work.extranonce == bytes(size)


@pytest.mark.parametrize(
    ("hashes", "bits", "nonces"),
    [
        (0, 0, NONCE_STEP),
        (20, 3, NONCE_STEP),  # 1 H/s
        (NONCE_STEP, 0, NONCE_STEP),
        (2 * NONCE_STEP - 1, 0, NONCE_STEP),
        (2 * NONCE_STEP, 0, 2 * NONCE_STEP),
        (2 * NONCE_STEP, 1, NONCE_STEP),
        (NONCES - 1, 0, NONCES - NONCE_STEP),
        (NONCES, 0, NONCES),
        (NONCES + NONCE_STEP, 0, NONCES),
        (20 * 10**15, 16, NONCES),  # 1 PH/s
    ],
)
def test_sizes_follow_the_hashes_asked_for(hashes: int, bits: int, nonces: int) -> None:
    work = take(SearchSpace(), STANDARD, ask(hashes=hashes, bits=bits))
    assert work.nonce_count == nonces
    assert work.version_bits.bit_count() == bits


def test_device_without_nonce_ranges_gets_every_nonce() -> None:
    space = SearchSpace()
    take(space, STANDARD, ask(hashes=1))
    works = [take(space, STANDARD, ask(hashes=1, nonce_ranges=False)) for _ in range(3)]
    assert {(w.nonce_start, w.nonce_count) for w in works} == {(0, NONCES)}


def test_device_without_nonce_ranges_never_gets_the_rest_of_one() -> None:
    space = SearchSpace()
    take(space, NO_ROLLING, ask(hashes=1))
    assert isinstance(space.take(NO_ROLLING, ask(nonce_ranges=False), 0.0), Wait)
    assert take(space, NO_ROLLING, ask()).nonce_start == NONCE_STEP


# The same content again


def test_the_same_content_under_another_id_goes_on_where_the_first_was() -> None:
    space = SearchSpace()
    first = take(space, STANDARD, ask(bits=3))
    again = replace(STANDARD, job_id=8, channel_id=9, target=1 << 230)
    second = take(space, again, ask(bits=3))
    assert (second.job_id, second.channel_id, second.target) == (8, 9, 1 << 230)
    assert second.version == 0x20010000
    assert not overlap(first, second)


def test_the_same_content_with_a_later_min_ntime_leaves_the_old_ntime() -> None:
    space = SearchSpace()
    take(space, STANDARD, ask(bits=3), 30.0)
    later = replace(STANDARD, job_id=8, min_ntime=T0 + 30, prevhash_ntime=T0)
    assert take(space, later, ask(bits=3), 30.0).ntime == T0 + 30


def test_a_change_of_the_bits_that_are_not_rolled_is_followed() -> None:
    space = SearchSpace()
    take(space, STANDARD, ask(bits=3), 1.0)
    other = replace(STANDARD, job_id=8, version=0x60000000)
    assert take(space, other, ask(bits=3), 1.0).version == 0x60000000


def test_a_refusal_to_roll_does_not_repeat_what_was_rolled_before() -> None:
    space = SearchSpace()
    rolled = take(space, STANDARD, ask(bits=16), 1.0)
    fixed = take(space, NO_ROLLING, ask(), 1.0)
    assert fixed.version_bits == 0
    assert not overlap(rolled, fixed)


def test_a_previous_hash_that_comes_back_goes_on_where_it_was() -> None:
    space = SearchSpace()
    other = replace(STANDARD, prev_hash=b"\x07" * 32)
    works = [take(space, job, ask(bits=16), 9.0) for job in (STANDARD, other, STANDARD)]
    assert_disjoint(works)


# The property

REQUESTS = st.builds(
    ask,
    hashes=st.integers(0, 40).map(lambda power: 1 << power) | st.integers(0, 1 << 60),
    bits=st.integers(0, 17),
    ntime_rolls=st.booleans(),
    nonce_ranges=st.booleans(),
)
# Extranonce splits that spell the same coinbases, and a standard job on one of their roots.
CONTENTS = [
    NO_ROLLING,
    EXTENDED,
    replace(EXTENDED, extranonce_size=1),
    replace(EXTENDED, extranonce_prefix=b"\x99\x00", extranonce_size=1),
    replace(EXTENDED, extranonce_prefix=b"\x99\x00\x00", extranonce_size=0),
    replace(NO_ROLLING, merkle_root=EXTENDED.merkle_root_for(b"\x00\x01")),
]
JOBS = st.builds(
    lambda job, version, mask, min_ntime, prev, received: replace(
        job,
        version=version,
        version_rolling_mask=mask,
        min_ntime=T0 + min_ntime,
        prevhash_ntime=T0,
        prev_hash=bytes([prev]) * 32,
        prevhash_received_at=received,
    ),
    st.sampled_from(CONTENTS),
    st.sampled_from([0x20000000, 0x20002000, 0x2000E000, 0x60000000]),
    st.sampled_from([0, 0x2000, 0x6000, 0xE000, 0x8000, MASK, FULL_MASK]),
    st.integers(0, 3),
    st.integers(0, 1),
    st.sampled_from([0.0, 0.3]),
)
STEPS = st.lists(
    st.tuples(JOBS, st.lists(REQUESTS, min_size=1, max_size=4), st.floats(-1, 3)), max_size=25
)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_no_header_is_ever_handed_out_twice(
    steps: list[tuple[Job, list[Request], float]],
) -> None:
    space = SearchSpace()
    now = 0.0
    works: list[Work] = []
    for job, requests, passed in steps:
        now += passed
        for request in requests:
            work = space.take(job, request, now)
            if isinstance(work, Wait):
                assert work.until > now
                continue
            works.append(work)
            able = request.capabilities
            mask = job.version_rolling_mask
            assert work.version_bits & ~mask == 0 == work.version & work.version_bits
            assert work.version & ~mask == job.version & ~mask
            assert work.version_bits.bit_count() <= able.version_bits
            assert work.ntime >= job.min_ntime
            assert work.ntime + work.ntime_count - 1 <= job.max_ntime(now)
            assert work.ntime_count == 1 or able.ntime_rolls
            assert work.nonce_count == NONCES or able.nonce_ranges
            assert work.nonce_count >= NONCE_STEP
            assert work.nonce_start + work.nonce_count <= NONCES
            assert work.merkle_root == job.merkle_root_for(work.extranonce)
    assert_disjoint(works)
    assert len({work.work_id for work in works}) == len(works)


@settings(max_examples=50, deadline=None)
@given(st.lists(REQUESTS, min_size=1, max_size=8))
def test_a_slab_is_searched_to_the_last_header(requests: list[Request]) -> None:
    space = SearchSpace()
    job = replace(STANDARD, version_rolling_mask=0x6000)
    works = [w for r in requests if isinstance(w := space.take(job, r, 0.0), Work)]
    while isinstance(work := space.take(job, ask(bits=1), 0.0), Work):
        works.append(work)
    assert sum(work.hashes for work in works) == 4 * NONCES
