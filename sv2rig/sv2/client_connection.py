"""The client's end of a connection: a miner's, or any downstream's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sv2rig.sv2.certificate import CertificateError
from sv2rig.sv2.connection import (
    Connection,
    ExtensionsRequiredError,
    Limits,
    SetupRefusedError,
    State,
)
from sv2rig.sv2.events import Event, ExtensionsNegotiated, MessageReceived
from sv2rig.sv2.messages.common import (
    ChannelEndpointChanged,
    MiningSetupFlags,
    MiningSetupSuccessFlags,
    Protocol,
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
from sv2rig.sv2.noise import ACT_TWO_SIZE, Initiator, Secured

CLIENT_LIMITS: Final = Limits()


class ClientConnection(Connection):
    """Speaks first: the handshake's first message waits in data_to_send() from the start.

    `authority_key` is the pool's 32-byte x-only key; None accepts any server. Extensions in
    `request_extensions` are asked for before the connection opens; which of them were granted is
    in SetupCompleted. Connection failures that a retry cannot cure are marked fatal: a wrong or
    untimely certificate, a refused set-up, an extension that is required and not spoken here.
    """

    _peer = "the server"
    _handshake_size = ACT_TWO_SIZE
    _fatal_errors = (CertificateError, SetupRefusedError, ExtensionsRequiredError)

    def __init__(
        self,
        authority_key: bytes | None,
        setup: SetupConnection,
        *,
        now: float,
        request_extensions: Iterable[int] = (),
        limits: Limits = CLIENT_LIMITS,
    ) -> None:
        super().__init__(limits, now, setup, authenticated=authority_key is not None)
        self._requested = setup
        self._authority_key = authority_key
        self._wanted_extensions = tuple(request_extensions)
        self._request_id = 0  # of the last RequestExtensions; 0 before the first
        self._success: SetupConnectionSuccess | None = None
        self._initiator = Initiator()
        self._outgoing.append(self._initiator.act_one())

    def _secure(self, first_bytes: bytes, utc: float) -> Secured:
        return self._initiator.read_act_two(first_bytes, self._authority_key, utc)

    def _receive_setup(self, message: Message, now: float, events: list[Event]) -> None:
        if isinstance(message, SetupConnectionError):
            raise _refusal(message, self._requested.protocol)
        if not isinstance(message, SetupConnectionSuccess):
            raise self._unexpected(message, "the answer to SetupConnection")
        _check_success(self._requested, message)
        self._success = message
        if self._wanted_extensions:
            self.state = State.NEGOTIATION
            self._deadline = now + self.limits.extensions_s
            self._request_extensions()
        else:
            self._open(message, now, self.limits.silence_s, events)

    def _receive_own(self, message: Message, now: float, events: list[Event]) -> None:
        if isinstance(message, ChannelEndpointChanged):
            self._forget_extensions(message, events)
        elif isinstance(message, RequestExtensionsSuccess | RequestExtensionsError):
            self._receive_extensions(message, now, events)
        else:
            raise self._unexpected(message)

    def _request_extensions(self) -> None:
        self._request_id = self._request_id % 0xFFFF + 1
        self._send(RequestExtensions(self._request_id, self._wanted_extensions))

    def _forget_extensions(self, message: ChannelEndpointChanged, events: list[Event]) -> None:
        """What was agreed holds no more and must be negotiated again (spec 3.6.4)."""
        self.extensions = frozenset()
        events.append(MessageReceived(message, ()))
        if self._wanted_extensions:
            self._request_extensions()

    def _receive_extensions(
        self,
        answer: RequestExtensionsSuccess | RequestExtensionsError,
        now: float,
        events: list[Event],
    ) -> None:
        if not self._request_id:
            raise self._unexpected(answer)
        if answer.request_id != self._request_id:
            return  # to a request that a newer one has replaced
        if isinstance(answer, RequestExtensionsSuccess):
            self.extensions = frozenset(answer.supported_extensions) & set(self._wanted_extensions)
        elif answer.required_extensions:
            required = ", ".join(f"0x{number:04x}" for number in answer.required_extensions[:16])
            raise ExtensionsRequiredError(
                f"the server requires protocol extensions that are not spoken here: {required}"
            )
        if self.state is State.NEGOTIATION:
            self._open_after_negotiation(now, events)
        else:
            events.append(ExtensionsNegotiated(self.extensions))

    def _open_after_negotiation(self, now: float, events: list[Event]) -> None:
        assert self._success is not None  # NEGOTIATION begins with it
        self._open(self._success, now, self.limits.silence_s, events)

    def handle_timeout(self, now: float) -> list[Event]:
        if self.state is not State.NEGOTIATION or now < self._deadline:
            return super().handle_timeout(now)
        # A server without extension 0x0001 ignores the request; a later answer still counts.
        events: list[Event] = []
        self._open_after_negotiation(now, events)
        return events


def _check_success(request: SetupConnection, success: SetupConnectionSuccess) -> None:
    if not request.min_version <= success.used_version <= request.max_version:
        raise SetupRefusedError(
            f"the server chose protocol version {success.used_version}; offered were "
            f"{request.min_version} to {request.max_version}"
        )
    if (
        request.protocol == Protocol.MINING
        and request.flags & MiningSetupFlags.REQUIRES_VERSION_ROLLING
        and success.flags & MiningSetupSuccessFlags.REQUIRES_FIXED_VERSION
    ):
        raise SetupRefusedError(
            "the server wants the block version fixed (REQUIRES_FIXED_VERSION) although version "
            "rolling was required of it; do not require version rolling, or use another server",
            flags=success.flags,
        )


def _refusal(error: SetupConnectionError, protocol: int) -> SetupRefusedError:
    words = f"the server refused the set-up: {error.error_code!r}"
    if error.flags:
        words += f", not supporting the flags 0b{error.flags:b}"
    if protocol == Protocol.MINING:
        names = [flag.name for flag in MiningSetupFlags if flag.name and flag & error.flags]
        words += f" ({', '.join(names)})" if names else ""
    return SetupRefusedError(words, error.error_code, error.flags)
