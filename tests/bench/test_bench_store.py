"""The store's bench on a small scale."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_store_bench_tells_size_bytes_and_every_screen_that_fits() -> None:
    done = subprocess.run(
        [sys.executable, "bench", "store", "--devices", "4", "--days", "0.1", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["commits"] == 24 * 60 * (6 + 1)
    assert report["size"] >= 1024
    # A share is at least two pages and what frames them in the log, and so is a minute.
    assert report["day_bytes"] >= report["commits"] * 2 * (1024 + 24)
    assert {(s["name"], s["of"]) for s in report["screens"]} == {("1 h", "device"), ("1 h", "rig")}
    assert report["worst_ms"] == max(max(s["cold_ms"], s["worst_ms"]) for s in report["screens"])
