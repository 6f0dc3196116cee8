"""What can go wrong with a Stratum V2 peer's bytes, or with a message that cannot be sent."""


class ProtocolError(Exception):
    """The peer broke the protocol. The text says what, where, and what was expected."""


class FrameError(ProtocolError):
    """A frame's header and its payload do not fit together."""


class FrameTooLargeError(FrameError):
    """A frame header claims more payload than this connection takes."""

    def __init__(self, msg_type: int, length: int, limit: int) -> None:
        super().__init__(
            f"frame of message type 0x{msg_type:02x} claims {length} bytes of payload;"
            f" at most {limit} are taken here"
        )
        self.msg_type = msg_type
        self.length = length
        self.limit = limit


class UnknownMessageError(ProtocolError):
    """No message is registered under this number.

    Specification 3.4.1: a message of an unknown extension is discarded, so a connection logs this
    and goes on when `extension_type` is not 0.
    """

    def __init__(self, extension_type: int, msg_type: int) -> None:
        super().__init__(
            f"unknown message type 0x{msg_type:02x} of extension 0x{extension_type:04x}"
        )
        self.extension_type = extension_type
        self.msg_type = msg_type


class DecodeError(ProtocolError):
    """A message's payload does not follow its table in the specification.

    `offset` counts from the first byte of the payload (the frame header is not counted).
    """

    def __init__(self, message: str, field: str, offset: int, reason: str) -> None:
        super().__init__(f"{message}.{field} at byte {offset}: {reason}")
        self.message = message
        self.field = field
        self.offset = offset
        self.reason = reason


class EncodeError(ValueError):
    """A message of ours holds a value that its wire type cannot carry: a mistake on this side."""

    def __init__(self, message: str, field: str, reason: str) -> None:
        super().__init__(f"{message}.{field}: {reason}")
        self.message = message
        self.field = field
        self.reason = reason
