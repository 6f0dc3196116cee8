"""`sv2rig run` as a process, and a pool of ours in this one that remembers what it acknowledged."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sv2rig.bitcoin.target import difficulty
from sv2rig.pool.client import PoolClient
from sv2rig.pool.keys import PoolKeys
from sv2rig.pool.node import SimulatedNode
from sv2rig.pool.server import PoolServer
from sv2rig.pool.simulated_chain import SimulatedChain
from sv2rig.sv2 import server_events
from sv2rig.sv2.messages.mining import SubmitSharesSuccess
from sv2rig.sv2.server_channel import AckBatch
from sv2rig.transport.tcp import listen

SV2RIG = str(Path(sys.executable).parent / "sv2rig")
AUTHORITY_SECRET = b"\x45" * 32
NOBODYS_SCRIPT = bytes.fromhex("0014751e76e8199196d454941c45d1b3a323f1433bd6")  # BIP173's example
LONGEST_S = 60.0


class WatchedPool(PoolServer):
    """Remembers the difficulty of each accepted share, and when how many were acknowledged: of one
    miner with one channel, since begin()."""

    url: str
    port: int

    def __init__(self, shares_per_minute: float, ack_seconds: float) -> None:
        loop = asyncio.get_running_loop()
        chain = SimulatedChain(random.Random(1), 3600.0, loop.time(), time.time())
        super().__init__(
            SimulatedNode(chain, time.time),
            PoolKeys(AUTHORITY_SECRET),
            NOBODYS_SCRIPT,
            lambda level, text: None,
            time.time,
            shares_per_minute=shares_per_minute,
            ack_seconds=ack_seconds,
        )
        self.begin()

    def begin(self) -> None:
        """Forget it all: another miner comes."""
        self._accepted: list[float] = []
        self._acknowledged: list[tuple[float, int]] = []

    def took(self, count: int) -> None:
        """So many more are being acknowledged."""
        before = self._acknowledged[-1][1] if self._acknowledged else 0
        self._acknowledged.append((time.monotonic(), before + count))

    def acknowledged_before(self, moment: float) -> list[float]:
        """The difficulties of the shares whose acknowledgement was sent by then."""
        counts = [count for at, count in self._acknowledged if at < moment]
        return self._accepted[: max(counts, default=0)]

    def _on_event(self, client: PoolClient, event: server_events.ServerEvent) -> None:
        if isinstance(event, server_events.ShareAccepted):
            self._accepted.append(float(difficulty(int.from_bytes(event.share_hash, "little"))))
        super()._on_event(client, event)


@asynccontextmanager
async def watched_pool(
    shares_per_minute: float = 600.0, ack_seconds: float = 0.1, port: int = 0
) -> AsyncIterator[WatchedPool]:
    """Serving on this machine, on a free port if none is named."""
    pool = WatchedPool(shares_per_minute, ack_seconds)
    take = AckBatch.take

    def noted(batch: AckBatch, channel_id: int) -> SubmitSharesSuccess:
        pool.took(batch.count)
        return take(batch, channel_id)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AckBatch, "take", noted)
        listener = await listen("127.0.0.1", port, pool.serve)
        pool.port = int(listener.address.rpartition(":")[2])
        key = PoolKeys(AUTHORITY_SECRET).authority_text
        pool.url = f"stratum2+tcp://{listener.address}/{key}"
        running = asyncio.create_task(pool.run())
        try:
            yield pool
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await pool.stop()
            await listener.close()


class DaemonProcess:
    """`sv2rig run` in a folder of its own, and the lines that it logs."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self._arguments = arguments
        self._environment = {
            **os.environ,
            "XDG_RUNTIME_DIR": str(folder / "run"),
            "SV2RIG_LOG__FORMAT": "human",
            **environment,
        }
        self.lines: list[str] = []
        self._changed = asyncio.Event()

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            SV2RIG,
            "run",
            *self._arguments,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        self._reading = asyncio.create_task(self._read())

    @property
    def pid(self) -> int:
        return self._process.pid

    async def _read(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self.lines.append(line.decode().rstrip("\n"))
            self._changed.set()

    async def says(self, words: str, times: int = 1) -> str:
        """Wait for the line with these words."""
        try:
            async with asyncio.timeout(LONGEST_S):
                while len(found := [line for line in self.lines if words in line]) < times:
                    assert not self._reading.done(), self.lines
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"no {words!r} in {self.lines}") from None
        return found[times - 1]

    def send(self, number: int) -> None:
        self._process.send_signal(number)

    async def ends(self) -> int:
        """Wait for its end; its status."""
        async with asyncio.timeout(LONGEST_S):
            status = await self._process.wait()
            await self._reading
        return status

    async def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; its status."""
        self.send(number)
        return await self.ends()

    async def kill(self) -> None:
        """Where it still runs."""
        if self._process.returncode is None:
            await self.end(signal.SIGKILL)


@asynccontextmanager
async def daemon(folder: Path, *arguments: str, **environment: str) -> AsyncIterator[DaemonProcess]:
    """Started; killed where it still runs."""
    process = DaemonProcess(folder, *arguments, **environment)
    await process.start()
    try:
        yield process
    finally:
        await process.kill()
        print("\n".join(process.lines))  # shown where a test fails


def write_config(folder: Path, url: str, more: str = "", user: str = "alice.rig") -> Path:
    """A configuration with one pool and a fast simulated device."""
    path = folder / "rig.toml"
    path.write_text(
        f'name = "test"\nstate_dir = "state"\n'
        f'[[pools]]\nname = "home"\nurl = "{url}"\nuser = "{user}"\n'
        f'[devices]\nuse = ["simulated?rate=2M", "simulated?rate=2M&seed=1"]\n{more}'
    )
    return path
