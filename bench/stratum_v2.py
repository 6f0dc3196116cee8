"""The hour of bench/scenario.py in Stratum V2, encrypted.

Every byte comes out of our own two ends of a connection and is taken in by the other one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ledger import Ledger, Purpose
from scenario import (
    FIRST_DIFFICULTY,
    NBITS,
    SHARE_EACH_S,
    START_UTC,
    VERSION,
    Event,
    Job,
    Options,
    Retarget,
    Share,
    hour,
)

from sv2rig.bitcoin.target import target_for_difficulty
from sv2rig.pool.server import ACK_SECONDS
from sv2rig.sv2.certificate import CertificateIssuer
from sv2rig.sv2.client_connection import ClientConnection
from sv2rig.sv2.connection import Connection
from sv2rig.sv2.events import MessageReceived, SetupCompleted
from sv2rig.sv2.frame import encode_frame
from sv2rig.sv2.messages import mining
from sv2rig.sv2.messages.common import MiningSetupFlags, Protocol, SetupConnection
from sv2rig.sv2.messages.registry import Message
from sv2rig.sv2.noise import KeyPair
from sv2rig.sv2.secp256k1 import generate_secret, xonly_public_key
from sv2rig.sv2.server_connection import ServerConnection, SetupPolicy

CHANNEL: Final = 2
GROUP: Final = 1
STANDARD_EXTRANONCE: Final = 20
NOMINAL_HS: Final = 2.0**42  # exact in F32


@dataclass(frozen=True, slots=True)
class Batching:
    """When a pool acknowledges shares: after so many, or so long after the first of a batch."""

    name: str
    shares: int
    seconds: float

    def due(self, waiting: int) -> bool:
        """Whether a batch ends before the next share comes, shares coming evenly."""
        return waiting >= min(self.shares, 1 + self.seconds // SHARE_EACH_S)


SRI: Final = Batching("10 shares", 10, float("inf"))
OURS: Final = Batching(f"{ACK_SECONDS:g} s", 10, ACK_SECONDS)


@dataclass(slots=True)
class StratumV2:
    """Sends every message of one connection and books its bytes."""

    options: Options
    extended: bool
    batching: Batching
    ledger: Ledger = field(default_factory=Ledger)
    _client: ClientConnection = field(init=False)
    _server: ServerConnection = field(init=False)
    _waiting: int = 0  # shares not acknowledged yet
    _difficulty: int = FIRST_DIFFICULTY

    def run(self) -> Ledger:
        self._set_up()
        self._open_channel()
        for event in hour(self.options):
            self._write(event)
        return self.ledger

    def _set_up(self) -> None:
        authority = generate_secret()
        static = KeyPair.generate()
        issuer = CertificateIssuer(authority, static.xonly)
        flags = 0 if self.extended else int(MiningSetupFlags.REQUIRES_STANDARD_JOBS)
        setup = SetupConnection(
            Protocol.MINING, 2, 2, flags, "127.0.0.1", 34254, "sv2rig", "", "0.1.0", "rig1"
        )
        client = self._client = ClientConnection(xonly_public_key(authority), setup, now=0)
        server = self._server = ServerConnection(static, issuer.at, SetupPolicy(), now=0)
        for name, sender, receiver in (
            ("Noise act 1", client, server),
            ("Noise act 2", server, client),
        ):
            data = sender.data_to_send()
            receiver.receive(data, 0, START_UTC)
            self.ledger.add(Purpose.HANDSHAKE, name, len(data), len(data))
        request = client.data_to_send()
        [server_opened] = server.receive(request, 0, START_UTC)
        answer = server.data_to_send()
        [client_opened] = client.receive(answer, 0, START_UTC)
        if not isinstance(client_opened, SetupCompleted) or client_opened != server_opened:
            raise RuntimeError("the two ends did not agree on the set-up")
        for message, data in ((setup, request), (client_opened.success, answer)):
            self._book(Purpose.SETUP, message, len(data))

    def _open_channel(self) -> None:
        target = target_for_difficulty(FIRST_DIFFICULTY)
        user, rate = self.options.user, NOMINAL_HS
        prefix = bytes(4) if self.extended else bytes(STANDARD_EXTRANONCE)
        size = self.options.extranonce_size
        request: Message
        success: Message
        if self.extended:
            request = mining.OpenExtendedMiningChannel(1, user, rate, target, size)
            success = mining.OpenExtendedMiningChannelSuccess(
                1, CHANNEL, target, size, prefix, GROUP
            )
        else:
            request = mining.OpenStandardMiningChannel(1, user, rate, target)
            success = mining.OpenStandardMiningChannelSuccess(1, CHANNEL, target, prefix, GROUP)
        self._from_client(Purpose.CHANNEL, request)
        self._from_server(Purpose.CHANNEL, success)

    def _write(self, event: Event) -> None:
        match event:
            case Job():
                self._job(event)
            case Retarget(difficulty):
                self._difficulty = difficulty
                target = target_for_difficulty(difficulty)
                self._from_server(Purpose.DIFFICULTY, mining.SetTarget(CHANNEL, target))
            case Share():
                self._share(event)
                self._waiting += 1
                if self.batching.due(self._waiting):
                    self._acknowledge(event.number)

    def _job(self, job: Job) -> None:
        min_ntime = None if job.block else job.utc  # None: a future job, SetNewPrevHash starts it
        message: Message
        if self.extended:
            coinbase = self.options.coinbase_parts()
            message = mining.NewExtendedMiningJob(
                CHANNEL,
                job.number,
                min_ntime,
                VERSION,
                True,
                job.merkle_path,
                coinbase.prefix,
                coinbase.suffix,
            )
        else:
            message = mining.NewMiningJob(CHANNEL, job.number, min_ntime, VERSION, job.merkle_root)
        self._from_server(Purpose.JOBS, message)
        if job.block:
            self._from_server(
                Purpose.JOBS,
                mining.SetNewPrevHash(CHANNEL, job.number, job.prev_hash, job.utc, NBITS),
            )

    def _share(self, share: Share) -> None:
        version = VERSION | share.version_bits
        message: Message
        if self.extended:
            message = mining.SubmitSharesExtended(
                CHANNEL,
                share.number,
                share.job_number,
                share.nonce,
                share.utc,
                version,
                share.extranonce,
            )
        else:
            message = mining.SubmitSharesStandard(
                CHANNEL, share.number, share.job_number, share.nonce, share.utc, version
            )
        self._from_client(Purpose.SHARES, message)

    def _acknowledge(self, last: int) -> None:
        success = mining.SubmitSharesSuccess(
            CHANNEL, last, self._waiting, self._waiting * self._difficulty
        )
        self._waiting = 0
        self._from_server(Purpose.ANSWERS, success)

    def _from_client(self, purpose: Purpose, message: Message) -> None:
        self._send(purpose, message, self._client, self._server)

    def _from_server(self, purpose: Purpose, message: Message) -> None:
        self._send(purpose, message, self._server, self._client)

    def _send(
        self, purpose: Purpose, message: Message, sender: Connection, receiver: Connection
    ) -> None:
        sender.send(message)
        data = sender.data_to_send()
        [event] = receiver.receive(data, 0, START_UTC)
        if event != MessageReceived(message, ()):
            raise RuntimeError(f"{message} came out as {event}")
        self._book(purpose, message, len(data))

    def _book(self, purpose: Purpose, message: Message, size: int) -> None:
        self.ledger.add(purpose, message.wire_name, size, size - len(encode_frame(message)))
