"""Which channels and groups a client has open on one connection, and whom a message addresses."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from sv2rig.sv2.channel_faults import ConnectionFault
from sv2rig.sv2.client_channel import ClientChannel, JobMessage, PrevHash
from sv2rig.sv2.messages.registry import Message

_REMEMBERED_CLOSED = 1024


class JobGoneError(LookupError):
    """The channel is closed, or the job is void: a share on it would be stale."""


@dataclass(slots=True)
class Group:
    """Members in the order they joined, and what was broadcast, for those that join later."""

    members: dict[int, None] = field(default_factory=dict)
    future: dict[int, JobMessage] = field(default_factory=dict)
    prev_hash: PrevHash | None = None


class ChannelTable:
    """Open channels by id, and their groups; every channel is in exactly one (5.2.3)."""

    def __init__(self) -> None:
        self.channels: dict[int, ClientChannel] = {}
        self.groups: dict[int, Group] = {}
        # Messages for a channel just closed may still be under way; they are no fault.
        self._closed: deque[int] = deque(maxlen=_REMEMBERED_CLOSED)

    def add(self, channel: ClientChannel, message: Message) -> None:
        """Takes a channel just opened by `message`; ConnectionFault where an id is taken."""
        channel_id, group_channel_id = channel.channel_id, channel.group_channel_id
        if channel_id in self.channels or channel_id in self.groups:
            raise ConnectionFault(message, "channel_id", f"{channel_id} is in use already")
        if group_channel_id == channel_id or group_channel_id in self.channels:
            raise ConnectionFault(
                message, "group_channel_id", f"{group_channel_id} is a channel's id"
            )
        self.channels[channel_id] = channel
        self._join(channel, group_channel_id)

    def remove(self, channel: ClientChannel) -> None:
        """Forgets a closed channel, and its group with the last member."""
        del self.channels[channel.channel_id]
        self._closed.append(channel.channel_id)
        self._leave(channel)

    def regroup(self, channel: ClientChannel, group_channel_id: int) -> None:
        """Moves a channel to another group (5.3.22)."""
        if channel.group_channel_id != group_channel_id:
            self._leave(channel)
            self._join(channel, group_channel_id)

    def _join(self, channel: ClientChannel, group_channel_id: int) -> None:
        channel.group_channel_id = group_channel_id
        self.groups.setdefault(group_channel_id, Group()).members[channel.channel_id] = None

    def _leave(self, channel: ClientChannel) -> None:
        group = self.groups[channel.group_channel_id]
        del group.members[channel.channel_id]
        if not group.members:
            del self.groups[channel.group_channel_id]
            self._closed.append(channel.group_channel_id)

    def addressed(self, message: Message, channel_id: int) -> list[ClientChannel]:
        """The channel, or the group's members; none where it was closed a moment ago."""
        group = self.groups.get(channel_id)
        if group is None:
            return self.one(message, channel_id)
        return [self.channels[member] for member in group.members]

    def one(
        self, message: Message, channel_id: int, name: str = "channel_id"
    ) -> list[ClientChannel]:
        """The channel in a list; an empty one where it was closed a moment ago.

        ConnectionFault over the field `name` for a channel that never was.
        """
        channel = self.channels.get(channel_id)
        if channel is not None:
            return [channel]
        if channel_id in self._closed:
            return []
        raise ConnectionFault(message, name, f"no channel {channel_id} was opened")

    def open_channel(self, channel_id: int) -> ClientChannel:
        """The channel for a wish of our own side; JobGoneError where it is closed."""
        channel = self.channels.get(channel_id)
        if channel is None:
            raise JobGoneError(f"channel {channel_id} is not open")
        return channel
