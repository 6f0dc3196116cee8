"""The server's end of a connection: a pool's, or any upstream's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sv2rig.sv2.certificate import Certificate
from sv2rig.sv2.connection import (
    PROTOCOL_VERSION,
    Connection,
    Limits,
    SetupRefusedError,
    State,
)
from sv2rig.sv2.events import Event, ExtensionsNegotiated
from sv2rig.sv2.messages.common import (
    MiningSetupFlags,
    MiningSetupSuccessFlags,
    Protocol,
    SetupConnection,
    SetupConnectionError,
    SetupConnectionSuccess,
)
from sv2rig.sv2.messages.error_codes import (
    PROTOCOL_VERSION_MISMATCH,
    UNSUPPORTED_FEATURE_FLAGS,
    UNSUPPORTED_PROTOCOL,
)
from sv2rig.sv2.messages.extensions import (
    RequestExtensions,
    RequestExtensionsError,
    RequestExtensionsSuccess,
)
from sv2rig.sv2.messages.registry import Message
from sv2rig.sv2.noise import ACT_ONE_SIZE, KeyPair, Responder, Secured

# A miner may be slow enough to find no share for minutes; a dead one is the transport's to notice.
SERVER_LIMITS: Final = Limits(silence_s=600.0)

_DEFINED_FLAGS: Final = sum(MiningSetupFlags)


@dataclass(frozen=True, slots=True)
class SetupPolicy:
    """What a mining server agrees to.

    Flags are those of spec 5.3.1. `extensions` are spoken here; a client that does not ask for
    the `required_extensions` among them is turned away at its first message.
    """

    supported_flags: int = (
        MiningSetupFlags.REQUIRES_STANDARD_JOBS | MiningSetupFlags.REQUIRES_VERSION_ROLLING
    )
    success_flags: int = 0
    extensions: frozenset[int] = frozenset()
    required_extensions: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        if (
            self.supported_flags & MiningSetupFlags.REQUIRES_VERSION_ROLLING
            and self.success_flags & MiningSetupSuccessFlags.REQUIRES_FIXED_VERSION
        ):
            raise ValueError("a server that fixes the version cannot support version rolling")
        if not self.required_extensions <= self.extensions:
            raise ValueError("required_extensions must be among extensions")

    def refusal(self, request: SetupConnection) -> SetupConnectionError | None:
        """The answer to a request that cannot be granted (spec 3.6.3)."""
        if request.protocol != Protocol.MINING:
            return SetupConnectionError(0, UNSUPPORTED_PROTOCOL)
        if not request.min_version <= PROTOCOL_VERSION <= request.max_version:
            return SetupConnectionError(0, PROTOCOL_VERSION_MISMATCH)
        if request.flags & ~self.supported_flags:
            # All that is not supported, asked for or not, so that the client can adapt at once.
            unsupported = (_DEFINED_FLAGS | request.flags) & ~self.supported_flags
            return SetupConnectionError(unsupported, UNSUPPORTED_FEATURE_FLAGS)
        return None

    def answer(
        self, request: RequestExtensions
    ) -> RequestExtensionsSuccess | RequestExtensionsError:
        """The answer to a request for extensions (extension 0x0001, section 4)."""
        requested = tuple(dict.fromkeys(request.requested_extensions))
        supported = tuple(number for number in requested if number in self.extensions)
        missing = self.required_extensions.difference(requested)
        if missing or (requested and not supported):
            unsupported = tuple(number for number in requested if number not in self.extensions)
            return RequestExtensionsError(request.request_id, unsupported, tuple(sorted(missing)))
        return RequestExtensionsSuccess(request.request_id, supported)


class ServerConnection(Connection):
    """Waits for the client's handshake and SetupConnection, and answers both.

    `static` is the server's key and `certificate_at(utc)` what vouches for it then (such as
    CertificateIssuer.at); one of each serves all connections.
    """

    _peer = "the client"
    _handshake_size = ACT_ONE_SIZE

    def __init__(
        self,
        static: KeyPair,
        certificate_at: Callable[[float], Certificate],
        policy: SetupPolicy,
        *,
        now: float,
        limits: Limits = SERVER_LIMITS,
    ) -> None:
        super().__init__(limits, now, None, authenticated=True)
        self._static = static
        self._certificate_at = certificate_at
        self._policy = policy
        self._insists_on = policy.required_extensions
        self._success = SetupConnectionSuccess(PROTOCOL_VERSION, policy.success_flags)

    def _secure(self, first_bytes: bytes, utc: float) -> Secured:
        answer, secured = Responder(self._static, self._certificate_at(utc)).answer(first_bytes)
        self._outgoing.append(answer)
        return secured

    def _receive_setup(self, message: Message, now: float, events: list[Event]) -> None:
        if not isinstance(message, SetupConnection):
            raise self._unexpected(message, "SetupConnection")
        refusal = self._policy.refusal(message)
        if refusal is not None:
            self._send(refusal)
            raise SetupRefusedError(
                f"the client's set-up was refused: {refusal.error_code} (it asked for protocol "
                f"{message.protocol}, versions {message.min_version} to {message.max_version}, "
                f"flags 0b{message.flags:b})",
                refusal.error_code,
                refusal.flags,
            )
        self._setup = message
        self._send(self._success)
        if self._insists_on:
            self.state = State.NEGOTIATION
            self._deadline = now + self.limits.first_message_s
        else:
            self._open(self._success, now, self.limits.first_message_s, events)

    def _receive_own(self, message: Message, now: float, events: list[Event]) -> None:
        if not isinstance(message, RequestExtensions):
            raise self._unexpected(message)
        answer = self._policy.answer(message)
        self._send(answer)
        if isinstance(answer, RequestExtensionsError):
            return  # the client may ask for others, or go on without
        self.extensions = frozenset(answer.supported_extensions)
        if self.state is State.NEGOTIATION:
            self._open(self._success, now, self.limits.first_message_s, events)
        else:
            events.append(ExtensionsNegotiated(self.extensions))
