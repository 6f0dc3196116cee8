"""What bench daemon measures: emulated boards, a pool and `sv2rig run`, each a process of its own,
and those who look at the daemon: screens, clients of its API."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import socket
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import psutil
from boards import Child, Run, child
from screen import used

SV2RIG: Final = str(Path(sys.executable).with_name("sv2rig"))
READY_S: Final = 120.0
BASE: Final = "http://rig"
ENDING_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class World:
    """`log`: the daemon's stderr. `environment`: of who looks at it."""

    boards: Child
    pool: Child
    daemon: psutil.Process
    socket: Path
    log: Path
    environment: dict[str, str]

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[aiohttp.ClientSession]:
        connector = aiohttp.UnixConnector(str(self.socket))
        async with aiohttp.ClientSession(BASE, connector=connector) as session:
            yield session

    def resident_mib(self) -> float:
        return round(float(self.daemon.memory_info().rss) / 2**20, 1)

    def log_lines(self) -> list[str]:
        return self.log.read_text(errors="replace").splitlines()


@contextlib.asynccontextmanager
async def world(run: Run, fault: str | None = None) -> AsyncIterator[World]:
    """All boards mine when this begins, but for those with faults: they have been tried."""
    rate = {"rate_hs": run.nonces_a_second * 2**10}
    made = [(name, more) for name, more, _ in run.kinds()]
    with (
        tempfile.TemporaryDirectory() as runtime,
        child("emulators", run, runtime, set(), boards=made, fault=fault, **rate) as boards,
        child("pool", run, runtime, set(), every_s=run.every_s) as pool,
        daemon(Path(runtime), pool.ready, run.devices(boards.ready)) as (process, environment),
    ):
        folder = Path(runtime)
        it = World(boards, pool, process, folder / "rig.sock", folder / "daemon.log", environment)
        await _until_mining(it, run.boards, all_of_them=fault is None)
        yield it


@contextlib.contextmanager
def daemon(
    folder: Path, url: str, devices: list[str]
) -> Iterator[tuple[psutil.Process, dict[str, str]]]:
    """`sv2rig run`, and what its environment is."""
    config = folder / "rig.toml"
    names = ",\n".join(f'  "{device}"' for device in devices)
    config.write_text(
        f'name = "bench"\nstate_dir = "{folder}/state"\n'
        f'[[pools]]\nurl = "{url}"\nuser = "bench.daemon"\n'
        f"[devices]\nstart_interval_s = 0.1\nuse = [\n{names}\n]\n"
        f'[api]\nsocket = "{folder}/rig.sock"\n'
    )
    terminal_size = ("COLUMNS", "LINES")  # would overrule the terminals that are made here
    inherited = {name: text for name, text in os.environ.items() if name not in terminal_size}
    environment = inherited | {
        "XDG_RUNTIME_DIR": str(folder),
        "XDG_STATE_HOME": str(folder / "state"),
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
    }
    with (folder / "daemon.log").open("wb") as log:
        process = subprocess.Popen(
            [SV2RIG, "run", "-c", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
        )
    try:
        yield psutil.Process(process.pid), environment
    finally:
        process.terminate()
        try:
            process.wait(ENDING_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def _until_mining(it: World, count: int, *, all_of_them: bool) -> None:
    end = time.monotonic() + READY_S
    states: list[str] = []
    while time.monotonic() < end:
        with contextlib.suppress(aiohttp.ClientConnectionError):
            async with it.client() as session, session.get("/v1/snapshot") as answer:
                states = [device["state"] for device in (await answer.json())["devices"]]
        mining = states.count("MINING")
        tried = len(states) == count and "ABSENT" not in states
        if mining == count or (tried and not all_of_them and mining >= count / 2):
            await asyncio.sleep(5.0)
            return
        await asyncio.sleep(0.5)
    raise SystemExit(
        f"bench daemon: of {count} boards mine {states.count('MINING')}\n"
        + "\n".join(it.log_lines()[-20:])
    )


class Cpu:
    """What part of a core a process used since this was made."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._used, self._at = used(process), time.monotonic()

    def percent(self) -> float:
        spent = used(self._process) - self._used
        return round(100 * spent / (time.monotonic() - self._at), 2)


@contextlib.contextmanager
def top(it: World, columns: int, lines: int) -> Iterator[tuple[psutil.Process, int]]:
    """`sv2rig top` on a terminal, and the terminal's other end."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (lines, columns))
    process = subprocess.Popen(
        [SV2RIG, "top", "--socket", str(it.socket)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=it.environment,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield psutil.Process(process.pid), ours
    finally:
        process.kill()
        process.wait()
        os.close(ours)


@contextlib.contextmanager
def drained(fd: int) -> Iterator[None]:
    """What comes is thrown away meanwhile."""
    loop = asyncio.get_running_loop()

    def read() -> None:
        with contextlib.suppress(OSError):  # its end
            os.read(fd, 1 << 16)

    loop.add_reader(fd, read)
    try:
        yield
    finally:
        loop.remove_reader(fd)


async def watch(it: World, seen: dict[str, int]) -> None:
    """A client of the stream that reads, for ever."""
    async with it.client() as session, session.ws_connect("/v1/stream", max_msg_size=0) as line:
        async for message in line:
            seen["messages"] += 1
            seen["bytes"] += len(message.data)


async def scrape(it: World, every_s: float, seen: dict[str, int]) -> None:
    """/metrics, for ever."""
    async with it.client() as session:
        while True:
            async with session.get("/metrics") as answer:
                seen["metrics_bytes"] = len(await answer.read())
                seen["scrapes"] += 1
            await asyncio.sleep(every_s)


def stalled_stream(it: World) -> socket.socket:
    """A client of the stream that takes nothing after it has asked."""
    line = _connected(it)
    line.send(
        b"GET /v1/stream HTTP/1.1\r\nHost: rig\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    return line


def stalled_asker(it: World) -> socket.socket:
    """Asks for a hundred pictures one after the other and takes none."""
    line = _connected(it)
    with contextlib.suppress(BlockingIOError):
        line.send(b"GET /v1/snapshot HTTP/1.1\r\nHost: rig\r\n\r\n" * 100)
    return line


def _connected(it: World) -> socket.socket:
    line = socket.socket(socket.AF_UNIX)
    line.connect(str(it.socket))
    line.setblocking(False)
    return line


async def answered(it: World, path: str) -> Any:
    async with it.client() as session, session.get(path) as answer:
        return await answer.json()
