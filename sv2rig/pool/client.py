"""One miner's connection to the pool."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sv2rig.quota import LineQuota
from sv2rig.sv2 import server_events
from sv2rig.sv2.channel_faults import ConnectionFault
from sv2rig.sv2.events import (
    ConnectionClosed,
    Event,
    ExtensionsNegotiated,
    HandshakeCompleted,
    MessageReceived,
    SetupCompleted,
    UnknownMessage,
)
from sv2rig.sv2.extranonce import ExtranonceAllocator
from sv2rig.sv2.messages.registry import Message
from sv2rig.sv2.server_channels import ServerChannels
from sv2rig.sv2.server_connection import ServerConnection
from sv2rig.sv2.server_events import ServerEvent
from sv2rig.sv2.share_policy import SharePolicy
from sv2rig.sv2.template_job import MiningTemplate
from sv2rig.sv2.tlv import TLV
from sv2rig.transport.interface import ByteStream
from sv2rig.transport.link import Link

OnEvent = Callable[["PoolClient", ServerEvent], None]
Report = Callable[[str, str], None]


class PoolClient:
    """Serves one miner: its set-up, its channels, its shares. `on_event` hears what it does."""

    def __init__(
        self,
        stream: ByteStream,
        connection: ServerConnection,
        allocator: ExtranonceAllocator,
        policy: SharePolicy,
        on_event: OnEvent,
        report: Report,
        utc: Callable[[], float],
    ) -> None:
        self.name = stream.description
        self.channels: ServerChannels | None = None
        self._link = Link(stream, connection, utc)
        self._allocator = allocator
        self._policy = policy
        self._on_event = on_event
        self._report = report
        self._lines = LineQuota()
        self._utc = utc
        self._loop = asyncio.get_running_loop()
        self._template: MiningTemplate | None = None

    async def run(self) -> ConnectionClosed:
        """Serve until the connection ends; says why it did."""
        try:
            return await self._link.run(self._handle)
        finally:
            if self.channels is not None:
                ids = self.channels.channel_ids()
                self.channels.release()
                if ids:
                    self._on_event(self, server_events.ChannelClosed(ids, "connection lost"))

    def set_template(self, template: MiningTemplate) -> None:
        """Mine on this from now on."""
        self._template = template
        if self.channels is not None:
            self.channels.set_template(template, self._loop.time())
            self._flush()

    def tick(self, now: float) -> None:
        """Acknowledgements and targets that are due."""
        if self.channels is None:
            return
        due = self.channels.next_timeout()
        if due is not None and due <= now:
            self._hear(self.channels.handle_timeout(now))
            self._flush()

    def close(self, reason: str) -> None:
        """End the connection from this side; shares are acknowledged first.

        No CloseChannel: SRI's mining device breaks down on it.
        """
        if self.channels is not None:
            self.channels.acknowledge()
            self._flush()
        self._link.close(reason)

    def drop(self, reason: str) -> None:
        """End the connection without another word."""
        self._link.close(reason)

    def say(self, level: str, text: str) -> None:
        """A line about this miner; no miner can fill a log."""
        line = self._lines.line(f"{self.name}: {text}", self._loop.time())
        if line is not None:
            self._report(level, line)

    def _handle(self, event: Event) -> None:
        match event:
            case MessageReceived(message, tlvs):
                self._receive(message, tlvs)
            case SetupCompleted(request):
                device = " ".join(filter(None, (request.vendor, request.firmware)))
                # What a peer calls itself is never raw on a terminal.
                self.say("info", f"{repr(device) if device else 'a nameless miner'} is set up")
                self._begin(event)
            case ExtensionsNegotiated(extensions):
                if self.channels is not None:
                    self.channels.extensions = extensions
            case UnknownMessage(extension_type, msg_type):
                what = f"0x{msg_type:02x} of extension {extension_type}"
                self.say("warning", f"ignored an unknown message, {what}")
            case HandshakeCompleted() | ConnectionClosed():
                pass

    def _begin(self, event: SetupCompleted) -> None:
        self.channels = ServerChannels(
            event.request.flags, self._allocator, self._policy, extensions=event.extensions
        )
        if self._template is not None:
            self.set_template(self._template)

    def _receive(self, message: Message, tlvs: tuple[TLV, ...]) -> None:
        assert self.channels is not None  # messages come after the set-up
        try:
            events = self.channels.handle(message, self._loop.time(), self._utc(), tlvs)
        except ConnectionFault as fault:
            self._link.close(f"the miner broke the protocol: {fault}")
            return
        self._hear(events)
        self._flush()

    def _hear(self, events: list[ServerEvent]) -> None:
        for event in events:
            self._on_event(self, event)

    def _flush(self) -> None:
        assert self.channels is not None
        for message, tlvs in self.channels.messages_to_send():
            self._link.send(message, tlvs)
