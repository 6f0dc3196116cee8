"""The benches run from a checkout, and what they count can be counted by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "bench", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,  # beside other tests on few cores
        check=False,
    )


def bench_json(*arguments: str) -> dict[str, Any]:
    done = bench(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    [line] = done.stdout.splitlines()
    report: dict[str, Any] = json.loads(line)
    return report


def by_message(ledger: dict[str, Any]) -> dict[str, tuple[int, int]]:
    return {entry["message"]: (entry["count"], entry["size"]) for entry in ledger["messages"]}


def test_list_names_every_bench() -> None:
    done = bench("--list")
    assert done.returncode == 0
    listed = {line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")}
    assert {"daemon", "idle", "protocol", "switch", "wire_bytes"} <= listed


def test_unknown_bench_is_refused_with_the_list() -> None:
    done = bench("nonsense")
    assert done.returncode == 2
    assert "no bench 'nonsense'" in done.stderr
    assert "wire_bytes" in done.stderr


def test_bytes_of_an_hour_as_counted_by_hand() -> None:
    report = bench_json("wire_bytes")
    standard = by_message(report["v2"][0])
    # Each frame: a 6-byte header, the payload, and a 16-byte tag after either.
    assert standard["SubmitSharesStandard"] == (360, 360 * (24 + 38))
    assert standard["NewMiningJob"] == (121, 114 * (49 + 38) + 7 * (45 + 38))  # 7 are future jobs
    assert standard["SetNewPrevHash"] == (7, 7 * (48 + 38))
    assert standard["SubmitShares.Success"] == (36, 36 * (20 + 38))
    assert by_message(report["v2"][1])["SubmitShares.Success"] == (90, 90 * (20 + 38))
    extended = by_message(report["v2"][2])
    assert extended["SubmitSharesExtended"] == (360, 360 * (24 + 1 + 8 + 38))
    answer = len('{"id":4,"result":true,"error":null}\n')  # ids 4 to 363
    expected = 6 * answer + 90 * (answer + 1) + 264 * (answer + 2)
    assert by_message(report["v1"])["result of mining.submit"] == (360, expected)


@pytest.mark.parametrize("coinbase", ["merged", "plain"])
def test_totals_and_savings_follow_from_the_messages(coinbase: str) -> None:
    report = bench_json("wire_bytes", "--coinbase", coinbase)
    for ledger in (report["v1"], *report["v2"]):
        assert ledger["total_bytes"] == sum(entry["size"] for entry in ledger["messages"])
    for variant in report["v2"]:
        saved = 1 - variant["total_bytes"] / report["v1"]["total_bytes"]
        assert variant["saved"] == pytest.approx(saved, abs=1e-4)
        assert variant["claim_met"] == (saved >= 0.5)


def test_protocol_bench_measures_every_case() -> None:
    report = bench_json("protocol", "--rounds", "1")
    assert len(report["results"]) == 7
    for result in report["results"]:
        spread = result["per_second"]
        assert 0 < spread["min"] <= spread["median"] <= spread["max"]


@pytest.mark.parametrize("how", [(), ("--screen",)], ids=["headless", "screen"])
def test_idle_bench_tells_the_devices_threads_from_the_rest(how: tuple[str, ...]) -> None:
    report = bench_json("idle", "--seconds", "2", "--settle", "0", *how)
    threads = report["threads"]
    assert {"MainThread", "simulated:0", "hashlib_0"} <= threads.keys()
    assert report["hashing"] == threads["hashlib_0"] > 0.01  # 50 kH/s with hashlib
    rest = report["process"] - threads["hashlib_0"] - threads["simulated:0"]
    assert report["idle"] == pytest.approx(rest)


def test_switch_bench_follows_previous_hashes_to_the_device() -> None:
    report = bench_json(
        "switch", "--device", "cpu", "--latency-ms", "5", "--switches", "5", "--every", "0.05"
    )
    [result] = report["results"]
    assert result["device"] == "cpu:0"
    assert result["switches"] + result["lost"] >= 5
    parts = result["parts"]
    for tail in parts.values():
        assert 0 <= tail["min"] <= tail["median"] <= tail["p99"] <= tail["max"]
    assert parts["ours_ms"]["median"] < parts["total_ms"]["median"] < 10_000


def test_daemon_bench_measures_a_whole_rig_and_who_looks_at_it() -> None:
    report = bench_json(
        *("daemon", "--boards", "2", "--seconds", "3", "--attach", "1", "--stalled", "5"),
        *("--part", "cost", "--part", "stalled"),  # each starts and ends a whole rig
    )
    assert 0 < report["daemon_cpu_percent"] < 100
    assert 0 < report["screen_cpu_percent"] < 100
    assert report["client_messages"] >= 3
    assert report["client_scrapes"] >= 1
    assert 0 < report["attach_median_s"] == report["attach_worst_s"]
    for span in (report["without_stalled"], report["with_stalled"]):
        assert span["jobs"] + span["jobs_incomplete"] >= 1
    assert report["stalled_clients"] == 8
