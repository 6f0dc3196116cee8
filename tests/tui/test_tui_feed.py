"""A rig elsewhere: what comes is shown, what does not is told, and the way back is found."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from stream_server import stream_server
from tui_scenes import message, polled

from sv2rig.rig.snapshot import SCHEMA, RigSnapshot
from sv2rig.tui import live
from sv2rig.tui.app import RigScreen
from sv2rig.tui.feed import Feed, FeedError, SchemaError, StreamMessage, as_line, decode
from sv2rig.tui.links import CommandLink, LinkError, RefusedError, SocketLink
from sv2rig.tui.live import first_picture, follow


def text(sequence: int, *events: int, **fields: object) -> str:
    return as_line(message(sequence, *events, **fields)).decode()


async def until(feed: Feed, said: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not said():
            await feed.changed()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "RETRY_S", 0.01)


def numbers(feed: Feed, after: int = 0) -> list[int]:
    told = [event.number for event in feed.events_after(after)]
    assert told == [share.number for share in feed.shares_after(after)]
    return told


def test_events_come_once_however_often_they_are_told() -> None:
    feed = Feed()
    feed.take(message(1, 1, 2))
    feed.take(message(2, 3))
    feed.take(message(3, 1, 2, 3, 4))  # connected again
    assert numbers(feed) == [1, 2, 3, 4]
    assert numbers(feed, 3) == [4]
    assert numbers(feed, 4) == []
    feed.take(message(1, 1))  # the rig was started anew
    assert numbers(feed) == [1]


def test_a_feed_keeps_a_bounded_number() -> None:
    feed = Feed()
    for sequence in range(1, 51):
        first = 100 * sequence
        feed.take(message(sequence, *range(first, first + 100)))
    assert 2000 <= len(numbers(feed)) <= 4000
    assert numbers(feed)[-1] == 5099


def test_silence_is_told_by_the_feed() -> None:
    now = 100.0
    feed = Feed(lambda: now)
    told = []
    feed.take(message(1))
    for seconds in (0, 4.9, 0.1, 1):
        now += seconds
        told.append(feed.silent_s)
    feed.take(message(2))
    told.append(feed.silent_s)
    feed.lose("it has gone")
    told.append(feed.silent_s)
    assert told == [None, None, pytest.approx(5), pytest.approx(6), None, 0]
    assert feed.lost == "it has gone"


@pytest.mark.parametrize("schema", [SCHEMA - 1, SCHEMA + 1])
def test_another_schema_is_told_in_words(schema: int) -> None:
    other = json.loads(text(1))
    other["snapshot"]["schema"] = schema
    with pytest.raises(
        SchemaError, match=rf"schema {schema}; this sv2rig .* reads schema {SCHEMA}"
    ):
        Feed().take(decode(json.dumps(other)))
    other["snapshot"] = {"schema": schema, "version": "9.0", "wholly": "different"}
    with pytest.raises(SchemaError, match=r"the rig is sv2rig 9\.0"):
        decode(json.dumps(other))


async def test_what_a_newer_rig_adds_is_passed_over_and_its_version_told() -> None:
    newer = json.loads(text(1, 1, version="9.9"))
    snapshot = newer["snapshot"]
    for added_to in (newer, snapshot, snapshot["pool"], snapshot["devices"][0], snapshot["shares"],
                     newer["events"][0], newer["shares"][0]):  # fmt: skip
        added_to["novelty"] = [{"of": "9.9"}]
    feed = Feed()
    feed.take(decode(json.dumps(newer)))
    assert numbers(feed) == [1]
    assert feed.snapshot() == message(1, version="9.9").snapshot
    app = RigScreen(feed, on_quit=None)
    async with app.run_test(size=(80, 24)) as pilot:
        assert any("The rig is sv2rig 9.9" in line for line in await polled(app, pilot))


@pytest.mark.parametrize("damaged", ["", "{", "[]", '{"snapshot": 1}', "nonsense"])
def test_what_is_no_message_is_an_error(damaged: str) -> None:
    with pytest.raises(FeedError):
        decode(damaged)


async def test_it_comes_back_with_the_rig(tmp_path: Path) -> None:
    path = tmp_path / "rig.sock"
    feed, link = Feed(), SocketLink(path)
    following = asyncio.create_task(follow(link, feed))
    try:
        with pytest.raises(LinkError, match="No such file or directory"):
            await first_picture(feed, following)
        async with stream_server(path, text(7, 1, 2)) as server:
            await until(feed, lambda: feed.has_picture)
            assert feed.lost == ""
            await until(feed, lambda: bool(server.clients))
            await server.say(text(8, 3))
            await until(feed, lambda: feed.snapshot().sequence == 8)
        await until(feed, lambda: bool(feed.lost))
        assert numbers(feed) == [1, 2, 3]  # the last picture stays
        async with stream_server(path, "damaged", text(1, 1)):
            await until(feed, lambda: "no message" in feed.lost)
        async with stream_server(path, text(1, 1)):
            await until(feed, lambda: not feed.lost)
        assert numbers(feed) == [1]
    finally:
        following.cancel()
        await link.close()


async def test_a_rig_of_another_schema_ends_it(tmp_path: Path) -> None:
    other = json.loads(text(1))
    other["snapshot"]["schema"] = SCHEMA + 1
    feed, link = Feed(), SocketLink(tmp_path / "rig.sock")
    async with stream_server(tmp_path / "rig.sock", json.dumps(other)):
        with pytest.raises(SchemaError):
            await follow(link, feed)
    await link.close()


async def test_commands_and_refusals_over_the_socket(tmp_path: Path) -> None:
    link = SocketLink(tmp_path / "rig.sock")
    with pytest.raises(LinkError, match="no rig answers"):
        await link.ask("POST", "/v1/pause")
    async with stream_server(tmp_path / "rig.sock") as server:
        assert await link.ask("PATCH", "/v1/devices/a%2Fb/settings", {"x": 1.0}) == {"ok": True}
        assert server.asked == [("PATCH", "/v1/devices/a%2Fb/settings", {"x": 1.0})]
        server.answer = lambda: (409, {"error": "not now", "field": None})
        with pytest.raises(RefusedError, match="not now"):
            await link.ask("POST", "/v1/pause")
        server.answer = lambda: (500, "oh")
        with pytest.raises(LinkError, match="HTTP status 500"):
            await link.ask("POST", "/v1/pause")
        await link.close()


RELAY = str(Path(sys.executable).parent / "sv2rig")


async def test_a_relay_carries_pictures_commands_and_trouble(tmp_path: Path) -> None:
    path = tmp_path / "rig.sock"
    told: list[str] = []
    link = CommandLink([RELAY, "top", "--stdio", "--socket", str(path)], told.append)
    feed = Feed()
    following = asyncio.create_task(follow(link, feed))
    try:
        with pytest.raises(LinkError, match="there is no connection"):
            await link.ask("POST", "/v1/pause")
        async with stream_server(path, text(7, 1, 2)) as server:
            await until(feed, lambda: feed.has_picture)
            assert numbers(feed) == [1, 2]
            assert await link.ask("POST", "/v1/pause") == {"ok": True}
            server.answer = lambda: (409, {"error": "not now"})
            with pytest.raises(RefusedError, match="not now"):
                await link.ask("POST", "/v1/pause")
        await until(feed, lambda: str(path) in feed.lost)
        async with stream_server(path, text(8, 3)):
            await until(feed, lambda: not feed.lost)
        assert numbers(feed) == [1, 2, 3]
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    assert told == []


async def test_a_relay_that_ends_is_told_with_its_last_words(tmp_path: Path) -> None:
    told: list[str] = []
    script = "echo hello; echo 'no such host' >&2; exit 3"
    link = CommandLink(["sh", "-c", script], told.append)
    with pytest.raises(LinkError, match="sh: no such host"):
        async for _ in link.messages():
            pass
    assert sorted(told) == ["hello", "no such host"]
    link = CommandLink(["/nowhere/ssh"], told.append)
    with pytest.raises(LinkError, match="No such file"):
        async for _ in link.messages():
            pass


def test_messages_are_lines_of_json() -> None:
    line = as_line(message(1, 1))
    assert line.count(b"\n") == 1
    assert decode(line) == message(1, 1)
    assert isinstance(msgspec.json.decode(line, type=StreamMessage).snapshot, RigSnapshot)
