"""What a server may do to a rig: one clear line each, in time, and nothing submitted.

Fatal: the rig ends at once. Else it backs off, tries again, and gives up when it was told to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import pytest
from hand_pool import STATIC, HandPool, job
from loop_device import LoopDevice
from memory_net import MemoryNet
from rig_on_pool import AUTHORITY_SECRET, FIRST_UTC, HOST, PORT, URL, Clock, PoolProcess, Run
from virtual_time import run_virtual

from sv2rig.mining import pool_channels
from sv2rig.mining.session import FIRST_JOB_TIMEOUT_S
from sv2rig.quota import MOST_LINES
from sv2rig.sv2.certificate import Certificate
from sv2rig.sv2.client_connection import CLIENT_LIMITS
from sv2rig.sv2.messages import common, mining
from sv2rig.transport.interface import ByteStream, TransportError

Server = Callable[[ByteStream], Awaitable[None]]
CALIBRATION_S = 1.5  # what the rig does before it dials


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


def one_line(text: str) -> bool:
    return text.isprintable()


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_hostile_server_costs_one_clear_line_in_time_and_gets_no_share(case: Case) -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        dialled_at: list[float] = []
        loop = asyncio.get_running_loop()

        async def serve(stream: ByteStream) -> None:
            dialled_at.append(loop.time())
            await case.server(stream)

        net.servers[HOST, PORT] = serve
        device = LoopDevice()
        run = Run([device], net.connect, clock, give_up_after_s=None if case.fatal else 100)
        end = await run.fails()
        told_at = loop.time()
        assert all(one_line(text) for _, text in run.lines.all), run.lines.all
        assert one_line(end)
        shares = run.rig.snapshot().shares
        assert shares == type(shares)(), "no share was sent, none was lost"
        assert device.stopped
        if case.fatal:
            assert len(dialled_at) == 1, "at once"
            assert told_at - dialled_at[0] <= case.within_s
            assert all(word in end for word in case.words), end
            return
        lines = run.lines.with_words("trying again in")
        assert all(word in lines[0] for word in case.words), lines[0]
        assert all(word in end for word in (*case.words, "giving up after 1")), end
        assert len(dialled_at) == len(lines) + 1 >= 3
        first_line_at = run.lines.first_at("trying again in")
        assert first_line_at - dialled_at[0] <= case.within_s
        assert 100 <= told_at - dialled_at[0] <= 100 + case.within_s + 0.1
        await net.close()

    run_virtual(main())


def test_a_pool_silent_for_too_long_is_dropped_after_a_bound() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        loop = asyncio.get_running_loop()

        async def serve(stream: ByteStream) -> None:
            pool = await HandPool.open(stream)
            await pool.mine()
            await pool.hear_out()

        net.servers[HOST, PORT] = serve
        device = LoopDevice()
        run = Run([device], net.connect, clock)
        await run.until("mining")
        began = loop.time()
        await run.until("waiting")
        assert loop.time() - began == pytest.approx(CLIENT_LIMITS.silence_s, abs=1)
        assert device.work is None
        assert run.lines.with_words("nothing heard from the server for", "trying again in")
        shares = run.rig._picture().shares
        assert shares.pending == 0
        assert shares.unacknowledged > 0, "what it never answered is not lost silently"
        await run.stop()
        await net.close()

    run_virtual(main())


def test_a_flood_of_oddities_is_told_a_few_times_and_mining_goes_on() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()

        async def serve(stream: ByteStream) -> None:
            pool = await HandPool.open(stream)
            await pool.mine()
            unknown = b"\x34\x12\x99\x00\x00\x00"
            for number in range(300):
                await pool.stream.write(pool.seal(unknown))
                await pool.send_odd(mining.SubmitSharesError(2, 10_000 + number, "@@@@@"))
                await pool.send_odd(mining.UpdateChannelError(2, "@@@@@"))
                await pool.send(
                    mining.SubmitSharesSuccess(2, 10_000 + number, 5, 5),
                    mining.SetTarget(2, (1 << 256) // (400 + number)),
                    job(100 + number, int(FIRST_UTC)),
                )
            await pool.hear_out()

        net.servers[HOST, PORT] = serve
        device = LoopDevice()
        run = Run([device], net.connect, clock)
        await run.until("mining")
        await asyncio.sleep(20)
        assert len(run.lines.of("warning")) == MOST_LINES
        assert run.lines.with_words("held back for a minute")
        assert all(one_line(text) for _, text in run.lines.all)
        assert device.work is not None
        assert device.work.job_id == 399
        assert run.session.state == "mining"
        await run.stop()
        await net.close()

    run_virtual(main())


def test_unknown_error_codes_of_shares_are_counted_and_no_more() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()

        async def serve(stream: ByteStream) -> None:
            pool = await HandPool.open(stream)
            await pool.mine()
            while True:
                share = await pool.next()
                if isinstance(share, mining.SubmitSharesExtended):
                    code = "@@@@@mercury-retrograde"
                    await pool.send_odd(mining.SubmitSharesError(2, share.sequence_number, code))

        net.servers[HOST, PORT] = serve
        run = Run([LoopDevice()], net.connect, clock)
        await run.until("mining")
        await asyncio.sleep(20)
        shares = run.rig.snapshot().shares
        assert shares.rejected > 5
        assert shares.accepted == shares.stale == 0
        assert run.session.state == "mining"
        lines = run.lines.with_words("mercury-retrograde")
        assert len(lines) == min(shares.rejected, MOST_LINES)
        assert all(one_line(line) for line in lines)
        await run.stop()
        await net.close()

    run_virtual(main())


def test_a_redirect_loop_is_slowed_by_back_off_and_given_up() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        places = {(HOST, PORT): ("b.example", 1), ("b.example", 1): (HOST, PORT)}

        def redirects_to(place: tuple[str, int]) -> Server:
            async def serve(stream: ByteStream) -> None:
                pool = await HandPool.set_up(stream)
                await pool.next()
                await pool.send(common.Reconnect(*place))
                await pool.hear_out()

            return serve

        for here, there in places.items():
            net.servers[here] = redirects_to(there)
        run = Run([LoopDevice()], net.connect, clock, give_up_after_s=120)
        assert "asks us to reconnect to" in await run.fails()
        assert 5 <= len(net.dialled) <= 16
        assert net.dialled[:4] == [(HOST, PORT), ("b.example", 1)] * 2
        await net.close()

    run_virtual(main())


@pytest.mark.parametrize("place", [("b.example", 1), ("\x1b[2J\n" + "x" * 80, 1)])
def test_a_redirect_to_nowhere_leads_home_again(place: tuple[str, int]) -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()

        async def redirects(stream: ByteStream) -> None:
            pool = await HandPool.set_up(stream)
            await pool.next()
            await pool.send(common.Reconnect(*place))
            PoolProcess(net, clock)  # at home again when the miner returns
            await pool.hear_out()

        async def connect(host: str, port: int) -> ByteStream:
            if (host, port) == place:
                raise TransportError(f"{host!r}: no such place")
            return await net.connect(host, port)

        net.servers[HOST, PORT] = redirects
        run = Run([LoopDevice()], connect, clock)
        await run.until("mining", 30)
        assert net.dialled == [(HOST, PORT), (HOST, PORT)]
        assert all(one_line(text) for _, text in run.lines.all)
        await run.stop()
        await net.close()

    run_virtual(main())


def test_an_empty_redirect_means_the_same_place() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        asked: list[bool] = []

        async def serve(stream: ByteStream) -> None:
            pool = await HandPool.open(stream)
            await pool.mine()
            if not asked:
                asked.append(True)
                await pool.send(common.Reconnect("", 0))
            await pool.hear_out()

        net.servers[HOST, PORT] = serve
        run = Run([LoopDevice()], net.connect, clock)
        await asyncio.sleep(10)
        assert run.session.state == "mining"
        assert net.dialled == [(HOST, PORT)] * 2
        await run.stop()
        await net.close()

    run_virtual(main())


def test_a_user_name_that_no_message_can_carry_is_told_at_once() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock)
        run = Run([LoopDevice()], net.connect, clock, user="x" * 256)
        end = await run.fails()
        assert "user_identity" in end
        assert "use --channel" not in end
        await pool.stop()

    run_virtual(main())


@pytest.mark.parametrize("standard", [True, False], ids=["standard", "extended"])
def test_a_server_whose_flags_refuse_the_kind_of_channel_is_obeyed(standard: bool) -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        heard: list[object] = []

        async def serve(stream: ByteStream) -> None:
            pool = await HandPool.set_up(stream, flags=0b10)  # REQUIRES_EXTENDED_CHANNELS
            heard.extend(await pool.hear_out())

        net.servers[HOST, PORT] = serve
        run = Run([LoopDevice()], net.connect, clock, standard=standard, give_up_after_s=60)
        end = await run.fails()
        assert ("--channel extended" in end) == standard
        await net.close()

    run_virtual(main())


def test_without_a_key_any_server_will_do_and_the_log_says_so() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock)
        run = Run([LoopDevice()], net.connect, clock, url=replace(URL, authority_key=None))
        await run.until("mining")
        assert run.lines.with_words("its key was NOT checked")
        await run.stop()
        await pool.stop()

    run_virtual(main())


def test_the_time_to_give_up_counts_from_when_the_pool_last_worked() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock)
        loop = asyncio.get_running_loop()
        run = Run([LoopDevice()], net.connect, clock, give_up_after_s=20)
        await asyncio.sleep(300)
        assert run.session.state == "mining"
        await pool.kill()
        killed_at = loop.time()
        assert "giving up after 2" in await run.fails()
        assert loop.time() - killed_at == pytest.approx(20, abs=1.5)

    run_virtual(main())


@pytest.mark.parametrize("limit_s", [0.0, 3.0])
def test_a_pool_that_never_was_there_is_given_up_on_time(limit_s: float) -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        loop = asyncio.get_running_loop()
        began = loop.time()
        run = Run([LoopDevice()], net.connect, clock, give_up_after_s=limit_s)
        assert "refused" in await run.fails()
        took = loop.time() - began
        assert limit_s <= took <= limit_s + CALIBRATION_S
        assert len(net.dialled) >= (1 if not limit_s else 3)

    run_virtual(main())


async def unreachable(_host: str, _port: int) -> ByteStream:
    await for_ever()
    raise AssertionError


@pytest.mark.parametrize(
    "server",
    [None, silent, silent_after_handshake, silent_after_set_up, sends_no_job, closes_at_once],
    ids=["connecting", "handshake", "set-up", "no channel", "no job", "back-off"],
)
def test_it_stops_at_once_wherever_the_pool_keeps_it_waiting(server: Server | None) -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        if server is not None:
            net.servers[HOST, PORT] = server
        run = Run([LoopDevice()], net.connect if server else unreachable, clock)
        await asyncio.sleep(4)
        assert not run.task.done()
        assert await run.stop() < 1
        await net.close()

    run_virtual(main())


def test_shares_of_a_pool_that_never_answers_are_told_and_unacknowledged_at_the_end() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()

        async def serve(stream: ByteStream) -> None:
            pool = await HandPool.open(stream)
            await pool.mine()
            await pool.hear_out()

        net.servers[HOST, PORT] = serve
        run = Run([LoopDevice()], net.connect, clock)
        await run.until("mining")
        await asyncio.sleep(20)
        pending = run.rig.snapshot().shares.pending
        assert pending > 5
        assert await run.stop() < 2
        shares = run.rig.snapshot().shares
        assert shares.pending == 0
        assert shares.unacknowledged >= pending
        assert run.lines.with_words("not acknowledged in time")
        await net.close()

    run_virtual(main())


def test_what_a_pool_never_answers_does_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        monkeypatch.setattr(pool_channels, "MOST_UNANSWERED", 5)
        net, clock = MemoryNet(), Clock()

        async def serve(stream: ByteStream) -> None:
            pool = await HandPool.open(stream)
            await pool.mine()
            await pool.hear_out()

        net.servers[HOST, PORT] = serve
        run = Run([LoopDevice()], net.connect, clock)
        await run.until("mining")
        await asyncio.sleep(30)
        shares = run.rig.snapshot().shares
        assert shares.pending == 5
        assert shares.unacknowledged > 5
        await run.stop()
        await net.close()

    run_virtual(main())


def test_a_mistake_of_ours_in_an_event_ends_the_rig_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock)
        run = Run([LoopDevice()], net.connect, clock)
        await run.until("mining")

        def broken(*_args: object) -> None:
            raise ZeroDivisionError("a mistake")

        monkeypatch.setattr(run.session._pool, "receive", broken)
        with pytest.raises(ZeroDivisionError):
            await run.task
        assert net.streams[-1]._out.ended, "the connection was closed"
        await pool.stop()

    run_virtual(main())
