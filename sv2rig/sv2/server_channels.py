"""The pool's side of all channels of one connection (Mining Protocol, 5.2 and 5.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sv2rig.sv2 import server_events as events
from sv2rig.sv2.channel_faults import ConnectionFault
from sv2rig.sv2.extranonce import ExtranonceAllocator
from sv2rig.sv2.messages import common, error_codes, mining
from sv2rig.sv2.messages.common import MiningSetupFlags
from sv2rig.sv2.messages.registry import Message
from sv2rig.sv2.server_channel import GROUP_CHANNEL_ID, ServerChannel
from sv2rig.sv2.server_events import ServerEvent
from sv2rig.sv2.server_jobs import ServerJobs
from sv2rig.sv2.share_check import GoodShare, SeenShares, Submission, check_share
from sv2rig.sv2.share_policy import SharePolicy, ShareRate, is_nominal_hash_rate
from sv2rig.sv2.template_job import MiningTemplate
from sv2rig.sv2.tlv import TLV
from sv2rig.sv2.worker_tlv import WORKER_TRACKING, worker_of

_FIRST_CHANNEL_ID = GROUP_CHANNEL_ID + 1

Outgoing = tuple[Message, tuple[TLV, ...]]
OpenRequest = mining.OpenStandardMiningChannel | mining.OpenExtendedMiningChannel
UserCheck = Callable[[str], str | None]


class ServerChannels:
    """Opens channels for a client, serves them jobs and judges their shares.

    `setup_flags` are the client's; `allocator` is shared by all connections of the pool. Where
    bit 0 is clear, all channels form one group and get their jobs together, after each channel's
    own first one. `check_user` may return an error code that refuses a user identity.

    `now` is monotonic seconds, `utc` wall time; only the judgement of ntime looks at `utc`.
    Messages wait in messages_to_send() for the caller. handle() raises ConnectionFault for a
    message that no client sends; every other slip is answered by the protocol's error messages.
    """

    def __init__(
        self,
        setup_flags: int,
        allocator: ExtranonceAllocator,
        policy: SharePolicy | None = None,
        *,
        extensions: frozenset[int] = frozenset(),
        check_user: UserCheck | None = None,
        max_channels: int = 4096,
        remembered_shares: int = 1 << 20,
    ) -> None:
        self._flags = MiningSetupFlags(setup_flags)
        self._allocator = allocator
        self._policy = policy or SharePolicy()
        self.extensions = extensions
        self._check_user = check_user or (lambda _user: None)
        self._max_channels = max_channels
        self._channels: dict[int, ServerChannel] = {}
        self._next_channel = _FIRST_CHANNEL_ID
        self._seen = SeenShares(remembered_shares)
        self._deadline: float | None = None
        self._outgoing: list[Outgoing] = []
        grouped = MiningSetupFlags.REQUIRES_STANDARD_JOBS not in self._flags
        self._jobs = ServerJobs(self._channels, self._send, grouped)
        self._handlers: dict[type[Message], Callable[..., list[ServerEvent]]] = {
            mining.OpenStandardMiningChannel: self._on_open,
            mining.OpenExtendedMiningChannel: self._on_open,
            mining.UpdateChannel: self._on_update,
            mining.CloseChannel: self._on_close,
            mining.SetCustomMiningJob: self._on_custom_job,
        }

    # -- what the pool does

    def offer_template(self, template: MiningTemplate) -> None:
        """Sends a job for a previous hash that is not there yet (5.1.3).

        set_template with the same template_id and the same work activates it by SetNewPrevHash
        alone. ValueError as set_template.
        """
        self._check_template(template)
        self._jobs.offer(template)

    def set_template(self, template: MiningTemplate, now: float) -> None:
        """Makes every channel mine on `template`: a new job, or a new previous hash with its job.

        ValueError where its coinbase has another room for the extranonce than the allocator's
        size, or where it refuses version rolling to a client that requires it.
        """
        self._check_template(template)
        self._jobs.set_template(template, now)
        for channel in self._channels.values():
            self._give_back(channel.drop_unused_prefixes())

    def set_extranonce_prefix(self, channel_id: int) -> bytes:
        """Gives a channel another prefix, for jobs sent from now on; KeyError if it is not open."""
        channel = self._channels[channel_id]
        prefix = self._allocator.allocate(channel.extranonce_size)
        channel.extranonce_prefix = prefix
        channel.held_prefixes.append(prefix)
        self._send(mining.SetExtranoncePrefix(channel_id, prefix))
        return prefix

    def close(self, channel_id: int, reason: str = "") -> None:
        """Closes a channel, or all of them by the group's id; shares are acknowledged first."""
        channels = self._addressed(channel_id)
        for channel in channels:
            self._acknowledge(channel)
        if channels:
            self._send(mining.CloseChannel(channel_id, reason))
        for channel in channels:
            self._remove(channel)

    def acknowledge(self) -> None:
        """Acknowledges every share now, as before an orderly end of the connection."""
        for channel in self._channels.values():
            self._acknowledge(channel)

    def reconnect(self, host: str = "", port: int = 0) -> None:
        """Asks the client to connect anew, here or elsewhere; shares are acknowledged first."""
        self.acknowledge()
        self._send(common.Reconnect(host, port))

    def release(self) -> None:
        """To be called when the connection is gone: gives all extranonce prefixes back."""
        for channel in list(self._channels.values()):
            self._remove(channel)

    def messages_to_send(self) -> list[Outgoing]:
        """Messages and their TLV fields, in order; the list is emptied."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def channel_ids(self) -> tuple[int, ...]:
        """Open channels in the order they were opened."""
        return tuple(self._channels)

    def next_timeout(self) -> float | None:
        """When handle_timeout is to be called; None while no channel is open."""
        return self._deadline

    def handle_timeout(self, now: float) -> list[ServerEvent]:
        """Sends acknowledgements and targets that are due."""
        if self._deadline is None or now < self._deadline:
            return []
        happened: list[ServerEvent] = []
        self._deadline = None
        for channel in self._channels.values():
            if channel.batch.count and now >= channel.batch.since + self._policy.ack_seconds:
                self._acknowledge(channel)
            happened += self._retarget(channel, now)
            self._wake_for(channel)
        return happened

    # -- what the client sends

    def handle(
        self, message: Message, now: float, utc: float, tlvs: Iterable[TLV] = ()
    ) -> list[ServerEvent]:
        """What a message of the client's means. Raises ConnectionFault, see above."""
        if isinstance(message, Submission):
            return self._on_submit(message, now, utc, tlvs)
        handler = self._handlers.get(type(message))
        if handler is None:
            raise ConnectionFault(message, "msg_type", "a client does not send this message here")
        return handler(message, now)

    def _on_open(self, message: OpenRequest, now: float) -> list[ServerEvent]:
        code = self._open_refusal(message)
        if code is not None:
            self._send(mining.OpenMiningChannelError(message.request_id, code))
            return [events.OpenRefused(message.user_identity, code)]
        channel = self._new_channel(message, now)
        self._send(channel.success(message.request_id))
        self._channels[channel.channel_id] = channel
        self._jobs.welcome(channel)
        self._wake_for(channel)
        return [
            events.ChannelOpened(
                channel.channel_id,
                channel.is_extended,
                channel.user_identity,
                message.nominal_hash_rate,
                channel.target,
            )
        ]

    def _open_refusal(self, message: OpenRequest) -> str | None:
        if isinstance(message, mining.OpenExtendedMiningChannel):
            if MiningSetupFlags.REQUIRES_STANDARD_JOBS in self._flags:
                return error_codes.EXTENDED_CHANNELS_NOT_SUPPORTED_FOR_STANDARD_JOBS
            if self._allocator.grant(message.min_extranonce_size) is None:
                return error_codes.MIN_EXTRANONCE_SIZE_TOO_LARGE
        if len(self._channels) >= self._max_channels or self._allocator.is_used_up:
            return error_codes.TOO_MANY_CHANNELS
        wrong = self._wrong_wishes(message.nominal_hash_rate, message.max_target)
        return wrong or self._check_user(message.user_identity)

    def _wrong_wishes(self, nominal_hash_rate: float, max_target: int) -> str | None:
        if not is_nominal_hash_rate(nominal_hash_rate):
            return error_codes.INVALID_NOMINAL_HASHRATE
        if not self._policy.allows(max_target):
            return error_codes.MAX_TARGET_OUT_OF_RANGE
        return None

    def _new_channel(self, message: OpenRequest, now: float) -> ServerChannel:
        is_extended = isinstance(message, mining.OpenExtendedMiningChannel)
        wanted = message.min_extranonce_size if is_extended else 0  # type: ignore[union-attr]
        size = (self._allocator.grant(wanted) or 0) if is_extended else 0
        prefix = self._allocator.allocate(size)
        channel_id = self._next_channel
        self._next_channel += 1
        return ServerChannel(
            channel_id=channel_id,
            is_extended=is_extended,
            user_identity=message.user_identity,
            target=self._policy.target_for(message.nominal_hash_rate, message.max_target),
            max_target=message.max_target,
            extranonce_prefix=prefix,
            extranonce_size=size,
            unique_bytes=self._allocator.unique_bytes,
            rate=ShareRate(now),
            held_prefixes=[prefix],
        )

    def _on_update(self, message: mining.UpdateChannel, now: float) -> list[ServerEvent]:
        channel = self._channels.get(message.channel_id)
        code = self._wrong_wishes(message.nominal_hash_rate, message.maximum_target)
        if channel is None or code is not None:
            code = code if channel else error_codes.INVALID_CHANNEL_ID
            self._send(mining.UpdateChannelError(message.channel_id, code or ""))
            return []
        channel.max_target = message.maximum_target
        target = self._policy.target_for(message.nominal_hash_rate, message.maximum_target)
        self._set_target(channel, target, now)
        return [events.ChannelUpdated(channel.channel_id, message.nominal_hash_rate, target)]

    def _on_close(self, message: mining.CloseChannel, _now: float) -> list[ServerEvent]:
        channels = self._addressed(message.channel_id)
        if not channels:
            return []  # it may have crossed our own CloseChannel
        for channel in channels:
            self._remove(channel)
        ids = tuple(channel.channel_id for channel in channels)
        return [events.ChannelClosed(ids, message.reason_code)]

    def _on_custom_job(self, message: mining.SetCustomMiningJob, _now: float) -> list[ServerEvent]:
        self._send(
            mining.SetCustomMiningJobError(
                message.channel_id, message.request_id, error_codes.JD_NOT_SUPPORTED
            )
        )
        return []

    def _on_submit(
        self, message: Submission, now: float, utc: float, tlvs: Iterable[TLV]
    ) -> list[ServerEvent]:
        channel = self._channels.get(message.channel_id)
        if channel is None or channel.is_extended != isinstance(
            message, mining.SubmitSharesExtended
        ):
            return self._reject(message, error_codes.INVALID_CHANNEL_ID, None)
        judged = self._judge(channel, message, utc)
        if isinstance(judged, str):
            return self._reject(message, judged, channel.user_identity)
        tracked = channel.is_extended and WORKER_TRACKING in self.extensions
        worker = worker_of(tlvs) if tracked else None
        happened = self._accept(channel, message, judged, worker)
        channel.batch.add(message.sequence_number, judged.difficulty, now)
        at_once = judged.is_block or not channel.acknowledged
        if at_once or channel.batch.count >= self._policy.ack_shares:
            self._acknowledge(channel)
        happened += self._retarget(channel, now)
        self._wake_for(channel)
        return happened

    def _judge(self, channel: ServerChannel, message: Submission, utc: float) -> GoodShare | str:
        job = channel.job(message.job_id)
        if isinstance(job, str):
            return job
        if (
            isinstance(message, mining.SubmitSharesExtended)
            and len(message.extranonce) != channel.extranonce_size
        ):
            return error_codes.BAD_EXTRANONCE_SIZE
        judged = check_share(job, message, utc)
        if isinstance(judged, str):
            return judged
        code = self._seen.add(job.template.prev_hash, judged.share_hash)
        if code == error_codes.TOO_MANY_SHARES and judged.is_block:
            code = None  # a block is never refused for want of memory
        if code is None and job.target == channel.target:
            channel.rate.shares += 1
        return code or judged

    def _accept(
        self, channel: ServerChannel, message: Submission, share: GoodShare, worker: str | None
    ) -> list[ServerEvent]:
        accepted = events.ShareAccepted(
            channel_id=channel.channel_id,
            sequence_number=message.sequence_number,
            user_identity=channel.user_identity,
            worker=worker,
            job_id=message.job_id,
            difficulty=share.difficulty,
            share_hash=share.share_hash,
            header=share.header,
            is_block=share.is_block,
        )
        if not share.is_block:
            return [accepted]
        job = channel.active[message.job_id]
        extranonce = getattr(message, "extranonce", b"")
        block = events.BlockFound(
            channel_id=channel.channel_id,
            sequence_number=message.sequence_number,
            user_identity=channel.user_identity,
            worker=worker,
            template_id=job.template.template_id,
            header=share.header,
            coinbase=job.template.coinbase(job.extranonce_prefix + extranonce),
            share_hash=share.share_hash,
        )
        return [block, accepted]

    def _reject(self, message: Submission, code: str, user: str | None) -> list[ServerEvent]:
        channel_id, number = message.channel_id, message.sequence_number
        self._send(mining.SubmitSharesError(channel_id, number, code))
        return [events.ShareRejected(channel_id, number, code, user)]

    # -- targets, acknowledgements, ends

    def _retarget(self, channel: ServerChannel, now: float) -> list[ServerEvent]:
        suggested = channel.rate.suggest(channel.target, self._policy, now)
        if suggested is None:
            return []
        target = self._policy.clamp(suggested, channel.max_target)
        if target == channel.target:
            channel.rate.restart(now)
            return []
        self._set_target(channel, target, now)
        return [events.TargetAdjusted(channel.channel_id, target)]

    def _set_target(self, channel: ServerChannel, target: int, now: float) -> None:
        """SetTarget, and a job for it to hold on, as jobs already active keep theirs.

        A target only a little harder waits for the next job that comes anyway. Shares are
        acknowledged first, so that a miner that changes its rate, or stops, learns of them.
        """
        self._acknowledge(channel)
        before, channel.target = channel.target, target
        channel.rate.restart(now)
        self._send(mining.SetTarget(channel.channel_id, target))
        if target > before or target * 2 <= before:
            self._jobs.send_fresh(channel, now)

    def _acknowledge(self, channel: ServerChannel) -> None:
        if channel.batch.count:
            channel.acknowledged = True
            self._send(channel.batch.take(channel.channel_id))

    def _wake_for(self, channel: ServerChannel) -> None:
        due = channel.rate.due_at(self._policy)
        if channel.batch.count:
            due = min(due, channel.batch.since + self._policy.ack_seconds)
        self._deadline = due if self._deadline is None else min(due, self._deadline)

    def _addressed(self, channel_id: int) -> list[ServerChannel]:
        if channel_id == GROUP_CHANNEL_ID:
            return list(self._channels.values())
        channel = self._channels.get(channel_id)
        return [] if channel is None else [channel]

    def _remove(self, channel: ServerChannel) -> None:
        del self._channels[channel.channel_id]
        self._give_back(channel.held_prefixes)
        if not self._channels:
            self._deadline = None

    def _give_back(self, prefixes: list[bytes]) -> None:
        for prefix in prefixes:
            self._allocator.release(prefix)

    def _check_template(self, template: MiningTemplate) -> None:
        if template.extranonce_room != self._allocator.size:
            raise ValueError(
                f"the coinbase has room for {template.extranonce_room} bytes of extranonce,"
                f" the pool's extranonces have {self._allocator.size}"
            )
        rolls = MiningSetupFlags.REQUIRES_VERSION_ROLLING in self._flags
        if rolls and not template.version_rolling_allowed:
            raise ValueError("the client requires jobs that allow version rolling")

    def _send(self, message: Message) -> None:
        self._outgoing.append((message, ()))
