"""How a pool's templates become jobs, and who is told of them (5.3.15 to 5.3.17)."""

from __future__ import annotations

from collections.abc import Callable

from sv2rig.sv2.messages import mining
from sv2rig.sv2.messages.registry import Message
from sv2rig.sv2.server_channel import GROUP_CHANNEL_ID, MAX_FUTURE_JOBS, ServerChannel
from sv2rig.sv2.share_check import ServedJob
from sv2rig.sv2.template_job import MiningTemplate


class ServerJobs:
    """The jobs of one connection's channels; job ids are unique over all of them.

    Grouped channels get one NewExtendedMiningJob and one SetNewPrevHash together, except for each
    channel's first job, which carries the channel's own id as SRI's does.
    """

    def __init__(
        self, channels: dict[int, ServerChannel], send: Callable[[Message], None], grouped: bool
    ) -> None:
        self._channels = channels
        self._send = send
        self._grouped = grouped
        self._template: MiningTemplate | None = None
        self._template_since = 0.0
        self._offered: dict[int, MiningTemplate] = {}
        self._group_job_ids: dict[int, int] = {}  # of offered templates
        self._next_job = 1

    def offer(self, template: MiningTemplate) -> None:
        """Sends a future job on `template` to every channel."""
        self._offered.pop(template.template_id, None)
        self._offered[template.template_id] = template
        if len(self._offered) > MAX_FUTURE_JOBS:
            oldest = next(iter(self._offered))
            del self._offered[oldest]
            self._group_job_ids.pop(oldest, None)
        self._send_future(template)

    def set_template(self, template: MiningTemplate, now: float) -> None:
        """Sends what makes every channel mine on `template`."""
        previous, self._template = self._template, template
        self._template_since = now
        if previous is not None and template.same_tip(previous):
            self._send_active(template)
        else:
            self._send_prev_hash(template)

    def welcome(self, channel: ServerChannel) -> None:
        """A new channel's own first job and previous hash, and jobs offered to the others."""
        template = self._template
        if template is not None:
            job = self._send_own(channel, template, None, self._new_id())
            channel.add_future(job)
            channel.set_prev_hash(template)
            self._send(_prev_hash(channel.channel_id, job.job_id, template))
        for offered in self._offered.values():
            channel.add_future(self._send_own(channel, offered, None, self._offered_id(offered)))

    def send_fresh(self, channel: ServerChannel, now: float) -> None:
        """A new job on the present template to one channel, for a new target to hold on.

        Its min_ntime moves on with monotonic time.
        """
        template = self._template
        if template is not None:
            min_ntime = template.min_ntime + max(0, int(now - self._template_since))
            channel.add_active(self._send_own(channel, template, min_ntime, self._new_id()))

    def _send_future(self, template: MiningTemplate) -> None:
        if not self._grouped:
            for channel in self._channels.values():
                channel.add_future(self._send_own(channel, template, None, self._new_id()))
            return
        self._group_job_ids[template.template_id] = job_id = self._new_id()
        for channel in self._channels.values():
            channel.add_future(ServedJob(job_id, template, channel.extranonce_prefix))
        if self._channels:
            self._send(_extended_job(GROUP_CHANNEL_ID, job_id, None, template))

    def _send_active(self, template: MiningTemplate) -> None:
        if not self._grouped:
            for channel in self._channels.values():
                job = self._send_own(channel, template, template.min_ntime, self._new_id())
                channel.add_active(job)
            return
        job_id = self._new_id()
        for channel in self._channels.values():
            channel.add_active(ServedJob(job_id, template, channel.extranonce_prefix))
        if self._channels:
            self._send(_extended_job(GROUP_CHANNEL_ID, job_id, template.min_ntime, template))

    def _send_prev_hash(self, template: MiningTemplate) -> None:
        offered = self._offered.get(template.template_id)
        if offered is None or not offered.same_work(template):
            self._send_future(template)
        activated = [
            (channel.channel_id, channel.set_prev_hash(template).job_id)
            for channel in self._channels.values()
        ]
        if self._grouped:
            activated = [(GROUP_CHANNEL_ID, job_id) for _, job_id in activated[:1]]
        for channel_id, job_id in activated:
            self._send(_prev_hash(channel_id, job_id, template))
        self._offered.clear()
        self._group_job_ids.clear()

    def _send_own(
        self, channel: ServerChannel, template: MiningTemplate, min_ntime: int | None, job_id: int
    ) -> ServedJob:
        """Sends one channel a job of its own; the caller says whether it is active."""
        job = ServedJob(job_id, template, channel.own_extranonce())
        if channel.is_extended:
            self._send(_extended_job(channel.channel_id, job_id, min_ntime, template))
        else:
            root = job.merkle_root(b"")
            self._send(
                mining.NewMiningJob(channel.channel_id, job_id, min_ntime, template.version, root)
            )
        return job

    def _offered_id(self, template: MiningTemplate) -> int:
        """The id under which a later SetNewPrevHash will name an offered job."""
        if not self._grouped:
            return self._new_id()
        return self._group_job_ids[template.template_id]

    def _new_id(self) -> int:
        job_id = self._next_job
        self._next_job = job_id % 0xFFFFFFFF + 1
        return job_id


def _extended_job(
    channel_id: int, job_id: int, min_ntime: int | None, template: MiningTemplate
) -> mining.NewExtendedMiningJob:
    return mining.NewExtendedMiningJob(
        channel_id=channel_id,
        job_id=job_id,
        min_ntime=min_ntime,
        version=template.version,
        version_rolling_allowed=template.version_rolling_allowed,
        merkle_path=template.merkle_path,
        coinbase_tx_prefix=template.coinbase_prefix,
        coinbase_tx_suffix=template.coinbase_suffix,
    )


def _prev_hash(channel_id: int, job_id: int, template: MiningTemplate) -> mining.SetNewPrevHash:
    return mining.SetNewPrevHash(
        channel_id=channel_id,
        job_id=job_id,
        prev_hash=template.prev_hash,
        min_ntime=template.min_ntime,
        nbits=template.nbits,
    )
