"""The channels of one connection to a pool: which devices mine on which, and the shares sent.

It dies with its connection; devices, tallies and the scheduler outlive it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from sv2rig.bitcoin.target import MAX_TARGET
from sv2rig.mining.context import MiningContext, ShareDone
from sv2rig.mining.hashrate import NominalRate
from sv2rig.mining.judgement import Share
from sv2rig.mining.payout import Payout, payout, pays_nothing
from sv2rig.mining.pool_entry import PoolEntry
from sv2rig.quota import LineQuota
from sv2rig.sv2 import client_events as events
from sv2rig.sv2.client_channels import ClientChannels, JobGoneError
from sv2rig.sv2.client_events import ClientEvent
from sv2rig.sv2.job import Job
from sv2rig.sv2.messages.error_codes import STALE_SHARE
from sv2rig.sv2.messages.registry import Message
from sv2rig.sv2.tlv import TLV

# Shares that a pool answers late or never; beyond it the oldest counts as unacknowledged.
MOST_UNANSWERED = 4096
MOST_NAMES = 8  # in one line

Send = Callable[[Message, tuple[TLV, ...]], None]


class NoChannelLeftError(Exception):
    """The pool opened none of the channels, or closed them all. `refused`: it opened none, so
    asking again is pointless."""

    def __init__(self, text: str, refused: bool) -> None:
        super().__init__(text)
        self.refused = refused


@dataclass(slots=True)
class OpenChannel:
    """One open channel. `job_since` is monotonic seconds. `payout`: what the job's coinbase shows,
    None until it was looked at."""

    device_ids: tuple[str, ...]
    is_extended: bool
    nominal: NominalRate
    target: int
    job: Job | None = None
    job_since: float | None = None
    payout: Payout | None = None


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request to open a channel. `is_first`: one of those made as the connection began."""

    device_ids: tuple[str, ...]
    rate_hs: float
    is_first: bool


@dataclass(frozen=True, slots=True)
class _Sent:
    device_id: str
    share: Share
    at: float
    utc: float


class PoolChannels:
    """Opens the channels, follows their jobs, submits shares and counts the answers."""

    def __init__(
        self,
        context: MiningContext,
        channels: ClientChannels,
        send: Send,
        entry: PoolEntry,
    ) -> None:
        self.open: dict[int, OpenChannel] = {}
        self.latency_s: float | None = None
        self.share_accepted = False
        self.new_block_at: float | None = None
        self.redirect: events.ReconnectRequested | None = None
        self.all_answered = asyncio.Event()
        self.all_answered.set()
        self._context = context
        self._channels = channels
        self._send = send
        self._entry = entry
        self._payout_script = entry.payout_script
        self._payout_is_told = False
        self._complaints = LineQuota()
        self._requests: dict[int, _Asked] = {}
        self._asked_at: float | None = None
        self._sent: dict[tuple[int, int], _Sent] = {}

    def open_all(self, now: float) -> None:
        """Ask for one standard channel a device, or one extended channel for all of them."""
        devices = self._context.rates
        one_each = self._entry.standard_channels
        groups = [(name,) for name in devices] if one_each else [tuple(devices)]
        for device_ids in groups:
            if device_ids:
                self._ask(device_ids, now, is_first=True)
        self.flush()

    def device_added(self, device_id: str, now: float) -> None:
        """A device can take work: it gets a share of the extended channel or a standard one of its
        own, unless it has one still."""
        asked_for = (name for asked in self._requests.values() for name in asked.device_ids)
        having = (name for channel in self.open.values() for name in channel.device_ids)
        if device_id in asked_for or device_id in having:
            return
        if self._entry.standard_channels or not (self.open or self._requests):
            self._ask((device_id,), now, is_first=False)
        elif self.open:
            channel_id, channel = next(iter(self.open.items()))
            channel.device_ids += (device_id,)
            self._context.assign(self._context.scheduler.bind(device_id, channel_id, now))
        self.flush()

    def _ask(self, device_ids: tuple[str, ...], now: float, is_first: bool) -> None:
        if self._asked_at is None:
            self._asked_at = now
        rate = self._context.rate_of(device_ids)
        standard = self._entry.standard_channels
        ask = self._channels.open_standard if standard else self._channels.open_extended
        self._requests[ask(self._entry.user, rate)] = _Asked(device_ids, rate, is_first)

    def receive(self, message: Message, now: float) -> None:
        """A message of the pool's. Raises ConnectionFault and NoChannelLeftError."""
        try:
            for event in self._channels.handle(message, now):
                self._handle(event, now)
        finally:
            self.flush()

    def submit(self, device_id: str, share: Share, now: float) -> None:
        """Send a share; one whose job is void is counted as stale."""
        tally = self._context.tallies.of(device_id)
        sent = _Sent(device_id, share, now, self._context.utc())
        try:
            number = self._channels.submit(
                share.channel_id,
                share.job_id,
                share.nonce,
                share.ntime,
                share.version,
                share.extranonce,
                device_id,
            )
        except JobGoneError as error:
            tally.stale += 1
            self._context.report("warning", f"a share came too late: {error}", device_id)
            self._tell(sent, "stale", None, str(error))
            return
        self._sent[share.channel_id, number] = sent
        self.all_answered.clear()
        tally.pending += 1
        if len(self._sent) > MOST_UNANSWERED:
            self._unacknowledged(*next(iter(self._sent)))
        tally.last_share_utc = sent.utc

    def flush(self) -> None:
        """Send what is queued."""
        for message, tlvs in self._channels.messages_to_send():
            self._send(message, tlvs)

    def tell_rates(self, now: float) -> None:
        """UpdateChannel where the hash rate has changed by a fifth."""
        for channel_id, channel in self.open.items():
            rate = self._context.rate_of(channel.device_ids)
            # A rate of 0 would ask for the easiest target, and for a flood when the device is back.
            if rate > 0 and channel.nominal.is_due(rate, now):
                self._channels.update(channel_id, rate, MAX_TARGET)
                channel.nominal.tell(rate)
        self.flush()

    def look_at_coinbases(self) -> None:
        """See what new jobs pay to whom; a connection whose jobs pay the user nothing is told of
        once. Not as jobs come: devices get their work first."""
        for channel in self.open.values():
            if channel.job is None or channel.payout is not None:
                continue
            channel.payout = payout(channel.job, self._payout_script)
            address = self._entry.payout_address
            if channel.payout.share == 0 and address is not None and not self._payout_is_told:
                self._payout_is_told = True
                self._report("warning", pays_nothing(channel.job, self._entry.name, address))

    def tell_stop(self) -> None:
        """Nothing hashes any more. A pool that answers shares in batches answers these first."""
        for channel_id in self.open:
            self._channels.update(channel_id, 0.0, MAX_TARGET)
        self.flush()

    def device_gone(self, device_id: str) -> None:
        """Nobody mines for this device any more; a standard channel that was its own is closed. An
        extended one stays open for the devices to come."""
        for channel_id, channel in list(self.open.items()):
            channel.device_ids = tuple(name for name in channel.device_ids if name != device_id)
            if not channel.device_ids and not channel.is_extended:
                del self.open[channel_id]
                for number in self._channels.close(channel_id, "its device is gone"):
                    self._unacknowledged(channel_id, number)
        self.flush()

    @property
    def awaits_nothing(self) -> bool:
        """Whether the pool owes no channel and no job: there is no device to mine with."""
        return not self._requests and not any(c.device_ids for c in self.open.values())

    @property
    def unanswered(self) -> int:
        """Shares sent and neither accepted nor rejected yet."""
        return len(self._sent)

    @property
    def unanswered_since(self) -> float | None:
        """When the oldest of them was sent."""
        return next((sent.at for sent in self._sent.values()), None)

    def close_all(self, reason: str) -> None:
        """Tell the pool that we leave."""
        for channel_id in list(self.open):
            self._channels.close(channel_id, reason)
        self.flush()

    def abandon(self) -> None:
        """The connection is gone: what was not answered never will be."""
        for channel_id, number in list(self._sent):
            self._unacknowledged(channel_id, number)

    # -- what the pool says

    def _handle(self, event: ClientEvent, now: float) -> None:  # noqa: C901 - one case an event
        match event:
            case events.JobActivated(job):
                self._activate(job, now)
            case events.SharesAccepted():
                self._accepted(event, now)
            case events.ShareRejected():
                self._rejected(event, now)
            case events.PrevHashChanged():
                self.new_block_at = now
            case events.TargetChanged(channel_ids, target):
                for channel_id in channel_ids:
                    if channel_id in self.open:
                        self.open[channel_id].target = target
            case events.ChannelOpened():
                self._opened(event, now)
            case events.OpenRefused() | events.ChannelClosed():
                self._shut(event, now)
            case events.ReconnectRequested():
                self.redirect = event
            case events.UpdateRefused(channel_id, code):
                self.complain(f"the pool refused an update of channel {channel_id}: {code!r}", now)
            case (
                events.ExtranoncePrefixChanged() | events.GroupChanged() | events.EndpointChanged()
            ):
                pass  # the channel logic has followed; nothing changes for devices

    def _opened(self, event: events.ChannelOpened, now: float) -> None:
        if self.latency_s is None and self._asked_at is not None:
            # Acknowledgements may be batched; a request to open is answered at once.
            self.latency_s = now - self._asked_at
        asked = self._requests.pop(event.request_id)
        # Since we asked, devices may have been unplugged, and on an extended channel come too.
        able = self._context.rates
        device_ids = tuple(n for n in asked.device_ids if n in able or event.is_extended)
        if not device_ids:
            self._channels.close(event.channel_id, "its device is gone")
            return
        if event.is_extended:
            device_ids = tuple(able)
        self.open[event.channel_id] = OpenChannel(
            device_ids, event.is_extended, NominalRate(asked.rate_hs), event.target
        )
        for device_id in device_ids:
            self._context.assign(self._context.scheduler.bind(device_id, event.channel_id, now))
        if asked.is_first:  # of boards plugged in later, the rig says that they mine
            kind = "extended" if event.is_extended else "standard"
            names = _names(device_ids)
            self._report("info", f"{kind} channel {event.channel_id} is open for {names}")

    def _shut(self, event: events.OpenRefused | events.ChannelClosed, now: float) -> None:
        if isinstance(event, events.OpenRefused):
            asked = self._requests.pop(event.request_id, None)
            devices = _names(asked.device_ids) if asked else "nobody"
            text = f"the pool refused a channel for {devices}: {event.fault or repr(event.code)}"
        else:
            for channel_id in event.channel_ids:
                self.open.pop(channel_id, None)
                self._context.assign(self._context.scheduler.close_channel(channel_id, now))
            for channel_id, number in event.unacknowledged:
                self._unacknowledged(channel_id, number)
            text = f"channels {event.channel_ids} were closed: {event.fault or repr(event.code)}"
        self._report("error", text)
        if not self.open and not self._requests:
            raise NoChannelLeftError(text, refused=isinstance(event, events.OpenRefused))

    def _activate(self, job: Job, now: float) -> None:
        channel = self.open.get(job.channel_id)
        if channel is not None:
            channel.job, channel.job_since, channel.payout = job, now, None
        self._context.assign(self._context.scheduler.set_job(job, now))

    def _accepted(self, event: events.SharesAccepted, now: float) -> None:
        for number in event.sequence_numbers:
            sent = self._answered(event.channel_id, number)
            if sent is None:
                continue
            self.share_accepted = True
            tally = self._context.tallies.of(sent.device_id)
            tally.accepted += 1
            if sent.share.is_block:
                tally.blocks += 1
                self._context.report("good", "BLOCK found and accepted", sent.device_id)
            self._tell(sent, "accepted", now)
        if event.disagreement:
            self.complain(f"the pool's count differs from ours: {event.disagreement}", now)

    def _rejected(self, event: events.ShareRejected, now: float) -> None:
        sent = self._answered(event.channel_id, event.sequence_number) if event.known else None
        if sent is None:
            self.complain(f"the pool rejected a share it was not sent: {event.code!r}", now)
            return
        tally = self._context.tallies.of(sent.device_id)
        is_stale = event.code == STALE_SHARE
        if is_stale:
            tally.stale += 1
        else:
            tally.rejected += 1
        code = event.code if event.code.isprintable() else repr(event.code)
        self._tell(sent, "stale" if is_stale else "rejected", now, code)
        self.complain(f"share rejected by the pool: {event.code!r}", now, sent.device_id)

    def _answered(self, channel_id: int, number: int) -> _Sent | None:
        sent = self._sent.pop((channel_id, number), None)
        if not self._sent:
            self.all_answered.set()
        if sent is not None:
            self._context.tallies.of(sent.device_id).pending -= 1
        return sent

    def _unacknowledged(self, channel_id: int, number: int) -> None:
        sent = self._answered(channel_id, number)
        if sent is not None:
            self._context.tallies.of(sent.device_id).unacknowledged += 1
            self._tell(sent, "unacknowledged", None)

    def _tell(self, sent: _Sent, verdict: str, now: float | None, reason: str = "") -> None:
        share = sent.share
        self._context.share_done(
            ShareDone(
                sent.device_id,
                self._entry.name,
                verdict,
                share.hash_value,
                share.target,
                sent.utc,
                None if now is None else now - sent.at,
                share.is_block,
                reason,
            )
        )

    def complain(self, text: str, now: float, device_id: str | None = None) -> None:
        """A warning about the pool, unless it has earned too many already."""
        line = self._complaints.line(text, now)
        if line is not None:
            self._context.report("warning", line, device_id)

    def _report(self, level: str, text: str) -> None:
        self._context.report(level, text, None)


def _names(device_ids: tuple[str, ...]) -> str:
    if not device_ids:
        return "devices to come"
    return ", ".join(device_ids) if len(device_ids) <= MOST_NAMES else f"{len(device_ids)} devices"
