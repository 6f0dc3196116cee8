"""Everything that can go wrong with a peer, and the words and the verdict for each."""

import json
from collections.abc import Callable

import pytest
from connection_pair import (
    AUTHORITY_SECRET,
    NOW,
    STATIC,
    UTC,
    HandClient,
    HandServer,
    Link,
    a_message,
    closed,
    new_client,
    new_server,
    setup_connection,
)
from hypothesis import given
from hypothesis import strategies as st

from sv2rig.sv2.authority import encode_authority_key
from sv2rig.sv2.certificate import (
    Certificate,
    CertificateExpiredError,
    CertificateNotYetValidError,
    WrongAuthorityError,
)
from sv2rig.sv2.client_connection import ClientConnection
from sv2rig.sv2.connection import (
    Connection,
    ExtensionsRequiredError,
    ForeignProtocolError,
    Limits,
    PeerClosedError,
    PeerSilentError,
    SetupRefusedError,
    State,
    UnexpectedMessageError,
)
from sv2rig.sv2.errors import DecodeError, FrameTooLargeError
from sv2rig.sv2.events import ConnectionClosed, SetupCompleted
from sv2rig.sv2.frame import decode_message, encode_frame
from sv2rig.sv2.messages.common import (
    SetupConnection,
    SetupConnectionError,
    SetupConnectionSuccess,
)
from sv2rig.sv2.messages.extensions import (
    RequestExtensions,
    RequestExtensionsError,
    RequestExtensionsSuccess,
)
from sv2rig.sv2.messages.registry import Message
from sv2rig.sv2.noise import DEFAULT_MAX_PAYLOAD, HandshakeError, WrongTagError
from sv2rig.sv2.secp256k1 import xonly_public_key
from sv2rig.sv2.server_connection import SetupPolicy

# --- certificates ---


def _certificate(valid_from: float, not_valid_after: float) -> Certificate:
    return Certificate.sign(AUTHORITY_SECRET, STATIC.xonly, int(valid_from), int(not_valid_after))


def test_wrong_key_is_fatal_and_names_the_expected_one() -> None:
    other = xonly_public_key(b"\x55" * 32)
    link = Link(new_client(authority_key=other), new_server()).pump()
    end = closed(link.client_events)
    assert len(link.client_events) == 1
    assert isinstance(end.error, WrongAuthorityError)
    assert end.fatal
    assert encode_authority_key(other) in end.reason
    assert not link.to_server  # nothing is sent to an impostor


def test_expired_certificate_is_fatal_and_shows_the_hour() -> None:
    client = new_client()
    server = HandServer(client, _certificate(UTC - 7200, UTC - 3600))
    end = closed(client.receive(server.act_two, NOW, UTC))
    assert isinstance(end.error, CertificateExpiredError)
    assert end.fatal
    assert "expired 1h00m ago" in end.reason


def test_not_yet_valid_certificate_is_fatal_and_shows_the_hour() -> None:
    client = new_client()
    server = HandServer(client, _certificate(UTC + 3600, UTC + 7200))
    end = closed(client.receive(server.act_two, NOW, UTC))
    assert isinstance(end.error, CertificateNotYetValidError)
    assert end.fatal
    assert "another 1h00m" in end.reason


@pytest.mark.parametrize("step", [-3600.0, 3600.0])
def test_wall_clock_off_by_an_hour_is_named_only_where_it_matters(step: float) -> None:
    certificate = _certificate(UTC - 600, UTC + 600)
    client = new_client()
    server = HandServer(client, certificate)
    end = closed(client.receive(server.act_two, NOW, UTC + step))
    assert end.fatal
    assert "clock" in end.reason
    client = new_client()
    server = HandServer(client, certificate)
    server.set_up(client)
    known = server.seal(encode_frame(a_message(1)))
    assert len(client.receive(known, NOW, UTC + step)) == 1  # an open connection asks no clock
    assert client.state is State.OPEN


# --- peers that speak something else ---


V1_REPLY = json.dumps({"id": None, "result": None, "error": [20, "Not supported", None]}).encode()
V1_REQUEST = b'{"id": 1, "method": "mining.subscribe", "params": []}\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (V1_REPLY, "it may speak Stratum V1"),
        (V1_REQUEST, "it may speak Stratum V1"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP"),
        (b"GET /index.html HTTP/1.1\r\n", "HTTP"),
        (b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", "plain text"),
    ],
)
@pytest.mark.parametrize("make", [new_client, new_server])
def test_plain_text_is_recognised_at_once(
    text: bytes, words: str, make: Callable[[], Connection]
) -> None:
    end = closed(make().receive(text, NOW, UTC))
    assert isinstance(end.error, ForeignProtocolError)
    assert words in end.reason
    assert not end.fatal


@pytest.mark.parametrize("text", [b"{", b'{"id":null}\n'])
def test_short_plain_text_is_named_when_it_ends_or_stays_all_there_is(text: bytes) -> None:
    client = new_client()
    assert client.receive(text, NOW, UTC) == []
    assert "Stratum V1" in closed(client.peer_closed()).reason
    client = new_client()
    client.receive(text, NOW, UTC)
    assert "Stratum V1" in closed(client.handle_timeout(NOW + 10)).reason


def test_text_one_byte_at_a_time_ends_at_the_sure_length() -> None:
    client = new_client()
    ends = [client.receive(V1_REPLY[i : i + 1], NOW, UTC) for i in range(24)]
    assert ends[:23] == [[]] * 23
    assert "Stratum V1" in closed(ends[23]).reason


def test_tls_is_named() -> None:
    client = new_client()
    client.receive(b"\x15\x03\x01\x00\x02\x02\x32", NOW, UTC)
    assert "speaks TLS" in closed(client.peer_closed()).reason


def test_garbage_fails_by_its_authentication_tag() -> None:
    garbage = bytes((i * 37 + 11) & 0xFF for i in range(300))
    end = closed(new_client().receive(garbage, NOW, UTC))
    assert isinstance(end.error, HandshakeError)
    assert "the handshake failed" in end.reason
    assert "authentication tag" in end.reason
    assert not end.fatal


@given(st.binary(min_size=64, max_size=400))
def test_server_survives_any_bytes(data: bytes) -> None:
    server = new_server()
    events = server.receive(data, NOW, UTC)
    if server.state is State.CLOSED:
        closed(events)
    else:
        assert len(data) < 64 + 22  # any 64 bytes are a key; the first frame gives it away


def test_server_drops_a_client_with_another_key() -> None:
    server = new_server()
    server.receive(bytes(range(64)), NOW, UTC)
    end = closed(server.receive(bytes(22), NOW, UTC))
    assert isinstance(end.error, WrongTagError)


# --- silence ---


def test_handshake_and_set_up_time_out_on_both_sides() -> None:
    for connection in (new_client(), new_server()):
        assert connection.next_timeout() == NOW + 10
        connection.receive(b"\x00\xff", NOW + 9, UTC)  # a trickle buys no time
        assert connection.next_timeout() == NOW + 10
        assert connection.handle_timeout(NOW + 9.99) == []
        end = closed(connection.handle_timeout(NOW + 10))
        assert isinstance(end.error, PeerSilentError)
        assert "2 of" in end.reason
        assert not end.fatal
        assert connection.next_timeout() is None
        assert connection.handle_timeout(NOW + 99) == []


def test_set_up_times_out_on_both_sides() -> None:
    client, server = new_client(), new_server()
    client.receive(HandServer(client).act_two, NOW + 7, UTC)
    HandClient(server)
    for connection, begun in ((client, NOW + 7), (server, NOW)):
        assert connection.next_timeout() == begun + 10
        assert connection.handle_timeout(begun + 9.99) == []
        end = closed(connection.handle_timeout(begun + 10))
        assert isinstance(end.error, PeerSilentError)
        assert "set-up failed" in end.reason


def test_client_allows_silence_up_to_its_bound() -> None:
    client = new_client(limits=Limits(silence_s=61))
    server = HandServer(client)
    server.set_up(client)
    assert client.next_timeout() == NOW + 61
    frame = server.seal(encode_frame(a_message(1)))
    client.receive(frame[:-1], NOW + 60, UTC)  # an unfinished message is still silence
    assert client.next_timeout() == NOW + 61
    client.receive(frame[-1:], NOW + 60.5, UTC)
    assert client.next_timeout() == NOW + 121.5
    assert client.handle_timeout(NOW + 121) == []
    end = closed(client.handle_timeout(NOW + 121.5))
    assert isinstance(end.error, PeerSilentError)
    assert end.reason == "nothing heard from the server for 61 s"
    assert not end.fatal


def test_server_gives_30_s_to_the_first_message_and_more_afterwards() -> None:
    link = Link(new_client(), new_server()).pump()
    assert link.server.next_timeout() == NOW + 30
    link.now = NOW + 5  # SRI's device measures its hash rate for 5 s before it opens
    link.client.send(a_message(1))
    link.pump()
    assert link.server.next_timeout() == NOW + 5 + 600
    end = closed(link.server.handle_timeout(NOW + 605))
    assert end.reason == "nothing heard from the client for 600 s"


@pytest.mark.parametrize("bad", [{"silence_s": 60}, {"handshake_s": 0}, {"max_payload": 1 << 24}])
def test_limits_are_checked(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Limits(**bad)
    Limits(silence_s=60.1, max_payload=(1 << 24) - 1)


# --- closing at every point ---


def test_peer_closing_after_any_number_of_bytes_ends_in_one_event() -> None:
    sizes = []
    for role in ("client", "server"):
        count = 0
        while True:
            link = Link(new_client(), new_server())
            connection: Connection = link.client if role == "client" else link.server
            left = count
            while left and (link.to_client or link.to_server):
                if role == "client":
                    link.deliver_to_server(len(link.to_server))
                    taken = min(left, len(link.to_client))
                    link.deliver_to_client(taken)
                else:
                    link.deliver_to_client(len(link.to_client))
                    taken = min(left, len(link.to_server))
                    link.deliver_to_server(taken)
                left -= taken
            if left:
                break  # the set-up is over
            state = connection.state
            end = closed(connection.peer_closed())
            assert not end.fatal
            if state is State.OPEN:
                assert end == ConnectionClosed(None, end.reason, False)
                sizes.append(count)
            else:
                assert isinstance(end.error, PeerClosedError | ForeignProtocolError)
            assert connection.peer_closed() == []
            assert connection.receive(b"late", NOW, UTC) == []
            assert connection.close("late") == []
            assert connection.next_timeout() is None
            count += 1
    set_up_size = 22 + len(encode_frame(setup_connection())) - 6 + 16
    assert sizes == [234 + 22 + 6 + 16, 64 + set_up_size]


def test_truncated_tag_is_told_from_an_orderly_close() -> None:
    for cut, words in ((1, "bytes missing: 1"), (17, "bytes missing: 17")):
        client = new_client()
        server = HandServer(client)
        server.set_up(client)
        frame = server.seal(encode_frame(a_message(1)))
        assert client.receive(frame[:-cut], NOW, UTC) == []
        end = closed(client.peer_closed())
        assert isinstance(end.error, PeerClosedError)
        assert words in end.reason
    link = Link(new_client(), new_server()).pump()
    assert closed(link.client.peer_closed()).reason == "the server closed the connection"
    assert closed(link.server.peer_closed()).reason == "the client closed the connection"


def test_own_close_is_reported_once_and_flushes_what_was_sent() -> None:
    link = Link(new_client(), new_server()).pump()
    link.client.send(a_message(1))
    assert link.client.close("done") == [ConnectionClosed(None, "done", False)]
    assert link.client.close("again") == []
    link.collect()
    link.deliver_to_server(len(link.to_server))
    assert len(link.server_events) == 3


# --- set-up ---


@pytest.mark.parametrize(
    ("request_", "code", "flags"),
    [
        (setup_connection(protocol=1), "unsupported-protocol", 0),
        (setup_connection(protocol=3), "unsupported-protocol", 0),
        (setup_connection(min_version=3, max_version=3), "protocol-version-mismatch", 0),
        (setup_connection(min_version=0, max_version=1), "protocol-version-mismatch", 0),
        (setup_connection(min_version=3, max_version=1), "protocol-version-mismatch", 0),
        (setup_connection(flags=0b110), "unsupported-feature-flags", 0b010),
        (setup_connection(flags=1 << 31), "unsupported-feature-flags", 1 << 31 | 0b010),
        (setup_connection(flags=0xFFFFFFFF), "unsupported-feature-flags", 0xFFFFFFFA),
    ],
)
def test_server_refuses_and_client_takes_it_as_final(
    request_: SetupConnection, code: str, flags: int
) -> None:
    link = Link(new_client(request_), new_server()).pump()
    at_server, at_client = closed(link.server_events), closed(link.client_events)
    assert code in at_server.reason
    error = at_client.error
    assert isinstance(error, SetupRefusedError)
    assert (error.error_code, error.flags) == (code, flags)
    assert at_client.fatal
    assert code in at_client.reason
    assert not at_server.fatal
    assert not any(isinstance(e, SetupCompleted) for e in link.server_events)


@pytest.mark.parametrize("versions", [(2, 2), (0, 2), (2, 65535), (1, 3)])
def test_any_range_around_version_2_is_accepted(versions: tuple[int, int]) -> None:
    request = setup_connection(min_version=versions[0], max_version=versions[1], flags=0b101)
    link = Link(new_client(request), new_server()).pump()
    assert link.client.state is link.server.state is State.OPEN


def test_refusal_names_the_flags() -> None:
    link = Link(new_client(setup_connection(flags=0b10)), new_server()).pump()
    assert "0b10 (REQUIRES_WORK_SELECTION)" in closed(link.client_events).reason


def test_refusal_with_an_unknown_code_of_control_characters_shows_safely() -> None:
    client = new_client()
    server = HandServer(client)
    client.receive(server.act_two, NOW, UTC)
    frame = b"\x00\x00\x02\x07\x00\x00" + bytes(4) + b"\x02\x1b["
    end = closed(client.receive(server.seal(frame), NOW, UTC))
    assert end.fatal
    assert end.reason.isprintable()


def _after_handshake(frame: bytes) -> ConnectionClosed:
    client = new_client(setup_connection(flags=0b100))
    server = HandServer(client)
    client.receive(server.act_two, NOW, UTC)
    return closed(client.receive(server.seal(frame), NOW, UTC))


@pytest.mark.parametrize("version", [0, 1, 3])
def test_client_refuses_a_version_it_did_not_offer(version: int) -> None:
    end = _after_handshake(encode_frame(SetupConnectionSuccess(version, 0)))
    assert end.fatal
    assert f"version {version}" in end.reason


def test_client_refuses_a_fixed_version_where_it_required_rolling() -> None:
    end = _after_handshake(encode_frame(SetupConnectionSuccess(2, 1)))
    assert isinstance(end.error, SetupRefusedError)
    assert "REQUIRES_FIXED_VERSION" in end.reason


@pytest.mark.parametrize("extension", [b"\x01\x00", b"\x00\x80"])
def test_set_up_answers_with_another_extension_type_are_refused(extension: bytes) -> None:
    end = _after_handshake(extension + encode_frame(SetupConnectionSuccess(2, 0))[2:])
    assert isinstance(end.error, UnexpectedMessageError)
    assert "it must be 0" in end.reason
    server = new_server()
    client = HandClient(server)
    frame = extension + encode_frame(setup_connection())[2:]
    end = closed(server.receive(client.seal(frame), NOW, UTC))
    assert isinstance(end.error, UnexpectedMessageError)


@pytest.mark.parametrize(
    "frame",
    [
        encode_frame(RequestExtensions(1, ())),
        encode_frame(SetupConnectionSuccess(2, 0)),
        b"\x00\x00\xee\x00\x00\x00",
    ],
)
def test_first_message_must_be_set_up(frame: bytes) -> None:
    server = new_server()
    client = HandClient(server)
    end = closed(server.receive(client.seal(frame), NOW, UTC))
    assert isinstance(end.error, UnexpectedMessageError)


# --- an open connection ---


@pytest.mark.parametrize(
    "message",
    [
        setup_connection(),
        SetupConnectionSuccess(2, 0),
        SetupConnectionError(0, ""),
        RequestExtensions(1, ()),
        RequestExtensionsSuccess(1, ()),
    ],
)
def test_client_refuses_set_up_messages_once_open(message: Message) -> None:
    client = new_client()
    server = HandServer(client)
    server.set_up(client)
    end = closed(client.receive(server.seal(encode_frame(message)), NOW, UTC))
    assert isinstance(end.error, UnexpectedMessageError)
    assert message.wire_name in end.reason


def _open_by_hand(policy: SetupPolicy | None = None) -> tuple[Connection, HandClient]:
    server = new_server(policy)
    client = HandClient(server)
    server.receive(client.seal(encode_frame(setup_connection())), NOW, UTC)
    return server, client


@pytest.mark.parametrize("message", [setup_connection(), RequestExtensionsSuccess(1, ())])
def test_server_refuses_them_too(message: Message) -> None:
    server, client = _open_by_hand()
    end = closed(server.receive(client.seal(encode_frame(message)), NOW, UTC))
    assert isinstance(end.error, UnexpectedMessageError)


def test_malformed_message_closes_and_names_the_field() -> None:
    server, client = _open_by_hand()
    end = closed(server.receive(client.seal(b"\x00\x80\x18\x02\x00\x00ab"), NOW, UTC))
    assert isinstance(end.error, DecodeError)
    assert "CloseChannel.channel_id" in end.reason


@pytest.mark.parametrize(("size", "allowed"), [(1 << 20, True), ((1 << 20) + 1, False)])
def test_frame_over_one_mebibyte_is_refused_from_its_header(size: int, allowed: bool) -> None:
    assert DEFAULT_MAX_PAYLOAD == 1 << 20
    server, client = _open_by_hand()
    wire = client.seal(b"\x00\x00\xee" + size.to_bytes(3, "little") + bytes(size))
    events = server.receive(wire[:22], NOW, UTC)
    if allowed:
        assert events == []
        assert len(server.receive(wire[22:], NOW, UTC)) == 1
    else:
        end = closed(events)
        assert isinstance(end.error, FrameTooLargeError)
        assert str(size) in end.reason


def test_client_without_the_required_extensions_is_turned_away() -> None:
    policy = SetupPolicy(extensions=frozenset({5}), required_extensions=frozenset({5}))
    server, client = _open_by_hand(policy)
    end = closed(server.receive(client.seal(encode_frame(a_message(1))), NOW, UTC))
    assert isinstance(end.error, ExtensionsRequiredError)
    assert "0x0005" in end.reason
    server, _ = _open_by_hand(policy)
    assert isinstance(closed(server.handle_timeout(NOW + 30)).error, PeerSilentError)


def test_required_extension_not_spoken_here_is_fatal_for_the_client() -> None:
    policy = SetupPolicy(extensions=frozenset({2, 5}), required_extensions=frozenset({5}))
    link = Link(new_client(request_extensions=(2,)), new_server(policy)).pump()
    end = closed(link.client_events)
    assert isinstance(end.error, ExtensionsRequiredError)
    assert end.fatal
    assert "0x0005" in end.reason


@given(st.lists(st.binary(min_size=1, max_size=200), max_size=20), st.booleans())
def test_random_plaintext_frames_end_in_events_or_one_typed_close(
    payloads: list[bytes], at_server: bool
) -> None:
    connection: Connection
    peer: HandClient | HandServer
    if at_server:
        connection, peer = _open_by_hand()
    else:
        connection = new_client()
        peer = HandServer(connection)
        peer.set_up(connection)
    for payload in payloads:
        frame = b"\x00\x00" + payload[:1] + len(payload[1:]).to_bytes(3, "little") + payload[1:]
        events = connection.receive(peer.seal(frame), NOW, UTC)
        if connection.state is State.CLOSED:
            assert closed(events).error is not None
            return


def test_unasked_answer_about_extensions_is_an_error() -> None:
    client = new_client()
    server = HandServer(client)
    server.set_up(client)
    answer = encode_frame(RequestExtensionsError(1, (), ()))
    end = closed(client.receive(server.seal(answer), NOW, UTC))
    assert isinstance(end.error, UnexpectedMessageError)


def test_client_speaks_first_and_sends_set_up_only_to_a_proven_server() -> None:
    client = new_client()
    assert isinstance(client, ClientConnection)
    server = HandServer(client)
    assert client.data_to_send() == b""
    client.receive(server.act_two, NOW, UTC)
    (frame,) = server.read(client.data_to_send())
    assert decode_message(frame) == setup_connection()
