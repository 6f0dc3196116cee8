"""A miner driven by hand over a stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from rig_on_pool import URL

from sv2rig.sv2.frame import Frame, decode_frame, encode_frame
from sv2rig.sv2.messages import mining
from sv2rig.sv2.messages.common import SetupConnection, SetupConnectionSuccess
from sv2rig.sv2.messages.registry import Message
from sv2rig.sv2.noise import ACT_TWO_SIZE, FrameDecryptor, Initiator
from sv2rig.transport.interface import ByteStream

M = TypeVar("M", bound=Message)


class HandMiner:
    """One connection, after its set-up."""

    def __init__(
        self, stream: ByteStream, seal: Callable[[bytes], bytes], decryptor: FrameDecryptor
    ) -> None:
        self.stream = stream
        self.seal = seal
        self._decryptor = decryptor
        self._frames: list[Frame] = []

    @classmethod
    async def set_up(cls, stream: ByteStream, utc: float, vendor: str = "hand") -> HandMiner:
        """Handshake and set-up, without flags."""
        initiator = Initiator()
        await stream.write(initiator.act_one())
        act_two = b""
        while len(act_two) < ACT_TWO_SIZE:
            act_two += await stream.read()
        secured = initiator.read_act_two(act_two, URL.authority_key, utc)
        miner = cls(stream, secured.send.encrypt_frame, FrameDecryptor(secured.receive))
        await miner.send(SetupConnection(0, 2, 2, 0, "pool", 1, vendor, "", "", ""))
        await miner.next(SetupConnectionSuccess)
        return miner

    async def open(self, user: str = "hand", rate_hs: float = 400.0) -> int:
        """An extended channel; its id."""
        await self.send(mining.OpenExtendedMiningChannel(1, user, rate_hs, (1 << 256) - 1, 4))
        return (await self.next(mining.OpenExtendedMiningChannelSuccess)).channel_id

    async def send(self, *messages: Message) -> None:
        await self.stream.write(self.sealed(*messages))

    def sealed(self, *messages: Message) -> bytes:
        return b"".join(self.seal(encode_frame(message)) for message in messages)

    async def next(self, kind: type[M]) -> M:
        """The next message of this kind; others are passed over. EOFError at the end."""
        while True:
            while not self._frames:
                data = await self.stream.read()
                if not data:
                    raise EOFError("the pool has closed the connection")
                self._decryptor.feed(data)
                self._frames += iter(self._decryptor.next_frame, None)
            message, _ = decode_frame(self._frames.pop(0))
            if isinstance(message, kind):
                return message
