"""What a connection reports to its owner. Plain values: treat them as frozen.

They are not declared frozen since a frozen dataclass is several times dearer to make, and one is
made for each message received.
"""

from __future__ import annotations

from dataclasses import dataclass

from sv2rig.sv2.certificate import Certificate
from sv2rig.sv2.errors import ProtocolError
from sv2rig.sv2.messages.common import SetupConnection, SetupConnectionSuccess
from sv2rig.sv2.messages.registry import Message
from sv2rig.sv2.tlv import TLV


@dataclass(slots=True)
class HandshakeCompleted:
    """The bytes are encrypted from here on.

    `server_key` is the server's 32-byte x-only static key. `authenticated` says whether its
    certificate was checked against an authority key (on the server's own side, always).
    """

    certificate: Certificate
    server_key: bytes
    authenticated: bool


@dataclass(slots=True)
class SetupCompleted:
    """The connection is open: messages may be sent.

    On the client `extensions` are those agreed; a server learns them later, by
    ExtensionsNegotiated, unless it requires some.
    """

    request: SetupConnection
    success: SetupConnectionSuccess
    extensions: frozenset[int]


@dataclass(slots=True)
class ExtensionsNegotiated:
    """The extensions in use changed on an open connection."""

    extensions: frozenset[int]


@dataclass(slots=True)
class MessageReceived:
    """A message that is not the connection's own business; TLVs of agreed extensions only."""

    message: Message
    tlvs: tuple[TLV, ...]


@dataclass(slots=True)
class UnknownMessage:
    """A message of no known number was ignored, as spec 3.4.1 wants."""

    extension_type: int
    msg_type: int


@dataclass(slots=True)
class ConnectionClosed:
    """The last event of a connection. What data_to_send() still holds may be flushed first.

    `error` is None where one side closed in order. `fatal`: connecting again to the same address
    with the same settings cannot help.
    """

    error: ProtocolError | None
    reason: str
    fatal: bool


Event = (
    HandshakeCompleted
    | SetupCompleted
    | ExtensionsNegotiated
    | MessageReceived
    | UnknownMessage
    | ConnectionClosed
)
