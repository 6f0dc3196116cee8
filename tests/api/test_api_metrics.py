"""/metrics: names and values, the page that documents them, the dashboard that draws them, and
Prometheus itself."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from api_rig import ARig, with_everything
from prometheus_client.parser import text_string_to_metric_families

from sv2rig.api.metrics import RigCollector
from sv2rig.api.places import Places
from sv2rig.api.rig import ApiRig
from sv2rig.rig.snapshot import (
    DeviceSnapshot,
    Event,
    PoolStanding,
    RigSnapshot,
    ShareCounts,
    ShareRecord,
)

DOCS = Path(__file__).parents[2] / "docs"
PATIENCE_S = 60.0
NAME = re.compile(r"\b((?:sv2rig|process)_[a-z0-9_]+)\b")


class Shown:
    """A picture with nothing unknown."""

    def __init__(self, snapshot: RigSnapshot) -> None:
        device = DeviceSnapshot(
            'od"d\\:1\n', "icarus", "Icarus", "v1", "MINING", "", 0.0, 1e9, 1e9, 61.5, 40.0, 7.5,
            ShareCounts(5, 4, 3, 2, 1), 9, 1.7e9, comm_errors=8, frequency_mhz=200.0,
            rated_hs=1.1e9, hot_c=75.0, best_difficulty=2048.0, port="ttyUSB0",
        )  # fmt: skip
        lost = msgspec.structs.replace(
            device, id="lost:1", state="LOST", temperature_c=None, enabled=False, paused=True
        )
        pool = msgspec.structs.replace(
            snapshot.pool,
            name="a",
            difficulty=4096.0,
            latency_ms=21.0,
            job_age_s=3.0,
            reconnects=2,
            height=903_412,
        )
        self._snapshot = msgspec.structs.replace(
            snapshot,
            devices=(device, lost),
            pool=pool,
            pools=(
                PoolStanding("a", "stratum2+tcp://a:1/k", "alice", "mining", is_active=True),
                PoolStanding("b", "stratum2+tcp://b:1/k", "secret-user", "down"),
            ),
            shares=ShareCounts(50, 40, 30, 20, 10),
            blocks_found=1,
            best_difficulty=1e12,
            clock_error_s=-2.5,
            power_w=7.5,
            hashrate_hs=1e9,
            state="mining",
        )

    def snapshot(self) -> RigSnapshot:
        return self._snapshot

    def events_after(self, _: int) -> tuple[Event, ...]:
        return ()

    def shares_after(self, _: int) -> tuple[ShareRecord, ...]:
        return ()


def collected() -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    async def main() -> Any:
        rig = ARig()
        shown = Shown(rig.run.rig.snapshot())
        await rig.end()
        api = ApiRig("garage", shown, rig.api.commands, rig.run.rig.tell, loop_lag_s=lambda: 0.001)
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in RigCollector(api, lambda: 3).collect()
            for sample in family.samples
        }

    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = asyncio.run(main())
    return found


def test_values_have_base_units_and_stable_labels() -> None:
    samples = collected()

    def value(name: str, **labels: str) -> float | None:
        return samples.get((name, frozenset(labels.items())))

    device = {"device": 'od"d\\:1\n', "backend": "icarus"}
    lost = {"device": "lost:1", "backend": "icarus"}
    assert value("sv2rig_shares_total", verdict="accepted") == 50
    assert value("sv2rig_shares_total", verdict="rejected") == 40
    assert value("sv2rig_shares_total", verdict="stale") == 30
    assert value("sv2rig_shares_total", verdict="unacknowledged") == 10
    assert value("sv2rig_device_shares_total", **device, verdict="stale") == 3
    assert value("sv2rig_device_hardware_errors_total", **device) == 9
    assert value("sv2rig_device_communication_errors_total", **device) == 8
    assert value("sv2rig_device_temperature_celsius", **device) == 61.5
    assert value("sv2rig_device_temperature_celsius", **lost) is None, "unknown is not 0"
    assert value("sv2rig_device_fan_ratio", **device) == pytest.approx(0.4)
    assert value("sv2rig_device_frequency_hertz", **device) == 200e6
    assert value("sv2rig_device_up", **device) == 1
    assert value("sv2rig_device_up", **lost) == 0
    assert (value("sv2rig_device_enabled", **lost), value("sv2rig_device_paused", **lost)) == (0, 1)
    assert (value("sv2rig_pool_up", pool="a"), value("sv2rig_pool_up", pool="b")) == (1, 0)
    assert (value("sv2rig_pool_active", pool="a"), value("sv2rig_pool_active", pool="b")) == (1, 0)
    assert value("sv2rig_pool_latency_seconds", pool="a") == pytest.approx(0.021)
    assert value("sv2rig_pool_block_height", pool="a") == 903_412
    assert value("sv2rig_clock_error_seconds") == -2.5
    assert value("sv2rig_stream_clients") == 3
    assert "secret-user" not in str(samples)
    assert {name for name, _ in samples if name.endswith("_total")} == {
        "sv2rig_shares_total", "sv2rig_blocks_found_total", "sv2rig_pool_reconnects_total",
        "sv2rig_device_shares_total", "sv2rig_device_hardware_errors_total",
        "sv2rig_device_communication_errors_total",
    }  # fmt: skip


def test_the_page_names_what_is_there_and_nothing_else() -> None:
    page = (DOCS / "metrics.md").read_text()
    documented = set(re.findall(r"^\| `([a-z0-9_]+)` \|", page, re.M))
    assert documented == {name for name, _ in collected()}
    assert {n for n in NAME.findall(page) if n.startswith("sv2rig_")} == documented


def test_the_dashboard_draws_what_is_there() -> None:
    dashboard = json.loads((DOCS / "grafana-dashboard.json").read_text())
    expressions = [t["expr"] for panel in dashboard["panels"] for t in panel["targets"]]
    assert len(expressions) > 15
    known = {name for name, _ in collected()}
    known |= {"process_cpu_seconds_total", "process_resident_memory_bytes"}
    for expression in expressions:
        names = NAME.findall(expression)
        assert names
        assert set(names) <= known, expression


def scraped(places: Places, target: str = "/metrics", accept: str = "text/plain") -> Any:
    host, port = places.tcp[0]
    assert places.token_file is not None
    token = places.token_file.read_text().strip()
    headers = {"Authorization": f"Bearer {token}", "Accept": accept}
    asked = urllib.request.Request(f"http://{host}:{port}{target}", headers=headers)
    with urllib.request.urlopen(asked, timeout=10) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


def with_tcp(folder: Path, act: Callable[[Places], None]) -> None:
    async def main() -> None:
        async with with_everything(folder, listen="127.0.0.1:0") as (_, places):
            await asyncio.to_thread(act, places)

    asyncio.run(main())


def test_both_text_formats_are_spoken(tmp_path: Path) -> None:
    def act(places: Places) -> None:
        media, text = scraped(places)
        assert media.startswith("text/plain; version=")
        families = {family.name for family in text_string_to_metric_families(text)}
        assert {"sv2rig_shares", "sv2rig_uptime_seconds", "process_cpu_seconds"} <= families
        media, text = scraped(places, accept="application/openmetrics-text; version=1.0.0")
        assert media.startswith("application/openmetrics-text")
        assert text.endswith("# EOF\n")
        media, _ = scraped(places, accept="application/openmetrics-text; version=new")
        assert media.startswith("text/plain; version=")

    with_tcp(tmp_path, act)


# -- Prometheus


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as line:
        return int(line.getsockname()[1])


def query(port: int, target: str) -> Any:
    """What Prometheus's own API says; None while it does not answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{target}", timeout=5) as answer:
            return json.load(answer)["data"]
    except (urllib.error.URLError, ConnectionError):
        return None


def until(look: Callable[[], Any], process: subprocess.Popen[bytes]) -> Any:
    """The first true result."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if found := look():
            return found
        assert process.poll() is None, "Prometheus has ended"
        time.sleep(0.1)
    raise AssertionError(f"not within {PATIENCE_S:g} s")


@pytest.mark.skipif(
    shutil.which("prometheus") is None,
    reason="there is no prometheus here (Debian: apt install prometheus)",
)
def test_prometheus_scrapes_it(tmp_path: Path) -> None:
    def act(places: Places) -> None:
        host, port = places.tcp[0]
        config = tmp_path / "prometheus.yml"
        config.write_text(
            f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: sv2rig
    authorization: {{credentials_file: {places.token_file}}}
    static_configs: [{{targets: ["{host}:{port}"]}}]
  - job_name: without-token
    static_configs: [{{targets: ["{host}:{port}"]}}]
"""
        )
        own = free_port()
        with subprocess.Popen(
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={tmp_path / 'data'}",
                f"--web.listen-address=127.0.0.1:{own}",
                "--log.level=error",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                check_prometheus(own, process)
            finally:
                process.kill()

    with_tcp(tmp_path, act)


def check_prometheus(port: int, process: subprocess.Popen[bytes]) -> None:
    def targets() -> dict[str, dict[str, Any]] | None:
        found = query(port, "/api/v1/targets")
        active = {t["labels"]["job"]: t for t in found["activeTargets"]} if found else {}
        settled = active and all(t["health"] != "unknown" for t in active.values())
        return active if settled else None

    found = until(targets, process)
    assert (found["sv2rig"]["health"], found["sv2rig"]["lastError"]) == ("up", "")
    assert found["without-token"]["health"] == "down"
    assert "401" in found["without-token"]["lastError"]

    def result(name: str) -> Any:
        return (query(port, f"/api/v1/query?query={name}") or {}).get("result")

    def series(name: str) -> dict[str, float]:
        said = until(lambda: result(name), process)
        return {one["metric"].get("device", ""): float(one["value"][1]) for one in said}

    assert series("sv2rig_info") == {"": 1}
    assert series("sv2rig_device_up") == {"board:0": 1, "board:1": 1, "board:2": 1, "loop:0": 1}
    assert series("sv2rig_device_frequency_hertz")["board:0"] == 400e6
    kinds = until(lambda: query(port, "/api/v1/metadata"), process)
    shares = kinds.get("sv2rig_shares") or kinds["sv2rig_shares_total"]  # OpenMetrics, or text
    assert shares[0]["type"] == "counter"
