"""`sv2rig mine` and `sv2rig pool run` as processes: status, lines, signals."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sv2rig.sv2.authority import encode_authority_key
from sv2rig.sv2.secp256k1 import xonly_public_key

KEY = encode_authority_key(xonly_public_key(b"\x44" * 32))
DEVICE = "simulated?rate=90k"  # hashes with hashlib: no kernel to compile
QUICK = ("--device", DEVICE, "--headless")
PATIENCE_S = 30.0


def command(*args: str) -> list[str]:
    return [str(Path(sys.executable).parent / "sv2rig"), *args]


def run(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*args), capture_output=True, text=True, timeout=PATIENCE_S)


@contextmanager
def running(*args: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command(*args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def pool(*args: str, port: int = 0) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    options = ("--simulated-chain", "--listen", f"127.0.0.1:{port}", "--json", *args)
    with running("pool", "run", *options) as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())  # while it runs: sent at once
        yield process, first


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until_line(process: subprocess.Popen[str], *words: str) -> str:
    """The next line of its log that holds these words."""
    assert process.stderr is not None
    for line in process.stderr:
        if all(word in line for word in words):
            return line
    raise AssertionError(f"the log ended without {words}")


def stop(process: subprocess.Popen[str], number: int) -> tuple[float, str, str]:
    """Send a signal; how long it took to end, stdout and stderr."""
    began = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE_S)
    return time.monotonic() - began, out, err


def error_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("sv2rig: ")]


def mine(url: str, *args: str, device: str = DEVICE) -> Sequence[str]:
    return ("mine", url, "--user", "alice.rig1", "--device", device, "--headless", *args)


def test_two_processes_mine_and_both_sum_it_up() -> None:
    with pool("--shares-per-minute", "120", "--block-interval", "5") as (pools, first):
        assert first["url"].startswith("stratum2+tcp://127.0.0.1:")
        assert first["url"].endswith("/" + first["authority_key"])
        done = run(*mine(first["url"], "--duration", "8", "--json", device="simulated"))
        _, out, _ = stop(pools, signal.SIGTERM)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    pools_summary = json.loads(out.splitlines()[-1])
    assert pools.returncode == 0
    assert summary["shares_accepted"] == pools_summary["shares_accepted"] > 0
    assert summary["shares_rejected"] == summary["hardware_errors"] == 0
    assert summary["shares_unacknowledged"] == 0
    assert "Noise" in summary["transport"]
    assert "Traceback" not in done.stderr


def test_a_wrong_key_ends_at_once_with_one_line() -> None:
    with pool() as (_, first):
        address = first["url"].rsplit("/", 1)[0]
        done = run(*mine(f"{address}/{KEY}"))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    (line,) = error_lines(done.stderr)
    assert KEY in line
    assert "not signed by the expected authority key" in line
    assert "trying again" not in done.stderr
    assert "0 shares accepted" in done.stdout


def test_a_wrong_payout_address_ends_at_once_with_one_line() -> None:
    address = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5"  # the last letter is another
    done = run(*mine(f"stratum2+tcp://127.0.0.1:9/{KEY}", "--payout-address", address))
    assert done.returncode != 0
    (line,) = error_lines(done.stderr)
    assert line.startswith("sv2rig: --payout-address: address 'bc1qw508…v8f3t5': ")


def test_a_payout_address_shows_in_the_log() -> None:
    genesis = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"
    with (
        pool() as (_, first),
        running(*mine(first["url"], "--payout-address", genesis)) as miner,
    ):
        line = until_line(miner, "pays nothing to")
        stop(miner, signal.SIGTERM)
    assert f"pays nothing to {genesis}: the whole reward goes elsewhere" in line


def test_a_dead_port_is_given_up_on_time() -> None:
    began = time.monotonic()
    done = run(*mine(f"stratum2+tcp://127.0.0.1:{free_port()}/{KEY}", "--give-up-after", "3"))
    assert 3 < time.monotonic() - began < 15
    assert done.returncode == 69
    assert "Traceback" not in done.stderr
    (line,) = error_lines(done.stderr)
    assert "connection refused; giving up after 3 s" in line
    assert done.stderr.count("trying again in") >= 2


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("measuring", signal.SIGINT),
        ("back-off", signal.SIGTERM),
        ("mining", signal.SIGINT),
        ("mining", signal.SIGTERM),
        ("mining", signal.SIGHUP),
        ("hanging", signal.SIGINT),
    ],
)
def test_a_signal_ends_it_within_two_seconds_with_a_summary(moment: str, number: int) -> None:
    with pool("--shares-per-minute", "300") as (_, first):
        url = first["url"]
        device = DEVICE
        if moment == "back-off":
            url = f"stratum2+tcp://127.0.0.1:{free_port()}/{KEY}"
        if moment == "hanging":
            device = "simulated?rate=90k&fault=hang&after=6"
        with running(*mine(url, "--json", device=device)) as miner:
            match moment:
                case "measuring":
                    until_line(miner, "measuring")
                case "back-off":
                    until_line(miner, "trying again in")
                case "mining":
                    until_line(miner, "channel", "is open")
                case "hanging":
                    until_line(miner, "SICK", "it hangs")
            took, out, err = stop(miner, number)
            assert miner.returncode == 0, err
    assert took < 2
    assert "Traceback" not in err
    summary = json.loads(out.splitlines()[-1])
    assert summary["devices"][0]["id"] == "simulated:0"


def test_a_signal_ends_a_connect_under_way() -> None:
    # A listener whose backlog is full lets nobody in and sends nobody away.
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        url = f"stratum2+tcp://127.0.0.1:{full.getsockname()[1]}/{KEY}"
        with running(*mine(url)) as miner:
            until_line(miner, "measuring")
            time.sleep(3)  # nothing is said when it begins to connect
            took, out, err = stop(miner, signal.SIGTERM)
            assert miner.returncode == 0, err
    assert took < 2
    assert "0 shares accepted" in out


def test_a_pool_killed_and_started_again_is_mined_on(tmp_path: Path) -> None:
    port = free_port()
    keys = ("--keys", str(tmp_path / "keys"), "--shares-per-minute", "300")
    with pool(*keys, port=port) as (killed, first), running(*mine(first["url"], "--json")) as miner:
        until_line(miner, "channel", "is open")
        killed.kill()
        until_line(miner, "devices idle, trying again in")
        until_line(miner, "connection refused")
        with pool(*keys, port=port) as (_, again):
            assert again["url"] == first["url"], "its key is kept"
            until_line(miner, "channel", "is open")
            _, out, _ = stop(miner, signal.SIGINT)
    assert json.loads(out.splitlines()[-1])["reconnects"] == 1


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("stratum+tcp://pool.example:3333", "Stratum V1"),
        ("pool.example:34254", "scheme"),
        (f"stratum2+tcp://pool.example:99999/{KEY}", "port"),
        ("stratum2+tcp://pool.example:34254", "authority key is missing"),
        (f"stratum2+tcp://pool.example:34254/{KEY[:-1]}x", "key"),
    ],
)
def test_a_bad_url_is_a_users_mistake_told_with_the_form(url: str, words: str) -> None:
    done = run("mine", url, "--user", "a", *QUICK)
    assert done.returncode == 2
    (line,) = error_lines(done.stderr)
    assert words in line
    assert "Traceback" not in done.stderr


def test_the_expected_form_is_shown() -> None:
    done = run("mine", "stratum+tcp://pool.example:3333", "--user", "a", *QUICK)
    assert "stratum2+tcp://HOST:PORT/AUTHORITYKEY" in done.stderr


@pytest.mark.parametrize("name", ["quantum", "opencl:999", "simulated?rate=fast", "simulated?x=1"])
def test_an_unknown_device_is_a_users_mistake(name: str) -> None:
    done = run(*mine(f"stratum2+tcp://127.0.0.1:9/{KEY}", device=name))
    assert done.returncode == 2, done.stderr
    (line,) = error_lines(done.stderr)
    assert name.partition("?")[0] in line
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_told_in_a_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("pool", "run", "--simulated-chain", "--listen", f"127.0.0.1:{port}")
    assert done.returncode == 1
    (line,) = error_lines(done.stderr)
    assert re.search(rf"cannot listen on 127\.0\.0\.1:{port}: .*in use", line)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("content", ["garbage", "", "\udcff\udcfe"])
def test_damaged_keys_are_told_and_left_alone(tmp_path: Path, content: str) -> None:
    secret = tmp_path / "authority.secret"
    raw = content.encode(errors="surrogateescape")
    secret.write_bytes(raw)
    done = run(
        "pool", "run", "--simulated-chain", "--listen", "127.0.0.1:0", "--keys", str(tmp_path)
    )
    assert done.returncode == 1
    (line,) = error_lines(done.stderr)
    assert str(secret) in line
    assert "Traceback" not in done.stderr
    assert secret.read_bytes() == raw


def test_keys_where_a_file_is_in_the_way(tmp_path: Path) -> None:
    in_the_way = tmp_path / "keys"
    in_the_way.write_text("a file")
    done = run(
        "pool", "run", "--simulated-chain", "--listen", "127.0.0.1:0", "--keys", str(in_the_way)
    )
    assert done.returncode == 1
    assert len(error_lines(done.stderr)) == 1
    assert "Traceback" not in done.stderr


def test_the_pool_stops_in_time_with_miners_connected() -> None:
    with pool() as (pools, first), running(*mine(first["url"])) as miner:
        until_line(miner, "channel", "is open")
        took, out, _ = stop(pools, signal.SIGINT)
        assert pools.returncode == 0
        assert took < 2
        assert json.loads(out.splitlines()[-1])["connections"] == 1
        until_line(miner, "closed the connection", "devices idle")


def test_a_host_name_that_cannot_be_is_told_and_retried() -> None:
    url = f"stratum2+tcp://{'x' * 64}.example:34254/{KEY}"
    done = run(*mine(url, "--give-up-after", "0"))
    assert done.returncode == 69
    assert "Traceback" not in done.stderr
    assert len(error_lines(done.stderr)) == 1
