"""Messages and fields of the extensions 0x0001 and 0x0002 (the specification's extensions/)."""

from collections.abc import Iterable
from dataclasses import dataclass

from sv2rig.sv2.errors import DecodeError
from sv2rig.sv2.messages.registry import Message, message
from sv2rig.sv2.tlv import TLV
from sv2rig.sv2.wire import U16, Seq0_64K

EXTENSIONS_NEGOTIATION = 0x0001
WORKER_HASHRATE_TRACKING = 0x0002

USER_IDENTITY_FIELD = 0x01  # field type within WORKER_HASHRATE_TRACKING


@message(0x00, "RequestExtensions", spec="0x0001 2", extension_type=EXTENSIONS_NEGOTIATION)
@dataclass(slots=True)
class RequestExtensions(Message):
    """Client to server, right after SetupConnection.Success."""

    request_id: U16
    requested_extensions: Seq0_64K[U16]


@message(0x01, "RequestExtensions.Success", spec="0x0001 2", extension_type=EXTENSIONS_NEGOTIATION)
@dataclass(slots=True)
class RequestExtensionsSuccess(Message):
    """Server to client: those of the requested extensions that may be used."""

    request_id: U16
    supported_extensions: Seq0_64K[U16]


@message(0x02, "RequestExtensions.Error", spec="0x0001 2", extension_type=EXTENSIONS_NEGOTIATION)
@dataclass(slots=True)
class RequestExtensionsError(Message):
    """Server to client: none is supported, or some that the server requires were not requested."""

    request_id: U16
    unsupported_extensions: Seq0_64K[U16]
    required_extensions: Seq0_64K[U16]


def user_identity_tlv(user_identity: str) -> TLV:
    """The worker's name for SubmitSharesExtended (0x0002 1.1): UTF-8, at most 32 bytes.

    A longer name is refused with EncodeError when the message is encoded.
    """
    return TLV(WORKER_HASHRATE_TRACKING, USER_IDENTITY_FIELD, user_identity.encode())


def user_identity_of(tlvs: Iterable[TLV]) -> str | None:
    """The worker's name among the TLV fields of a SubmitSharesExtended, or None.

    Of several the first counts. Raises DecodeError where it is not UTF-8.
    """
    for tlv in tlvs:
        if (tlv.extension_type, tlv.field_type) == (WORKER_HASHRATE_TRACKING, USER_IDENTITY_FIELD):
            try:
                return tlv.value.decode()
            except UnicodeDecodeError as error:
                raise DecodeError(
                    "SubmitSharesExtended", "user_identity TLV", error.start, "not UTF-8"
                ) from None
    return None
