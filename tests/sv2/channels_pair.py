"""Our two channel stacks against each other: every message goes through the codec as bytes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TypeVar

from sv2rig.bitcoin.header import BlockHeader
from sv2rig.sv2 import client_events, server_events
from sv2rig.sv2.client_channels import ClientChannels
from sv2rig.sv2.client_events import ClientEvent
from sv2rig.sv2.extranonce import EXTRANONCE_SIZE, ExtranonceAllocator
from sv2rig.sv2.frame import decode_frame, encode_frame, parse_frame
from sv2rig.sv2.job import Job
from sv2rig.sv2.messages.common import MiningSetupFlags
from sv2rig.sv2.messages.registry import Message
from sv2rig.sv2.server_channels import ServerChannels
from sv2rig.sv2.server_events import ServerEvent
from sv2rig.sv2.share_policy import SharePolicy
from sv2rig.sv2.template_job import MiningTemplate
from sv2rig.sv2.tlv import TLV

E = TypeVar("E")

STANDARD_JOBS = int(MiningSetupFlags.REQUIRES_STANDARD_JOBS)
EASY = (1 << 254) - 1  # one hash in four
HARD = (1 << 200) - 1  # no hash of a test
UTC = 1_700_000_000
VERSION = 0x20000000

# Acknowledged one by one, never retargeted: what most tests want to see undisturbed.
PLAIN = SharePolicy(ack_shares=1, easiest_target=EASY, retarget_seconds=1e9, retarget_shares=10**9)


def template(
    number: int,
    tip: int = 1,
    *,
    network_target: int = HARD,
    rolling: bool = True,
    min_ntime: int = UTC - 600,
) -> MiningTemplate:
    """A template of its own coinbase and transactions, on the previous hash number `tip`."""
    script = bytes([3]) + number.to_bytes(3, "little") + bytes([EXTRANONCE_SIZE])
    prefix = (
        (2).to_bytes(4, "little")
        + b"\x01"
        + bytes(32)
        + b"\xff" * 4
        + bytes([len(script) + EXTRANONCE_SIZE])
        + script
    )
    output = (5_000_000_000).to_bytes(8, "little") + b"\x01\x51"
    return MiningTemplate(
        template_id=number,
        version=VERSION,
        coinbase_prefix=prefix,
        coinbase_suffix=b"\xff" * 4 + b"\x01" + output + bytes(4),
        merkle_path=tuple(bytes([number % 256, depth]) * 16 for depth in range(number % 4)),
        prev_hash=tip.to_bytes(32, "little"),
        nbits=0x207FFFFF,
        min_ntime=min_ntime,
        network_target=network_target,
        version_rolling_allowed=rolling,
    )


def hash_value(job: Job, nonce: int, ntime: int, version: int, extranonce: bytes) -> int:
    """The hash of one header of `job`, by the header codec of sv2rig.bitcoin."""
    root = job.merkle_root_for(extranonce)
    return BlockHeader(version, job.prev_hash, root, ntime, job.nbits, nonce).hash_value()


class Pair:
    """A client and a server, with bytes under way between them in `up` and `down`."""

    def __init__(
        self,
        setup_flags: int = 0,
        policy: SharePolicy = PLAIN,
        *,
        allocator: ExtranonceAllocator | None = None,
        extensions: frozenset[int] = frozenset(),
        server_flags: int = 0,
        first_sequence_number: int = 1,
        version_rolling_mask: int = 0x1FFFE000,
    ) -> None:
        self.now = 1000.0
        self.utc = float(UTC)
        self.extensions = extensions
        self.allocator = allocator or ExtranonceAllocator()
        self.client = ClientChannels(
            setup_flags,
            server_flags,
            extensions=extensions,
            first_sequence_number=first_sequence_number,
            version_rolling_mask=version_rolling_mask,
        )
        self.server = ServerChannels(setup_flags, self.allocator, policy, extensions=extensions)
        self.up: deque[bytes] = deque()
        self.down: deque[bytes] = deque()
        self.client_events: list[ClientEvent] = []
        self.server_events: list[ServerEvent] = []
        self.sent_down: list[Message] = []
        self.jobs: dict[int, Job] = {}  # the newest of each channel
        self._nonces: Iterator[int] = iter(range(1 << 32))

    def collect(self) -> None:
        """Puts on the wire what both sides want to send."""
        self.up.extend(encode_frame(m, tlvs) for m, tlvs in self.client.messages_to_send())
        for message, tlvs in self.server.messages_to_send():
            self.sent_down.append(message)
            self.down.append(encode_frame(message, tlvs))

    def deliver_up(self) -> list[ServerEvent]:
        """One message to the server."""
        message, tlvs = self._decode(self.up.popleft())
        happened = self.server.handle(message, self.now, self.utc, tlvs)
        self.server_events += happened
        self.collect()
        return happened

    def deliver_down(self) -> list[ClientEvent]:
        """One message to the client."""
        message, _ = self._decode(self.down.popleft())
        happened = self.client.handle(message, self.now)
        for event in happened:
            if isinstance(event, client_events.JobActivated):
                self.jobs[event.job.channel_id] = event.job
        self.client_events += happened
        self.collect()
        return happened

    def settle(self) -> None:
        """Delivers until both sides have nothing more to say."""
        self.collect()
        while self.up or self.down:
            if self.up:
                self.deliver_up()
            if self.down:
                self.deliver_down()

    def flush(self) -> None:
        """Lets every acknowledgement come that is due a minute from now."""
        self.settle()
        self.now += 60
        self.server_events += self.server.handle_timeout(self.now)
        self.settle()

    def _decode(self, data: bytes) -> tuple[Message, tuple[TLV, ...]]:
        return decode_frame(parse_frame(data), self.extensions)

    def open(self, *, extended: bool = False, rate: float = 0.0, min_size: int = 6) -> int:
        """Opens a channel and settles; its id."""
        if extended:
            self.client.open_extended("alice.rig1", rate, min_extranonce_size=min_size)
        else:
            self.client.open_standard("alice.rig1", rate)
        self.settle()
        return self.last(client_events.ChannelOpened).channel_id

    def solve(
        self, job: Job, *, meets: bool = True, version: int | None = None, ntime: int | None = None
    ) -> tuple[int, int, int, int, int, bytes]:
        """Hashes until a header meets the job's target, or misses it; submit()'s arguments."""
        extranonce = b"\x07" * job.extranonce_size
        chosen = job.version if version is None else version
        when = job.min_ntime if ntime is None else ntime
        for nonce in self._nonces:
            if (hash_value(job, nonce, when, chosen, extranonce) <= job.target) == meets:
                return job.channel_id, job.job_id, nonce, when, chosen, extranonce
        raise AssertionError("no nonce left")

    def share(self, channel_id: int) -> int:
        """Finds a share on the channel's newest job and submits it; its sequence number."""
        return self.client.submit(*self.solve(self.jobs[channel_id]))

    def last(self, kind: type[E]) -> E:
        """The newest event of this kind on either side."""
        return self.all(kind)[-1]

    def all(self, kind: type[E]) -> list[E]:
        """All events of this kind, the client's first."""
        return [e for e in (*self.client_events, *self.server_events) if isinstance(e, kind)]

    def rejections(self) -> list[str]:
        """The codes with which the client's shares were refused."""
        return [event.code for event in self.all(client_events.ShareRejected)]

    def accepted(self) -> tuple[int, int]:
        """Shares accepted in the client's eyes and in the server's."""
        acknowledged = self.all(client_events.SharesAccepted)
        return (
            sum(len(event.sequence_numbers) for event in acknowledged),
            len(self.all(server_events.ShareAccepted)),
        )
