"""Two of our own stacks: the ordinary course, however the bytes are cut."""

import pytest
from connection_pair import (
    AUTHORITY,
    CERTIFICATE,
    NOW,
    STATIC,
    UTC,
    HandClient,
    HandServer,
    Link,
    a_message,
    new_client,
    new_server,
    only,
    setup_connection,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from sv2rig.sv2.connection import NotOpenError, State
from sv2rig.sv2.errors import EncodeError
from sv2rig.sv2.events import (
    ExtensionsNegotiated,
    HandshakeCompleted,
    MessageReceived,
    SetupCompleted,
    UnknownMessage,
)
from sv2rig.sv2.frame import decode_message, encode_frame
from sv2rig.sv2.messages.common import ChannelEndpointChanged, SetupConnectionSuccess
from sv2rig.sv2.messages.extensions import (
    RequestExtensions,
    RequestExtensionsError,
    RequestExtensionsSuccess,
    user_identity_tlv,
)
from sv2rig.sv2.messages.mining import CloseChannel, SubmitSharesExtended
from sv2rig.sv2.server_connection import SetupPolicy

WORKER = 0x0002


def test_handshake_set_up_and_messages_both_ways() -> None:
    link = Link(new_client(setup_connection(flags=1)), new_server(SetupPolicy(success_flags=2)))
    link.pump()
    success = SetupConnectionSuccess(2, 2)
    done = SetupCompleted(setup_connection(flags=1), success, frozenset())
    assert link.client_events == [HandshakeCompleted(CERTIFICATE, STATIC.xonly, True), done]
    assert link.server_events == [HandshakeCompleted(CERTIFICATE, STATIC.xonly, True), done]
    link.client.send(a_message(1))
    link.server.send(a_message(2))
    link.pump()
    assert link.server_events[2:] == [MessageReceived(a_message(1), ())]
    assert link.client_events[2:] == [MessageReceived(a_message(2), ())]


def test_without_a_key_the_handshake_says_that_nobody_vouches() -> None:
    link = Link(new_client(authority_key=None), new_server()).pump()
    assert only(HandshakeCompleted, link.client_events).authenticated is False
    assert link.client.state is State.OPEN


_steps = st.lists(
    st.tuples(st.sampled_from(["to client", "to server", "wait"]), st.integers(1, 400)),
    max_size=60,
)


@settings(max_examples=60)
@given(
    _steps,
    st.integers(0, 5),
    st.integers(0, 5),
    st.sampled_from([(), (WORKER,), (WORKER, 7)]),
    st.booleans(),
)
def test_any_cutting_and_delay_reaches_the_same_state(
    steps: list[tuple[str, int]],
    from_client: int,
    from_server: int,
    wanted: tuple[int, ...],
    required: bool,
) -> None:
    policy = SetupPolicy(
        extensions=frozenset({WORKER}),
        required_extensions=frozenset({WORKER} if required and wanted else ()),
    )
    link = Link(new_client(request_extensions=wanted), new_server(policy))
    client_queue = [a_message(i) for i in range(from_client)]
    server_queue = [a_message(100 + i) for i in range(from_server)]

    def send_one() -> None:
        if client_queue and link.client.state is State.OPEN:
            link.client.send(client_queue.pop(0))
        if server_queue and link.server.state is State.OPEN:
            link.server.send(server_queue.pop(0))
        link.collect()

    for direction, count in steps:
        link.now += count / 1000
        if direction == "to client":
            link.deliver_to_client(count)
        elif direction == "to server":
            link.deliver_to_server(count)
        send_one()
    link.pump()
    while client_queue or server_queue:
        send_one()
        link.pump()

    assert link.client.state is link.server.state is State.OPEN
    agreed = frozenset({WORKER} if wanted else ())
    assert link.client.extensions == link.server.extensions == agreed
    assert only(SetupCompleted, link.client_events).extensions == agreed
    received = [e.message for e in link.server_events if isinstance(e, MessageReceived)]
    assert received == [a_message(i) for i in range(from_client)]
    received = [e.message for e in link.client_events if isinstance(e, MessageReceived)]
    assert received == [a_message(100 + i) for i in range(from_server)]


def test_nothing_can_be_sent_before_it_is_open_or_after_the_close() -> None:
    link = Link(new_client(), new_server())
    for connection in (link.client, link.server):
        with pytest.raises(NotOpenError, match=r"CloseChannel .* not open yet"):
            connection.send(a_message(1))
    link.pump()
    for connection in (link.client, link.server):
        connection.close("enough")
        with pytest.raises(NotOpenError, match="closed"):
            connection.send(a_message(1))


def test_a_message_that_cannot_be_encoded_leaves_the_stream_whole() -> None:
    link = Link(new_client(), new_server()).pump()
    with pytest.raises(EncodeError, match=r"CloseChannel\.channel_id"):
        link.client.send(CloseChannel(2**32, ""))
    link.client.send(a_message(1))
    link.pump()
    assert link.server_events[-1] == MessageReceived(a_message(1), ())


def test_frames_before_a_fault_in_the_same_bytes_still_count() -> None:
    link = Link(new_client(), new_server()).pump()
    link.client.send(a_message(1))
    link.client.send(a_message(2))
    link.collect()
    link.to_server[-1] ^= 1
    link.pump()
    assert link.server_events[2] == MessageReceived(a_message(1), ())
    assert len(link.server_events) == 4
    assert link.server.state is State.CLOSED


@pytest.mark.parametrize("extension_bytes", [b"\x00\x00", b"\x34\x12", b"\x34\x92"])
def test_unknown_messages_are_reported_and_ignored(extension_bytes: bytes) -> None:
    client = new_client()
    server = HandServer(client)
    server.set_up(client)
    frame = extension_bytes + b"\xee" + b"\x02\x00\x00" + b"??"
    number = int.from_bytes(extension_bytes, "little") & 0x7FFF
    assert client.receive(server.seal(frame), NOW, UTC) == [UnknownMessage(number, 0xEE)]
    known = server.seal(encode_frame(a_message(1)))
    assert client.receive(known, NOW, UTC) == [MessageReceived(a_message(1), ())]


# --- extensions ---


def _share() -> SubmitSharesExtended:
    return SubmitSharesExtended(1, 2, 3, 4, 5, 6, b"\x00" * 8)


def test_tlvs_travel_only_where_their_extension_is_agreed() -> None:
    tlv = user_identity_tlv("Worker_001")
    for granted, expected in ((frozenset({WORKER}), (tlv,)), (frozenset({7}), ())):
        link = Link(
            new_client(request_extensions=(WORKER, 7)), new_server(SetupPolicy(extensions=granted))
        ).pump()
        link.client.send(_share(), [tlv])
        link.pump()
        assert only(MessageReceived, link.server_events) == MessageReceived(_share(), expected)


def test_server_announces_what_was_agreed_on() -> None:
    policy = SetupPolicy(extensions=frozenset({WORKER, 9}))
    link = Link(new_client(request_extensions=(WORKER, 7)), new_server(policy)).pump()
    assert link.server_events[-1] == ExtensionsNegotiated(frozenset({WORKER}))
    assert link.client.extensions == {WORKER}


def test_client_goes_on_without_extensions_where_none_is_supported() -> None:
    link = Link(new_client(request_extensions=(WORKER,)), new_server()).pump()
    assert only(SetupCompleted, link.client_events).extensions == frozenset()
    assert link.server.extensions == frozenset()


@pytest.mark.parametrize(
    ("requested", "answer"),
    [
        ((), RequestExtensionsSuccess(5, ())),
        ((2,), RequestExtensionsSuccess(5, (2,))),
        ((3, 2, 2, 9), RequestExtensionsSuccess(5, (3, 2))),
        ((8, 9), RequestExtensionsError(5, (8, 9), ())),
    ],
)
def test_server_answers_as_extension_1_says(
    requested: tuple[int, ...],
    answer: RequestExtensionsSuccess | RequestExtensionsError,
) -> None:
    policy = SetupPolicy(extensions=frozenset({2, 3}))
    assert policy.answer(RequestExtensions(5, requested)) == answer


def test_server_names_required_extensions_and_takes_a_second_request() -> None:
    policy = SetupPolicy(extensions=frozenset({2, 5}), required_extensions=frozenset({5}))
    server = new_server(policy)
    client = HandClient(server)
    server.receive(client.seal(encode_frame(setup_connection())), NOW, UTC)
    states = [server.state]
    answers = []
    for request in (RequestExtensions(1, (2, 3)), RequestExtensions(2, (2, 5))):
        server.receive(client.seal(encode_frame(request)), NOW, UTC)
        states.append(server.state)
        answers += [decode_message(frame) for frame in client.read(server.data_to_send())]
    assert answers == [
        SetupConnectionSuccess(2, 0),
        RequestExtensionsError(1, (3,), (5,)),
        RequestExtensionsSuccess(2, (2, 5)),
    ]
    assert states == [State.NEGOTIATION, State.NEGOTIATION, State.OPEN]
    assert server.extensions == {2, 5}


def test_client_opens_without_extensions_when_the_server_ignores_the_request() -> None:
    client = new_client(request_extensions=(WORKER,))
    server = HandServer(client)
    server.set_up(client)
    (request,) = server.read(client.data_to_send())
    assert decode_message(request) == RequestExtensions(1, (WORKER,))
    assert client.state is State.NEGOTIATION
    due = client.next_timeout()
    assert due == NOW + 5
    assert client.handle_timeout(due - 0.01) == []
    assert only(SetupCompleted, client.handle_timeout(due)).extensions == frozenset()
    late = server.seal(encode_frame(RequestExtensionsSuccess(1, (WORKER, 7))))
    assert client.receive(late, due + 1, UTC) == [ExtensionsNegotiated(frozenset({WORKER}))]


def test_endpoint_change_begins_the_negotiation_again() -> None:
    client = new_client(request_extensions=(WORKER,))
    server = HandServer(client)
    server.set_up(client)
    server.read(client.data_to_send())
    granted = server.seal(encode_frame(RequestExtensionsSuccess(1, (WORKER,))))
    client.receive(granted, NOW, UTC)
    assert client.extensions == {WORKER}
    changed = ChannelEndpointChanged(3)
    events = client.receive(server.seal(encode_frame(changed)), NOW, UTC)
    assert events == [MessageReceived(changed, ())]
    assert client.extensions == frozenset()
    (request,) = server.read(client.data_to_send())
    assert decode_message(request) == RequestExtensions(2, (WORKER,))
    stale = server.seal(encode_frame(RequestExtensionsSuccess(1, (WORKER,))))
    assert client.receive(stale, NOW, UTC) == []
    fresh = server.seal(encode_frame(RequestExtensionsSuccess(2, (WORKER,))))
    assert client.receive(fresh, NOW, UTC) == [ExtensionsNegotiated(frozenset({WORKER}))]


def test_policy_refuses_what_contradicts_itself() -> None:
    with pytest.raises(ValueError, match="fixes the version"):
        SetupPolicy(success_flags=1)
    SetupPolicy(supported_flags=1, success_flags=1)
    with pytest.raises(ValueError, match="among extensions"):
        SetupPolicy(required_extensions=frozenset({2}))


def test_authority_is_what_the_pair_expects() -> None:
    CERTIFICATE.verify(AUTHORITY, STATIC.xonly, UTC)
