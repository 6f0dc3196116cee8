"""What outlives a rig, as commands show it: counts over several runs, shares, who commanded."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path

from daemon_process import SV2RIG, daemon, watched_pool, write_config

LONGEST_S = 60.0


async def told(folder: Path, *arguments: str) -> str:
    def run() -> str:
        environment = {**os.environ, "XDG_RUNTIME_DIR": str(folder / "run")}
        done = subprocess.run(
            [SV2RIG, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return await asyncio.to_thread(run)


async def accepted(folder: Path, wanted: int) -> int:
    """So many shares of this run at least."""
    async with asyncio.timeout(LONGEST_S):
        while True:
            rig = json.loads(await told(folder, "status", "--json"))
            if rig["shares"]["accepted"] >= wanted:
                return int(rig["lifetime"]["accepted"])
            await asyncio.sleep(0.1)


async def test_what_outlives_the_rig_is_shown(tmp_path: Path) -> None:
    async with watched_pool() as pool:
        config = write_config(tmp_path, pool.url)
        async with daemon(tmp_path, "-c", str(config)) as process:
            await process.says("the API is on")
            first = await accepted(tmp_path, 2)
            await told(tmp_path, "pause")
            assert await process.end() == 0
        async with daemon(tmp_path, "-c", str(config)) as process:
            await process.says("the API is on")
            assert await accepted(tmp_path, 1) > first
            assert "all-time: " in await told(tmp_path, "status")
            totals = (await told(tmp_path, "history", "totals")).splitlines()
            assert totals[0].split()[:3] == ["all-time", "accepted", "rejected"]
            assert totals[1].startswith("rig ")
            assert int(totals[1].split()[1]) > first
            assert any(line.startswith("pool ") for line in totals)
            shares = (await told(tmp_path, "history", "shares", "--points", "2")).splitlines()
            assert len(shares) == 2
            every = await told(tmp_path, "history", "shares", "--points", "1000")
            assert every.count("  accepted  ") >= first
            assert "pause all" in await told(tmp_path, "history", "audit")
            assert json.loads(await told(tmp_path, "history", "blocks", "--json")).keys() == {
                "blocks"
            }
            assert await told(tmp_path, "history") == "nothing is kept of that\n"
