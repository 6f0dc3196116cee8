"""The link between a connection and its stream: nothing piles up, nothing hangs, all ends tell."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hand_miner import HandMiner
from memory_net import MemoryStream, stream_pair
from rig_on_pool import AUTHORITY_SECRET, FIRST_UTC
from virtual_time import run_virtual

from sv2rig.sv2.certificate import CertificateIssuer
from sv2rig.sv2.events import ConnectionClosed, Event, SetupCompleted
from sv2rig.sv2.messages.mining import CloseChannel
from sv2rig.sv2.noise import KeyPair
from sv2rig.sv2.server_connection import SERVER_LIMITS, ServerConnection, SetupPolicy
from sv2rig.transport.link import (
    LAST_READ_TIMEOUT_S,
    LAST_WRITE_TIMEOUT_S,
    MOST_UNSENT,
    WRITE_TIMEOUT_S,
    Link,
)

BIG = CloseChannel(1, "x" * 255)


class Served:
    """A server's link, its events, and the other end of its stream."""

    def __init__(self, on_event: Callable[[Event], None] | None = None) -> None:
        loop = asyncio.get_running_loop()
        self.theirs, ours = stream_pair()
        static = KeyPair.of(b"\x33" * 32)
        issuer = CertificateIssuer(AUTHORITY_SECRET, static.xonly)
        connection = ServerConnection(static, issuer.at, SetupPolicy(), now=loop.time())
        self.link = Link(ours, connection, lambda: FIRST_UTC)
        self.ours = ours
        self.events: list[Event] = []
        self.running = loop.create_task(self.link.run(on_event or self.events.append))

    async def set_up(self) -> HandMiner:
        miner = await HandMiner.set_up(self.theirs, FIRST_UTC)
        assert isinstance(self.events[-1], SetupCompleted)
        return miner


def stream_ended(stream: MemoryStream) -> bool:
    return stream._out.ended


def test_the_close_is_the_last_event_and_what_was_queued_is_sent_before() -> None:
    async def main() -> None:
        served = Served()
        miner = await served.set_up()
        served.link.send(BIG)
        served.link.close("enough")
        served.link.send(BIG)  # after the end: ignored
        closed = await served.running
        assert closed == ConnectionClosed(None, "enough", fatal=False)
        assert served.events[-1] is closed
        assert (await miner.next(CloseChannel)) == BIG
        with pytest.raises(EOFError):
            await miner.next(CloseChannel)
        assert stream_ended(served.ours)

    run_virtual(main())


def test_what_piles_up_for_a_peer_is_bounded() -> None:
    async def main() -> None:
        served = Served()
        await served.set_up()
        loop = asyncio.get_running_loop()
        began = loop.time()
        sent = 0
        while not served.link._ended.done():
            served.link.send(BIG)
            sent += 255
            assert sent < 2 * MOST_UNSENT
        assert sent > MOST_UNSENT * 0.8
        closed = await served.running
        assert "reads too slowly" in closed.reason
        assert loop.time() - began <= LAST_WRITE_TIMEOUT_S + 0.1

    run_virtual(main())


def test_a_peer_that_takes_nothing_is_given_up_in_time() -> None:
    async def main() -> None:
        served = Served()
        await served.set_up()
        loop = asyncio.get_running_loop()
        began = loop.time()
        for _ in range(1000):
            served.link.send(BIG)
        closed = await served.running
        assert "took no data for 15 s" in closed.reason
        took = loop.time() - began
        assert WRITE_TIMEOUT_S <= took <= WRITE_TIMEOUT_S + LAST_WRITE_TIMEOUT_S + 0.1

    run_virtual(main())


def test_a_slow_peer_that_goes_on_reading_is_kept() -> None:
    async def main() -> None:
        served = Served()
        miner = await served.set_up()
        for _ in range(8000):  # 2 MB, read at 40 kB/s or so
            served.link.send(BIG)
        for _ in range(8000):
            await miner.next(CloseChannel)
            await asyncio.sleep(0.001)
        served.link.send(BIG)
        assert await miner.next(CloseChannel) == BIG
        served.link.close("enough")
        assert (await served.running).reason == "enough"

    run_virtual(main())


def test_what_the_listener_to_events_raises_ends_the_connection_and_comes_out() -> None:
    async def main() -> None:
        def broken(event: Event) -> None:
            if isinstance(event, SetupCompleted):
                raise ZeroDivisionError("a mistake")

        served = Served(broken)
        await HandMiner.set_up(served.theirs, FIRST_UTC)
        with pytest.raises(ZeroDivisionError):
            await served.running
        assert stream_ended(served.ours)

    run_virtual(main())


def test_a_cancelled_link_closes_its_stream() -> None:
    async def main() -> None:
        served = Served()
        await served.set_up()
        served.running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await served.running
        assert stream_ended(served.ours)

    run_virtual(main())


def test_last_words_before_a_broken_write_are_read() -> None:
    async def main() -> None:
        served = Served()
        await served.theirs.write(b'{"id":1,"method":"mining.subscribe","params":[]}\n')
        await served.theirs.close()
        served.link._unsent += b"so that there is something to write"
        served.link._to_write.set()
        closed = await served.running
        assert "Stratum V1" in closed.reason

    run_virtual(main())


def test_a_broken_write_ends_it_where_nothing_more_is_read() -> None:
    async def main() -> None:
        served = Served()
        await served.set_up()
        loop = asyncio.get_running_loop()
        began = loop.time()
        served.ours._out.ended = True  # the peer takes no more, but has not closed its side
        served.link.send(BIG)
        closed = await served.running
        assert "broken pipe" in closed.reason
        assert loop.time() - began <= LAST_READ_TIMEOUT_S + 0.1

    run_virtual(main())


def test_a_silent_peer_is_dropped_when_the_connection_says_so() -> None:
    async def main() -> None:
        served = Served()
        loop = asyncio.get_running_loop()
        began = loop.time()
        closed = await served.running
        assert "0 of 64 bytes" in closed.reason
        assert loop.time() - began == pytest.approx(SERVER_LIMITS.handshake_s)

    run_virtual(main())
