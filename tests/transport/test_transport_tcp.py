"""TCP as a ByteStream: order, ends, refusals in words, and back-pressure."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from sv2rig.transport.interface import ByteStream, TransportError
from sv2rig.transport.tcp import WRITE_HIGH_WATER, connect, listen


async def _port_of(address: str) -> int:
    return int(address.rsplit(":", 1)[1])


async def _echo(stream: ByteStream) -> None:
    while data := await stream.read():
        await stream.write(data)


async def test_bytes_come_back_in_order_and_the_end_is_seen() -> None:
    listener = await listen("127.0.0.1", 0, _echo)
    stream = await connect("127.0.0.1", await _port_of(listener.address))
    sent = bytes(range(256)) * 2000
    received = bytearray()

    async def read_all() -> None:
        while len(received) < len(sent):
            received.extend(await stream.read())

    await asyncio.gather(stream.write(sent), read_all())
    assert received == sent
    await listener.close()
    assert await stream.read() == b""
    await stream.close()


async def test_a_refused_connection_says_where_and_why() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(TransportError, match=rf"127\.0\.0\.1:{port}: .*refused"):
        await connect("127.0.0.1", port)


async def test_an_unknown_name_is_told_in_words() -> None:
    with pytest.raises(TransportError, match="cannot be resolved"):
        await connect("no-such-host.invalid", 34254)


async def test_a_taken_port_is_told_in_words() -> None:
    listener = await listen("127.0.0.1", 0, _echo)
    with pytest.raises(TransportError, match="cannot listen on 127"):
        await listen("127.0.0.1", await _port_of(listener.address), _echo)
    await listener.close()


async def test_a_peer_that_does_not_read_holds_the_writer_back() -> None:
    release = asyncio.Event()

    async def deaf(_stream: ByteStream) -> None:
        await release.wait()

    listener = await listen("127.0.0.1", 0, deaf)
    stream = await connect("127.0.0.1", await _port_of(listener.address))

    async def flood() -> None:
        while True:
            await stream.write(bytes(WRITE_HIGH_WATER))

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(flood(), 0.5)
    await stream.close()
    release.set()
    await listener.close()


async def test_a_resolver_without_an_answer_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release = threading.Event()

    def no_answer(*_args: object, **_more: object) -> list[object]:
        assert release.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", no_answer)
    with pytest.raises(TransportError, match=r"pool\.example:1: no answer within 0\.05 s"):
        await connect("pool.example", 1, timeout_s=0.05)
    release.set()


async def test_the_next_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    listener = await listen("127.0.0.1", 0, _echo)
    port = await _port_of(listener.address)
    entries = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
        for address in ("127.0.0.2", "127.0.0.1")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_more: entries)
    stream = await connect("pool.example", port)
    await stream.write(b"hello")
    assert await stream.read() == b"hello"
    await stream.close()
    await listener.close()


@pytest.mark.parametrize("host", ["x" * 64 + ".example", "a..example", "nul\0.example"])
async def test_a_name_that_cannot_be_one_is_told_in_words(host: str) -> None:
    with pytest.raises(TransportError, match=r"is not an address|cannot be resolved") as caught:
        await connect(host, 34254)
    assert str(caught.value).isprintable()
