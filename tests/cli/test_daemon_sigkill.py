"""The daemon is killed at random moments under load. Every share that the pool acknowledged more
than a second before is in the log, the counters agree with the log, and the next start is clean.

KILLS says how many times (`make soak`: 200), SEED from which seed.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

from daemon_process import daemon, watched_pool, write_config

KILLS = int(os.environ.get("KILLS", "10"))
SEED = int(os.environ.get("SEED", "1"))
LATEST_KILL_S = 3.0  # after the start: while it starts, measures, connects and mines
SHARES_PER_MINUTE = 3000.0
WRITTEN_AFTER_S = 1.0

_COUNTED = "SELECT sum(accepted), sum(rejected), sum(stale), sum(unacknowledged) FROM share_counts"
_LOGGED = (
    "SELECT sum(verdict = 0), sum(verdict = 1), sum(verdict = 2), sum(verdict = 3) FROM shares"
)


async def test_what_was_acknowledged_a_second_before_is_in_the_log(tmp_path: Path) -> None:
    moments = random.Random(SEED)
    promised: Counter[float] = Counter()
    async with watched_pool(SHARES_PER_MINUTE, ack_seconds=0.05) as pool:
        config = write_config(tmp_path, pool.url)
        for number in range(KILLS):
            pool.begin()
            async with daemon(tmp_path, "-c", str(config)) as process:
                await process.says("the API is on")
                # some while it starts, most under load
                if number % 4:
                    await process.says("channel")
                await asyncio.sleep(moments.uniform(0, LATEST_KILL_S if number % 4 else 1.5))
                killed = time.monotonic()
                assert await process.end(signal.SIGKILL) == -signal.SIGKILL
                assert not [line for line in process.lines if "damaged" in line]
            promised.update(pool.acknowledged_before(killed - WRITTEN_AFTER_S))
            _check(tmp_path / "state" / "rig.sqlite", promised)
        assert promised.total() > 10 * KILLS  # there was load
        async with daemon(tmp_path, "-c", str(config)) as process:
            await process.says("channel")
            assert await process.end() == 0
        _check(tmp_path / "state" / "rig.sqlite", promised)


def _check(path: Path, promised: Counter[float]) -> None:
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = database.execute("SELECT difficulty FROM shares WHERE verdict = 0").fetchall()
        missing = promised - Counter(difficulty for (difficulty,) in rows)
        assert not missing, f"{missing.total()} of {promised.total()} are missing"
        counted = database.execute(_COUNTED).fetchone()
        assert counted == database.execute(_LOGGED).fetchone()
        [best] = database.execute("SELECT max(best_difficulty) FROM share_counts").fetchone()
        assert best == database.execute("SELECT max(difficulty) FROM shares").fetchone()[0]
