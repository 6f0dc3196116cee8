"""Opening, updating, closing and moving channels, between our own two ends."""

from __future__ import annotations

import math

import pytest
from channels_pair import EASY, PLAIN, STANDARD_JOBS, Pair, template

from sv2rig.bitcoin.target import MAX_TARGET
from sv2rig.sv2 import client_events, server_events
from sv2rig.sv2.client_channels import ClientChannels, JobGoneError
from sv2rig.sv2.extranonce import CHANNEL_BYTES, ExtranonceAllocator, ExtranoncesUsedUp
from sv2rig.sv2.messages import mining
from sv2rig.sv2.server_channels import ServerChannels
from sv2rig.sv2.share_policy import SharePolicy


def refusal(server: ServerChannels, message: mining.OpenStandardMiningChannel) -> str:
    """The code with which an open is refused."""
    (event,) = server.handle(message, 0.0, 0.0)
    assert isinstance(event, server_events.OpenRefused)
    ((answer, _),) = server.messages_to_send()
    assert answer == mining.OpenMiningChannelError(message.request_id, event.code)
    return event.code


def test_channel_ids_count_up_from_2_and_are_never_reused() -> None:
    pair = Pair()
    assert [pair.open(), pair.open(extended=True)] == [2, 3]
    pair.client.close(2)
    pair.settle()
    assert pair.open() == 4
    assert pair.server.channel_ids() == pair.client.channel_ids() == (3, 4)


def test_prefixes_are_unique_over_all_connections_of_a_pool() -> None:
    allocator = ExtranonceAllocator(server_id=7)
    pairs = [Pair(allocator=allocator) for _ in range(3)]
    for pair in pairs:
        pair.open(), pair.open(extended=True)
    opened = [e for pair in pairs for e in pair.all(client_events.ChannelOpened)]
    assert len({e.extranonce_prefix[:4] for e in opened}) == 6
    assert all(e.extranonce_prefix[0] == 7 for e in opened)
    assert {len(e.extranonce_prefix) + e.extranonce_size for e in opened} == {20}
    for pair in pairs:
        pair.server.release()
    assert allocator.held == 0


def test_a_released_prefix_rests_until_all_others_were_used() -> None:
    allocator = ExtranonceAllocator()
    first = allocator.allocate(16)
    allocator.release(first)
    assert allocator.allocate(16) != first
    allocator._held = set(range(1 << 8 * CHANNEL_BYTES))
    assert allocator.is_used_up
    with pytest.raises(ExtranoncesUsedUp):
        allocator.allocate(16)
    allocator.release(first)
    assert allocator.allocate(16) == first


@pytest.mark.parametrize(("wanted", "granted"), [(0, 6), (6, 6), (7, 7), (16, 16), (17, None)])
def test_extranonce_sizes_from_6_to_16_are_granted(wanted: int, granted: int | None) -> None:
    pair = Pair()
    pair.client.open_extended("alice", 0.0, min_extranonce_size=wanted)
    pair.settle()
    if granted is None:
        assert pair.last(client_events.OpenRefused).code == "min-extranonce-size-too-large"
    else:
        assert pair.last(client_events.ChannelOpened).extranonce_size == granted


def test_extended_channels_are_refused_where_standard_jobs_are_required() -> None:
    with pytest.raises(ValueError, match="REQUIRES_STANDARD_JOBS"):
        ClientChannels(STANDARD_JOBS).open_extended("alice", 0.0)
    server = ServerChannels(STANDARD_JOBS, ExtranonceAllocator())
    message = mining.OpenExtendedMiningChannel(1, "alice", 0.0, MAX_TARGET, 6)
    (event,) = server.handle(message, 0.0, 0.0)
    assert event == server_events.OpenRefused(
        "alice", "extended-channels-not-supported-for-standard-jobs"
    )


def test_standard_channels_are_not_asked_for_where_the_server_refuses_them() -> None:
    with pytest.raises(ValueError, match="REQUIRES_EXTENDED_CHANNELS"):
        ClientChannels(server_flags=2).open_standard("alice", 0.0)


@pytest.mark.parametrize("rate", [math.nan, math.inf, -math.inf, -1.0])
def test_hash_rates_that_are_none_are_refused_on_both_sides(rate: float) -> None:
    client = ClientChannels()
    with pytest.raises(ValueError, match="nominal hash rate"):
        client.open_standard("alice", rate)
    with pytest.raises(ValueError, match="nominal hash rate"):
        client.open_extended("alice", rate)
    assert client.messages_to_send() == []
    server = ServerChannels(0, ExtranonceAllocator())
    message = mining.OpenStandardMiningChannel(1, "alice", rate, MAX_TARGET)
    assert refusal(server, message) == "invalid-nominal-hashrate"


@pytest.mark.parametrize("target", [0, 1 << 256])
def test_a_client_never_asks_for_an_impossible_target(target: int) -> None:
    with pytest.raises(ValueError, match="max target"):
        ClientChannels().open_standard("alice", 0.0, target)


def test_max_target_is_clamped_to_or_refused_below_the_pools_hardest() -> None:
    policy = SharePolicy(hardest_target=1 << 200, easiest_target=1 << 240)
    server = ServerChannels(0, ExtranonceAllocator(), policy)
    message = mining.OpenStandardMiningChannel(1, "alice", 0.0, (1 << 200) - 1)
    assert refusal(server, message) == "max-target-out-of-range"
    for asked, granted in [(1 << 200, 1 << 200), (1 << 230, 1 << 230), (MAX_TARGET, 1 << 240)]:
        message.max_target = asked
        (event,) = server.handle(message, 0.0, 0.0)
        assert isinstance(event, server_events.ChannelOpened)
        assert event.target == granted


def test_a_policy_hook_may_refuse_a_user() -> None:
    server = ServerChannels(
        0,
        ExtranonceAllocator(),
        check_user=lambda user: "unknown-user" if user == "mallory" else None,
    )
    message = mining.OpenStandardMiningChannel(1, "mallory", 0.0, MAX_TARGET)
    assert refusal(server, message) == "unknown-user"
    message.user_identity = ""
    assert isinstance(server.handle(message, 0.0, 0.0)[0], server_events.ChannelOpened)


def test_a_connection_has_only_so_many_channels() -> None:
    server = ServerChannels(0, ExtranonceAllocator(), max_channels=2)
    message = mining.OpenStandardMiningChannel(1, "alice", 0.0, MAX_TARGET)
    for _ in range(2):
        server.handle(message, 0.0, 0.0)
    server.messages_to_send()
    assert refusal(server, message) == "too-many-channels"


def test_an_update_always_brings_set_target() -> None:
    pair = Pair()
    pair.server.set_template(template(1), pair.now)
    channel_id = pair.open()
    pair.sent_down.clear()
    pair.client.update(channel_id, 0.0, MAX_TARGET)
    pair.settle()
    assert pair.sent_down == [mining.SetTarget(channel_id, EASY)]
    updated = pair.last(server_events.ChannelUpdated)
    assert (updated.nominal_hash_rate, updated.target) == (0.0, EASY)


@pytest.mark.parametrize(
    ("channel_id", "rate", "target", "code"),
    [
        (99, 0.0, MAX_TARGET, "invalid-channel-id"),
        (2, math.nan, MAX_TARGET, "invalid-nominal-hashrate"),
        (2, 0.0, 0, "max-target-out-of-range"),
    ],
)
def test_updates_are_refused_by_name(channel_id: int, rate: float, target: int, code: str) -> None:
    pair = Pair()
    pair.open()
    message = mining.UpdateChannel(channel_id, rate, target)
    assert pair.server.handle(message, pair.now, pair.utc) == []
    assert pair.server.messages_to_send() == [(mining.UpdateChannelError(channel_id, code), ())]
    refused = pair.client.handle(mining.UpdateChannelError(2, "any-code-at-all"), pair.now)
    assert refused == [client_events.UpdateRefused(2, "any-code-at-all")]


def test_the_client_closes_a_channel_and_messages_under_way_do_no_harm() -> None:
    pair = Pair()
    pair.server.set_template(template(1), pair.now)
    channel_id, other = pair.open(), pair.open()
    number = pair.share(channel_id)
    pair.server.set_template(template(2, tip=2), pair.now)
    pair.server.set_extranonce_prefix(channel_id)
    pair.collect()
    assert pair.client.close(channel_id, "bye") == (number,)
    pair.settle()
    assert pair.last(server_events.ChannelClosed).channel_ids == (channel_id,)
    assert pair.client.channel_ids() == pair.server.channel_ids() == (other,)
    assert pair.allocator.held == 1
    with pytest.raises(JobGoneError, match=f"channel {channel_id} is not open"):
        pair.share(channel_id)
    pair.client.close(other)
    pair.server.set_template(template(3, tip=3), pair.now)  # to a group just emptied
    pair.settle()
    assert pair.client.channel_ids() == pair.server.channel_ids() == ()
    assert pair.server.next_timeout() is None


def test_the_server_acknowledges_then_closes_a_channel() -> None:
    pair = Pair(policy=SharePolicy(easiest_target=EASY))
    pair.server.set_template(template(1), pair.now)
    channel_id = pair.open()
    pair.share(channel_id)
    pair.settle()
    pair.server.close(channel_id, "maintenance")
    unheard = pair.share(channel_id)
    pair.settle()
    assert pair.accepted() == (1, 1)
    closed = pair.last(client_events.ChannelClosed)
    assert closed.channel_ids == (channel_id,)
    assert closed.code == "maintenance"
    assert closed.unacknowledged == ((channel_id, unheard),)
    assert pair.last(server_events.ShareRejected).code == "invalid-channel-id"


@pytest.mark.parametrize("by_server", [True, False])
def test_closing_a_group_closes_all_of_its_channels(by_server: bool) -> None:
    pair = Pair()
    opened = (pair.open(), pair.open(extended=True))
    if by_server:
        pair.server.close(1, "maintenance")
        pair.settle()
        assert pair.last(client_events.ChannelClosed).channel_ids == opened
    else:
        events = pair.server.handle(mining.CloseChannel(1, ""), pair.now, pair.utc)
        assert events == [server_events.ChannelClosed(opened, "")]
    assert pair.server.channel_ids() == ()
    assert pair.allocator.held == 0


def test_closing_what_is_not_open_is_quiet() -> None:
    pair = Pair()
    assert pair.server.handle(mining.CloseChannel(9, ""), pair.now, pair.utc) == []
    pair.server.close(9)
    pair.server.close(1)
    assert pair.server.messages_to_send() == []


def test_reconnect_is_passed_on_after_the_acknowledgements() -> None:
    pair = Pair(policy=SharePolicy(easiest_target=EASY))
    pair.server.set_template(template(1), pair.now)
    pair.share(pair.open())
    pair.settle()
    pair.server.reconnect("pool.example", 3334)
    pair.settle()
    assert pair.client_events[-1] == client_events.ReconnectRequested("pool.example", 3334)
    assert pair.accepted() == (1, 1)


def test_what_was_never_answered_is_known_when_the_connection_is_lost() -> None:
    pair = Pair()
    pair.server.set_template(template(1), pair.now)
    channels = pair.open(), pair.open(extended=True)
    sent = {channel_id: (pair.share(channel_id), pair.share(channel_id)) for channel_id in channels}
    pair.client.messages_to_send()  # lost with the connection
    assert pair.client.pending() == sent
    assert pair.accepted() == (0, 0)


def test_a_template_must_have_room_for_the_pools_extranonces() -> None:
    server = ServerChannels(0, ExtranonceAllocator(size=24), PLAIN)
    with pytest.raises(ValueError, match=r"room for 20 bytes .* have 24"):
        server.set_template(template(1), 0.0)


def test_a_client_that_requires_version_rolling_gets_no_job_without() -> None:
    server = ServerChannels(0b100, ExtranonceAllocator(), PLAIN)
    with pytest.raises(ValueError, match="version rolling"):
        server.offer_template(template(1, rolling=False))
