"""Jobs, previous hashes, targets and prefixes, between our own two ends."""

from __future__ import annotations

import pytest
from channels_pair import EASY, STANDARD_JOBS, UTC, Pair, hash_value, template

from sv2rig.bitcoin.hashing import sha256d
from sv2rig.sv2 import client_events
from sv2rig.sv2.client_channels import JobGoneError
from sv2rig.sv2.messages import mining


def names(pair: Pair) -> list[str]:
    """What the server sent, as (message, channel id) in words."""
    return [f"{m.wire_name} {getattr(m, 'channel_id', '')}".strip() for m in pair.sent_down]


@pytest.mark.parametrize("flags", [0, STANDARD_JOBS])
def test_a_standard_channel_opens_in_sris_order(flags: int) -> None:
    pair = Pair(flags)
    pair.server.set_template(template(1), pair.now)
    assert pair.open() == 2
    assert names(pair) == [
        "OpenStandardMiningChannel.Success 2",
        "NewMiningJob 2",
        "SetNewPrevHash 2",
    ]
    job = pair.jobs[2]
    assert not job.is_extended
    assert job.prev_hash == template(1).prev_hash
    assert job.target == EASY
    assert job.version_rolling_mask == 0x1FFFE000
    assert pair.last(client_events.PrevHashChanged).channel_ids == (2,)


def test_an_extended_channel_opens_in_sris_order() -> None:
    pair = Pair()
    pair.server.set_template(template(1), pair.now)
    pair.open(extended=True)
    assert names(pair) == [
        "OpenExtendedMiningChannel.Success 2",
        "NewExtendedMiningJob 2",
        "SetNewPrevHash 2",
    ]
    opened = pair.last(client_events.ChannelOpened)
    assert (opened.extranonce_size, len(opened.extranonce_prefix)) == (6, 14)
    assert opened.group_channel_id == 1


def test_each_standard_channel_gets_its_own_later_jobs_when_bit_0_is_set() -> None:
    pair = Pair(STANDARD_JOBS)
    pair.server.set_template(template(1), pair.now)
    first, second = pair.open(), pair.open()
    pair.sent_down.clear()
    pair.server.set_template(template(2), pair.now)
    pair.settle()
    assert names(pair) == [f"NewMiningJob {first}", f"NewMiningJob {second}"]
    pair.sent_down.clear()
    pair.server.set_template(template(3, tip=2), pair.now)
    pair.settle()
    assert sorted(names(pair)) == [
        f"NewMiningJob {first}",
        f"NewMiningJob {second}",
        f"SetNewPrevHash {first}",
        f"SetNewPrevHash {second}",
    ]
    assert pair.jobs[first].merkle_root != pair.jobs[second].merkle_root


def test_a_group_gets_one_job_and_one_previous_hash_after_the_first() -> None:
    pair = Pair()
    pair.server.set_template(template(1), pair.now)
    standard, extended = pair.open(), pair.open(extended=True)
    pair.sent_down.clear()
    pair.server.set_template(template(2), pair.now)
    pair.server.set_template(template(3, tip=2), pair.now)
    pair.settle()
    assert names(pair) == ["NewExtendedMiningJob 1", "NewExtendedMiningJob 1", "SetNewPrevHash 1"]
    for channel_id in (standard, extended):
        assert pair.jobs[channel_id].prev_hash == template(3, tip=2).prev_hash
        pair.share(channel_id)
    pair.settle()
    assert pair.accepted() == (2, 2)


def test_a_groups_job_gives_a_standard_member_the_root_of_its_prefix() -> None:
    pair = Pair()
    pair.server.set_template(template(1), pair.now)
    channel_id = pair.open()
    prefix = pair.last(client_events.ChannelOpened).extranonce_prefix
    assert len(prefix) == 20
    later = template(2)
    pair.server.set_template(later, pair.now)
    pair.settle()
    root = sha256d(later.coinbase_prefix + prefix + later.coinbase_suffix)
    for sibling in later.merkle_path:
        root = sha256d(root + sibling)
    assert pair.jobs[channel_id].merkle_root == root


def test_a_template_offered_ahead_needs_only_the_previous_hash() -> None:
    pair = Pair()
    pair.server.set_template(template(1), pair.now)
    pair.open(), pair.open(extended=True)
    pair.server.offer_template(template(2, tip=2))
    late = pair.open()  # opened between the offer and the previous hash
    pair.sent_down.clear()
    pair.server.set_template(template(2, tip=2), pair.now)
    pair.settle()
    assert names(pair) == ["SetNewPrevHash 1"]
    for channel_id in (2, 3, late):
        pair.share(channel_id)
    pair.settle()
    assert pair.accepted() == (3, 3)


def test_an_offer_that_changed_is_sent_again() -> None:
    pair = Pair(STANDARD_JOBS)
    pair.server.set_template(template(1), pair.now)
    channel_id = pair.open()
    pair.server.offer_template(template(2, tip=2))
    changed = template(2, tip=2, rolling=False)
    pair.server.set_template(changed, pair.now)
    pair.settle()
    pair.share(channel_id)
    pair.settle()
    assert pair.accepted() == (1, 1)


def test_a_channel_opened_before_any_template_gets_its_job_later() -> None:
    pair = Pair()
    channel_id = pair.open()
    assert channel_id not in pair.jobs
    pair.server.set_template(template(1), pair.now)
    pair.settle()
    pair.share(channel_id)
    pair.settle()
    assert pair.accepted() == (1, 1)


def test_jobs_replaced_under_one_previous_hash_stay_valid() -> None:
    pair = Pair()
    pair.server.set_template(template(1), pair.now)
    channel_id = pair.open()
    replaced = pair.jobs[channel_id]
    pair.server.set_template(template(2), pair.now)
    pair.settle()
    pair.client.submit(*pair.solve(replaced))
    pair.settle()
    assert pair.accepted() == (1, 1)


def test_a_new_previous_hash_voids_earlier_jobs_on_both_sides() -> None:
    pair = Pair()
    pair.server.set_template(template(1), pair.now)
    channel_id = pair.open()
    old = pair.jobs[channel_id]
    share = pair.solve(old)
    pair.server.set_template(template(2, tip=2), pair.now)
    pair.collect()
    pair.client.submit(*share)  # found before the client hears of it
    pair.settle()
    assert pair.rejections() == ["stale-share"]
    assert not pair.client.is_valid(channel_id, old.job_id)
    with pytest.raises(JobGoneError, match=f"no valid job {old.job_id}"):
        pair.client.submit(*share)


def test_a_target_binds_when_the_job_becomes_active() -> None:
    pair = Pair()
    pair.server.set_template(template(1), pair.now)
    channel_id = pair.open()
    old = pair.jobs[channel_id]
    pair.client.update(channel_id, 0.0, EASY // 2 + EASY // 4)  # a little harder: no new job yet
    pair.settle()
    assert pair.last(client_events.TargetChanged).target == EASY // 2 + EASY // 4
    assert pair.jobs[channel_id] is old
    assert old.target == EASY
    share = pair.solve(old)
    while hash_value(old, *share[2:]) <= EASY // 2 + EASY // 4:  # it is to miss the new target
        share = pair.solve(old)
    pair.client.submit(*share)
    pair.settle()
    assert pair.accepted() == (1, 1)
    pair.server.set_template(template(2), pair.now)
    pair.settle()
    assert pair.jobs[channel_id].target == EASY // 2 + EASY // 4


def test_a_future_job_takes_the_target_of_its_activation() -> None:
    pair = Pair()
    pair.server.set_template(template(1), pair.now)
    channel_id = pair.open()
    pair.server.offer_template(template(2, tip=2))
    pair.settle()
    pair.client.update(channel_id, 0.0, EASY - 1)
    pair.settle()
    pair.server.set_template(template(2, tip=2), pair.now)
    pair.settle()
    assert pair.jobs[channel_id].target == EASY - 1


@pytest.mark.parametrize("flags", [0, STANDARD_JOBS])
def test_an_eased_target_brings_a_fresh_job_with_headers_of_its_own(flags: int) -> None:
    pair = Pair(flags)
    pair.server.set_template(template(1), pair.now)
    channel_id = pair.open(rate=1000.0)
    before = pair.jobs[channel_id]
    pair.client.update(channel_id, 1.0, EASY)
    pair.settle()
    after = pair.jobs[channel_id]
    assert before.target < after.target
    assert before.merkle_root != after.merkle_root
    assert before.prev_hash == after.prev_hash


def test_a_new_prefix_holds_for_jobs_sent_after_it() -> None:
    pair = Pair()
    pair.server.set_template(template(1), pair.now)
    channel_id = pair.open(extended=True)
    old = pair.jobs[channel_id]
    prefix = pair.server.set_extranonce_prefix(channel_id)
    pair.settle()
    assert pair.last(client_events.ExtranoncePrefixChanged).extranonce_prefix == prefix
    pair.client.submit(*pair.solve(old))
    pair.settle()
    assert pair.accepted() == (1, 1)
    pair.server.set_template(template(2), pair.now)
    pair.settle()
    assert old.extranonce_prefix != prefix == pair.jobs[channel_id].extranonce_prefix
    pair.share(channel_id)
    pair.settle()
    assert pair.accepted() == (2, 2)


def test_a_future_job_keeps_the_prefix_of_its_sending() -> None:
    pair = Pair()
    pair.server.set_template(template(1), pair.now)
    channel_id = pair.open(extended=True)
    pair.server.offer_template(template(2, tip=2))
    prefix = pair.server.set_extranonce_prefix(channel_id)
    pair.server.set_template(template(2, tip=2), pair.now)
    pair.settle()
    assert pair.jobs[channel_id].extranonce_prefix != prefix
    pair.share(channel_id)
    pair.settle()
    assert pair.accepted() == (1, 1)
    assert pair.allocator.held == 2  # a job still carries the old one
    pair.server.set_template(template(3, tip=3), pair.now)
    assert pair.allocator.held == 1


def test_a_job_that_refuses_version_rolling_has_no_mask() -> None:
    pair = Pair()
    pair.server.set_template(template(1, rolling=False), pair.now)
    assert pair.jobs[pair.open(extended=True)].version_rolling_mask == 0


def test_a_server_of_fixed_versions_is_obeyed() -> None:
    pair = Pair(server_flags=1)
    pair.server.set_template(template(1), pair.now)
    assert pair.jobs[pair.open()].version_rolling_mask == 0
    assert pair.jobs[pair.open(extended=True)].version_rolling_mask == 0


def test_a_wider_mask_is_used_where_the_user_says_so() -> None:
    pair = Pair(version_rolling_mask=0x1FFFFFE0)
    pair.server.set_template(template(1), pair.now)
    assert pair.jobs[pair.open()].version_rolling_mask == 0x1FFFFFE0


def test_ntime_may_follow_the_monotonic_clock_from_the_previous_hash_on() -> None:
    pair = Pair()
    pair.server.set_template(template(1), pair.now)
    channel_id = pair.open()
    pair.now += 30
    pair.server.set_template(template(2, min_ntime=UTC - 590), pair.now)
    pair.settle()
    job = pair.jobs[channel_id]
    assert job.min_ntime == UTC - 590
    assert job.max_ntime(pair.now) == UTC - 600 + 30
    pair.utc += 3600  # a stepped wall clock is nobody's business here
    assert job.max_ntime(pair.now + 1) == UTC - 600 + 31


def test_channels_move_between_groups() -> None:
    pair = Pair()
    pair.server.set_template(template(1), pair.now)
    first, second = pair.open(), pair.open(extended=True)
    moved = pair.client.handle(mining.SetGroupChannel(77, (second,)), pair.now)
    assert moved == [client_events.GroupChanged(77, (second,))]
    job = mining.NewExtendedMiningJob(77, 900, UTC, 1, True, (), b"\1\0\0\0\1" + bytes(40), b"\0")
    events = pair.client.handle(job, pair.now)
    assert [e.job.channel_id for e in events if isinstance(e, client_events.JobActivated)] == [
        second
    ]
    job.channel_id = 1
    events = pair.client.handle(job, pair.now)
    assert [e.job.channel_id for e in events if isinstance(e, client_events.JobActivated)] == [
        first
    ]


def test_a_channel_opened_after_a_broadcast_takes_the_job_and_previous_hash_of_its_group() -> None:
    """A server that sends a late channel nothing of its own: the broadcasts are all there is."""
    client = Pair().client
    request = client.open_standard("alice", 0.0)
    client.handle(mining.OpenStandardMiningChannelSuccess(request, 2, 1, b"a", 1), 5.0)
    parts = (b"\1\0\0\0\1" + bytes(40), b"\0")
    client.handle(mining.NewExtendedMiningJob(1, 7, None, 1, True, (), *parts), 5.0)
    request = client.open_standard("alice", 0.0)
    client.handle(mining.OpenStandardMiningChannelSuccess(request, 3, 1, b"b", 1), 5.0)
    events = client.handle(mining.SetNewPrevHash(1, 7, bytes(32), UTC, 0x207FFFFF), 6.0)
    jobs = [e.job for e in events if isinstance(e, client_events.JobActivated)]
    assert [job.merkle_root for job in jobs] == [
        sha256d(parts[0] + b"a" + parts[1]),
        sha256d(parts[0] + b"b" + parts[1]),
    ]
    request = client.open_standard("alice", 0.0)
    client.handle(mining.OpenStandardMiningChannelSuccess(request, 4, 1, b"c", 1), 7.0)
    events = client.handle(mining.NewExtendedMiningJob(1, 8, UTC, 1, True, (), *parts), 8.0)
    jobs = [e.job for e in events if isinstance(e, client_events.JobActivated)]
    assert [job.prevhash_received_at for job in jobs] == [6.0] * 3


def test_a_jobs_min_ntime_is_never_below_its_previous_hashs() -> None:
    pair = Pair()
    pair.server.set_template(template(1), pair.now)
    channel_id = pair.open()
    early = mining.NewMiningJob(channel_id, 900, UTC - 601, 1, bytes(32))
    (activated,) = pair.client.handle(early, pair.now)
    assert isinstance(activated, client_events.JobActivated)
    assert activated.job.min_ntime == UTC - 600
