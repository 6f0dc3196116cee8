"""What a server may do to a rig, and what the rig must say of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from hand_pool import STATIC, HandPool, job
from rig_on_pool import AUTHORITY_SECRET, FIRST_UTC

from sv2rig.mining.pool_connection import FIRST_JOB_TIMEOUT_S
from sv2rig.sv2.certificate import Certificate
from sv2rig.sv2.messages import common, mining
from sv2rig.transport.interface import ByteStream

Server = Callable[[ByteStream], Awaitable[None]]


async def for_ever() -> None:
    await asyncio.Event().wait()


def says(data: bytes, then_close: bool = False) -> Server:
    async def serve(stream: ByteStream) -> None:
        await stream.write(data)
        if not then_close:
            await for_ever()

    return serve


async def silent(_stream: ByteStream) -> None:
    await for_ever()


async def closes_at_once(_stream: ByteStream) -> None:
    pass


def certified(certificate: Certificate) -> Server:
    async def serve(stream: ByteStream) -> None:
        pool = await HandPool.shake(stream, certificate)
        await pool.hear_out()
        assert not pool.received, "nothing may be said to a server that is not trusted"

    return serve


def certificate(secret: bytes, begin_s: int, end_s: int) -> Certificate:
    return Certificate.sign(secret, STATIC.xonly, int(FIRST_UTC) + begin_s, int(FIRST_UTC) + end_s)


async def closes_after_handshake(stream: ByteStream) -> None:
    await HandPool.shake(stream)


async def silent_after_handshake(stream: ByteStream) -> None:
    await HandPool.shake(stream)
    await for_ever()


async def refuses_set_up(stream: ByteStream) -> None:
    pool = await HandPool.shake(stream)
    await pool.next()
    await pool.send(common.SetupConnectionError(0, "protocol-version-mismatch"))


async def refuses_set_up_in_unknown_words(stream: ByteStream) -> None:
    pool = await HandPool.shake(stream)
    await pool.next()
    await pool.send_odd(common.SetupConnectionError(0, "@@@@@mercury-retrograde"))


async def silent_after_set_up(stream: ByteStream) -> None:
    await HandPool.set_up(stream)
    await for_ever()


async def wants_the_other_kind_of_channel(stream: ByteStream) -> None:
    pool = await HandPool.shake(stream)
    await pool.next()
    await pool.send(common.SetupConnectionSuccess(2, 0))
    request = await pool.next()
    assert isinstance(request, mining.OpenExtendedMiningChannel)
    await pool.send(
        mining.OpenStandardMiningChannelSuccess(request.request_id, 2, 1 << 255, bytes(8), 1)
    )
    await pool.hear_out()


async def refuses_channel(stream: ByteStream) -> None:
    pool = await HandPool.set_up(stream)
    request = await pool.next()
    assert isinstance(request, mining.OpenExtendedMiningChannel)
    await pool.send(mining.OpenMiningChannelError(request.request_id, "unknown-user"))
    await for_ever()


async def refuses_channel_in_unknown_words(stream: ByteStream) -> None:
    pool = await HandPool.set_up(stream)
    request = await pool.next()
    assert isinstance(request, mining.OpenExtendedMiningChannel)
    await pool.send_odd(mining.OpenMiningChannelError(request.request_id, "@@@@@mercury"))
    await for_ever()


async def sends_no_job(stream: ByteStream) -> None:
    await HandPool.open(stream)
    await for_ever()


async def sends_a_job_without_previous_hash(stream: ByteStream) -> None:
    pool = await HandPool.open(stream)
    await pool.send(job(1, int(FIRST_UTC)))
    await pool.hear_out()


async def sends_garbage_after_set_up(stream: ByteStream) -> None:
    pool = await HandPool.set_up(stream)
    await pool.stream.write(bytes(range(256)))
    await for_ever()


async def sends_an_oversized_frame(stream: ByteStream) -> None:
    pool = await HandPool.set_up(stream)
    # 1 MiB and a byte, of a message that mining knows (NewMiningJob with a longer payload).
    size = (1 << 20) + 1
    header = b"\x00\x80\x15" + size.to_bytes(3, "little")
    await pool.stream.write(pool.seal(header + bytes(size))[:4096])
    await for_ever()


async def sends_a_servers_own_request(stream: ByteStream) -> None:
    pool = await HandPool.open(stream)
    await pool.mine()
    await pool.send(mining.SubmitSharesStandard(2, 1, 1, 0, 0, 0))
    await pool.hear_out()


async def sends_for_a_channel_that_never_was(stream: ByteStream) -> None:
    pool = await HandPool.open(stream)
    await pool.mine(channel_id=77)
    await pool.hear_out()


async def closes_the_channel(stream: ByteStream) -> None:
    pool = await HandPool.open(stream)
    await pool.send(mining.CloseChannel(2, "maintenance"))
    await pool.hear_out()


STRATUM_V1 = b'{"id":1,"error":[20,"Parse error",null],"result":null}\n'
HTTP = b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nContent-Length: 0\r\n\r\n"
GARBAGE = bytes((17 * i + 5) % 256 for i in range(2000))


@dataclass(frozen=True)
class Case:
    name: str
    server: Server
    words: tuple[str, ...]
    within_s: float
    fatal: bool = False


OTHER_SECRET = b"\x55" * 32
CASES = (
    Case(
        "wrong authority key",
        certified(certificate(OTHER_SECRET, -3600, 86400)),
        ("not signed by the expected authority key", "compare it"),
        0.1,
        fatal=True,
    ),
    Case(
        "expired certificate",
        certified(certificate(AUTHORITY_SECRET, -86400, -3600)),
        ("certificate expired", "set the clock"),
        0.1,
        fatal=True,
    ),
    Case(
        "certificate not valid yet",
        certified(certificate(AUTHORITY_SECRET, 86400, 2 * 86400)),
        ("not valid for another", "set the clock"),
        0.1,
        fatal=True,
    ),
    Case("Stratum V1", says(STRATUM_V1), ("plain text", "Stratum V1"), 0.1),
    Case("Stratum V1, then closed", says(STRATUM_V1, True), ("plain text", "Stratum V1"), 0.1),
    Case("HTTP", says(HTTP), ("HTTP", "is this the right port?"), 0.1),
    Case("HTTP, then closed", says(HTTP, True), ("HTTP", "is this the right port?"), 0.1),
    Case("garbage", says(GARBAGE), ("handshake failed",), 0.1),
    Case("a little garbage", says(GARBAGE[:20]), ("20 of 234 bytes", "in 10 s"), 10.1),
    Case("silent", silent, ("handshake failed", "0 of 234 bytes", "in 10 s"), 10.1),
    Case("closes at once", closes_at_once, ("closed the connection", "0 of 234 bytes"), 0.1),
    Case("closes after handshake", closes_after_handshake, ("closed", "during the set-up"), 0.1),
    Case("silent after handshake", silent_after_handshake, ("set-up failed", "in 10 s"), 10.1),
    Case(
        "refuses the set-up", refuses_set_up, ("refused the set-up", "version-mismatch"), 0.1, True
    ),
    Case(
        "refuses the set-up, unknown code",
        refuses_set_up_in_unknown_words,
        ("refused the set-up", "mercury"),
        0.1,
        fatal=True,
    ),
    Case("silent after set-up", silent_after_set_up, ("did not answer", "channel"), 31.1),
    Case(
        "opens the other kind", wants_the_other_kind_of_channel, ("asked for the other kind",), 0.1
    ),
    Case("refuses the channel", refuses_channel, ("refused a channel", "unknown-user"), 0.1, True),
    Case(
        "refuses the channel, unknown code",
        refuses_channel_in_unknown_words,
        ("refused a channel", "mercury"),
        0.1,
        fatal=True,
    ),
    Case("sends no job", sends_no_job, ("no job", "30 s"), FIRST_JOB_TIMEOUT_S + 1.1),
    Case(
        "a job without a previous hash",
        sends_a_job_without_previous_hash,
        ("before any SetNewPrevHash",),
        0.1,
    ),
    Case(
        "garbage after set-up", sends_garbage_after_set_up, ("authentication tag", "altered"), 0.1
    ),
    Case("an oversized frame", sends_an_oversized_frame, ("1048577",), 0.1),
    Case("a miner's message", sends_a_servers_own_request, ("broke the protocol",), 0.1),
    Case("an unknown channel", sends_for_a_channel_that_never_was, ("no channel 77",), 0.1),
    Case("closes the channel", closes_the_channel, ("were closed", "maintenance"), 0.1),
)
