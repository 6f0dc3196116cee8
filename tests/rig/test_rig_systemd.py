"""What a service tells systemd, heard on sockets of our own."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from notify_socket import NotifySocket

from sv2rig.rig.systemd import Notifier, pinging, watchdog_interval_s


@pytest.fixture(params=["path", "abstract"])
def heard(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NotifySocket]:
    address = str(tmp_path / "notify") if request.param == "path" else f"@sv2rig-{uuid.uuid4()}"
    listener = NotifySocket(address)
    yield listener
    listener.close()


def test_states_arrive_as_systemd_reads_them(heard: NotifySocket) -> None:
    notifier = Notifier(heard.address)
    before = time.monotonic_ns() // 1000
    notifier.ready("mining,\nalone")
    notifier.reloading()
    notifier.status("64 devices")
    notifier.extend_timeout(75.5)
    notifier.watchdog()
    notifier.stopping("bye")
    heard.wait_for("STOPPING")
    notifier.close()
    told = [fields for _, fields in heard.heard]
    assert told[0] == {"READY": "1", "STATUS": "mining, alone"}
    assert told[1]["RELOADING"] == "1"
    assert before <= int(told[1]["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
    assert told[2:] == [
        {"STATUS": "64 devices"},
        {"EXTEND_TIMEOUT_USEC": "75500000"},
        {"WATCHDOG": "1"},
        {"STOPPING": "1", "STATUS": "bye"},
    ]


def test_nobody_listens(tmp_path: Path) -> None:
    silent = Notifier(None)
    silent.ready("")
    silent.close()
    gone = Notifier(str(tmp_path / "gone"))
    gone.ready("")
    gone.close()


@pytest.mark.parametrize(
    ("environment", "interval_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "77"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "78"}, None),  # meant for another process
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "1"}, 1e-6),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": ""}, None),
    ],
)
def test_when_systemd_wants_pings(environment: dict[str, str], interval_s: float | None) -> None:
    assert watchdog_interval_s(environment, 77) == interval_s


async def test_a_blocked_loop_stops_the_pings(tmp_path: Path) -> None:
    heard = NotifySocket(str(tmp_path / "notify"))
    notifier = Notifier(heard.address)
    interval_s, blocked_s = 0.1, 1.0
    async with pinging(notifier, interval_s):
        await asyncio.to_thread(heard.wait_for, "WATCHDOG", count=3)
        began = time.monotonic()
        time.sleep(blocked_s)  # noqa: ASYNC251 - what is tested
        ended = time.monotonic()
        before = len([at for at in heard.times("WATCHDOG") if at < ended - interval_s])
        await asyncio.to_thread(heard.wait_for, "WATCHDOG", count=before + 2)
    notifier.close()
    heard.close()
    # a ping sent just before may be heard just after
    inside = [at for at in heard.times("WATCHDOG") if began + interval_s < at < ended]
    assert inside == []


async def test_no_watchdog_no_pings(tmp_path: Path) -> None:
    heard = NotifySocket(str(tmp_path / "notify"))
    notifier = Notifier(heard.address)
    async with pinging(notifier, None):
        notifier.status("here")
    await asyncio.to_thread(heard.wait_for, "STATUS", "here")
    notifier.close()
    heard.close()
    assert heard.times("WATCHDOG") == []
