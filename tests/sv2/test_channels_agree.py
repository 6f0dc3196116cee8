"""Both ends agree whatever happens in whatever order; a hostile peer finds bounds."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import Any, get_type_hints

import hypothesis.strategies as st
from channels_pair import EASY, STANDARD_JOBS, UTC, Pair, template
from hypothesis import given, settings

from sv2rig.sv2 import client_events, server_events
from sv2rig.sv2.channel_faults import ConnectionFault
from sv2rig.sv2.client_channel import MAX_ACTIVE_JOBS, MAX_FUTURE_JOBS
from sv2rig.sv2.client_channels import JobGoneError
from sv2rig.sv2.codec import Field
from sv2rig.sv2.frame import decode_frame, encode_frame, parse_frame
from sv2rig.sv2.job import Job
from sv2rig.sv2.messages import common
from sv2rig.sv2.messages.registry import REGISTRY, Message
from sv2rig.sv2.server_channels import ServerChannels
from sv2rig.sv2.share_policy import SharePolicy

BUSY = SharePolicy(
    ack_shares=3,
    ack_seconds=10.0,
    easiest_target=EASY,
    hardest_target=1 << 249,
    retarget_seconds=40.0,
    retarget_shares=5,
)


class Interleaving:
    """Draws what happens next, with messages under way in both directions."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.pair = Pair(
            self.data.draw(st.sampled_from([0, STANDARD_JOBS])),
            BUSY,
            first_sequence_number=self.data.draw(st.sampled_from([0, 1])),
        )
        self.templates = 0
        self.tip = 1
        self.offered: list[int] = []
        self.sent: Counter[int] = Counter()
        self.copies = 0
        self.lost: Counter[int] = Counter()

    def step(self) -> None:
        """One thing happens; messages move on their own steps only."""
        happenings = [
            self.new_template,
            self.new_prev_hash,
            self.offer,
            self.open,
            self.close,
            self.update,
            self.change_prefix,
            self.wait,
            *[self.share] * 4,
            *[self.deliver_up] * 5,
            *[self.deliver_down] * 5,
        ]
        self.data.draw(st.sampled_from(happenings))()
        self.pair.collect()

    def new_template(self) -> None:
        self.templates += 1
        self.pair.server.set_template(template(self.templates, self.tip), self.pair.now)

    def new_prev_hash(self) -> None:
        self.tip += 1
        with_offer = self.data.draw(st.booleans())
        if self.offered and with_offer:
            number = self.data.draw(st.sampled_from(self.offered))
        else:
            self.templates += 1
            number = self.templates
        self.offered.clear()
        self.pair.server.set_template(template(number, self.tip), self.pair.now)

    def offer(self) -> None:
        self.templates += 1
        self.offered = [*self.offered, self.templates][-8:]
        self.pair.server.offer_template(template(self.templates, self.tip + 1))

    def open(self) -> None:
        rate = self.data.draw(st.sampled_from([0.0, 1.0, 20.0]))
        try:
            if self.data.draw(st.booleans()):
                self.pair.client.open_extended("alice", rate)
                return
        except ValueError:
            pass  # the connection is for standard jobs
        self.pair.client.open_standard("alice", rate)

    def close(self) -> None:
        by_server = self.data.draw(st.booleans())
        side = self.pair.server if by_server else self.pair.client
        if not side.channel_ids():
            return
        channel_id = self.data.draw(st.sampled_from(side.channel_ids()))
        unacknowledged = side.close(channel_id)
        self.lost[channel_id] += len(unacknowledged or ())

    def update(self) -> None:
        if self.pair.client.channel_ids():
            channel_id = self.data.draw(st.sampled_from(self.pair.client.channel_ids()))
            rate = self.data.draw(st.sampled_from([0.0, 5.0, 30.0]))
            self.pair.client.update(
                channel_id, rate, self.data.draw(st.sampled_from([EASY, 1 << 250]))
            )

    def change_prefix(self) -> None:
        if self.pair.server.channel_ids():
            channel_id = self.data.draw(st.sampled_from(self.pair.server.channel_ids()))
            self.pair.server.set_extranonce_prefix(channel_id)

    def wait(self) -> None:
        self.pair.now += self.data.draw(st.sampled_from([0.5, 12.0, 50.0]))
        self.pair.utc += self.data.draw(st.sampled_from([0.0, -3600.0, 3600.0]))
        self.pair.utc = max(self.pair.utc, UTC - 7000.0)
        self.pair.server_events += self.pair.server.handle_timeout(self.pair.now)

    def share(self) -> None:
        jobs = [e.job for e in self.pair.all(client_events.JobActivated)][-6:]
        if not jobs:
            return
        job: Job = self.data.draw(st.sampled_from(jobs))
        if not self.pair.client.is_valid(job.channel_id, job.job_id):
            return
        for copies in self.data.draw(st.lists(st.sampled_from([1, 1, 1, 2]), max_size=5)):
            share = self.pair.solve(job)
            for _ in range(copies):
                self.pair.client.submit(*share)
            self.sent[job.channel_id] += copies
            self.copies += copies - 1

    def deliver_up(self) -> None:
        for _ in range(min(len(self.pair.up), self.data.draw(st.integers(1, 12)))):
            self.pair.deliver_up()

    def deliver_down(self) -> None:
        for _ in range(min(len(self.pair.down), self.data.draw(st.integers(1, 12)))):
            self.pair.deliver_down()

    def check(self) -> None:
        """Everything has arrived and every acknowledgement is due."""
        pair = self.pair
        pair.flush()
        closed = pair.all(client_events.ChannelClosed)
        assert [event.fault for event in closed if event.fault] == []
        for event in closed:
            self.lost.update(channel_id for channel_id, _ in event.unacknowledged)
        assert pair.client.channel_ids() == pair.server.channel_ids()
        assert pair.client.pending() == {}
        accepted: Counter[int] = Counter()
        for batch in pair.all(client_events.SharesAccepted):
            accepted[batch.channel_id] += len(batch.sequence_numbers)
            assert batch.disagreement is None
        rejected = Counter(e.channel_id for e in pair.all(client_events.ShareRejected))
        credited = Counter(e.channel_id for e in pair.all(server_events.ShareAccepted))
        assert +(accepted + rejected + self.lost) == +self.sent
        for channel_id in pair.server.channel_ids():
            assert accepted[channel_id] == credited[channel_id]
            assert self.lost[channel_id] == 0
        self.check_verdicts()

    def check_verdicts(self) -> None:
        """An honest share is never too easy, badly made or twice there, whatever was under way."""
        codes = Counter(event.code for event in self.pair.all(server_events.ShareRejected))
        assert set(codes) <= {"stale-share", "duplicate-share", "invalid-channel-id"}
        assert codes["duplicate-share"] <= self.copies
        held = sum(len(c.held_prefixes) for c in self.pair.server._channels.values())
        assert self.pair.allocator.held == held


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_random_interleavings_end_in_agreement(data: st.DataObject) -> None:
    happens = Interleaving(data)
    happens.new_template()
    happens.open()
    happens.pair.settle()
    for _ in range(data.draw(st.integers(10, 60))):
        happens.step()
    happens.check()


def values(field: Field, python_type: type) -> st.SearchStrategy[Any]:
    """Values of one wire field, ids few enough that they meet."""
    small = st.integers(0, 5)
    kinds: dict[str, st.SearchStrategy[Any]] = {
        "BOOL": st.booleans(),
        "F32": st.floats(width=32, allow_nan=False),
        "U16": st.integers(0, 40),
        "U32": st.one_of(small, st.integers(0, 0xFFFFFFFF)),
        "U64": st.integers(0, (1 << 64) - 1),
        "U256": st.one_of(small, st.integers(0, (1 << 256) - 1)),
        "STR0_255": st.text("ab", max_size=3),
        "B0_32": st.one_of(st.sampled_from([bytes(20), bytes(14)]), st.binary(max_size=32)),
        "B0_255": st.binary(max_size=9),
        "B0_64K": st.one_of(st.binary(max_size=60), st.just(b"\2\0\0\0\0\1\1" + bytes(40))),
        "OPTION[U32]": st.one_of(st.none(), small),
        "SEQ0_255[U256]": st.lists(st.binary(min_size=32, max_size=32), max_size=3).map(tuple),
        "SEQ0_64K[U32]": st.lists(small, max_size=4).map(tuple),
    }
    if field.wire.name == "U256" and python_type is bytes:
        return st.binary(min_size=32, max_size=32)
    return kinds[field.wire.name]


def messages_of(kind: type[Message]) -> st.SearchStrategy[Message]:
    """Any message of one type that the codec can carry."""
    hints = get_type_hints(kind)
    fields = {field.name: values(field, hints[field.name]) for field in kind.wire_fields}
    return st.builds(kind, **fields)


CHANNEL_MESSAGES = [
    kind
    for (extension, number), kind in REGISTRY.items()
    if extension == 0
    and (0x10 <= number <= 0x25 or kind in (common.Reconnect, common.ChannelEndpointChanged))
]
ANY_MESSAGES = st.lists(st.sampled_from(CHANNEL_MESSAGES).flatmap(messages_of), max_size=60)


def carried(message: Message) -> Message:
    """The message after the codec, as the other end sees it."""
    return decode_frame(parse_frame(encode_frame(message)))[0]


@settings(max_examples=150, deadline=None)
@given(ANY_MESSAGES, st.sampled_from([0, STANDARD_JOBS]))
def test_a_hostile_server_gets_typed_errors_and_bounded_memory(
    messages: list[Message], flags: int
) -> None:
    pair = Pair(flags)
    pair.server.set_template(template(1), pair.now)
    pair.open()
    if not flags:
        pair.open(extended=True)
    request = pair.client.open_standard("alice", 0.0)
    assert request == (2 if flags else 3)
    for message in messages:
        with contextlib.suppress(ConnectionFault):
            pair.client.handle(carried(message), pair.now)
        for channel_id in pair.client.channel_ids():
            with contextlib.suppress(JobGoneError, ValueError):
                pair.client.submit(channel_id, 1, 0, UTC, 1)
    table = pair.client._table
    assert len(table.channels) <= 3
    assert sorted(c for group in table.groups.values() for c in group.members) == sorted(
        table.channels
    )
    for channel in table.channels.values():
        assert len(channel.future) <= MAX_FUTURE_JOBS
        assert len(channel.active) <= MAX_ACTIVE_JOBS


@settings(max_examples=150, deadline=None)
@given(ANY_MESSAGES, st.sampled_from([0, STANDARD_JOBS]))
def test_a_hostile_client_gets_typed_errors_and_bounded_memory(
    messages: list[Message], flags: int
) -> None:
    pair = Pair(flags)
    pair.server = ServerChannels(flags, pair.allocator, BUSY, max_channels=4, remembered_shares=3)
    pair.server.set_template(template(1), pair.now)
    pair.open()
    for number, message in enumerate(messages):
        with contextlib.suppress(ConnectionFault):
            pair.server.handle(carried(message), pair.now, pair.utc)
        if number % 8 == 0:
            pair.now += 15
            pair.server.handle_timeout(pair.now)
            pair.server.set_template(template(2 + number, number), pair.now)
    assert len(pair.server.channel_ids()) <= 4
    assert len(pair.server._seen) <= 3
    pair.server.release()
    assert pair.allocator.held == 0
