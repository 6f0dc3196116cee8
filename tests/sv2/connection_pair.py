"""Two of our own stacks joined in memory, and hand-driven peers that use the cipher alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from sv2rig.sv2.certificate import Certificate
from sv2rig.sv2.client_connection import CLIENT_LIMITS, ClientConnection
from sv2rig.sv2.connection import Connection, Limits
from sv2rig.sv2.events import ConnectionClosed, Event
from sv2rig.sv2.frame import Frame, encode_frame
from sv2rig.sv2.messages.common import SetupConnection, SetupConnectionSuccess
from sv2rig.sv2.messages.mining import CloseChannel
from sv2rig.sv2.messages.registry import Message
from sv2rig.sv2.noise import FrameDecryptor, Initiator, KeyPair, Responder
from sv2rig.sv2.secp256k1 import xonly_public_key
from sv2rig.sv2.server_connection import SERVER_LIMITS, ServerConnection, SetupPolicy

AUTHORITY_SECRET = b"\x44" * 32
AUTHORITY = xonly_public_key(AUTHORITY_SECRET)
STATIC = KeyPair.of(b"\x33" * 32)
UTC = 1_750_000_000.0
NOW = 1000.0
CERTIFICATE = Certificate.sign(AUTHORITY_SECRET, STATIC.xonly, int(UTC) - 3600, int(UTC) + 86400)

E_ = TypeVar("E_")


def setup_connection(
    flags: int = 0, protocol: int = 0, min_version: int = 2, max_version: int = 2
) -> SetupConnection:
    return SetupConnection(
        protocol, min_version, max_version, flags, "pool.example", 34254, "sv2rig", "", "0.1", ""
    )


def a_message(number: int) -> Message:
    return CloseChannel(number, f"reason {number}")


def new_client(
    setup: SetupConnection | None = None,
    *,
    authority_key: bytes | None = AUTHORITY,
    request_extensions: Iterable[int] = (),
    limits: Limits = CLIENT_LIMITS,
) -> ClientConnection:
    return ClientConnection(
        authority_key,
        setup or setup_connection(),
        now=NOW,
        request_extensions=request_extensions,
        limits=limits,
    )


def new_server(
    policy: SetupPolicy | None = None, *, limits: Limits = SERVER_LIMITS
) -> ServerConnection:
    return ServerConnection(
        STATIC, lambda _: CERTIFICATE, policy or SetupPolicy(), now=NOW, limits=limits
    )


def only(kind: type[E_], events: Iterable[object]) -> E_:
    """The single event of this kind among the events."""
    (event,) = (event for event in events if isinstance(event, kind))
    return event


def closed(events: list[Event]) -> ConnectionClosed:
    """The close that ends the events."""
    assert isinstance(events[-1], ConnectionClosed)
    return only(ConnectionClosed, events)


class Link:
    """A client and a server with the bytes that are under way between them."""

    def __init__(self, client: Connection, server: Connection) -> None:
        self.client, self.server = client, server
        self.client_events: list[Event] = []
        self.server_events: list[Event] = []
        self.to_client = bytearray()
        self.to_server = bytearray()
        self.now = NOW
        self.collect()

    def collect(self) -> None:
        self.to_server += self.client.data_to_send()
        self.to_client += self.server.data_to_send()

    def deliver_to_client(self, count: int) -> None:
        piece = bytes(self.to_client[:count])
        del self.to_client[:count]
        self.client_events += self.client.receive(piece, self.now, UTC)
        self.collect()

    def deliver_to_server(self, count: int) -> None:
        piece = bytes(self.to_server[:count])
        del self.to_server[:count]
        self.server_events += self.server.receive(piece, self.now, UTC)
        self.collect()

    def pump(self) -> Link:
        """Deliver until nothing is under way."""
        self.collect()
        while self.to_client or self.to_server:
            self.deliver_to_server(len(self.to_server))
            self.deliver_to_client(len(self.to_client))
        return self


class _ByHand:
    _decryptor: FrameDecryptor

    def read(self, data: bytes) -> list[Frame]:
        self._decryptor.feed(data)
        return list(iter(self._decryptor.next_frame, None))


class HandServer(_ByHand):
    """A server that has done the handshake with `client`; what follows is up to the test."""

    def __init__(self, client: Connection, certificate: Certificate = CERTIFICATE) -> None:
        self.act_two, secured = Responder(STATIC, certificate).answer(client.data_to_send())
        self._decryptor = FrameDecryptor(secured.receive)
        self.seal = secured.send.encrypt_frame

    def set_up(self, client: Connection, flags: int = 0) -> list[Event]:
        """Bring the client to where it has its SetupConnection.Success."""
        events = client.receive(self.act_two, NOW, UTC)
        self.read(client.data_to_send())
        success = SetupConnectionSuccess(2, flags)
        return events + client.receive(self.seal(encode_frame(success)), NOW, UTC)


class HandClient(_ByHand):
    """A client that has done the handshake with `server`; what follows is up to the test."""

    def __init__(self, server: Connection) -> None:
        initiator = Initiator()
        server.receive(initiator.act_one(), NOW, UTC)
        secured = initiator.read_act_two(server.data_to_send(), AUTHORITY, UTC)
        self._decryptor = FrameDecryptor(secured.receive)
        self.seal = secured.send.encrypt_frame
