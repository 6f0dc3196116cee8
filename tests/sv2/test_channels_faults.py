"""A server that breaks the rules: typed faults, what they close, and bounded memory."""

from __future__ import annotations

import pytest
from channels_pair import STANDARD_JOBS, UTC, Pair, template

from sv2rig.sv2 import client_events
from sv2rig.sv2.channel_faults import ChannelFault, ConnectionFault
from sv2rig.sv2.client_channel import MAX_ACTIVE_JOBS, MAX_FUTURE_JOBS
from sv2rig.sv2.client_channels import ClientChannels
from sv2rig.sv2.errors import ProtocolError
from sv2rig.sv2.extranonce import ExtranonceAllocator
from sv2rig.sv2.messages import common, mining
from sv2rig.sv2.messages.registry import Message
from sv2rig.sv2.server_channels import ServerChannels

COINBASE = b"\2\0\0\0\1" + bytes(32) + b"\xff" * 4 + b"\x14"
ROOT = bytes(32)


def extended_job(
    channel_id: int, job_id: int = 9, **changed: object
) -> mining.NewExtendedMiningJob:
    """A job that would do, but for what is changed."""
    fields: dict[str, object] = {
        "channel_id": channel_id,
        "job_id": job_id,
        "min_ntime": None,
        "version": 0x20000000,
        "version_rolling_allowed": True,
        "merkle_path": (),
        "coinbase_tx_prefix": COINBASE,
        "coinbase_tx_suffix": bytes(50),
    }
    return mining.NewExtendedMiningJob(**fields | changed)  # type: ignore[arg-type]


def open_pair(flags: int = 0) -> Pair:
    """Channel 2 standard and, where the flags allow, channel 3 extended; both with a job."""
    pair = Pair(flags)
    pair.server.set_template(template(1), pair.now)
    pair.open()
    if not flags:
        pair.open(extended=True)
    return pair


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (mining.NewMiningJob(99, 1, None, 1, ROOT), "NewMiningJob.channel_id: no channel 99"),
        (extended_job(99), "NewExtendedMiningJob.channel_id: no channel 99"),
        (mining.NewMiningJob(1, 1, None, 1, ROOT), "NewMiningJob.channel_id: no channel 1"),
        (mining.SetNewPrevHash(99, 1, ROOT, 0, 0), "SetNewPrevHash.channel_id: no channel 99"),
        (mining.SetTarget(99, 1), "SetTarget.channel_id"),
        (mining.CloseChannel(99, ""), "CloseChannel.channel_id"),
        (mining.SubmitSharesSuccess(1, 1, 1, 1), "SubmitShares.Success.channel_id: no channel 1"),
        (mining.SubmitSharesError(99, 1, ""), "SubmitShares.Error.channel_id"),
        (mining.UpdateChannelError(99, ""), "UpdateChannel.Error.channel_id"),
        (common.ChannelEndpointChanged(99), "ChannelEndpointChanged.channel_id"),
        (mining.SetExtranoncePrefix(1, b""), "SetExtranoncePrefix.channel_id: not applicable"),
        (mining.SetGroupChannel(3, (2,)), "SetGroupChannel.group_channel_id: 3 is a channel's id"),
        (mining.SetGroupChannel(9, (2, 99)), "SetGroupChannel.channel_ids: no channel 99"),
        (mining.OpenMiningChannelError(7, ""), "OpenMiningChannel.Error.request_id: no request 7"),
        (
            mining.OpenStandardMiningChannelSuccess(7, 5, 1, b"", 1),
            "OpenStandardMiningChannel.Success.request_id: no request 7",
        ),
        (mining.SetCustomMiningJobSuccess(2, 1, 1), "SetCustomMiningJob.Success.msg_type"),
        (mining.UpdateChannel(2, 0.0, 1), "UpdateChannel.msg_type"),
    ],
)
def test_what_closes_the_connection(message: Message, words: str) -> None:
    pair = open_pair()
    with pytest.raises(ConnectionFault) as caught:
        pair.client.handle(message, pair.now)
    assert str(caught.value).startswith(words)
    assert isinstance(caught.value, ProtocolError)
    assert pair.client.channel_ids() == (2, 3)
    assert pair.client.messages_to_send() == []


def test_a_group_is_no_business_of_a_standard_jobs_connection() -> None:
    pair = open_pair(STANDARD_JOBS)
    with pytest.raises(ConnectionFault, match="REQUIRES_STANDARD_JOBS"):
        pair.client.handle(mining.SetGroupChannel(9, (2,)), pair.now)


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (mining.OpenExtendedMiningChannelSuccess(4, 5, 1, 6, b"", 1), "request_id"),
        (mining.OpenStandardMiningChannelSuccess(4, 2, 1, b"", 1), "channel_id"),
        (mining.OpenStandardMiningChannelSuccess(4, 1, 1, b"", 1), "channel_id"),
        (mining.OpenStandardMiningChannelSuccess(4, 5, 1, b"", 5), "group_channel_id"),
        (mining.OpenStandardMiningChannelSuccess(4, 5, 1, b"", 3), "group_channel_id"),
    ],
)
def test_an_answer_to_open_that_mixes_up_ids_closes_the_connection(
    message: Message, field: str
) -> None:
    pair = open_pair()
    pair.open()
    assert pair.client.open_standard("alice", 0.0) == 4
    with pytest.raises(ConnectionFault) as caught:
        pair.client.handle(message, pair.now)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("target", "size", "prefix", "field"),
    [
        (0, 6, b"", "target"),
        (1, 5, b"", "extranonce_size"),
        (1, 17, bytes(16), "extranonce_size"),
    ],
)
def test_a_channel_that_cannot_be_mined_is_closed_again(
    target: int, size: int, prefix: bytes, field: str
) -> None:
    client = ClientChannels()
    request = client.open_extended("alice", 0.0, min_extranonce_size=6)
    client.messages_to_send()
    answer = mining.OpenExtendedMiningChannelSuccess(request, 2, target, size, prefix, 1)
    (refused,) = client.handle(answer, 0.0)
    assert isinstance(refused, client_events.OpenRefused)
    assert refused.fault is not None
    assert refused.fault.field == field
    assert client.messages_to_send() == [(mining.CloseChannel(2, "protocol-error"), ())]
    assert client.channel_ids() == ()


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            mining.SetNewPrevHash(2, 99, ROOT, 0, 0x207FFFFF),
            "SetNewPrevHash.job_id: no future job 99 was sent",
        ),
        (extended_job(2), "NewExtendedMiningJob.channel_id: an extended job on a standard channel"),
        (mining.SetTarget(2, 0), "SetTarget.maximum_target: no hash can meet a target of 0"),
        (
            mining.SetExtranoncePrefix(2, bytes(19)),
            "SetExtranoncePrefix.extranonce_prefix: 19 bytes where the channel's prefix has 20",
        ),
    ],
)
def test_what_closes_one_channel(message: Message, words: str) -> None:
    pair = open_pair()
    number = pair.share(2)
    pair.client.messages_to_send()
    (closed,) = pair.client.handle(message, pair.now)
    assert isinstance(closed, client_events.ChannelClosed)
    assert closed.channel_ids == (2,)
    assert closed.unacknowledged == ((2, number),)
    assert isinstance(closed.fault, ChannelFault)
    assert str(closed.fault) == f"channel 2: {words}"
    assert pair.client.messages_to_send() == [(mining.CloseChannel(2, "protocol-error"), ())]
    assert pair.client.channel_ids() == (3,)


def test_a_standard_job_on_an_extended_channel_closes_it() -> None:
    pair = open_pair()
    (closed,) = pair.client.handle(mining.NewMiningJob(3, 9, None, 1, ROOT), pair.now)
    assert isinstance(closed, client_events.ChannelClosed)
    assert closed.channel_ids == (3,)


def test_bits_that_encode_no_target_close_the_channels_addressed() -> None:
    pair = open_pair()
    pair.client.handle(extended_job(1, 77), pair.now)
    events = pair.client.handle(mining.SetNewPrevHash(1, 77, ROOT, 0, 0x20FFFFFF), pair.now)
    assert [type(event) for event in events] == [client_events.ChannelClosed] * 2
    assert pair.client.channel_ids() == ()


def test_a_broadcast_closes_only_the_member_that_cannot_take_it() -> None:
    pair = open_pair()
    pair.client.handle(mining.NewMiningJob(2, 50, None, 1, ROOT), pair.now)
    events = pair.client.handle(mining.SetNewPrevHash(1, 50, ROOT, 0, 0x207FFFFF), pair.now)
    kinds = [type(event) for event in events]
    assert kinds == [
        client_events.PrevHashChanged,
        client_events.JobActivated,
        client_events.ChannelClosed,
    ]
    assert pair.client.channel_ids() == (2,)


def test_an_active_job_before_any_previous_hash_closes_the_channel() -> None:
    pair = Pair()
    pair.open()
    (closed,) = pair.client.handle(mining.NewMiningJob(2, 1, UTC, 1, ROOT), pair.now)
    assert isinstance(closed, client_events.ChannelClosed)
    assert closed.fault is not None
    assert closed.fault.field == "min_ntime"


def test_a_coinbase_with_half_a_witness_closes_the_channel() -> None:
    pair = open_pair()
    half = COINBASE[:4] + b"\0\1" + COINBASE[4:]
    (closed,) = pair.client.handle(extended_job(3, coinbase_tx_prefix=half), pair.now)
    assert isinstance(closed, client_events.ChannelClosed)
    assert closed.fault is not None
    assert closed.fault.field == "coinbase_tx_prefix"
    whole = bytes(30) + b"\x01\x20" + bytes(32) + bytes(4)
    kept = extended_job(1, coinbase_tx_prefix=half, coinbase_tx_suffix=whole)
    assert pair.client.handle(kept, pair.now) == []
    assert pair.client.channel_ids() == (2,)


def test_jobs_are_kept_in_bounded_number() -> None:
    pair = open_pair()
    for job_id in range(1000, 1000 + 2 * MAX_FUTURE_JOBS):
        pair.client.handle(mining.NewMiningJob(2, job_id, None, 1, ROOT), pair.now)
        pair.client.handle(extended_job(1, job_id), pair.now)
    for job_id in range(2000, 2000 + 2 * MAX_ACTIVE_JOBS):
        pair.client.handle(mining.NewMiningJob(2, job_id, UTC, 1, ROOT), pair.now)
    table = pair.client._table
    assert len(table.channels[2].future) == MAX_FUTURE_JOBS
    assert len(table.groups[1].future) == MAX_FUTURE_JOBS
    assert len(table.channels[2].active) == MAX_ACTIVE_JOBS
    assert pair.client.is_valid(2, 2000 + 2 * MAX_ACTIVE_JOBS - 1)
    assert not pair.client.is_valid(2, 2000 + MAX_ACTIVE_JOBS - 1)


def test_a_server_that_never_answers_costs_no_memory() -> None:
    client = ClientChannels(pending_limit=3)
    request = client.open_standard("alice", 0.0)
    client.handle(mining.OpenStandardMiningChannelSuccess(request, 2, 1 << 255, b"", 1), 0.0)
    client.handle(mining.NewMiningJob(2, 1, None, 1, ROOT), 0.0)
    client.handle(mining.SetNewPrevHash(2, 1, ROOT, 0, 0x207FFFFF), 0.0)
    for nonce in range(5):
        client.submit(2, 1, nonce, 0, 1)
    assert client.pending() == {2: (3, 4, 5)}
    assert len(client.messages_to_send()) == 1 + 5  # each was sent all the same
    (late,) = client.handle(mining.SubmitSharesSuccess(2, 4, 4, 0), 0.0)
    assert isinstance(late, client_events.SharesAccepted)
    assert late.sequence_numbers == (3, 4)
    assert late.disagreement is not None


def test_acknowledgements_and_rejections_out_of_the_blue_are_told_not_fatal() -> None:
    pair = open_pair()
    number = pair.share(2)
    (rejected,) = pair.client.handle(mining.SubmitSharesError(2, 500, "any-code"), pair.now)
    assert rejected == client_events.ShareRejected(2, 500, "any-code", known=False)
    (accepted,) = pair.client.handle(mining.SubmitSharesSuccess(2, 500, 7, 7), pair.now)
    assert isinstance(accepted, client_events.SharesAccepted)
    assert accepted.sequence_numbers == (number,)
    assert accepted.disagreement == (
        "the server counts 7 shares up to sequence number 500, 1 were awaited"
    )


def test_a_new_endpoint_is_told() -> None:
    pair = open_pair()
    events = pair.client.handle(common.ChannelEndpointChanged(3), pair.now)
    assert events == [client_events.EndpointChanged(3)]


@pytest.mark.parametrize(
    "message",
    [
        mining.NewMiningJob(2, 1, None, 1, ROOT),
        mining.SubmitSharesSuccess(2, 1, 1, 1),
        common.Reconnect("", 0),
    ],
)
def test_a_client_that_sends_a_servers_message_loses_its_connection(message: Message) -> None:
    server = ServerChannels(0, ExtranonceAllocator())
    with pytest.raises(ConnectionFault, match="a client does not send this message here"):
        server.handle(message, 0.0, 0.0)


def test_a_custom_job_is_refused() -> None:
    server = ServerChannels(0b10, ExtranonceAllocator())
    job = mining.SetCustomMiningJob(2, 8, b"", 1, ROOT, 0, 0, 2, b"", 0, b"\0", 0, ())
    assert server.handle(job, 0.0, 0.0) == []
    assert server.messages_to_send() == [
        (mining.SetCustomMiningJobError(2, 8, "jd-not-supported"), ())
    ]
