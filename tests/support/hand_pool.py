"""A pool driven by hand over a stream: it goes as far as the test says, and no further."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rig_on_pool import AUTHORITY_SECRET, FIRST_UTC

from sv2rig.bitcoin.target import target_to_bits
from sv2rig.sv2.certificate import Certificate
from sv2rig.sv2.frame import Frame, decode_frame, encode_frame
from sv2rig.sv2.messages import mining
from sv2rig.sv2.messages.common import SetupConnection, SetupConnectionSuccess
from sv2rig.sv2.messages.registry import Message
from sv2rig.sv2.noise import ACT_ONE_SIZE, FrameDecryptor, KeyPair, Responder
from sv2rig.transport.interface import ByteStream

STATIC = KeyPair.of(b"\x33" * 32)
GOOD_CERTIFICATE = Certificate.sign(
    AUTHORITY_SECRET, STATIC.xonly, int(FIRST_UTC) - 86400, int(FIRST_UTC) + 86400
)
NETWORK_BITS = target_to_bits((1 << 200) - 1)  # no block is found on it
EASY_TARGET = (1 << 256) // 400  # about 400 hashes a share


class HandPool:
    """One connection, after its handshake."""

    def __init__(
        self, stream: ByteStream, seal: Callable[[bytes], bytes], decryptor: FrameDecryptor
    ) -> None:
        self.stream = stream
        self.seal = seal
        self._decryptor = decryptor
        self._frames: list[Frame] = []
        self.received: list[Message] = []

    @classmethod
    async def shake(
        cls, stream: ByteStream, certificate: Certificate = GOOD_CERTIFICATE
    ) -> HandPool:
        """The handshake, as far as the miner goes along."""
        act_one = b""
        while len(act_one) < ACT_ONE_SIZE:
            act_one += await stream.read()
        act_two, secured = Responder(STATIC, certificate).answer(act_one)
        await stream.write(act_two)
        return cls(stream, secured.send.encrypt_frame, FrameDecryptor(secured.receive))

    @classmethod
    async def set_up(cls, stream: ByteStream, flags: int = 0) -> HandPool:
        """Handshake and set-up."""
        pool = await cls.shake(stream)
        assert isinstance(await pool.next(), SetupConnection)
        await pool.send(SetupConnectionSuccess(2, flags))
        return pool

    @classmethod
    async def open(cls, stream: ByteStream, channel_id: int = 2) -> HandPool:
        """Handshake, set-up, and an extended channel opened; no job yet."""
        pool = await cls.set_up(stream)
        request = await pool.next()
        assert isinstance(request, mining.OpenExtendedMiningChannel)
        await pool.send(
            mining.OpenExtendedMiningChannelSuccess(
                request_id=request.request_id,
                channel_id=channel_id,
                target=EASY_TARGET,
                extranonce_size=8,
                extranonce_prefix=b"\x01\x02\x03\x04",
                group_channel_id=1,
            )
        )
        return pool

    async def mine(self, job_id: int = 1, channel_id: int = 2, prev: bytes = b"\x07") -> None:
        """A first job and the previous hash that activates it."""
        await self.send(job(job_id, None, channel_id), prev_hash(job_id, channel_id, prev))

    async def send(self, *messages: Message) -> None:
        """Send these messages."""
        await self.stream.write(b"".join(self.seal(encode_frame(m)) for m in messages))

    async def send_odd(self, message: Message) -> None:
        """Send it with "@@@@@" made an escape sequence and a line feed, which we never encode."""
        payload = encode_frame(message)
        assert b"@@@@@" in payload
        await self.stream.write(self.seal(payload.replace(b"@@@@@", b"\x1b[2J\n")))

    async def next(self) -> Message:
        """The miner's next message; EOFError when it has gone."""
        while not self._frames:
            data = await self.stream.read()
            if not data:
                raise EOFError("the miner has gone")
            self._decryptor.feed(data)
            self._frames += iter(self._decryptor.next_frame, None)
        message, _ = decode_frame(self._frames.pop(0))
        self.received.append(message)
        return message

    async def hear_out(self) -> Sequence[Message]:
        """Read until the miner goes; every message it ever sent here."""
        try:
            while True:
                await self.next()
        except EOFError:
            return self.received


def job(job_id: int, min_ntime: int | None, channel_id: int = 2) -> mining.NewExtendedMiningJob:
    """A job whose coinbase is nothing that a chain would take."""
    return mining.NewExtendedMiningJob(
        channel_id=channel_id,
        job_id=job_id,
        min_ntime=min_ntime,
        version=0x20000000,
        version_rolling_allowed=True,
        merkle_path=(),
        coinbase_tx_prefix=b"\x02\x00\x00\x00\x01" + bytes(range(40)),
        coinbase_tx_suffix=bytes(range(60)),
    )


def prev_hash(job_id: int, channel_id: int = 2, prev: bytes = b"\x07") -> mining.SetNewPrevHash:
    """What activates a future job."""
    return mining.SetNewPrevHash(
        channel_id=channel_id,
        job_id=job_id,
        prev_hash=prev * 32,
        min_ntime=int(FIRST_UTC),
        nbits=NETWORK_BITS,
    )
