"""One secured connection as a state machine: what client and server have in common.

Noise handshake, then the SetupConnection exchange (spec 3.6), then messages. No sockets and no
clock: the owner passes received bytes to receive(), sends what data_to_send() gives after every
call, and calls handle_timeout() when next_timeout() has come. `now` is monotonic seconds, `utc`
Unix seconds; they are never mixed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import ClassVar, Final

from sv2rig.sv2.errors import ProtocolError, UnknownMessageError
from sv2rig.sv2.events import (
    ConnectionClosed,
    Event,
    HandshakeCompleted,
    MessageReceived,
    SetupCompleted,
    UnknownMessage,
)
from sv2rig.sv2.foreign import guess_protocol, is_surely_text
from sv2rig.sv2.frame import MAX_PAYLOAD, Frame, decode_frame, encode_frame
from sv2rig.sv2.messages.common import (
    ChannelEndpointChanged,
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
from sv2rig.sv2.noise import (
    DEFAULT_MAX_PAYLOAD,
    CipherState,
    FrameDecryptor,
    HandshakeError,
    Secured,
)
from sv2rig.sv2.tlv import TLV

PROTOCOL_VERSION: Final = 2


class ForeignProtocolError(HandshakeError):
    """The peer speaks something else, as its first bytes show."""


class PeerSilentError(ProtocolError):
    """The peer did not send in time what it should have sent."""


class PeerClosedError(ProtocolError):
    """The peer closed the connection in the middle of something."""


class UnexpectedMessageError(ProtocolError):
    """A message that may not come in this state, or not in this direction."""


class SetupRefusedError(ProtocolError):
    """The SetupConnection exchange ended without an agreement.

    `error_code` and `flags` are those of SetupConnection.Error, or empty and 0.
    """

    def __init__(self, reason: str, error_code: str = "", flags: int = 0) -> None:
        super().__init__(reason)
        self.error_code = error_code
        self.flags = flags


class ExtensionsRequiredError(ProtocolError):
    """The server requires extensions that the client did not ask for."""


class NotOpenError(RuntimeError):
    """A message cannot be sent: the connection is not open yet, or no more."""


class State(Enum):
    HANDSHAKE = auto()
    SETUP = auto()
    NEGOTIATION = auto()  # of extensions, where one side insists on it before it opens
    OPEN = auto()
    CLOSED = auto()


@dataclass(frozen=True, slots=True)
class Limits:
    """Time-outs in seconds, and the largest payload taken.

    There is no ping in Stratum V2. SRI's pool acknowledges a slow miner's shares about every
    100 s and may send no job for as long, so less silence than that proves nothing.
    """

    handshake_s: float = 10.0
    setup_s: float = 10.0
    extensions_s: float = 5.0  # client: then it goes on without extensions
    first_message_s: float = 30.0  # server: from set-up to the first message
    silence_s: float = 180.0
    max_payload: int = DEFAULT_MAX_PAYLOAD

    def __post_init__(self) -> None:
        times = (self.handshake_s, self.setup_s, self.extensions_s, self.first_message_s)
        if not all(time > 0 for time in times):
            raise ValueError("every time-out must be above 0 s")
        if not self.silence_s > 60:
            raise ValueError(f"silence_s must be above 60 s, not {self.silence_s:g}")
        if not 0 < self.max_payload <= MAX_PAYLOAD:
            raise ValueError(f"max_payload must be 1 to {MAX_PAYLOAD}, not {self.max_payload}")


# Messages that change the connection's own state; only ChannelEndpointChanged is also handed on.
_OWN_MESSAGES: Final = frozenset(
    {
        ChannelEndpointChanged,
        SetupConnection,
        SetupConnectionSuccess,
        SetupConnectionError,
        RequestExtensions,
        RequestExtensionsSuccess,
        RequestExtensionsError,
    }
)


class Connection(ABC):
    """The common part; see ClientConnection and ServerConnection.

    What is kept of the peer's bytes never exceeds one frame of `limits.max_payload`.
    """

    _peer: ClassVar[str]
    _handshake_size: ClassVar[int]  # of the peer's one handshake message
    _fatal_errors: ClassVar[tuple[type[ProtocolError], ...]] = ()

    def __init__(
        self, limits: Limits, now: float, setup: SetupConnection | None, authenticated: bool
    ) -> None:
        self.limits = limits
        self.state = State.HANDSHAKE
        self.extensions: frozenset[int] = frozenset()
        self._outgoing: list[bytes] = []
        self._first_bytes = b""
        self._sender: CipherState | None = None
        self._decryptor: FrameDecryptor | None = None
        self._deadline = now + limits.handshake_s
        self._silence_s = limits.silence_s
        self._setup = setup
        self._authenticated = authenticated
        self._insists_on: frozenset[int] = frozenset()  # a server's required extensions

    # --- what the owner calls ---

    def receive(self, data: bytes, now: float, utc: float) -> list[Event]:
        """Take bytes from the peer, in pieces of any size; a closed connection ignores them."""
        events: list[Event] = []
        if self.state is State.CLOSED:
            return events
        try:
            if self._decryptor is None:
                data = self._receive_handshake(data, now, utc, events)
            if self._decryptor is not None:
                self._receive_frames(self._decryptor, data, now, events)
        except ProtocolError as error:
            events.append(self._failed(error))
        return events

    def peer_closed(self) -> list[Event]:
        """The transport saw the peer's end of stream."""
        if self.state is State.CLOSED:
            return []
        error = self._broken_off()
        if error is not None:
            return [self._failed(error)]
        return self.close(f"{self._peer} closed the connection")

    def handle_timeout(self, now: float) -> list[Event]:
        """To be called once next_timeout() has come; before it, nothing happens."""
        if self.state is State.CLOSED or now < self._deadline:
            return []
        return [self._failed(self._silent())]

    def next_timeout(self) -> float | None:
        """When handle_timeout() is due, on the clock of `now`; None once closed."""
        return None if self.state is State.CLOSED else self._deadline

    def data_to_send(self) -> bytes:
        """The bytes to send since the last call, also those that precede a close."""
        data = b"".join(self._outgoing)
        self._outgoing.clear()
        return data

    def send(self, message: Message, tlvs: Iterable[TLV] = ()) -> None:
        """Queue a message. TLV fields of extensions that were not agreed on are left out.

        Raises NotOpenError, and EncodeError for a value that its wire type cannot carry.
        """
        if self.state is not State.OPEN:
            raise NotOpenError(
                f"{message.wire_name} cannot be sent: the connection is "
                + ("closed" if self.state is State.CLOSED else "not open yet")
            )
        if tlvs:
            tlvs = [tlv for tlv in tlvs if tlv.extension_type in self.extensions]
        self._send(message, tlvs)

    def close(self, reason: str) -> list[Event]:
        """End the connection in order; the owner flushes data_to_send() and closes the stream."""
        if self.state is State.CLOSED:
            return []
        self._discard()
        return [ConnectionClosed(None, reason, fatal=False)]

    # --- what each role does its own way ---

    @abstractmethod
    def _secure(self, first_bytes: bytes, utc: float) -> Secured:
        """Finish the handshake with the peer's whole message."""

    @abstractmethod
    def _receive_setup(self, message: Message, now: float, events: list[Event]) -> None:
        """The first message, whatever it is."""

    @abstractmethod
    def _receive_own(self, message: Message, now: float, events: list[Event]) -> None:
        """A later message of the connection's own."""

    # --- the common course ---

    def _receive_handshake(self, data: bytes, now: float, utc: float, events: list[Event]) -> bytes:
        """Collect the peer's handshake message; returns the bytes after it."""
        wanted = self._handshake_size - len(self._first_bytes)
        self._first_bytes += data[:wanted]
        if is_surely_text(self._first_bytes):
            self._raise_if_foreign()
        if len(data) < wanted:
            return b""
        try:
            secured = self._secure(self._first_bytes, utc)
        except HandshakeError:
            self._raise_if_foreign()
            raise
        self._first_bytes = b""
        self._sender = secured.send
        self._decryptor = FrameDecryptor(secured.receive, self.limits.max_payload)
        self.state = State.SETUP
        self._deadline = now + self.limits.setup_s
        events.append(
            HandshakeCompleted(secured.certificate, secured.server_xonly, self._authenticated)
        )
        if self._setup is not None:  # the client's, who speaks first
            self._send(self._setup)
        return data[wanted:]

    def _receive_frames(
        self, decryptor: FrameDecryptor, data: bytes, now: float, events: list[Event]
    ) -> None:
        decryptor.feed(data)
        heard = False
        while (frame := decryptor.next_frame()) is not None:
            self._receive_frame(frame, now, events)
            heard = True
        if heard and self.state is State.OPEN:
            self._deadline = now + self._silence_s

    def _receive_frame(self, frame: Frame, now: float, events: list[Event]) -> None:
        if self.state is State.SETUP:
            self._receive_setup(self._setup_message(frame), now, events)
            return
        try:
            message, tlvs = decode_frame(frame, self.extensions)
        except UnknownMessageError:
            events.append(UnknownMessage(frame.extension_type, frame.msg_type))
            return
        if type(message) in _OWN_MESSAGES:
            self._receive_own(message, now, events)
        elif self._insists_on and self.state is State.NEGOTIATION:
            required = ", ".join(f"0x{number:04x}" for number in sorted(self._insists_on))
            raise ExtensionsRequiredError(
                f"{self._peer} sent {message.wire_name} before asking for the required extensions "
                f"{required}"
            )
        else:
            self._silence_s = self.limits.silence_s
            events.append(MessageReceived(message, tlvs))

    def _setup_message(self, frame: Frame) -> Message:
        """The set-up's messages have an extension_type of exactly 0, channel_msg bit included."""
        if frame.extension_type or frame.channel_msg:
            raise UnexpectedMessageError(
                f"{self._peer}'s first message, 0x{frame.msg_type:02x}, has extension_type "
                f"0x{frame.extension_type | frame.channel_msg << 15:04x}; it must be 0"
            )
        try:
            return decode_frame(frame)[0]
        except UnknownMessageError as error:
            raise UnexpectedMessageError(f"{self._peer}'s first message: {error}") from None

    def _open(
        self, success: SetupConnectionSuccess, now: float, silence_s: float, events: list[Event]
    ) -> None:
        assert self._setup is not None  # exchanged before the connection opens
        self.state = State.OPEN
        self._silence_s = silence_s
        self._deadline = now + silence_s
        events.append(SetupCompleted(self._setup, success, self.extensions))

    def _send(self, message: Message, tlvs: Iterable[TLV] = ()) -> None:
        assert self._sender is not None  # every state but HANDSHAKE has one
        self._outgoing.append(self._sender.encrypt_frame(encode_frame(message, tlvs)))

    def _unexpected(self, message: Message, awaited: str = "") -> UnexpectedMessageError:
        instead = f" where {awaited} was due" if awaited else " at a time when it may not"
        return UnexpectedMessageError(f"{self._peer} sent {message.wire_name}{instead}")

    # --- ends ---

    def _raise_if_foreign(self) -> None:
        guess = guess_protocol(self._first_bytes)
        if guess:
            raise ForeignProtocolError(f"the handshake failed: {self._peer} {guess}")

    def _broken_off(self) -> ProtocolError | None:
        """What a close by the peer at this point leaves undone."""
        if self.state is State.HANDSHAKE:
            guess = guess_protocol(self._first_bytes)
            if guess:
                return ForeignProtocolError(f"the handshake failed: {self._peer} {guess}")
            return PeerClosedError(
                f"the handshake failed: {self._peer} closed the connection after "
                f"{self._handshake_progress()}"
            )
        if self._decryptor is not None and self._decryptor.missing:
            return PeerClosedError(
                f"{self._peer} closed the connection in the middle of a message "
                f"({self._decryptor.missing} bytes are missing)"
            )
        if self.state is State.SETUP:
            return PeerClosedError(f"{self._peer} closed the connection during the set-up")
        return None

    def _silent(self) -> PeerSilentError:
        if self.state is State.HANDSHAKE:
            guess = guess_protocol(self._first_bytes) or "may speak another protocol"
            return PeerSilentError(
                f"the handshake failed: {self._handshake_progress()} came from {self._peer} in "
                f"{self.limits.handshake_s:g} s; it {guess}"
            )
        if self.state is State.SETUP:
            return PeerSilentError(
                f"the set-up failed: nothing heard from {self._peer} in {self.limits.setup_s:g} s"
            )
        return PeerSilentError(f"nothing heard from {self._peer} for {self._silence_s:g} s")

    def _handshake_progress(self) -> str:
        return f"{len(self._first_bytes)} of {self._handshake_size} bytes"

    def _failed(self, error: ProtocolError) -> ConnectionClosed:
        self._discard()
        return ConnectionClosed(error, str(error), isinstance(error, self._fatal_errors))

    def _discard(self) -> None:
        self.state = State.CLOSED
        self._first_bytes = b""
        self._decryptor = None
