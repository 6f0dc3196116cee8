"""The API over its unix socket: reads, commands, and what is refused."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from api_rig import ARig, served, with_everything

from sv2rig import __version__
from sv2rig.api.answering import LONGEST_BODY
from sv2rig.api.client import NoAnswerError, RefusedError, RigClient, device_path
from sv2rig.rig.snapshot import SCHEMA


def with_rig(folder: Path, act: Callable[[ARig, RigClient], None], **options: Any) -> None:
    """`act` in a thread, as another process would."""

    async def main() -> None:
        async with served(folder, **options) as (rig, places):
            await asyncio.to_thread(act, rig, RigClient(places.socket))
        assert not await asyncio.to_thread(places.socket.exists)

    asyncio.run(main())


def raw(path: Path, data: bytes) -> tuple[int, dict[str, str], Any]:
    """What is answered to these bytes: status, headers, JSON."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(10)
        line.connect(str(path))
        line.sendall(data)
        answer = http.client.HTTPResponse(line)
        answer.begin()
        text = answer.read()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, headers, json.loads(text) if text else None


def request(method: str, target: str, body: bytes = b"") -> bytes:
    head = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def refused(client: RigClient, method: str, target: str, body: Any = None) -> RefusedError:
    with pytest.raises(RefusedError) as error:
        client.ask(method, target, body)
    return error.value


def test_devices_are_listed_with_what_can_be_set(tmp_path: Path) -> None:
    def act(rig: ARig, client: RigClient) -> None:
        board, tunable, _, plain = client.get("/v1/devices")
        assert board["settings"] == [
            {
                "name": "frequency_mhz",
                "unit": "MHz",
                "minimum": 50,
                "maximum": 600,
                "default": 400,
                "help": "clock of the chips",
                "value": 400,
            }
        ]
        assert (board["can_identify"], board["can_tune"]) == (True, False)
        assert tunable["can_tune"]
        assert (plain["settings"], plain["can_identify"]) == ([], False)
        assert client.get("/v1/devices/board%3A0") == board
        assert client.get("/v1/devices/board:0") == board
        assert client.get("/v1/snapshot")["devices"][0]["id"] == "board:0"

    with_rig(tmp_path, act)


def test_settings_are_set_and_refused_with_the_field_named(tmp_path: Path) -> None:
    def act(rig: ARig, client: RigClient) -> None:
        target = device_path("board:0", "settings")
        assert client.ask("PATCH", target, {"frequency_mhz": 600}) == {"frequency_mhz": 600}
        assert rig.board.settings == {"frequency_mhz": 600}
        for too_much in (600.5, 49.9):
            error = refused(client, "PATCH", target, {"frequency_mhz": too_much})
            assert (error.status, error.field) == (422, "frequency_mhz")
            assert "out of range: 50 to 600 MHz, default 400" in str(error)
        error = refused(client, "PATCH", target, {"frequency_mhz": 100, "volts": 9})
        assert "no setting 'volts'; there is: frequency_mhz" in str(error)
        assert (error.status, error.field) == (422, "volts")
        error = refused(client, "PATCH", target, {"frequency_mhz": "much"})
        assert (error.status, error.field) == (422, "frequency_mhz")
        assert rig.board.settings == {"frequency_mhz": 600}, "all or none"
        error = refused(client, "PATCH", device_path("board:9", "settings"), {"frequency_mhz": 1})
        assert error.status == 404
        assert "no device board:9; it has: board:0, board:1" in str(error)

    with_rig(tmp_path, act)


def test_identify_and_tune_reach_devices_that_can(tmp_path: Path) -> None:
    def act(rig: ARig, client: RigClient) -> None:
        assert client.post(device_path("board:0", "identify")) == {"ok": True}
        assert rig.board.blinks == 1
        error = refused(client, "POST", device_path("board:2", "identify"))
        assert (error.status, str(error)) == (409, "board:2: no answer from its light")
        limits = {"maximum_temperature_c": 70.0}
        wish = {"goal": "hashrate", "limits": limits}
        assert client.post(device_path("board:1", "tune"), wish) == {"ok": True}
        assert rig.tunable.tuned == [("hashrate", limits)]
        error = refused(client, "POST", device_path("board:1", "tune"), {"goal": "efficiency"})
        assert (error.status, str(error)) == (409, "board:1: it has no power reading")
        error = refused(client, "POST", device_path("board:1", "tune"), {"goal": "beauty"})
        assert (error.status, error.field) == (422, "goal")

    with_rig(tmp_path, act)


def test_every_command_leaves_a_line_that_says_who_and_what(tmp_path: Path) -> None:
    def act(rig: ARig, client: RigClient) -> None:
        client.post("/v1/pause")
        client.post("/v1/resume")
        client.post(device_path("board:0", "pause"))
        client.post(device_path("board:0", "resume"))
        client.ask("PATCH", device_path("board:0", "settings"), {"frequency_mhz": 300})
        wish = {"goal": "hashrate", "limits": {"maximum_temperature_c": 70}}
        client.post(device_path("board:1", "tune"), wish)
        refused(client, "POST", device_path("nobody", "pause"))
        client.get("/v1/pools")
        client.post("/v1/quit")

    rigs: list[ARig] = []

    def main(rig: ARig, client: RigClient) -> None:
        rigs.append(rig)
        act(rig, client)

    with_rig(tmp_path, main)
    who = f"uid {os.getuid()}"
    events = [event for event in rigs[0].run.rig.events_after(0) if event.level == "info"]
    told = [(event.device, event.text) for event in events if event.device or who in event.text]
    assert told == [
        (None, f"{who}: pause all"),
        (None, f"{who}: resume all"),
        ("board:0", f"{who}: pause"),
        ("board:0", f"{who}: resume"),
        ("board:0", f"{who}: set frequency_mhz to 300 MHz"),
        ("board:1", f"{who}: tune for hashrate maximum_temperature_c = 70"),
        (
            "nobody",
            f"{who}: pause: refused: the rig has no device nobody; it has: board:0, board:1, "
            "board:2, loop:0",
        ),
        (None, f"{who}: quit"),
    ]
    assert rigs[0].has_quit


@pytest.mark.parametrize(
    ("method", "target", "body", "status", "field", "words"),
    [
        ("POST", "/v1/devices/board:1/tune", b"", 400, None, "no JSON"),
        ("POST", "/v1/devices/board:1/tune", b"{", 400, None, "no JSON"),
        ("POST", "/v1/devices/board:1/tune", b"\xff\xfe", 400, None, "no JSON"),
        (
            "POST",
            "/v1/devices/board:1/tune",
            b"[]",
            422,
            None,
            "the body: an object is wanted, not a list",
        ),
        ("POST", "/v1/devices/board:1/tune", b"{}", 422, "goal", "goal: is missing"),
        (
            "POST",
            "/v1/devices/board:1/tune",
            b'{"goal": 1}',
            422,
            "goal",
            "goal: a text is wanted, not a whole number",
        ),
        (
            "POST",
            "/v1/devices/board:1/tune",
            b'{"goal": "hashrate", "speed": 1}',
            422,
            "speed",
            "there is no such field",
        ),
        (
            "POST",
            "/v1/devices/board:1/tune",
            b'{"goal": "hashrate", "limits": {"maximum_temperature_c": "hot"}}',
            422,
            "limits.maximum_temperature_c",
            "limits.maximum_temperature_c: a number is wanted, not a text",
        ),
        (
            "POST",
            "/v1/devices/board:1/tune",
            b'{"goal": "speed"}',
            422,
            "goal",
            "goal: 'speed' is none of its values",
        ),
        ("GET", "/v1/history?hours=0", b"", 422, "hours", "hours: a number above 0.0 is wanted"),
        ("PUT", "/v1/pools/order", b'{"names": [""]}', 422, "names[0]", "a length of at least 1"),
        (
            "PATCH",
            "/v1/devices/board:0/settings",
            b'{"a": null}',
            422,
            "a",
            "a: a number is wanted, not null",
        ),
        (
            "PUT",
            "/v1/pools/order",
            b'{"names": [1]}',
            422,
            "names[0]",
            "names[0]: a text is wanted",
        ),
        ("POST", "/v1/pools", b'{"name": "a"}', 422, "url", "missing"),
        ("POST", "/v1/pause", b'{"device": "board:0"}', 400, None, "takes no body"),
        ("GET", "/v1/events?after=x", b"", 422, "after", "after: a whole number is wanted"),
        (
            "GET",
            "/v1/events?after=-1",
            b"",
            422,
            "after",
            "after: a whole number of at least 0 is wanted",
        ),
        ("GET", "/v1/events?before=1", b"", 422, "before", "there is no such field"),
        ("GET", "/v1/snapshot?full=1", b"", 422, "full", "there is no such field"),
        ("GET", "/v1/history?points=0", b"", 422, "points", "of at least 1"),
        ("GET", "/v1/history", b"", 503, None, "keeps no history"),
        ("GET", "/v1/config", b"", 503, None, "no configuration"),
        ("POST", "/v1/reload", b"", 503, None, "no configuration"),
        ("POST", "/v1/notify/test", b"", 503, None, "no hooks"),
        ("GET", "/v1/nothing", b"", 404, None, "there is no /v1/nothing"),
        ("GET", "/", b"", 404, None, "there is no /"),
        ("GET", "/v1/devices/%2e%2e%2fsecret", b"", 404, None, "no device ../secret"),
        ("POST", "/v1/pools/attic/switch", b"", 404, None, "no pool 'attic'"),
        ("POST", "/v1/pools", b"x" * LONGEST_BODY, 400, None, "no JSON"),
        ("POST", "/v1/pools", b"x" * (LONGEST_BODY + 1), 413, None, "at most 65536 bytes"),
    ],
)
def test_a_bad_request_is_told_what_is_wrong(
    tmp_path: Path,
    method: str,
    target: str,
    body: bytes,
    status: int,
    field: str | None,
    words: str,
) -> None:
    def act(rig: ARig, client: RigClient) -> None:
        answer = raw(client.path, request(method, target, body))
        assert (answer[0], answer[2]["field"]) == (status, field)
        assert words in answer[2]["error"]

    with_rig(tmp_path, act)


def test_a_method_that_a_path_does_not_take_is_refused_with_those_it_does(tmp_path: Path) -> None:
    def act(rig: ARig, client: RigClient) -> None:
        for method, target, allowed in (
            ("GET", "/v1/quit", "POST"),
            ("DELETE", "/v1/pools", "GET, POST"),
            ("POST", "/v1/snapshot", "GET"),
        ):
            status, headers, problem = raw(client.path, request(method, target))
            assert (status, headers["allow"]) == (405, allowed)
            assert method in problem["error"]
        assert not rig.has_quit

    with_rig(tmp_path, act)


def test_what_is_no_http_ends_the_connection_and_nothing_else(tmp_path: Path) -> None:
    def act(rig: ARig, client: RigClient) -> None:
        for junk in (
            b"\x00\x01\x02\r\n\r\n",
            b'{"method": "devices"}\n',
            b"GET / HTTP/9.9\r\n\r\n",
        ):
            with socket.socket(socket.AF_UNIX) as line:
                line.settimeout(10)
                line.connect(str(client.path))
                line.sendall(junk)
                assert b"400" in line.recv(100)
        assert client.get("/v1/version") == {
            "name": "garage",
            "version": __version__,
            "schema": SCHEMA,
            "pid": os.getpid(),
        }

    with_rig(tmp_path, act)


def test_nobody_there_is_told_apart_from_a_refusal(tmp_path: Path) -> None:
    with pytest.raises(NoAnswerError, match="No such file"):
        RigClient(tmp_path / "rig-x.sock").get("/v1/snapshot")
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "rig-y.sock"))
        silent.listen()
        with pytest.raises(NoAnswerError, match="not answer within"):
            RigClient(tmp_path / "rig-y.sock", timeout_s=0.2).get("/v1/snapshot")


def test_a_command_that_takes_long_goes_on_after_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sv2rig.api.answering.ACT_TIMEOUT_S", 0.1)
    told: list[str] = []

    async def main() -> None:
        async with served(tmp_path) as (rig, places):
            may_end = asyncio.Event()

            async def slow() -> None:
                await may_end.wait()

            monkeypatch.setattr(rig.board, "identify", slow)
            client = RigClient(places.socket)
            error = await asyncio.to_thread(
                refused, client, "POST", device_path("board:0", "identify")
            )
            assert (error.status, str(error)) == (503, "not done within 0.1 s; it goes on")
            assert not rig.run.lines.with_words("uid")
            may_end.set()
            await rig.run.sees(lambda: rig.run.lines.with_words("uid", "identify"), 10)
            told.extend(rig.run.lines.with_words("uid"))

    asyncio.run(main())
    assert len(told) == 1


def test_who_asks_nothing_or_half_a_body_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sv2rig.api.server.FIRST_REQUEST_S", 0.1)
    monkeypatch.setattr("sv2rig.api.answering.BODY_TIMEOUT_S", 0.1)

    def act(rig: ARig, client: RigClient) -> None:
        for begun in (b"", b"GET /v1/version HT"):
            with socket.socket(socket.AF_UNIX) as line:
                line.settimeout(10)
                line.connect(str(client.path))
                line.sendall(begun)
                assert line.recv(1) == b""
        half = b"POST /v1/pools HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{"
        status, _, problem = raw(client.path, half)
        assert (status, problem["error"]) == (408, "no whole body within 0.1 s")

    with_rig(tmp_path, act)


def test_the_stores_line_names_the_device_too(tmp_path: Path) -> None:
    def act(client: RigClient) -> list[str]:
        client.ask("PATCH", device_path("board:0", "settings"), {"frequency_mhz": 300})
        refused(client, "PATCH", device_path("board:0", "settings"), {"frequency_mhz": 1})
        client.post("/v1/pause")
        while len(lines := client.get("/v1/history/audit")) < 3:
            pass  # the store's writer takes half a second
        return [line["text"] for line in lines]

    async def main() -> list[str]:
        async with with_everything(tmp_path) as (_, places):
            return await asyncio.to_thread(act, RigClient(places.socket))

    who = f"uid {os.getuid()}"
    newest, low, first = asyncio.run(main())
    assert newest == f"{who}: pause all"
    assert low.startswith(f"{who}: board:0: set frequency_mhz to 1 MHz: refused: ")
    assert first == f"{who}: board:0: set frequency_mhz to 300 MHz"
