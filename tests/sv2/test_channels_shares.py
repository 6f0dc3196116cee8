"""Shares: judged, acknowledged in batches, rejected by name; blocks; retargets."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from channels_pair import EASY, PLAIN, STANDARD_JOBS, UTC, VERSION, Pair, template

from sv2rig.bitcoin.hashing import sha256d
from sv2rig.bitcoin.merkle import root_from_path
from sv2rig.bitcoin.target import MAX_TARGET, difficulty, target_for_rate
from sv2rig.sv2 import client_events, server_events
from sv2rig.sv2.messages import mining
from sv2rig.sv2.server_channels import ServerChannels
from sv2rig.sv2.share_check import SeenShares
from sv2rig.sv2.share_policy import SharePolicy, ShareRate

BATCHED = replace(PLAIN, ack_shares=10, ack_seconds=20.0)


def mining_pair(flags: int = 0, policy: SharePolicy = PLAIN, **more: int) -> tuple[Pair, int]:
    """A pair with one open standard channel."""
    pair = Pair(flags, policy, **more)  # type: ignore[arg-type]
    pair.server.set_template(template(1), pair.now)
    return pair, pair.open()


def acknowledged_share(pair: Pair, channel_id: int) -> int:
    """A channel's first share, whose answer does not wait for a batch."""
    number = pair.share(channel_id)
    pair.settle()
    assert pair.last(client_events.SharesAccepted).sequence_numbers == (number,)
    return number


@pytest.mark.parametrize("first", [0, 1, 0xFFFFFFFE])
def test_shares_are_acknowledged_in_batches(first: int) -> None:
    pair, channel_id = mining_pair(policy=BATCHED, first_sequence_number=first)
    assert acknowledged_share(pair, channel_id) == first  # a channel's first is told at once
    sent = [pair.share(channel_id) for _ in range(9)]
    pair.settle()
    assert pair.accepted() == (1, 10)
    assert pair.client.pending() == {channel_id: tuple(sent)}
    sent.append(pair.share(channel_id))
    pair.settle()
    batch = pair.last(client_events.SharesAccepted)
    assert batch.sequence_numbers == tuple(sent)
    assert batch.difficulty == 10 * difficulty(EASY)
    assert (batch.server_count, batch.server_difficulty) == (10, 0)  # the sum truncates
    assert batch.disagreement is None
    assert pair.client.pending() == {}


def test_a_batch_does_not_wait_longer_than_its_time() -> None:
    pair, channel_id = mining_pair(policy=BATCHED)
    acknowledged_share(pair, channel_id)
    pair.now = 1005.0
    pair.share(channel_id)
    pair.settle()
    assert pair.server.next_timeout() == 1025.0
    assert pair.server.handle_timeout(1024.9) == []
    pair.settle()
    assert pair.accepted() == (1, 2)
    pair.server.handle_timeout(1025.0)
    pair.settle()
    assert pair.accepted() == (2, 2)


def test_a_changed_rate_has_pending_shares_acknowledged_before_the_new_target() -> None:
    pair, channel_id = mining_pair(policy=BATCHED)
    acknowledged_share(pair, channel_id)
    waiting = pair.share(channel_id)
    pair.client.update(channel_id, 0.0, MAX_TARGET)
    pair.settle()
    assert pair.last(client_events.SharesAccepted).sequence_numbers == (waiting,)
    assert pair.client.pending() == {}


def test_a_rejected_share_is_no_part_of_the_batch() -> None:
    pair, channel_id = mining_pair(policy=BATCHED)
    acknowledged_share(pair, channel_id)
    pair.share(channel_id)
    bad = pair.client.submit(*pair.solve(pair.jobs[channel_id], meets=False))
    pair.share(channel_id)
    pair.flush()
    assert pair.last(client_events.ShareRejected) == client_events.ShareRejected(
        channel_id, bad, "difficulty-too-low"
    )
    assert pair.last(client_events.SharesAccepted).sequence_numbers == (2, 4)
    assert pair.last(client_events.SharesAccepted).disagreement is None


def test_the_sum_of_difficulties_is_whole() -> None:
    pair, channel_id = mining_pair(policy=replace(BATCHED, ack_shares=3))
    channel = pair.server._channels[channel_id]
    for number in (7, 8):
        channel.batch.add(number, Fraction(3, 2), pair.now)
    pair.share(channel_id)
    pair.settle()
    batch = pair.last(client_events.SharesAccepted)
    assert (batch.server_count, batch.server_difficulty) == (3, 3)
    assert batch.disagreement == (
        "the server counts 3 shares up to sequence number 1, 1 were awaited"
    )


def test_a_block_is_told_first_and_acknowledged_at_once() -> None:
    pair = Pair(policy=BATCHED)
    made = template(3, network_target=MAX_TARGET)
    pair.server.set_template(made, pair.now)
    channel_id = pair.open(extended=True)
    pair.share(channel_id)
    pair.settle()
    block, accepted = pair.server_events[-2:]
    assert isinstance(block, server_events.BlockFound)
    assert isinstance(accepted, server_events.ShareAccepted)
    assert accepted.is_block
    assert pair.accepted() == (1, 1)
    assert block.template_id == 3
    assert sha256d(block.header) == block.share_hash
    prefix = pair.last(client_events.ChannelOpened).extranonce_prefix
    assert block.coinbase == made.coinbase_prefix + prefix + b"\x07" * 6 + made.coinbase_suffix
    assert root_from_path(sha256d(block.coinbase), made.merkle_path) == block.header[36:68]


def test_a_block_that_misses_its_jobs_target_is_worth_the_networks_difficulty() -> None:
    pair = Pair()
    pair.server.set_template(template(1, network_target=MAX_TARGET), pair.now)
    channel_id = pair.open()
    pair.client.submit(*pair.solve(pair.jobs[channel_id], meets=False))
    pair.settle()
    assert pair.last(server_events.ShareAccepted).difficulty == difficulty(MAX_TARGET)


@pytest.mark.parametrize("extended", [False, True])
def test_a_share_is_paid_once(extended: bool) -> None:
    pair = Pair()
    pair.server.set_template(template(1), pair.now)
    channel_id = pair.open(extended=extended)
    share = pair.solve(pair.jobs[channel_id])
    pair.client.submit(*share)
    pair.client.submit(*share)
    pair.settle()
    assert pair.rejections() == ["duplicate-share"]
    assert pair.accepted() == (1, 1)


def test_a_share_is_paid_once_even_after_a_reorganisation_and_back() -> None:
    pair = Pair()
    pair.server.set_template(template(1, tip=1), pair.now)
    channel_id = pair.open(extended=True)
    share = pair.solve(pair.jobs[channel_id])
    pair.client.submit(*share)
    pair.settle()
    pair.server.set_template(template(2, tip=2), pair.now)
    pair.settle()
    pair.server.set_template(template(1, tip=1), pair.now)
    pair.settle()
    assert pair.jobs[channel_id].job_id != share[1]
    pair.client.submit(channel_id, pair.jobs[channel_id].job_id, *share[2:])
    pair.settle()
    assert pair.rejections() == ["duplicate-share"]


def test_memory_for_duplicates_is_bounded() -> None:
    seen = SeenShares(limit=4)
    tips = [bytes([tip]) * 32 for tip in range(5)]
    hashes = [bytes([number]) * 32 for number in range(5)]
    assert [seen.add(tips[0], h) for h in hashes] == [None] * 4 + ["too-many-shares"]
    assert seen.add(tips[0], hashes[0]) == "duplicate-share"
    assert seen.add(tips[1], hashes[0]) is None  # earlier previous hashes make room
    assert len(seen) == 1
    for tip in tips[2:]:
        assert seen.add(tip, hashes[0]) is None
    assert len(seen) == 3
    assert seen.add(tips[2], hashes[0]) == "duplicate-share"
    assert seen.add(tips[1], hashes[0]) is None  # forgotten: a fourth previous hash back


def submit(pair: Pair, channel: int, **changed: int) -> str | None:
    """Submits a good share with fields changed behind the client's back; the code, if any."""
    _, job_id, nonce, ntime, version, _ = pair.solve(pair.jobs[channel])
    fields = {"job_id": job_id, "nonce": nonce, "ntime": ntime, "version": version} | changed
    share = mining.SubmitSharesStandard(
        channel_id=fields.pop("channel_id", channel), sequence_number=1, **fields
    )
    happened = pair.server.handle(share, pair.now, pair.utc)
    pair.server.messages_to_send()
    for event in happened:
        if isinstance(event, server_events.ShareRejected):
            return event.code
    return None


def test_unknown_ids_are_refused_by_name() -> None:
    pair, channel_id = mining_pair()
    assert submit(pair, channel_id, channel_id=99) == "invalid-channel-id"
    assert submit(pair, channel_id, job_id=99) == "invalid-job-id"
    other = pair.open()  # another channel's job is none of this one's
    assert submit(pair, channel_id, job_id=pair.jobs[other].job_id) == "invalid-job-id"


def test_a_share_of_the_wrong_kind_is_refused() -> None:
    pair, channel_id = mining_pair()
    share = mining.SubmitSharesExtended(channel_id, 1, 1, 0, UTC, VERSION, b"")
    (event,) = pair.server.handle(share, pair.now, pair.utc)
    assert event == server_events.ShareRejected(channel_id, 1, "invalid-channel-id", None)


@pytest.mark.parametrize("size", [5, 7])
def test_the_extranonce_must_have_exactly_its_size(size: int) -> None:
    pair = Pair()
    pair.server.set_template(template(1), pair.now)
    channel_id = pair.open(extended=True)
    job = pair.jobs[channel_id]
    share = mining.SubmitSharesExtended(
        channel_id, 1, job.job_id, 0, job.min_ntime, VERSION, bytes(size)
    )
    (event,) = pair.server.handle(share, pair.now, pair.utc)
    assert isinstance(event, server_events.ShareRejected)
    assert event.code == "bad-extranonce-size"
    with pytest.raises(ValueError, match=f"extranonce has {size} bytes, extranonce_size is 6"):
        pair.client.submit(channel_id, job.job_id, 0, job.min_ntime, VERSION, bytes(size))


@pytest.mark.parametrize(
    ("version", "code"),
    [
        (VERSION ^ 0x1FFFFFE0, None),
        (VERSION ^ 0x00000020, None),
        (VERSION ^ 0x00000010, "invalid-non-rollable-version-bit"),
        (VERSION ^ 0x20000000, "invalid-non-rollable-version-bit"),
    ],
)
def test_version_bits_outside_bip323_must_be_the_jobs(version: int, code: str | None) -> None:
    pair, channel_id = mining_pair()
    job = pair.jobs[channel_id]
    if code is None:
        pair.client.submit(*pair.solve(job, version=version))
        pair.settle()
        assert pair.accepted() == (1, 1)
    else:
        assert submit(pair, channel_id, version=version) == code


def test_no_version_bit_may_change_where_the_job_refuses_rolling() -> None:
    pair = Pair()
    pair.server.set_template(template(1, rolling=False), pair.now)
    channel_id = pair.open()
    changed = submit(pair, channel_id, version=VERSION ^ 0x2000)
    assert changed == "version-rolling-not-allowed"


def test_ntime_bounds_at_below_and_above() -> None:
    pair, channel_id = mining_pair()
    job = pair.jobs[channel_id]
    assert submit(pair, channel_id, ntime=job.min_ntime - 1) == "invalid-share"
    assert submit(pair, channel_id, ntime=UTC + 7201) == "invalid-share"
    for ntime in (job.min_ntime, UTC + 7200):
        pair.client.submit(*pair.solve(job, ntime=ntime))
    pair.settle()
    assert pair.accepted() == (2, 2)


def test_a_later_jobs_min_ntime_does_not_refuse_a_share_the_previous_hash_allows() -> None:
    pair, channel_id = mining_pair()
    pair.server.set_template(template(2, min_ntime=UTC - 10), pair.now)
    pair.settle()
    pair.client.submit(*pair.solve(pair.jobs[channel_id], ntime=UTC - 600))
    pair.settle()
    assert pair.accepted() == (1, 1)


@pytest.mark.parametrize("step", [-3600, 3600])
def test_a_stepped_wall_clock_changes_the_judgement_of_ntime_only(step: int) -> None:
    pair, channel_id = mining_pair(policy=BATCHED)
    acknowledged_share(pair, channel_id)
    near = pair.solve(pair.jobs[channel_id])
    far = pair.solve(pair.jobs[channel_id], ntime=UTC + 7000)
    deadline = pair.server.next_timeout()
    pair.utc += step
    pair.client.submit(*near)
    pair.client.submit(*far)
    pair.settle()
    assert pair.rejections() == (["invalid-share"] if step < 0 else [])
    assert deadline is not None
    assert pair.server.next_timeout() == min(deadline, pair.now + BATCHED.ack_seconds)
    pair.server.set_template(template(2), pair.now)
    pair.settle()
    assert pair.jobs[channel_id].min_ntime == UTC - 600


@pytest.mark.parametrize("negotiated", [True, False])
def test_a_workers_name_travels_where_it_was_negotiated(negotiated: bool) -> None:
    pair = Pair(extensions=frozenset({2} if negotiated else ()))
    pair.server.set_template(template(1), pair.now)
    channel_id = pair.open(extended=True)
    pair.client.submit(*pair.solve(pair.jobs[channel_id]), worker="Worker_001")
    pair.settle()
    accepted = pair.last(server_events.ShareAccepted)
    assert accepted.worker == ("Worker_001" if negotiated else None)
    assert accepted.user_identity == "alice.rig1"


def test_a_flood_settles_at_the_wanted_rate() -> None:
    policy = SharePolicy(ack_shares=1000, retarget_shares=24)
    rate, hash_rate, now = ShareRate(0.0), 1e6, 0.0
    target = policy.target_for(0.0, MAX_TARGET)
    assert target == MAX_TARGET
    for _ in range(2000):  # the expected time of each share, one after the other
        now += 2.0**256 / (target + 1) / hash_rate
        rate.shares += 1
        suggested = rate.suggest(target, policy, now)
        if suggested is not None:
            target = suggested
            rate.restart(now)
    wanted = target_for_rate(hash_rate, policy.shares_per_minute)
    assert wanted / 2 <= target <= wanted * 3


@pytest.mark.parametrize(
    ("shares", "elapsed", "factor"),
    [
        (0, 120, 4),
        (3, 120, 4),
        (4, 120, 1),
        (12, 120, 1),
        (23, 119, None),
        (24, 120, 1),
        (24, 100, Fraction(10, 24)),
        (24, 1, Fraction(1, 16)),
        (24, 0, Fraction(1, 16)),
    ],
)
def test_retargets_are_bounded_steps(
    shares: int, elapsed: int, factor: Fraction | int | None
) -> None:
    target = 1 << 200
    suggested = ShareRate(0.0, shares).suggest(target, SharePolicy(), float(elapsed))
    if factor is None:
        assert suggested is None
    else:
        assert suggested is not None
        assert suggested / target == pytest.approx(float(factor), rel=1e-9)


def test_the_server_retargets_a_flood_and_the_client_follows() -> None:
    pair, channel_id = mining_pair(
        STANDARD_JOBS, SharePolicy(ack_shares=1, easiest_target=EASY, retarget_shares=8)
    )
    first = pair.jobs[channel_id]
    for _ in range(8):
        pair.share(channel_id)
    pair.settle()
    assert pair.last(server_events.TargetAdjusted).target == EASY // 16
    assert pair.jobs[channel_id].target == EASY // 16
    assert pair.jobs[channel_id].job_id != first.job_id
    pair.client.submit(*pair.solve(first))  # judged by the target it was sent with
    pair.settle()
    assert pair.accepted() == (9, 9)


def test_a_silent_channel_is_eased_up_to_what_the_client_takes() -> None:
    pair = Pair(policy=SharePolicy())
    pair.server.set_template(template(1), pair.now)
    pair.client.open_standard("alice", 1e9, max_target=1 << 230)
    pair.settle()
    before = pair.last(client_events.ChannelOpened).target
    for _ in range(20):
        deadline = pair.server.next_timeout()
        assert deadline is not None
        pair.now = deadline
        pair.server.handle_timeout(pair.now)
    pair.settle()
    assert before < pair.jobs[2].target == 1 << 230


def test_a_block_is_taken_when_the_memory_for_duplicates_is_full() -> None:
    pair = Pair()
    server = ServerChannels(0, pair.allocator, PLAIN, remembered_shares=0)
    pair.server = server
    server.set_template(template(1, network_target=EASY // 4), pair.now)
    channel_id = pair.open()
    codes = set()
    while not pair.all(server_events.BlockFound):
        pair.share(channel_id)
        pair.settle()
        codes.update(pair.rejections())
    assert codes <= {"too-many-shares"}


def test_shares_on_a_former_target_say_nothing_of_the_present_one() -> None:
    policy = SharePolicy(ack_shares=1, easiest_target=EASY, retarget_shares=8)
    pair, channel_id = mining_pair(policy=policy)
    former = pair.jobs[channel_id]
    for _ in range(8):
        pair.share(channel_id)
    pair.settle()
    assert pair.last(server_events.TargetAdjusted).target == EASY // 16
    for _ in range(20):
        pair.client.submit(*pair.solve(former))
    pair.settle()
    assert len(pair.all(server_events.TargetAdjusted)) == 1
    assert pair.accepted() == (28, 28)
