"""The scheduler: who searches what, and late, stale, double and wrong answers."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sv2rig.bitcoin.target import MAX_TARGET, target_for_rate
from sv2rig.devices.device import Capabilities
from sv2rig.devices.work import NONCES, Solution, Work
from sv2rig.mining.judgement import Verdict
from sv2rig.mining.scheduler import Assignment, Scheduler, ticket_for
from sv2rig.sv2.job import Job

T0 = 1_700_000_000
EASY = 1 << 252  # one hash in sixteen
JOB = Job(
    channel_id=2,
    job_id=7,
    version=0x20000000,
    prev_hash=bytes(32),
    nbits=0x1D00FFFF,
    min_ntime=T0,
    prevhash_received_at=0.0,
    target=EASY,
    version_rolling_mask=0x1FFFFFE0,
    coinbase_prefix=b"prefix",
    coinbase_suffix=b"suffix",
    extranonce_size=4,
)
STANDARD = replace(JOB, merkle_root=b"\x01" * 32, extranonce_size=0)
NEXT_BLOCK = replace(JOB, job_id=8, prev_hash=b"\x07" * 32, prevhash_received_at=10.0)
PLAIN = Capabilities()
SLOW_HS = 1.0  # so slow that every hash is below its ticket


def solutions(work: Work, wanted: Callable[[int], bool]) -> Iterator[Solution]:
    for nonce in range(work.nonce_start, work.nonce_start + work.nonce_count):
        found = Solution(work.work_id, nonce, work.version, work.ntime)
        if wanted(found.hash_value(work)):
            yield found


def share_of(work: Work) -> Solution:
    return next(solutions(work, lambda value: value <= work.target))


def only(assignments: list[Assignment]) -> Work:
    (assignment,) = assignments
    assert assignment.work is not None
    return assignment.work


def mining(job: Job = JOB, hashrate: float | None = SLOW_HS) -> tuple[Scheduler, Work]:
    scheduler = Scheduler()
    assert scheduler.add_device("a", PLAIN, hashrate, job.channel_id, 0.0) == []
    return scheduler, only(scheduler.set_job(job, 0.0))


# Assignments


def test_every_device_of_the_channel_turns_to_a_new_job_at_once() -> None:
    scheduler = Scheduler()
    for name in ("a", "b", "c"):
        scheduler.add_device(name, PLAIN, 1e6, 2, 0.0)
    scheduler.add_device("other", PLAIN, 1e6, 3, 0.0)
    first = scheduler.set_job(JOB, 0.0)
    second = scheduler.set_job(NEXT_BLOCK, 10.0)
    assert [a.device_id for a in first] == [a.device_id for a in second] == ["a", "b", "c"]
    assert all(a.work is not None and a.work.job_id == 8 for a in second)


def test_standard_channels_one_a_device() -> None:
    scheduler = Scheduler()
    scheduler.add_device("a", PLAIN, 1e6, 2, 0.0)
    scheduler.add_device("b", PLAIN, 1e6, 3, 0.0)
    assert [a.device_id for a in scheduler.set_job(STANDARD, 0.0)] == ["a"]
    other = replace(STANDARD, channel_id=3, merkle_root=b"\x02" * 32)
    assert only(scheduler.set_job(other, 0.0)).merkle_root == b"\x02" * 32


def test_work_carries_what_the_job_says() -> None:
    _, work = mining()
    assert (work.channel_id, work.job_id, work.nbits, work.prev_hash) == (
        2,
        7,
        JOB.nbits,
        bytes(32),
    )
    assert (work.target, work.ticket, work.ntime) == (EASY, MAX_TARGET, T0)
    assert work.extranonce == bytes(4)
    assert work.merkle_root == JOB.merkle_root_for(bytes(4))


def test_device_added_later_begins_at_once() -> None:
    scheduler, first = mining()
    second = only(scheduler.add_device("b", PLAIN, 1e6, 2, 1.0))
    assert second.nonce_start == first.nonce_count


def test_device_is_added_once() -> None:
    scheduler, _ = mining()
    with pytest.raises(ValueError, match="device a is in the scheduler already"):
        scheduler.add_device("a", PLAIN, None, 2, 0.0)


def test_unbound_device_idles_until_bound() -> None:
    scheduler, _ = mining()
    assert scheduler.add_device("b", PLAIN, 1e6, None, 0.0) == []
    assert only(scheduler.bind("b", 2, 1.0)).job_id == 7
    assert scheduler.bind("b", 2, 1.0) == []
    assert scheduler.bind("b", None, 2.0) == [Assignment("b", None)]


def test_same_job_again_changes_nothing() -> None:
    scheduler, work = mining()
    assert scheduler.set_job(JOB, 5.0) == []
    assert scheduler.work_of("a") == work


def test_exhausted_device_gets_the_next_piece_and_late_reports_do_not() -> None:
    scheduler, first = mining()
    second = only(scheduler.on_exhausted("a", first.work_id, 1.0))
    assert second.nonce_start == first.nonce_count
    assert scheduler.on_exhausted("a", first.work_id, 1.0) == []
    assert scheduler.on_exhausted("a", 999, 1.0) == []
    assert scheduler.on_exhausted("nobody", second.work_id, 1.0) == []


def test_removed_device_gets_nothing_more() -> None:
    scheduler, work = mining()
    scheduler.remove_device("a")
    assert scheduler.set_job(NEXT_BLOCK, 10.0) == []
    judgement = scheduler.on_solution("a", share_of(work), 10.0)
    assert judgement.verdict is Verdict.UNKNOWN_WORK


def test_a_paused_device_idles_through_new_jobs_and_answers_for_what_it_had() -> None:
    scheduler, work = mining()
    assert scheduler.pause("a", 1.0) == [Assignment("a", None)]
    assert scheduler.pause("a", 1.0) == []
    assert scheduler.on_solution("a", share_of(work), 2.0).verdict is Verdict.SHARE
    assert scheduler.set_job(NEXT_BLOCK, 10.0) == []
    assert scheduler.bind("a", None, 11.0) == []
    assert scheduler.bind("a", NEXT_BLOCK.channel_id, 12.0) == []
    assert scheduler.on_time(1e9) == []
    [again] = scheduler.resume("a", Capabilities(ticket=1 << 200), 13.0)
    assert again.work is not None
    assert again.work.prev_hash == NEXT_BLOCK.prev_hash
    assert again.work.ticket == 1 << 200
    assert again.work.version_bits == 0, "as it can roll now"


@pytest.mark.parametrize("rate", [1e3, 1e9, 1e15])
@pytest.mark.parametrize("ticket", [(1 << 224) - 1, 1, (1 << 256) - 1])
def test_a_ticket_of_the_hardware_stands_whatever_the_rate_and_the_target(
    rate: float, ticket: int
) -> None:
    scheduler = Scheduler()
    scheduler.add_device("a", Capabilities(ticket=ticket), rate, JOB.channel_id, 0.0)
    [assignment] = scheduler.set_job(JOB, 0.0)
    assert assignment.work is not None
    assert assignment.work.ticket == ticket


def test_standard_channel_without_rolling_waits_for_the_next_second() -> None:
    job = replace(STANDARD, version_rolling_mask=0)
    scheduler, work = mining(job, 1e12)
    assert work.nonce_count == NONCES
    assert scheduler.next_timeout() is None
    assert scheduler.on_exhausted("a", work.work_id, 0.4) == [Assignment("a", None)]
    at = scheduler.next_timeout()
    assert at is not None
    assert at == pytest.approx(1.0, abs=0.01)
    assert scheduler.on_time(0.9) == []
    assert only(scheduler.on_time(at)).ntime == T0 + 1
    assert scheduler.next_timeout() is None


def test_a_board_that_asks_early_is_not_told_to_idle_while_nothing_follows() -> None:
    job = replace(STANDARD, version_rolling_mask=0)
    scheduler, work = mining(job, 1e12)
    assert scheduler.on_exhausted("a", work.work_id, 0.4, early=True) == []
    assert scheduler.on_time(0.9) == []
    assert only(scheduler.on_time(1.01)).ntime == T0 + 1


def test_a_board_that_searches_on_is_told_when_the_pool_is_gone() -> None:
    job = replace(STANDARD, version_rolling_mask=0)
    scheduler, work = mining(job, 1e12)
    scheduler.on_exhausted("a", work.work_id, 0.4, early=True)
    assert scheduler.idle_all(0.5) == [Assignment("a", None)]
    assert scheduler.idle_all(0.6) == []


def test_closed_channel_idles_its_devices_only() -> None:
    scheduler, _ = mining()
    scheduler.add_device("b", PLAIN, 1e6, 3, 0.0)
    scheduler.set_job(replace(JOB, channel_id=3, extranonce_prefix=b"\x01"), 0.0)
    assert scheduler.close_channel(2, 1.0) == [Assignment("a", None)]
    assert scheduler.close_channel(2, 1.0) == []


def test_lost_pool_idles_every_device_once() -> None:
    scheduler, _ = mining()
    scheduler.add_device("b", PLAIN, 1e6, 2, 0.0)
    assert scheduler.idle_all(1.0) == [Assignment("a", None), Assignment("b", None)]
    assert scheduler.idle_all(1.0) == []
    assert scheduler.next_timeout() is None


def test_channels_of_the_next_connection_tie_no_device_by_their_old_numbers() -> None:
    scheduler, _ = mining()
    scheduler.add_device("b", PLAIN, 1e6, 3, 0.0)
    scheduler.idle_all(1.0)
    assert scheduler.bind("b", 2, 2.0) == []
    assert [a.device_id for a in scheduler.set_job(JOB, 2.0)] == ["b"]
    assert only(scheduler.bind("a", 2, 2.0)).job_id == 7


def test_waiting_device_forgets_its_wait_when_the_pool_is_lost() -> None:
    scheduler, work = mining(replace(STANDARD, version_rolling_mask=0), 1e12)
    scheduler.on_exhausted("a", work.work_id, 0.1)
    scheduler.idle_all(0.2)
    assert scheduler.next_timeout() is None
    assert scheduler.on_time(100.0) == []


# Version rolling


@pytest.mark.parametrize(
    ("configured", "allowed", "bits"),
    [
        (0x1FFFE000, 0x1FFFFFE0, 0x1FFFE000),
        (0x1FFFFFE0, 0x1FFFFFE0, 0x1FFFFFE0),
        (0x1FFFFFE0, 0x1FFFE000, 0x1FFFE000),
        (0x1FFFE000, 0, 0),
        (0, 0x1FFFFFE0, 0),
    ],
)
def test_only_bits_that_both_sides_allow_are_rolled(
    configured: int, allowed: int, bits: int
) -> None:
    scheduler = Scheduler(version_mask=configured)
    scheduler.add_device("a", Capabilities(version_bits=32), 1e15, 2, 0.0)
    work = only(scheduler.set_job(replace(JOB, version_rolling_mask=allowed), 0.0))
    assert work.version_bits == bits


# Sizes and tickets


@pytest.mark.parametrize(
    ("hashrate", "nonces"),
    [
        (None, 305 << 16),  # 1 MH/s assumed: 20 million hashes
        (0.0, 305 << 16),
        (1.0, 1 << 16),
        (1e3, 1 << 16),
        (1e8, 30517 << 16),
        (1e9, NONCES),
        (1e15, NONCES),
    ],
)
def test_work_is_about_twenty_seconds_of_hashing(hashrate: float | None, nonces: int) -> None:
    _, work = mining(hashrate=hashrate)
    assert work.nonce_count == nonces


def test_fast_device_that_rolls_versions_and_ntime_gets_twenty_seconds() -> None:
    scheduler = Scheduler()
    able = Capabilities(version_bits=16, ntime_rolls=True)
    scheduler.add_device("a", able, 1e15, 2, 0.0)
    work = only(scheduler.set_job(JOB, 100.0))
    assert work.ntime_count == 71  # of 2^48 headers each: the most below 20 s
    assert work.hashes / 1e15 == pytest.approx(20, rel=0.02)


@pytest.mark.parametrize("hashrate", [1.0, 50.0, 1e6, 1e10, 1e15])
def test_ticket_lies_between_one_and_fifty_a_second(hashrate: float) -> None:
    one = target_for_rate(hashrate, 60)
    fifty = target_for_rate(hashrate, 3000)
    assert ticket_for(0, hashrate) == one
    assert ticket_for(one, hashrate) == one
    assert ticket_for((one + fifty) // 2, hashrate) == (one + fifty) // 2
    assert ticket_for(fifty, hashrate) == fifty
    assert ticket_for(MAX_TARGET, hashrate) == fifty


def test_new_rate_shapes_the_next_work() -> None:
    scheduler, work = mining(hashrate=1e6)
    assert scheduler.set_hashrate("a", 3.9e6, 1.0) == []
    larger = only(scheduler.on_exhausted("a", work.work_id, 2.0))
    assert larger.nonce_count == int(3.9e6 * 20) >> 16 << 16
    assert larger.ticket == ticket_for(EASY, 3.9e6)


@pytest.mark.parametrize("rate", [4e6, 0.25e6, 1e15, 1.0])
def test_work_cut_for_quite_another_rate_is_replaced(rate: float) -> None:
    scheduler, work = mining(hashrate=1e6)
    replaced = only(scheduler.set_hashrate("a", rate, 1.0))
    assert replaced.ticket == ticket_for(EASY, rate)
    assert not in_common(replaced, work)
    assert scheduler.set_hashrate("a", rate, 2.0) == []


@pytest.mark.parametrize("rate", [None, 0.0, -1.0, float("nan"), float("inf")])
def test_rates_that_say_nothing_keep_the_last(rate: float | None) -> None:
    scheduler, work = mining(hashrate=1e8)
    assert scheduler.set_hashrate("a", rate, 1.0) == []
    assert only(scheduler.on_exhausted("a", work.work_id, 2.0)).ticket == work.ticket


# Solutions


def test_share_carries_what_is_submitted() -> None:
    scheduler, work = mining()
    found = share_of(work)
    judgement = scheduler.on_solution("a", found, 1.0)
    share = judgement.share
    assert judgement.verdict is Verdict.SHARE
    assert share is not None
    assert (share.channel_id, share.job_id, share.extranonce) == (2, 7, bytes(4))
    assert (share.nonce, share.ntime, share.version) == (found.nonce, T0, 0x20000000)
    assert share.hash_value <= EASY
    assert not share.is_block


def test_solution_above_the_target_is_counted() -> None:
    scheduler, work = mining()
    found = next(solutions(work, lambda value: value > EASY))
    judgement = scheduler.on_solution("a", found, 1.0)
    assert judgement.verdict is Verdict.COUNTED
    assert judgement.proves_work


def test_block_is_marked() -> None:
    scheduler, work = mining(replace(JOB, nbits=0x207FFFFF))
    found = next(solutions(work, lambda value: value <= EASY))
    share = scheduler.on_solution("a", found, 1.0).share
    assert share is not None
    assert share.is_block


def test_same_header_twice_is_submitted_once() -> None:
    scheduler, work = mining()
    found = share_of(work)
    verdicts = [scheduler.on_solution("a", found, 1.0).verdict for _ in range(3)]
    assert verdicts == [Verdict.SHARE, Verdict.DUPLICATE, Verdict.DUPLICATE]


def test_duplicate_is_noticed_after_its_work_was_replaced() -> None:
    scheduler, work = mining()
    found = share_of(work)
    scheduler.on_solution("a", found, 1.0)
    scheduler.on_exhausted("a", work.work_id, 1.0)
    judgement = scheduler.on_solution("a", found, 2.0)
    assert judgement.verdict is Verdict.DUPLICATE
    assert judgement.share is None


def test_wrong_nonce_is_a_hardware_error() -> None:
    scheduler, work = mining(hashrate=1e9)
    found = next(solutions(work, lambda value: value > max(work.ticket, work.target)))
    assert scheduler.on_solution("a", found, 1.0).verdict is Verdict.HARDWARE_ERROR


def test_work_of_another_device_is_unknown() -> None:
    scheduler, work = mining()
    scheduler.add_device("b", PLAIN, SLOW_HS, 2, 0.0)
    judgement = scheduler.on_solution("b", share_of(work), 1.0)
    assert judgement.verdict is Verdict.UNKNOWN_WORK


def test_late_answer_for_a_job_replaced_under_the_same_previous_hash_is_a_share() -> None:
    scheduler, work = mining()
    scheduler.set_job(replace(JOB, job_id=8, coinbase_suffix=b"more fees"), 1.0)
    share = scheduler.on_solution("a", share_of(work), 2.0).share
    assert share is not None
    assert share.job_id == 7


def test_late_answer_for_a_replaced_previous_hash_is_stale() -> None:
    scheduler, work = mining()
    found = share_of(work)
    scheduler.set_job(NEXT_BLOCK, 10.0)
    judgement = scheduler.on_solution("a", found, 10.0)
    assert judgement.verdict is Verdict.STALE
    assert judgement.reason == "the previous hash is replaced"
    assert judgement.share is None
    assert judgement.proves_work


def test_wrong_answer_for_stale_work_is_still_a_hardware_error() -> None:
    scheduler, work = mining(hashrate=1e9)
    found = next(solutions(work, lambda value: value > max(work.ticket, work.target)))
    scheduler.set_job(NEXT_BLOCK, 10.0)
    assert scheduler.on_solution("a", found, 10.0).verdict is Verdict.HARDWARE_ERROR


def test_previous_hash_without_a_job_yet_makes_work_stale_and_idles() -> None:
    scheduler, work = mining()
    assert scheduler.invalidate(2, 10.0) == [Assignment("a", None)]
    assert scheduler.on_solution("a", share_of(work), 10.0).verdict is Verdict.STALE
    fresh = only(scheduler.set_job(NEXT_BLOCK, 10.5))
    assert scheduler.on_solution("a", share_of(fresh), 11.0).verdict is Verdict.SHARE


def test_work_from_before_a_reorganisation_stays_stale_when_its_hash_comes_back() -> None:
    scheduler, work = mining()
    scheduler.set_job(NEXT_BLOCK, 10.0)
    again = only(scheduler.set_job(JOB, 20.0))
    assert scheduler.on_solution("a", share_of(work), 21.0).verdict is Verdict.STALE
    assert scheduler.on_solution("a", share_of(again), 21.0).verdict is Verdict.SHARE


def test_share_found_while_the_connection_is_down_is_not_submitted() -> None:
    scheduler, work = mining()
    scheduler.idle_all(1.0)
    judgement = scheduler.on_solution("a", share_of(work), 1.1)
    assert judgement.verdict is Verdict.STALE
    assert judgement.reason == "the channel is closed"


def test_share_of_a_channel_from_before_the_reconnect_is_not_submitted_to_its_namesake() -> None:
    scheduler, work = mining()
    scheduler.idle_all(1.0)
    scheduler.bind("a", 2, 5.0)
    again = only(scheduler.set_job(JOB, 5.0))
    assert scheduler.on_solution("a", share_of(work), 5.1).verdict is Verdict.STALE
    assert scheduler.on_solution("a", share_of(again), 5.2).verdict is Verdict.SHARE


def test_target_is_the_one_that_was_bound_when_the_job_became_active() -> None:
    scheduler, work = mining()
    found = next(solutions(work, lambda value: EASY >> 2 < value <= EASY))
    harder = only(scheduler.set_job(replace(JOB, job_id=8, target=EASY >> 2), 1.0))
    assert scheduler.on_solution("a", found, 2.0).verdict is Verdict.SHARE
    found = next(solutions(harder, lambda value: EASY >> 2 < value <= EASY))
    assert scheduler.on_solution("a", found, 2.0).verdict is Verdict.COUNTED


def test_work_is_forgotten_two_minutes_after_it_was_replaced() -> None:
    scheduler, work = mining()
    scheduler.on_exhausted("a", work.work_id, 100.0)
    first, second = (
        s for _, s in zip(range(2), solutions(work, lambda v: v <= EASY), strict=False)
    )
    assert scheduler.on_solution("a", first, 220.0).verdict is Verdict.SHARE
    assert scheduler.on_solution("a", second, 220.1).verdict is Verdict.UNKNOWN_WORK


def test_a_solution_of_another_devices_work_is_of_unknown_work() -> None:
    scheduler, work = mining()
    scheduler.add_device("b", PLAIN, SLOW_HS, 2, 0.0)
    assert scheduler.on_solution("b", share_of(work), 1.0).verdict is Verdict.UNKNOWN_WORK


# Any order of events


EVENTS = st.one_of(
    st.tuples(st.just("exhausted"), st.sampled_from("abc")),
    st.tuples(st.just("job"), st.integers(0, 5)),
    st.tuples(st.just("rate"), st.sampled_from([1.0, 1e6, 1e9, 1e12])),
    st.tuples(st.just("timeout"), st.just(0)),
    st.tuples(st.just("invalidate"), st.just(0)),
    st.tuples(st.just("lost"), st.just(0)),
)
JOBS = [
    JOB,
    replace(JOB, job_id=8),
    replace(JOB, job_id=9, extranonce_size=1, version_rolling_mask=0),
    replace(STANDARD, version_rolling_mask=0),
    replace(STANDARD, version_rolling_mask=0x6000),
    NEXT_BLOCK,
]


def in_common(a: Work, b: Work) -> bool:
    return (
        (a.prev_hash, a.merkle_root) == (b.prev_hash, b.merkle_root)
        and (a.version ^ b.version) & ~(a.version_bits | b.version_bits) == 0
        and max(a.ntime, b.ntime) < min(a.ntime + a.ntime_count, b.ntime + b.ntime_count)
        and max(a.nonce_start, b.nonce_start)
        < min(a.nonce_start + a.nonce_count, b.nonce_start + b.nonce_count)
    )


def carry_out(
    scheduler: Scheduler, event: tuple[str, str | int | float], now: float
) -> list[Assignment]:
    match event:
        case ("exhausted", str(name)):
            work = scheduler.work_of(name)
            return [] if work is None else scheduler.on_exhausted(name, work.work_id, now)
        case ("job", int(index)):
            return scheduler.set_job(JOBS[index], now)
        case ("rate", float(rate)):
            return scheduler.set_hashrate("b", rate, now)
        case ("timeout", _):
            at = scheduler.next_timeout()
            assignments = [] if at is None else scheduler.on_time(max(at, now))
            assert at is None or assignments, (
                "a timeout that brings nothing would come again at once"
            )
            return assignments
        case ("invalidate", _):
            return scheduler.invalidate(2, now)
        case _:
            assignments = scheduler.idle_all(now)
            for name in "abc":
                assert scheduler.bind(name, 2, now) == []
            return assignments


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(EVENTS, st.floats(0, 2)), max_size=40))
def test_any_order_of_events_keeps_works_disjoint(
    steps: list[tuple[tuple[str, str | int | float], float]],
) -> None:
    scheduler = Scheduler()
    scheduler.add_device("a", Capabilities(), 1e12, 2, 0.0)
    scheduler.add_device("b", Capabilities(version_bits=3), 1e6, 2, 0.0)
    scheduler.add_device("c", Capabilities(version_bits=16, ntime_rolls=True), 1e14, 2, 0.0)
    now = 0.0
    works: list[Work] = []
    last: dict[str, Work | None] = {}
    for event, passed in steps:
        now += passed
        for assignment in carry_out(scheduler, event, now):
            last[assignment.device_id] = assignment.work
            if assignment.work is not None:
                assert not any(in_common(assignment.work, work) for work in works)
                works.append(assignment.work)
        for name in "abc":
            assert scheduler.work_of(name) == last.get(name)
