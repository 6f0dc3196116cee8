"""`sv2rig set`, `identify` and `tune` against a rig that runs in another process."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sv2rig.sv2.authority import encode_authority_key
from sv2rig.sv2.secp256k1 import xonly_public_key

KEY = encode_authority_key(xonly_public_key(b"\x44" * 32))
PATIENCE_S = 30.0
NAME = socket.gethostname()


def command(*args: str) -> list[str]:
    return [str(Path(sys.executable).parent / "sv2rig"), *args]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}


@pytest.fixture
def rig(environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Two simulated boards on a pool that is away."""
    devices = ("--device", "simulated?rate=90k") * 2
    process = subprocess.Popen(
        command("mine", f"stratum2+tcp://127.0.0.1:1/{KEY}", "--user", "a", "--headless", *devices),
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if "trying again" in line:
                break
        yield process
    finally:
        process.kill()
        process.communicate()


def run(environment: dict[str, str], *args: str) -> tuple[int, str, str]:
    done = subprocess.run(
        command(*args), capture_output=True, text=True, timeout=PATIENCE_S, env=environment
    )
    return done.returncode, done.stdout, done.stderr


def test_without_a_rig_it_says_how_to_start_one(
    environment: dict[str, str], tmp_path: Path
) -> None:
    for args in (("set", "a", "b=1"), ("identify", "a"), ("tune", "a", "--for", "hashrate")):
        status, out, error = run(environment, *args)
        assert (status, out) == (1, "")
        [line] = error.splitlines()
        assert "no rig of this user runs here" in line
        assert "`sv2rig run` or `sv2rig mine`" in line
        assert str(tmp_path) in line
    for bad in ("frequency_mhz", "=1", "frequency_mhz=fast", "frequency_mhz=nan"):
        status, _, error = run(environment, "set", "a", bad)
        assert (status, error) == (
            2,
            f"sv2rig: {bad!r} is not NAME=NUMBER, as in frequency=450\n",
        )


def test_a_running_rig_is_set_and_leaves_no_socket_behind(
    environment: dict[str, str], rig: subprocess.Popen[str], tmp_path: Path
) -> None:
    assert run(environment, "set", "simulated:0") == (0, "latency_ms = 50 ms\n", "")
    status, out, _ = run(environment, "set", "simulated:0", "latency_ms=20", "--json")
    assert status == 0
    assert json.loads(out) == {"device": "simulated:0", "settings": {"latency_ms": 20}}
    assert run(environment, "set", "simulated:1", "--rig", NAME)[1] == "latency_ms = 50 ms\n"
    refusals = {
        ("set", "simulated:0", "latency_ms=1"): "out of range: 2 to 1000 ms",
        ("set", "simulated:0", "volts=1"): "no setting 'volts'; there is: latency_ms",
        ("set", "cpu:0"): "no device cpu:0; it has: simulated:0, simulated:1",
        ("identify", "simulated:0"): "simulated:0 has nothing to show itself with",
        ("tune", "simulated:0", "--for", "hashrate"): "simulated:0 cannot be tuned",
        ("set", "simulated"): "'simulated' may be each of simulated:0, simulated:1",
        ("identify", "simulated:0", "--rig", "attic"): f"no rig attic runs here; there is: {NAME}",
    }
    for args, words in refusals.items():
        status, out, error = run(environment, *args)
        assert (status > 0, out) == (True, "")
        assert words in error
        assert len(error.splitlines()) == 1
    for command, words in {
        ("pause", "simulated:0"): "simulated:0 is paused\n",
        ("resume", "simulated:0"): "simulated:0 is resumed\n",
        ("pause",): "all devices are paused\n",
        ("resume",): "all devices are resumed\n",
        ("disable", "simulated:1"): "simulated:1 is off\n",
        ("enable", "simulated:1"): "simulated:1 is used again\n",
    }.items():
        assert run(environment, *command) == (0, words, "")
    assert run(environment, "reload")[0] == 1
    assert "no hooks" in run(environment, "notify", "test")[2]
    assert "keeps no history" in run(environment, "history")[2]
    rig.send_signal(signal.SIGINT)
    rig.wait(PATIENCE_S)
    assert not list(tmp_path.rglob("*.sock"))


def test_its_state_is_shown_and_its_pools_are_changed(
    environment: dict[str, str], rig: subprocess.Popen[str], tmp_path: Path
) -> None:
    status, out, _ = run(environment, "status")
    assert status == 0
    assert out.startswith(f"{NAME}: ")
    assert "simulated:1" in out
    path = str(next(tmp_path.rglob("*.sock")))
    snapshot = json.loads(run(environment, "status", "--json", "--socket", path)[1])
    assert [device["id"] for device in snapshot["devices"]] == ["simulated:0", "simulated:1"]
    assert run(environment, "status", "--socket", path, "--rig", NAME)[0] == 2
    [pool] = json.loads(run(environment, "pools", "list", "--json")[1])["pools"]
    url = f"stratum2+tcp://127.0.0.1:2/{KEY}"
    assert run(environment, "pools", "add", "b", url, "--user", "u")[0] == 0
    assert run(environment, "pools", "add", "b", url, "--user", "u")[0] == 1
    assert run(environment, "pools", "order", "b", pool["name"])[0] == 0
    listed = run(environment, "pools", "list")[1].splitlines()
    assert [line[2:].split()[0] for line in listed] == ["b", pool["name"]]
    assert run(environment, "pools")[1].splitlines()[0].startswith("  b  ")
    assert run(environment, "pools", "--rig", NAME, "list")[0] == 2  # it would not be heeded
    for verb in ("disable", "enable", "switch"):
        assert run(environment, "pools", verb, "b") == (0, run_words(verb), "")
    status, _, error = run(environment, "pools", "switch", "attic")
    assert (status, "no pool 'attic'" in error) == (1, True)
    assert run(environment, "pools", "remove", "b", "--json")[1] == '{"pool":"b","ok":true}\n'
    assert run(environment, "quit") == (0, "the rig ends\n", "")
    rig.wait(PATIENCE_S)
    assert not list(tmp_path.rglob("*.sock"))


def run_words(verb: str) -> str:
    words = {"disable": "is not used", "enable": "is used again", "switch": "is mined on"}
    return f"pool b {words[verb]}\n"
