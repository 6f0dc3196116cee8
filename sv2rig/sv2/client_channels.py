"""The client's side of all channels of one connection (Mining Protocol, 5.2 and 5.3)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from sv2rig.bitcoin.target import MAX_TARGET, difficulty
from sv2rig.sv2 import client_events as events
from sv2rig.sv2.channel_faults import ChannelFault, ConnectionFault
from sv2rig.sv2.channel_table import ChannelTable, JobGoneError
from sv2rig.sv2.client_channel import ClientChannel
from sv2rig.sv2.client_events import ClientEvent
from sv2rig.sv2.client_jobs import ClientJobs
from sv2rig.sv2.messages import common, mining
from sv2rig.sv2.messages.common import MiningSetupFlags, MiningSetupSuccessFlags
from sv2rig.sv2.messages.registry import Message
from sv2rig.sv2.pending_shares import PendingShares
from sv2rig.sv2.tlv import TLV
from sv2rig.sv2.worker_tlv import WORKER_TRACKING, worker_tlv

__all__ = ["DEFAULT_ROLLING_MASK", "ClientChannels", "JobGoneError", "Outgoing"]

# BIP320's bits, which all hardware can roll; the server takes BIP323's wider 0x1fffffe0 too.
DEFAULT_ROLLING_MASK = 0x1FFFE000

Outgoing = tuple[Message, tuple[TLV, ...]]
OpenRequest = mining.OpenStandardMiningChannel | mining.OpenExtendedMiningChannel
OpenSuccess = mining.OpenStandardMiningChannelSuccess | mining.OpenExtendedMiningChannelSuccess


class ClientChannels:
    """Opens channels, follows their jobs and accounts for the shares sent on them.

    `setup_flags` are those this client sent and `server_flags` those of SetupConnection.Success;
    `extensions` are the negotiated ones. Messages wait in messages_to_send() for the caller.
    `now` is monotonic seconds everywhere.

    handle() raises ConnectionFault where the server's message means that the connection must close.
    What ends one channel only is a ChannelClosed with its `fault`, and CloseChannel is queued.
    """

    def __init__(
        self,
        setup_flags: int = 0,
        server_flags: int = 0,
        *,
        version_rolling_mask: int = DEFAULT_ROLLING_MASK,
        extensions: frozenset[int] = frozenset(),
        first_sequence_number: int = 1,
        pending_limit: int = 4096,
    ) -> None:
        self._setup_flags = MiningSetupFlags(setup_flags)
        self._server_flags = MiningSetupSuccessFlags(server_flags)
        fixed = MiningSetupSuccessFlags.REQUIRES_FIXED_VERSION in self._server_flags
        self._rolling_mask = 0 if fixed else version_rolling_mask
        self.extensions = extensions
        self._first_sequence_number = first_sequence_number
        self._pending_limit = pending_limit
        self._next_request = 1
        self._requests: dict[int, OpenRequest] = {}
        self._table = ChannelTable()
        self._jobs = ClientJobs(self._table, self._fail)
        self._outgoing: list[Outgoing] = []
        self._handlers: dict[type[Message], Callable[[Any, float], list[ClientEvent]]] = {
            mining.OpenStandardMiningChannelSuccess: self._on_open_success,
            mining.OpenExtendedMiningChannelSuccess: self._on_open_success,
            mining.OpenMiningChannelError: self._on_open_error,
            mining.UpdateChannelError: self._on_update_error,
            mining.CloseChannel: self._on_close,
            mining.SetExtranoncePrefix: self._jobs.on_extranonce_prefix,
            mining.SubmitSharesSuccess: self._on_shares_success,
            mining.SubmitSharesError: self._on_shares_error,
            mining.NewMiningJob: self._jobs.on_new_job,
            mining.NewExtendedMiningJob: self._jobs.on_new_extended_job,
            mining.SetNewPrevHash: self._jobs.on_new_prev_hash,
            mining.SetTarget: self._jobs.on_target,
            mining.SetGroupChannel: self._on_group,
            common.Reconnect: self._on_reconnect,
            common.ChannelEndpointChanged: self._on_endpoint_changed,
        }

    # -- what the caller asks for

    def open_standard(
        self, user_identity: str, nominal_hash_rate: float, max_target: int = MAX_TARGET
    ) -> int:
        """Asks for a standard channel; the request id that its answer will carry.

        ValueError for a hash rate that is no finite number of 0 or more, and where the server's
        flags refuse standard channels.
        """
        if MiningSetupSuccessFlags.REQUIRES_EXTENDED_CHANNELS in self._server_flags:
            raise ValueError("the server opens no standard channels (REQUIRES_EXTENDED_CHANNELS)")
        _check_wishes(nominal_hash_rate, max_target)
        return self._request(
            mining.OpenStandardMiningChannel(
                self._next_request, user_identity, nominal_hash_rate, max_target
            )
        )

    def open_extended(
        self,
        user_identity: str,
        nominal_hash_rate: float,
        max_target: int = MAX_TARGET,
        min_extranonce_size: int = 6,
    ) -> int:
        """Asks for an extended channel; the request id that its answer will carry.

        ValueError as open_standard, and after a set-up that asked for standard jobs only.
        """
        if MiningSetupFlags.REQUIRES_STANDARD_JOBS in self._setup_flags:
            raise ValueError("the connection was set up for standard jobs (REQUIRES_STANDARD_JOBS)")
        _check_wishes(nominal_hash_rate, max_target)
        return self._request(
            mining.OpenExtendedMiningChannel(
                self._next_request,
                user_identity,
                nominal_hash_rate,
                max_target,
                min_extranonce_size,
            )
        )

    def update(self, channel_id: int, nominal_hash_rate: float, max_target: int) -> None:
        """Tells the server of a new hash rate or easiest target; it answers with SetTarget."""
        _check_wishes(nominal_hash_rate, max_target)
        self._table.open_channel(channel_id)
        self._send(mining.UpdateChannel(channel_id, nominal_hash_rate, max_target))

    def close(self, channel_id: int, reason: str = "") -> tuple[int, ...]:
        """Closes a channel; the sequence numbers of shares not acknowledged."""
        channel = self._table.open_channel(channel_id)
        self._send(mining.CloseChannel(channel_id, reason))
        self._table.remove(channel)
        return channel.shares.numbers()

    def submit(
        self,
        channel_id: int,
        job_id: int,
        nonce: int,
        ntime: int,
        version: int,
        extranonce: bytes = b"",
        worker: str = "",
    ) -> int:
        """Sends a share; its sequence number. `worker` goes along where 0x0002 is negotiated.

        JobGoneError where the share would be stale; ValueError for an extranonce of a wrong size.
        """
        channel = self._table.open_channel(channel_id)
        job = channel.active.get(job_id)
        if job is None:
            raise JobGoneError(f"channel {channel_id} has no valid job {job_id}")
        if len(extranonce) != job.extranonce_size:
            raise ValueError(
                f"extranonce has {len(extranonce)} bytes, extranonce_size is {job.extranonce_size}"
            )
        number = channel.shares.add(difficulty(job.target))
        where = (channel_id, number, job_id, nonce, ntime, version)
        if channel.is_extended:
            tracked = WORKER_TRACKING in self.extensions
            tlvs = (worker_tlv(worker),) if tracked else ()
            self._send(mining.SubmitSharesExtended(*where, extranonce), tlvs)
        else:
            self._send(mining.SubmitSharesStandard(*where))
        return number

    def messages_to_send(self) -> list[Outgoing]:
        """Messages and their TLV fields, in order; the list is emptied."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def pending(self) -> dict[int, tuple[int, ...]]:
        """Sequence numbers neither accepted nor rejected, by channel id, oldest first."""
        return {
            c.channel_id: c.shares.numbers() for c in self._table.channels.values() if len(c.shares)
        }

    def channel_ids(self) -> tuple[int, ...]:
        """Open channels in the order they were opened."""
        return tuple(self._table.channels)

    def is_valid(self, channel_id: int, job_id: int) -> bool:
        """Whether a share on this job could still be accepted."""
        channel = self._table.channels.get(channel_id)
        return channel is not None and job_id in channel.active

    def handle(self, message: Message, now: float) -> list[ClientEvent]:
        """What a message of the server's means. Raises ConnectionFault, see above."""
        handler = self._handlers.get(type(message))
        if handler is None:
            raise ConnectionFault(message, "msg_type", "a server does not send this message here")
        try:
            return handler(message, now)
        except ChannelFault as fault:
            return [self._fail(fault)]

    # -- opening and closing

    def _on_open_success(self, message: OpenSuccess, _now: float) -> list[ClientEvent]:
        request = self._answered(message, message.request_id)
        is_extended = isinstance(message, mining.OpenExtendedMiningChannelSuccess)
        if is_extended != isinstance(request, mining.OpenExtendedMiningChannel):
            raise ConnectionFault(
                message, "request_id", f"request {message.request_id} asked for the other kind"
            )
        size = message.extranonce_size if is_extended else None  # type: ignore[union-attr]
        channel = ClientChannel(
            channel_id=message.channel_id,
            group_channel_id=message.group_channel_id,
            target=message.target,
            extranonce_prefix=message.extranonce_prefix,
            extranonce_size=size,
            rolling_mask=self._rolling_mask,
            shares=PendingShares(self._first_sequence_number, self._pending_limit),
        )
        self._table.add(channel, message)
        fault = _unusable(channel, message, request)
        if fault is not None:
            self._fail(fault)
            return [events.OpenRefused(message.request_id, "", fault)]
        return [
            events.ChannelOpened(
                request_id=message.request_id,
                channel_id=channel.channel_id,
                is_extended=is_extended,
                user_identity=request.user_identity,
                target=channel.target,
                extranonce_prefix=channel.extranonce_prefix,
                extranonce_size=size or 0,
                group_channel_id=channel.group_channel_id,
            )
        ]

    def _on_open_error(
        self, message: mining.OpenMiningChannelError, _now: float
    ) -> list[ClientEvent]:
        self._answered(message, message.request_id)
        return [events.OpenRefused(message.request_id, message.error_code)]

    def _answered(self, message: Message, request_id: int) -> OpenRequest:
        request = self._requests.pop(request_id, None)
        if request is None:
            raise ConnectionFault(message, "request_id", f"no request {request_id} is open")
        return request

    def _on_close(self, message: mining.CloseChannel, _now: float) -> list[ClientEvent]:
        closed = self._table.addressed(message, message.channel_id)
        if not closed:
            return []
        lost = tuple((c.channel_id, number) for c in closed for number in c.shares.numbers())
        for channel in closed:
            self._table.remove(channel)
        ids = tuple(channel.channel_id for channel in closed)
        return [events.ChannelClosed(ids, message.reason_code, lost)]

    def _fail(self, fault: ChannelFault) -> events.ChannelClosed:
        channel = self._table.channels[fault.channel_id]
        lost = tuple((channel.channel_id, number) for number in channel.shares.numbers())
        self._send(mining.CloseChannel(channel.channel_id, "protocol-error"))
        self._table.remove(channel)
        return events.ChannelClosed((channel.channel_id,), "protocol-error", lost, fault)

    def _on_group(self, message: mining.SetGroupChannel, now: float) -> list[ClientEvent]:
        if MiningSetupFlags.REQUIRES_STANDARD_JOBS in self._setup_flags:
            raise ConnectionFault(message, "msg_type", "sent despite REQUIRES_STANDARD_JOBS")
        return self._jobs.on_group(message, now)

    # -- answers to shares, and the rest

    def _on_shares_success(
        self, message: mining.SubmitSharesSuccess, _now: float
    ) -> list[ClientEvent]:
        for channel in self._table.one(message, message.channel_id):
            numbers, summed = channel.shares.acknowledge(message.last_sequence_number)
            return [
                events.SharesAccepted(
                    channel_id=channel.channel_id,
                    sequence_numbers=numbers,
                    difficulty=summed,
                    server_count=message.new_submits_accepted_count,
                    server_difficulty=message.new_shares_sum,
                    disagreement=_disagreement(message, len(numbers)),
                )
            ]
        return []

    def _on_shares_error(self, message: mining.SubmitSharesError, _now: float) -> list[ClientEvent]:
        return [
            events.ShareRejected(
                channel.channel_id,
                message.sequence_number,
                message.error_code,
                channel.shares.reject(message.sequence_number),
            )
            for channel in self._table.one(message, message.channel_id)
        ]

    def _on_update_error(
        self, message: mining.UpdateChannelError, _now: float
    ) -> list[ClientEvent]:
        return [
            events.UpdateRefused(channel.channel_id, message.error_code)
            for channel in self._table.one(message, message.channel_id)
        ]

    def _on_reconnect(self, message: common.Reconnect, _now: float) -> list[ClientEvent]:
        return [events.ReconnectRequested(message.new_host, message.new_port)]

    def _on_endpoint_changed(
        self, message: common.ChannelEndpointChanged, _now: float
    ) -> list[ClientEvent]:
        return [
            events.EndpointChanged(channel.channel_id)
            for channel in self._table.addressed(message, message.channel_id)
        ]

    def _request(self, request: OpenRequest) -> int:
        self._next_request += 1
        self._requests[request.request_id] = request
        self._send(request)
        return request.request_id

    def _send(self, message: Message, tlvs: tuple[TLV, ...] = ()) -> None:
        self._outgoing.append((message, tlvs))


def _unusable(
    channel: ClientChannel, message: OpenSuccess, request: OpenRequest
) -> ChannelFault | None:
    """Why a channel cannot be mined on, though the server opened it."""
    if not channel.target:
        return channel.fault(message, "target", "no hash can meet a target of 0")
    if not isinstance(request, mining.OpenExtendedMiningChannel):
        return None
    size = channel.extranonce_size or 0
    if size < request.min_extranonce_size:
        reason = f"{size} bytes granted where at least {request.min_extranonce_size} were asked for"
        return channel.fault(message, "extranonce_size", reason)
    if channel.full_extranonce_size > 32:
        reason = f"prefix and {size} bytes exceed the 32 of an extranonce"
        return channel.fault(message, "extranonce_size", reason)
    return None


def _disagreement(message: mining.SubmitSharesSuccess, acknowledged: int) -> str | None:
    if message.new_submits_accepted_count == acknowledged:
        return None
    return (
        f"the server counts {message.new_submits_accepted_count} shares up to sequence number"
        f" {message.last_sequence_number}, {acknowledged} were awaited"
    )


def _check_wishes(nominal_hash_rate: float, max_target: int) -> None:
    if not math.isfinite(nominal_hash_rate) or nominal_hash_rate < 0:
        raise ValueError(f"nominal hash rate is {nominal_hash_rate}; it must be finite, 0 or more")
    if not 0 < max_target <= MAX_TARGET:
        raise ValueError(f"max target {max_target:#x} is outside 1..2^256-1")
