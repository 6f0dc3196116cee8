"""How a server's jobs, previous hashes and targets reach the channels they address (5.3.15-22)."""

from __future__ import annotations

from collections.abc import Callable

from sv2rig.sv2 import client_events as events
from sv2rig.sv2.channel_faults import ChannelFault, ConnectionFault
from sv2rig.sv2.channel_table import ChannelTable
from sv2rig.sv2.client_channel import (
    AnnouncedJob,
    ClientChannel,
    JobMessage,
    PrevHash,
    put_bounded,
    without_witness,
)
from sv2rig.sv2.client_events import ClientEvent
from sv2rig.sv2.messages import mining

_MAX_GROUP_FUTURE_JOBS = 32


class ClientJobs:
    """Applies job messages to a table of channels. `fail` closes one channel over its fault."""

    def __init__(
        self, table: ChannelTable, fail: Callable[[ChannelFault], events.ChannelClosed]
    ) -> None:
        self._table = table
        self._fail = fail

    def on_new_job(self, message: mining.NewMiningJob, _now: float) -> list[ClientEvent]:
        """NewMiningJob: to one standard channel."""
        for channel in self._table.one(message, message.channel_id):
            if channel.is_extended:
                raise channel.fault(message, "channel_id", "a standard job on an extended channel")
            return self._take_job(message, channel)
        return []

    def on_new_extended_job(
        self, message: mining.NewExtendedMiningJob, _now: float
    ) -> list[ClientEvent]:
        """NewExtendedMiningJob: to one extended channel, or to every member of a group."""
        addressed = self._table.addressed(message, message.channel_id)
        stripped = without_witness(message)
        group = self._table.groups.get(message.channel_id)
        if group is not None and message.min_ntime is None and not isinstance(stripped, str):
            put_bounded(group.future, message.job_id, stripped, _MAX_GROUP_FUTURE_JOBS)

        def take(channel: ClientChannel) -> list[ClientEvent]:
            if isinstance(stripped, str):
                raise channel.fault(message, "coinbase_tx_prefix", stripped)
            if group is None and not channel.is_extended:
                raise channel.fault(message, "channel_id", "an extended job on a standard channel")
            return self._take_job(stripped, channel)

        return self._each(addressed, take)

    def _take_job(self, message: JobMessage, channel: ClientChannel) -> list[ClientEvent]:
        if message.min_ntime is None:
            channel.add_future(message)
            return []
        tip = channel.prev_hash or self._group_prev_hash(message)
        if tip is None:
            raise channel.fault(message, "min_ntime", "an active job before any SetNewPrevHash")
        channel.prev_hash = tip
        min_ntime = max(message.min_ntime, tip.min_ntime)
        return [events.JobActivated(channel.activate(channel.announce(message), tip, min_ntime))]

    def _group_prev_hash(self, message: JobMessage) -> PrevHash | None:
        group = self._table.groups.get(message.channel_id)
        return group.prev_hash if group else None

    def on_new_prev_hash(self, message: mining.SetNewPrevHash, now: float) -> list[ClientEvent]:
        """SetNewPrevHash: to one channel, or to every member of a group."""
        addressed = self._table.addressed(message, message.channel_id)
        group = self._table.groups.get(message.channel_id)
        broadcast = group.future.get(message.job_id) if group else None
        if group is not None:
            group.future.clear()
            group.prev_hash = PrevHash.of(message, now)

        def take(channel: ClientChannel) -> list[ClientEvent]:
            announced = _named_job(channel, message, broadcast)
            return [events.JobActivated(channel.set_prev_hash(message, announced, now))]

        happened = self._each(addressed, take)
        ids = tuple(e.job.channel_id for e in happened if isinstance(e, events.JobActivated))
        if not ids:
            return happened
        changed = events.PrevHashChanged(ids, message.prev_hash, message.nbits, message.min_ntime)
        return [changed, *happened]

    def on_target(self, message: mining.SetTarget, _now: float) -> list[ClientEvent]:
        """SetTarget: to one channel, or to every member of a group."""

        def take(channel: ClientChannel) -> list[ClientEvent]:
            if not message.maximum_target:
                raise channel.fault(message, "maximum_target", "no hash can meet a target of 0")
            channel.target = message.maximum_target
            return [events.TargetChanged((channel.channel_id,), message.maximum_target)]

        return self._each(self._table.addressed(message, message.channel_id), take)

    def on_extranonce_prefix(
        self, message: mining.SetExtranoncePrefix, _now: float
    ) -> list[ClientEvent]:
        """SetExtranoncePrefix: to one channel, never to a group."""
        if message.channel_id in self._table.groups:
            raise ConnectionFault(message, "channel_id", "not applicable to group channels")
        prefix = message.extranonce_prefix
        for channel in self._table.one(message, message.channel_id):
            wanted = len(channel.extranonce_prefix)
            if len(prefix) != wanted:
                reason = f"{len(prefix)} bytes where the channel's prefix has {wanted}"
                raise channel.fault(message, "extranonce_prefix", reason)
            channel.extranonce_prefix = prefix
            return [events.ExtranoncePrefixChanged(channel.channel_id, prefix)]
        return []

    def on_group(self, message: mining.SetGroupChannel, _now: float) -> list[ClientEvent]:
        """SetGroupChannel: these channels move to this group."""
        if message.group_channel_id in self._table.channels:
            raise ConnectionFault(
                message, "group_channel_id", f"{message.group_channel_id} is a channel's id"
            )
        channels = [
            channel
            for channel_id in dict.fromkeys(message.channel_ids)
            for channel in self._table.one(message, channel_id, "channel_ids")
        ]
        for channel in channels:
            self._table.regroup(channel, message.group_channel_id)
        ids = tuple(channel.channel_id for channel in channels)
        return [events.GroupChanged(message.group_channel_id, ids)]

    def _each(
        self,
        channels: list[ClientChannel],
        take: Callable[[ClientChannel], list[ClientEvent]],
    ) -> list[ClientEvent]:
        """Applies a broadcast: what one member cannot take closes that member only."""
        happened: list[ClientEvent] = []
        for channel in channels:
            try:
                happened += take(channel)
            except ChannelFault as fault:
                happened.append(self._fail(fault))
        return happened


def _named_job(
    channel: ClientChannel, message: mining.SetNewPrevHash, broadcast: JobMessage | None
) -> AnnouncedJob:
    """The future job that `message` names; a channel opened after the broadcast takes that."""
    announced = channel.future.get(message.job_id)
    if announced is not None:
        return announced
    if broadcast is not None:
        return channel.announce(broadcast)
    raise channel.fault(message, "job_id", f"no future job {message.job_id} was sent")
