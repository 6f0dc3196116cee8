"""A peer's breach of the channel rules: which field of which message, and what it closes."""

from __future__ import annotations

from sv2rig.sv2.errors import ProtocolError
from sv2rig.sv2.messages.registry import Message


class ConnectionFault(ProtocolError):  # noqa: N818 - a fault of the peer's, not of the program
    """The two ends no longer agree on which channels there are: the connection must close."""

    def __init__(self, message: Message, field: str, reason: str) -> None:
        super().__init__(f"{message.wire_name}.{field}: {reason}")
        self.message = message.wire_name
        self.field = field
        self.reason = reason


class ChannelFault(ProtocolError):  # noqa: N818
    """One channel cannot go on; the others of the connection can."""

    def __init__(self, channel_id: int, message: Message, field: str, reason: str) -> None:
        super().__init__(f"channel {channel_id}: {message.wire_name}.{field}: {reason}")
        self.channel_id = channel_id
        self.message = message.wire_name
        self.field = field
        self.reason = reason
